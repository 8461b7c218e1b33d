"""Starting kernels of this very environment through Jupyter's kernel managers.

Rules: local kernels listen on ipc sockets in a folder of their own that only their user may enter, unless
asked otherwise; the folder goes with the kernel. The connection file stands where Jupyter keeps those of
running kernels, so that other programs find the kernel by its id.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import uuid
import weakref
from collections.abc import Mapping
from concurrent.futures import InvalidStateError
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any, Final

from jupyter_client.kernelspec import KernelSpec, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import TraitError

from ..errors import InvalidRequest, Unsupported
from .ending import Stderr, kept

#: The provisioner of kernels in a sandbox.
SANDBOX: Final = "snakekernel-sandbox"

#: Provisioners whose kernels are processes of this machine that take over descriptors of ours.
KEEPS_WORDS: Final = ("local-provisioner", "snakekernel-zygote", "snakekernel-sandbox")


def kernel_spec() -> dict[str, Any]:
    """What our own ``kernel.json`` says, with this very interpreter in place of ``python``."""
    return {
        "argv": [sys.executable, "-m", "snakekernel", "-f", "{connection_file}"],
        "display_name": "Python (snakekernel)",
        "language": "python",
        "metadata": {"debugger": True, "supported_encryption": ["curve"]},
        "kernel_protocol_version": "5.5",
    }


def confined(spec: Any, settings: bool | Mapping[str, Any]) -> KernelSpec:
    """A kernelspec whose kernels start in a sandbox, with these settings of its provisioner if any.

    Raises InvalidRequest where there is no such setting.
    """
    config = {} if isinstance(settings, bool) else dict(settings)
    placed = {"provisioner_name": SANDBOX, "config": config}
    check_settings(SANDBOX, config)
    # The caller's own, for Jupyter keeps the ones that it has found.
    copy = KernelSpec(**spec.to_dict(), resource_dir=spec.resource_dir)
    copy.metadata = {**spec.metadata, "kernel_provisioner": placed}
    return copy


def check_settings(name: str, config: Mapping[str, Any]) -> None:
    """Have a provisioner's class take settings. Raises InvalidRequest where it does not, Unsupported where
    this installation has no such provisioner."""
    found = entry_points(group="jupyter_client.kernel_provisioners", name=name)
    if not found:
        raise Unsupported(f"This installation of snakekernel does not announce {name!r}; install it again.")
    kind = next(iter(found)).load()
    settings = kind.class_traits(config=True)
    for option, value in config.items():
        if option not in settings:
            raise InvalidRequest(
                f"{name} has no setting {option!r}. Settings: {', '.join(sorted(settings))}."
            )
        try:
            kind(**{option: value})
        except TraitError as error:
            raise InvalidRequest(str(error)) from None


class Files:
    """The connection file of one kernel and the folder of its sockets.

    They go with ``clean_up``, else with this object, at the latest when Python exits.

    Args:
        transport: ``"ipc"``, which needs a folder, or ``"tcp"``.
        connection_file: where it is to be; None for a name of its own where Jupyter looks for them.
    """

    def __init__(self, transport: str, connection_file: str | None = None) -> None:
        #: Where the sockets are, or None.
        self.folder: Path | None = None
        if connection_file is None:
            connection_file = str(runtime_folder() / f"kernel-{uuid.uuid4()}.json")
        self.connection_file = connection_file
        if transport == "ipc":
            # mkdtemp makes the folder with mode 0700.
            self.folder = Path(tempfile.mkdtemp(prefix="snakekernel-"))
        self._remove = weakref.finalize(self, _remove, os.getpid(), connection_file, self.folder)

    @property
    def ip(self) -> str:
        """What the sockets' addresses begin with, of a kernel that has a folder."""
        return str(self.folder) + "/channel"

    def clean_up(self) -> None:
        """Remove them. Idempotent."""
        self._remove()


def runtime_folder() -> Path:
    """Where Jupyter keeps the connection files of running kernels; made where it is not yet."""
    runtime = Path(jupyter_runtime_dir())
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    return runtime


