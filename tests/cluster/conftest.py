"""Clusters of several hosts, each a network namespace of this machine, and pools of kernels on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from leases import LEASE
from needs import skip_unless_ci

from snakekernel import KernelPool
from snakekernel.demo.cluster import Cluster, DaskCluster, Network, NotPossible, RayCluster

_KINDS: dict[str, Callable[..., Any]] = {"dask": DaskCluster, "ray": RayCluster}


@pytest.fixture(scope="session")
def network() -> Iterator[Callable[[], Network]]:
    """Makes networks; all are taken away at the end, and nothing of them may be left."""
    made: list[Network] = []

    def make() -> Network:
        try:
            made.append(Network())
        except NotPossible as error:
            skip_unless_ci(f"hosts are network namespaces: {error}")
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(request: pytest.FixtureRequest, network: Callable[[], Network]) -> Iterator[Cluster]:
    """Three worker hosts of each engine, which the tests of a module share, and break in turn."""
    made = network()
    running = _KINDS[request.param](made, workers=(2, 2, 4))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.env.items():
            patch.setenv(name, value)
        yield running
    made.close()


@pytest.fixture(scope="module")
def pool_on(cluster: Cluster) -> Callable[..., KernelPool]:
    """A pool whose kernels run on the cluster, under a short lease."""

    def make(*, config: dict[str, Any] | None = None, **options: Any) -> KernelPool:
        config = {**cluster.config, "lease": LEASE, **(config or {})}
        options = {"minimum": 0, "maximum": 9, "spares": 0, **options}
        return KernelPool(provisioner={"name": cluster.engine, "config": config}, **options)

    return make
