"""The pools behind a server: made as it is configured, opened on its loop, shown as its kernelspecs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from traitlets import Instance, default
from traitlets.config.configurable import LoggingConfigurable

from ..client.launch import kernel_spec
from ..pool.metrics import show
from ..pool.pool import KernelPool

#: The pool of whoever names none; under the other name notebooks of our kernelspec find it.
DEFAULT: Final = "default"
_OURS: Final = "snakekernel"


class Pools(LoggingConfigurable):
    """Pools by name.

    Args:
        options: of each pool, over those that ``c.KernelPool`` has for all.
    """

    def __init__(self, options: Mapping[str, Mapping[str, Any]], **traits: Any) -> None:
        super().__init__(**traits)
        names = {DEFAULT: {}, **options}
        self._pools = {name: KernelPool(parent=self, name=name, **some) for name, some in names.items()}
        self._opening = asyncio.Lock()
        self._is_open = False
        self._hide: list[Callable[[], None]] = []

    @property
    def names(self) -> dict[str, KernelPool]:
        """All names that kernels can be started by, and their pools."""
        return {_OURS: self._pools[DEFAULT], **self._pools}

    @property
    def all(self) -> list[KernelPool]:
        """The pools, each once."""
        return list(self._pools.values())

    async def find(self, name: str | None) -> KernelPool:
        """An open pool. Raises KeyError where there is none of that name."""
        pool = self.names[name or DEFAULT]
        await self.open()
        return pool

    async def open(self) -> None:
        """Open them all; kernels start from now on. Idempotent."""
        async with self._opening:
            if not self._is_open:
                for pool in self.all:
                    if pool.sessions_per_kernel != 1:
                        # Whoever is connected to a kernel reaches all that is in it.
                        raise ValueError("Each session of a served pool has a kernel of its own.")
                    # By the server, which ends when they are drained.
                    pool.drains_on_sigterm = True
                await asyncio.gather(*(pool.open() for pool in self.all))
                # Where Jupyter Server shows its own: at /metrics.
                self._hide = [show(pool) for pool in self.all]
                self._is_open = True

    async def close(self) -> None:
        """End all kernels."""
        async with self._opening:
            await asyncio.gather(*(pool.close() for pool in self.all))
            while self._hide:
                self._hide.pop()()


class PoolSpecs(KernelSpecManager):
    """The kernelspecs that a served pool shows: one for each of its pools."""

    pools: Any = Instance(Pools)

    @default("pools")
    def _of_the_server(self) -> Pools:
        server: Any = self.parent
        return cast(Pools, server.served)

    def find_kernel_specs(self) -> dict[str, str]:
        """As stock: the names, and the folders of their logos."""
        return {name: self._spec(name).resource_dir for name in self.pools.names}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """As stock. Raises NoSuchKernel."""
        if kernel_name not in self.pools.names:
            raise NoSuchKernel(kernel_name)
        return self._spec(kernel_name)

    def get_all_specs(self) -> dict[str, Any]:
        """As stock."""
        specs = {name: self._spec(name) for name in self.pools.names}
        return {
            name: {"resource_dir": spec.resource_dir, "spec": spec.to_dict()} for name, spec in specs.items()
        }

    def _spec(self, name: str) -> KernelSpec:
        said = kernel_spec()
        if name != _OURS:
            said["display_name"] = f"Python (pool {name})"
        return KernelSpec(**said, resource_dir=self._logos())

    def _logos(self) -> str:
        try:
            return str(KernelSpecManager().get_kernel_spec(_OURS).resource_dir)
        except NoSuchKernel:
            return ""