class Launch:
    """How to start a kernel, and what to remove after it.

    Args:
        kernel_name: an installed kernelspec; None starts a kernel in this interpreter's environment.
        transport: ``"ipc"`` or ``"tcp"``; None is ipc where the platform has it.
        asynchronous: whether the manager's methods are coroutines.
        sandbox: whether the kernel sees next to nothing of this machine; a mapping has the provisioner's
            settings.
        manager_options: traits of the kernel manager, such as ``transport_encryption="required"``.
    """

    def __init__(
        self,
        kernel_name: str | None,
        transport: str | None,
        *,
        asynchronous: bool,
        sandbox: bool | Mapping[str, Any] = False,
        manager_options: dict[str, Any],
    ) -> None:
        self._pid = os.getpid()
        #: What the kernel's process writes to its standard error, where that can be read.
        self.stderr: Stderr | None = None
        options = dict(manager_options)
        if transport is None:
            transport = "tcp" if sys.platform == "win32" or "transport_encryption" in options else "ipc"
        self._files = Files(transport, options.get("connection_file"))
        options["connection_file"] = self._files.connection_file
        if self._files.folder is not None:
            options["ip"] = self._files.ip
        kind = AsyncKernelManager if asynchronous else KernelManager
        try:
            self.manager: Any = kind(kernel_name=kernel_name or "snakekernel", transport=transport, **options)
        except BaseException:  # whatever the options are, no folder is left behind
            self.clean_up()
            raise
        if kernel_name is None:
            self.manager._kernel_spec = KernelSpec(**kernel_spec())
        # With no settings it is one as well.
        if sandbox is not False:
            try:
                self.manager._kernel_spec = confined(self.manager.kernel_spec, sandbox)
            except BaseException:  # as above
                self.clean_up()
                raise

    def process_options(
        self,
        env: dict[str, str] | None,
        cwd: str | None,
        output: int | IO[Any] | None,
        durable: str | os.PathLike[str] | None = None,
        restore: bool = False,
    ) -> dict[str, Any]:
        """Options of the kernel's process, as its manager's ``start_kernel`` takes them."""
        if durable is not None or restore:
            env = dict(os.environ if env is None else env)
            if durable is not None:
                # A name stays one; a path is meant from here, not from the kernel's folder.
                text = os.fspath(durable)
                env["SNAKEKERNEL_DURABLE"] = os.path.abspath(text) if os.path.basename(text) != text else text
            env["SNAKEKERNEL_RESTORE"] = "1" if restore else "0"
        options: dict[str, Any] = {"env": env, "cwd": cwd, "stdout": output, "stderr": output}
        if self._keeps_words():
            self.stderr = kept(output)
            if self.stderr is not None and self.stderr.is_ours:
                options["stderr"] = self.stderr.descriptor
        return {name: value for name, value in options.items() if value is not None}

    def _keeps_words(self) -> bool:
        """Whether the kernel's process is one that its provisioner gives our descriptors."""
        try:
            stanza = self.manager.kernel_spec.metadata.get("kernel_provisioner", {})
        except NoSuchKernel:
            # Told by whoever starts it.
            return False
        return stanza.get("provisioner_name", KEEPS_WORDS[0]) in KEEPS_WORDS

    @property
    def is_ours(self) -> bool:
        """Whether this process started the kernel; a forked child did not."""
        return os.getpid() == self._pid

    def end(self) -> None:
        """Shut the kernel down and clean up, by a manager that is not asynchronous."""
        manager = self.manager
        try:
            if manager.has_kernel:
                # Asked first, so that the kernel's own atexit functions run and its children end.
                manager.shutdown_kernel()
        except BaseException:  # an interrupt: it is not asked any longer
            # Raised of the state that the shutdown broken off shares with this one; the kernel has ended
            # then.
            with suppress(asyncio.InvalidStateError, InvalidStateError):
                manager.shutdown_kernel(now=True)
            raise
        finally:
            try:
                manager.cleanup_resources()
            finally:
                self.clean_up()

    async def aend(self) -> None:
        """As ``end``, by an asynchronous one."""
        try:
            if self.manager.has_kernel:
                await self.manager.shutdown_kernel()
            await self.manager.cleanup_resources()
        finally:
            self.clean_up()

    def clean_up(self) -> None:
        """Remove the connection file and the folder of the sockets. Idempotent."""
        self._files.clean_up()
        if self.stderr is not None:
            self.stderr.close()


def _remove(pid: int, connection_file: str, folder: Path | None) -> None:
    if os.getpid() != pid:
        # A forked child that ends must not take its parent's files along.
        return
    path = Path(connection_file)
    path.unlink(missing_ok=True)
    # What the kernel knew of signatures (``kernel.seen``).
    path.with_name(f".{path.name}.seen").unlink(missing_ok=True)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
