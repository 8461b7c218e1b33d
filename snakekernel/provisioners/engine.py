"""Jupyter's provisioners over an engine: what Ray and Dask have in common.

Rules: a kernel is told dead only when its owner said so or its lease has certainly lapsed; out of reach is
something else (``is_reachable``). A restart of a kernel whose owner lives keeps its place, keys and ports,
so that connected clients go on; one that lost its owner starts anew elsewhere. Of this process's environment
only what the kernelspec and the caller asked for leaves it. Kernels listen under Curve always.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any, ClassVar, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import Dict, Float, Int, TraitError, Unicode, validate

from ..errors import InvalidRequest, SnakeError, WorkerLost
from .sidecar import Sidecar, Watched, take_part

#: Seconds for what an owner does at once, the way there and back included.
_AT_ONCE = 12.0


class EngineProvisioner(KernelProvisionerBase):
    """Starts kernels through an engine. Traits are settings of a kernelspec's ``kernel_provisioner``."""

    #: The engine's name in messages and of its driver.
    engine: ClassVar[str]

    address = Unicode("", config=True, help="Where the engine is; 'local' makes one of this host alone.")
    lease = Float(15.0, config=True, help="Seconds that a kernel lives out of reach of this program.")
    start_timeout = Float(60.0, config=True, help="Seconds for a place in the cluster, and for the kernel.")
    cpus = Float(0.0, config=True, help="CPUs that a kernel takes of its node.")
    gpus = Float(0.0, config=True, help="GPUs that a kernel takes of its node.")
    memory = Int(0, config=True, help="Bytes of memory that a kernel takes of its node; 0 asks for none.")
    resources = Dict(
        key_trait=Unicode(), value_trait=Float(), config=True, help="The cluster's own resources, by name."
    )
    node = Unicode("", config=True, help="The one node to start on: its address or name.")
    python = Unicode(
        "", config=True, help="The interpreter on the node; by default that of the engine there."
    )

    def __init__(self, **settings: Any) -> None:
        known = self.trait_names()
        unknown = sorted(settings.keys() - set(known) - {"parent", "config", "log"})
        if unknown:
            raise TraitError(
                f"{type(self).__name__} has no setting {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(self.settings())}."
            )
        super().__init__(**settings)
        self._sidecar: Sidecar | None = None
        self._watched: Watched | None = None
        self._exit: int | None = None
        self._was_fenced = False
        self._placed: str | None = None
        self._where: dict[str, Any] = {}

    @classmethod
    def settings(cls) -> list[str]:
        """Names of what can be set."""
        return sorted(name for name, trait in cls.class_traits().items() if trait.metadata.get("config"))

    @validate("lease", "start_timeout")
    def _some_time(self, proposal: Any) -> float:
        value: float = proposal["value"]
        least = 1.0
        if not least <= value < 1e6:
            raise TraitError(
                f"{proposal['trait'].name} must be seconds from {least:g} to 1,000,000, not {value!r}."
            )
        return value

    @validate("cpus", "gpus", "memory")
    def _not_negative(self, proposal: Any) -> Any:
        if proposal["value"] < 0:
            raise TraitError(f"{proposal['trait'].name} cannot be negative.")
        return proposal["value"]

    def connection_options(self) -> dict[str, Any]:
        """What the sidecar connects with; kernels with the same share one."""
        return {"address": self.address, "timeout": min(30.0, self.start_timeout)}

    def wants(self) -> dict[str, Any]:
        """What a kernel needs of its place."""
        return {
            "cpus": self.cpus,
            "gpus": self.gpus,
            "memory": self.memory,
            "resources": dict(self.resources),
            "node": self.node,
        }

    # -- what it knows -----------------------------------------------------------------------------------

    @property
    def has_process(self) -> bool:
        """Whether a kernel was launched and its end not yet waited for."""
        return self._watched is not None

    @property
    def is_reachable(self) -> bool:
        """Whether the kernel's owner answers; a kernel out of reach may still run (see ``poll``)."""
        return self._watched is None or self._watched.is_reachable

    @property
    def where(self) -> dict[str, Any]:
        """Where the kernel is: ``host``, ``pid`` and the ``owner``'s pid there."""
        return dict(self._where)

    async def poll(self) -> int | None:
        """None while the kernel may run; then its exit code, -9 where its lease ended it."""
        if self._watched is None:
            return 0 if self._exit is None else self._exit
        return self._watched.exit

    async def wait(self) -> int | None:
        """Wait until the kernel is dead for certain; its exit code."""
        while (code := await self.poll()) is None:
            await asyncio.sleep(0.05)
        watched, self._exit, self._watched = self._watched, code, None
        self._was_fenced = watched is not None and watched.is_fenced
        return code

    async def memory_used(self) -> int:
        """Bytes of the kernel's process tree. Raises WorkerLost."""
        found: int = await self._ask("memory", _AT_ONCE)
        return found

    async def output_tail(self) -> list[str]:
        """The last lines that the kernel's process wrote itself. Raises WorkerLost."""
        lines: list[str] = await self._ask("tail", _AT_ONCE)
        return lines

    # -- launching ---------------------------------------------------------------------------------------

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """The command with places to fill in on the node, and what of the environment goes there."""
        manager: Any = self.parent
        supported = (self.kernel_spec.metadata or {}).get("supported_encryption", ())
        if "curve" not in ([supported] if isinstance(supported, str) else supported):
            raise InvalidRequest(
                f"The kernelspec {self.kernel_spec.display_name!r} does not say that its kernel encrypts "
                f'(metadata: {{"supported_encryption": ["curve"]}}); a kernel behind an engine must.'
            )
        kwargs.pop("transport_encryption", None)
        if not manager.connection_file:
            runtime = Path(jupyter_runtime_dir())
            runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
            manager.connection_file = str(runtime / f"kernel-{self.kernel_id}.json")
        manager.transport = "tcp"
        ours = os.path.realpath(manager.connection_file)
        command = manager.format_kernel_cmd(extra_arguments=kwargs.pop("extra_arguments", []))
        words = [word.replace(ours, "{connection_file}") for word in command]
        if self.python or words[:1] == [sys.executable]:
            words[:1] = ["{python}"]
        kwargs = await super().pre_launch(**kwargs)
        # What is as in this process was not asked for; it may hold secrets, and paths that are not there.
        asked = {name: value for name, value in kwargs["env"].items() if os.environ.get(name) != value}
        asked.update((name, kwargs["env"][name]) for name in self.kernel_spec.env if name in kwargs["env"])
        return {**kwargs, "cmd": words, "env": asked}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Place an owner, or take the one that is there, and start a kernel at it.

        Raises LimitExceeded where the cluster has no such place in time, WorkerLost where it cannot be
        reached, Unsupported where the engine is not installed.
        """
        arguments = {
            "argv": cmd,
            "env": kwargs["env"],
            "cwd": kwargs.get("cwd"),
            "python": self.python or None,
            "keep_ports": bool(getattr(self.parent, "shell_port", 0)),
        }
        started = None
        if self._watched is not None:
            # Its replacement must not run beside it.
            await self.wait()
        if self._placed is not None:
            started = await self._start_again(arguments)
        if started is None:
            started = await self._start_anew(arguments)
        self._where = {name: started[name] for name in ("host", "pid", "owner")}
        info = started["connection"]
        # As KernelManager compares them: the key as bytes, Curve's as text.
        self.connection_info = cast(KernelConnectionInfo, {**info, "key": info["key"].encode()})
        return self.connection_info

    async def _start_again(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        sidecar, name = self._sidecar, self._placed
        assert sidecar is not None
        assert name is not None
        # Who was out of reach a moment ago is not asked, for that may take long.
        if not self._was_fenced and not sidecar.is_lost:
            self._watched = sidecar.watch(name, self.lease)
            try:
                return await self._start(sidecar, name, arguments)
            except WorkerLost:
                # It may have started all the same, and ends by its lease.
                await self.wait()
                sidecar.forget(name)
        self.log.warning("The owner of kernel %s is lost; it starts anew elsewhere.", self.kernel_id)
        await self._release()
        return None

    async def _start_anew(self, arguments: dict[str, Any]) -> dict[str, Any]:
        sidecar = take_part(self.engine, self.connection_options())
        self._sidecar, self._placed = sidecar, f"{self.kernel_id}-{uuid.uuid4().hex[:8]}"
        try:
            await sidecar.opened(self.start_timeout + _AT_ONCE)
            await sidecar.ask(
                "place",
                self.start_timeout + _AT_ONCE,
                kernel=self._placed,
                wants=self.wants(),
                lease=self.lease,
                timeout=self.start_timeout,
            )
            self._watched = sidecar.watch(self._placed, self.lease)
            return await self._start(sidecar, self._placed, arguments)
        except BaseException:  # a cancelled start too leaves nothing behind
            watched, self._watched = self._watched, None
            await asyncio.shield(self._release())
            if watched is not None:
                sidecar.forget(watched.name)
            raise

    async def _start(self, sidecar: Sidecar, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        started: dict[str, Any] = await sidecar.ask(
            "start", self.start_timeout + 2 * _AT_ONCE, kernel=name, timeout=self.start_timeout, **arguments
        )
        return started

    # -- ending ------------------------------------------------------------------------------------------

    async def send_signal(self, signum: int) -> None:
        """To the kernel's process group on its node."""
        if signum == signal.SIGKILL:
            await self.kill()
        elif await self._may_run():
            await self._tolerantly("signal", number=int(signum))

    async def kill(self, restart: bool = False) -> None:
        """End it; where its owner is out of reach its lease does, and ``poll`` tells when."""
        if await self._may_run():
            await self._tolerantly("kill")

    async def terminate(self, restart: bool = False) -> None:
        """Ask it to end."""
        await self.send_signal(signal.SIGTERM)

    async def _may_run(self) -> bool:
        return self._watched is not None and await self.poll() is None

    async def _tolerantly(self, method: str, **arguments: Any) -> None:
        try:
            await self._ask(method, _AT_ONCE, **arguments)
        except WorkerLost as error:
            self.log.warning("Kernel %s is out of reach: %s", self.kernel_id, error)
        except SnakeError as error:
            # It ended at this moment.
            self.log.debug("Kernel %s: %s", self.kernel_id, error)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the owner, unless a restart is to use it."""
        if not restart:
            await self._release()

    async def _release(self) -> None:
        sidecar, name = self._sidecar, self._placed
        self._sidecar = self._placed = None
        if sidecar is None:
            return
        try:
            await sidecar.ask("release", 2 * _AT_ONCE, kernel=name)
        except SnakeError as error:
            self.log.debug("Kernel %s: %s", self.kernel_id, error)
        finally:
            sidecar.leave()

    # -- shared results ----------------------------------------------------------------------------------

    async def take(self, segments: list[dict[str, Any]]) -> str:
        """Put segments of this kernel into the engine's object store; the token for them.

        Each has ``pid``, ``descriptor``, ``name``, ``offset`` and ``length``. Kernels of this process on the
        same cluster may ``give`` it. Raises WorkerLost.
        """
        token: str = await self._ask("take", self.start_timeout, segments=segments)
        return token

    async def give(self, token: str) -> list[dict[str, Any]]:
        """Place what a token stands for on this kernel's host; the segments, which live until ``drop``."""
        entries: list[dict[str, Any]] = await self._ask("give", self.start_timeout, token=token)
        return entries

    async def drop(self, token: str) -> None:
        """Let go of a token, and of what was given for it."""
        if self._sidecar is not None:
            await self._sidecar.ask("drop", _AT_ONCE, token=token)

    async def _ask(self, method: str, within: float, /, **arguments: Any) -> Any:
        if self._sidecar is None:
            raise WorkerLost("The kernel has no owner.")
        return await self._sidecar.ask(method, within, kernel=self._placed, **arguments)

    # -- what managers keep ------------------------------------------------------------------------------

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Where the kernel is too. It ends with this program, so no other can take it over."""
        return {**await super().get_provisioner_info(), "where": self._where}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """As stored; of a kernel of another program there is no process here."""
        await super().load_provisioner_info(provisioner_info)
        self._where = dict(provisioner_info.get("where", {}))

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """As recommended, and the way to the node."""
        return recommended + 2.0

    def get_stable_start_time(self, recommended: float = 10.0) -> float:
        """Long enough for a start elsewhere."""
        return max(recommended, self.start_timeout)
