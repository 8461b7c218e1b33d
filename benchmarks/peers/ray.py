"""Ray: an actor, arrays and frames by way of its shared object store.

``put`` and ``get`` are ``ray.put`` and ``ray.get`` of what the actor was given: no copy comes back.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..peer import AT_ONCE, OUTSTANDING, STEPS, WAITS, Kind, Peer, one_by_one, seen
from ..processes import environment
from ..served import Served

#: Bytes: room for two arrays of 1 GB and what is being replaced.
_STORE: Final = 4 << 30
SETTINGS: Final = {
    **environment(),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # It writes one into the home folder otherwise.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


class _Kept(Served):
    def pid(self) -> int:
        return os.getpid()


@contextmanager
def cluster(cpus: int) -> Iterator[Any]:
    """A cluster of its own on this machine, as small as it can be; gives the module ``ray``."""
    import ray

    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        try:
            ray.init(
                num_cpus=cpus,
                object_store_memory=_STORE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
                _temp_dir=place,
            )
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def opened() -> Iterator[Peer]:
    """One actor."""
    with cluster(1) as ray:
        yield _peer(ray)


def _peer(ray: Any) -> Peer:
    kept = ray.remote(num_cpus=1)(_Kept).remote()
    get = ray.get
    given: dict[str, Any] = {}

    def in_flight(count: int) -> list[Any]:
        got = []
        for begin in range(0, count, OUTSTANDING):
            got += get([kept.add.remote(i, 1) for i in range(begin, min(begin + OUTSTANDING, count))])
        return got

    def give(name: str, method: Any, value: Any) -> None:
        # The one before is let go first: the store holds what is referred to.
        given.pop(name, None)
        given[name] = ray.put(value)
        get(method.remote(given[name]))

    def chain() -> Any:
        value = 0
        for _ in range(STEPS):
            value = kept.add.remote(value, 1)
        return get(value)

    waiting = ray.remote(num_cpus=0, max_concurrency=AT_ONCE)(_Kept).remote()

    def streamed(method: Any, count: int) -> Any:
        return map(get, method.options(num_returns="streaming").remote(count))

    return Peer(
        call=lambda: get(kept.add.remote(2, 3)),
        in_flight=in_flight,
        swap=lambda record: get(kept.swap.remote(record)),
        put=lambda array: give("array", kept.put, array),
        get=lambda: get(given["array"]),
        make=lambda count, value: get(kept.make.remote(count, value)),
        get_made=lambda: get(kept.get_made.remote()),
        put_frame=lambda frame: give("frame", kept.put_frame, frame),
        get_frame=lambda: get(given["frame"]),
        loop=one_by_one(lambda a, b: get(kept.add.remote(a, b))),
        chain=chain,
        waits=lambda: get([waiting.wait.remote(i) for i in range(WAITS)]),
        items=lambda count: list(streamed(kept.numbers, count)),
        arrays=lambda count: [seen(array) for array in streamed(kept.arrays, count)],
        pids=[get(kept.pid.remote())],
    )


KINDS: Final = [
    Kind(name="Ray actor", open=opened, needs=("ray",), settings=SETTINGS, phase=3, gigabyte=True)
]
