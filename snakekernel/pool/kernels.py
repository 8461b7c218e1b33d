"""The pool's kernels as Jupyter sees them: a manager of many, each started by whatever provisioner is asked.

Rules: kernels of this machine listen on ipc sockets in a folder of their own, as those of ``start`` do; what
runs elsewhere is reached over TCP, encrypted or not at all. Environment variables go into the kernelspec, so
that each provisioner brings them to where the kernel runs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import default

from ..client.launch import KEEPS_WORDS, Files, kernel_spec, runtime_folder

if TYPE_CHECKING:
    from .publishing import Carrier

#: Short names of our own provisioners.
_OURS: Final = {name: f"snakekernel-{name}" for name in ("zygote", "sandbox", "ray", "dask")}
#: Where Jupyter finds provisioners.
_GROUP: Final = "jupyter_client.kernel_provisioners"
_LOCAL: Final = "local-provisioner"
#: The environment variable that brings resource limits to a kernel.
LIMITS: Final = "SNAKEKERNEL_LIMITS"


def _is_news(record: logging.LogRecord) -> bool:
    # What a start raised is told by whoever asked for it; Jupyter logs it twice before.
    return record.exc_info is None


class PoolKernelManager(AsyncKernelManager):
    """Jupyter's manager of one kernel, which also removes the folder of its sockets."""

    files: Files | None = None
    #: The file that what its process writes outside of any call goes to; None for wherever ours goes.
    output: Path | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pid = os.getpid()

    def cleanup_connection_file(self) -> None:
        """As stock, but for a forked child, which must not take its parent's files along when it ends."""
        if os.getpid() == self._pid:
            super().cleanup_connection_file()

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        if self.output is None:
            return await super()._async_launch_kernel(kernel_cmd, **options)
        with self.output.open("ab") as output:
            await super()._async_launch_kernel(kernel_cmd, stdout=output, stderr=output, **options)

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart=restart)
        if self.files is not None and not restart:
            self.files.clean_up()

    _launch_kernel = _async_launch_kernel
    cleanup_resources = _async_cleanup_resources


class PoolKernels(AsyncMultiKernelManager):
    """The kernels of one pool, each a kernel like any other of Jupyter's."""

    #: The kernelspec of all of them, and whether they run on this machine.
    spec: KernelSpec
    is_local = True
    #: Whether kernels of this machine are reached over Curve, too.
    is_encrypted = False
    #: Brings publications from host to host.
    carrier: Carrier

    @default("kernel_manager_class")
    def _of_the_pool(self) -> str:
        return f"{__name__}.{PoolKernelManager.__name__}"

    @default("connection_dir")
    def _where_jupyter_looks(self) -> str:
        return str(runtime_folder())

    @default("context")
    def _of_the_process(self) -> Any:
        # One of our own would end with a pool that nobody closed, and wait for its sockets for ever.
        return zmq.asyncio.Context.instance()

    def pre_start_kernel(self, kernel_name: str | None, kwargs: Any) -> tuple[Any, str, str]:
        """As stock; the kernel is of our kernelspec and listens where we want it to."""
        manager: Any
        manager, name, kernel_id = super().pre_start_kernel(kernel_name, kwargs)
        manager._kernel_spec = KernelSpec(**self.spec.to_dict(), resource_dir=self.spec.resource_dir)
        is_ipc = self.is_local and not self.is_encrypted and sys.platform != "win32"
        manager.files = Files("ipc" if is_ipc else "tcp", manager.connection_file)
        if is_ipc:
            manager.transport = "ipc"
            manager.ip = manager.files.ip
            if provisioner_name(self.spec) in KEEPS_WORDS:
                manager.output = Path(manager.ip).with_name("output")
        if self.is_encrypted or not self.is_local:
            manager.transport_encryption = "required"
        # Known before it has started, for it may fail to.
        self.made[kernel_id] = manager
        return manager, name, kernel_id

    @default("log")
    def _log_of_jupyter(self) -> Any:
        log = logging.getLogger("snakekernel.pool.jupyter")
        log.addFilter(_is_news)
        return log

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Else the only one there is would be made with the first pool, and keep that for ever.
        KernelProvisionerFactory.instance(config=self.config)
        #: Managers of kernels by id, those included that did not start.
        self.made: dict[str, PoolKernelManager] = {}

    def forget(self, kernel_id: str) -> None:
        """A kernel is gone, or did not start."""
        self.made.pop(kernel_id, None)
        self._pending_kernels.pop(kernel_id, None)
        self.remove_kernel(kernel_id)


def spec_of(
    kernel_name: str | None,
    provisioner: str | Mapping[str, Any] | None,
    python: str | None,
    env: Mapping[str, str],
    limits: Mapping[str, int],
    preload: Sequence[str],
) -> KernelSpec:
    """The kernelspec of a pool's kernels; see ``KernelPool`` for what the arguments mean.

    Raises:
        jupyter_client.kernelspec.NoSuchKernel: there is no kernelspec of that name.
        ValueError: the arguments contradict each other.
    """
    if kernel_name is None:
        spec = KernelSpec(**kernel_spec())
    else:
        if python is not None:
            raise ValueError("A kernelspec names its interpreter: give either kernel_name or python.")
        # A spec of our own, which the caches of Jupyter do not see.
        found = KernelSpecManager().get_kernel_spec(kernel_name)
        spec = KernelSpec(**found.to_dict(), resource_dir=found.resource_dir)
    if python is not None:
        spec.argv = [os.path.expanduser(python), *spec.argv[1:]]
    # Jupyter replaces ${NAME} in what a kernelspec says.
    added = {name: value.replace("$", "$$") for name, value in env.items()}
    if limits:
        added[LIMITS] = json.dumps(dict(limits))
    spec.env = {**spec.env, **added}
    if provisioner is not None:
        spec.metadata = {**spec.metadata, "kernel_provisioner": _stanza(provisioner, preload)}
    return spec


def _stanza(provisioner: str | Mapping[str, Any], preload: Sequence[str]) -> dict[str, Any]:
    asked: dict[str, Any] = {"name": provisioner} if isinstance(provisioner, str) else dict(provisioner)
    unknown = set(asked) - {"name", "config"}
    if unknown or "name" not in asked:
        raise ValueError(f'A provisioner is a name or {{"name": …, "config": {{…}}}}, not {provisioner!r}')
    name, config = asked["name"], dict(asked.get("config") or {})
    if name == "zygote" and preload:
        config.setdefault("preload", list(preload))
    return {"provisioner_name": _OURS.get(name, name), "config": config}


def provisioner_name(spec: KernelSpec) -> str:
    """The name of the provisioner that starts kernels of this kernelspec."""
    name: str = spec.metadata.get("kernel_provisioner", {}).get("provisioner_name", _LOCAL)
    return name


def runs_here(spec: KernelSpec) -> bool:
    """Whether kernels of this kernelspec run on this machine. Raises ValueError where nobody can tell."""
    name = provisioner_name(spec)
    found = entry_points(group=_GROUP, name=name)
    if not found:
        known = ", ".join(sorted(entry_points(group=_GROUP).names))
        raise ValueError(f"There is no kernel provisioner {name!r} here; there are: {known}.")
    return issubclass(next(iter(found)).load(), LocalProvisioner)
