"""``snakekernel serve``: Jupyter Server with its kernels out of pools.

Rules: all of Jupyter Server's options hold, ``c.ServerApp`` in its configuration files too. It shuts down by
draining: what runs comes to its end, whoever waits for nothing is disconnected, then the pools end.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any, Final

from jupyter_server.serverapp import ServerApp
from jupyter_server.serverapp import aliases as server_aliases
from traitlets import Dict, Float, Instance, Int, default

from .._version import __version__
from ..pool.pool import KernelPool
from .connection import ServedConnection
from .handlers import handlers
from .kernels import ServedKernels
from .pools import Pools, PoolSpecs

#: Options of pools that the command line has names for.
_OF_POOLS: Final = ("minimum", "maximum", "spares", "provisioner", "python", "session_ttl", "queue_timeout")
#: Seconds between two looks at what still runs.
_LOOK: Final = 0.05


class PoolServerApp(ServerApp):  # type: ignore[misc]  # jupyter_server ships no types for it
    """Serve pools of kernels to remote clients and to Jupyter's front ends."""

    name = "snakekernel serve"
    version = __version__
    description = (
        "Serve pools of kernels: snakekernel.connect(url, token=…) reaches them, and so do JupyterLab and "
        "other front ends. A Jupyter Server with all of its options."
    )
    examples = """
    snakekernel serve --port=8888 --maximum=8 --spares=2
    snakekernel serve --ip=0.0.0.0 --certfile=server.pem --keyfile=server.key
    """
    classes = [*ServerApp.classes, ServedKernels, PoolSpecs, ServedConnection, KernelPool]  # noqa: RUF012 - traitlets' own convention
    aliases = {**server_aliases, **{name.replace("_", "-"): f"KernelPool.{name}" for name in _OF_POOLS}}  # noqa: RUF012

    pools = Dict(
        value_trait=Dict(),
        help='Pools beside the default one, by name: {"torch": {"python": "/envs/torch/bin/python", '
        '"maximum": 2}}. Options of all pools are those of c.KernelPool.',
    ).tag(config=True)
    drain_timeout = Float(
        30.0, min=0, help="Seconds for what runs to come to its end when the server is told to stop."
    ).tag(config=True)
    max_message_size = Int(1 << 34, help="Bytes of one websocket message that clients may send.").tag(
        config=True
    )

    served: Any = Instance(Pools)
    kernel_manager_class = ServedKernels
    kernel_spec_manager_class = PoolSpecs
    kernel_websocket_connection_class = ServedConnection

    @default("config_file_name")
    def _that_of_jupyter_server(self) -> str:
        return "jupyter_server_config"

    @default("served")
    def _configured_pools(self) -> Pools:
        return Pools(self.pools, parent=self)

    _status = 0
    _is_stopping = False

    def init_webapp(self) -> None:
        """As stock, with our own interface."""
        settings: dict[str, Any] = self.tornado_settings
        settings.setdefault("websocket_max_message_size", self.max_message_size)
        super().init_webapp()
        self.web_app.add_handlers(".*$", handlers(self.base_url))

    def init_signal(self) -> None:
        """As stock; Ctrl-C drains too where nobody can be asked whether it is meant."""
        super().init_signal()
        if not (sys.stdin and sys.stdin.isatty()):
            signal.signal(signal.SIGINT, self._signal_stop)

    async def _post_start(self) -> None:
        await super()._post_start()
        try:
            await self.served.open()
        except Exception:
            self.log.critical("The pools cannot be opened", exc_info=True)
            self._status = 1
            self.stop()

    async def _stop(self) -> None:
        if self._is_stopping:
            # Told again: nothing is waited for any more.
            self.drain_timeout = 0.0
            return
        self._is_stopping = True
        await self._drain()
        await super()._stop()

    async def _drain(self) -> None:
        self.kernel_manager.is_draining = True
        begun = time.monotonic()
        while busy := self.kernel_manager.disconnect_idle():
            if time.monotonic() - begun >= self.drain_timeout:
                self.log.warning("Still busy, and ended now: %s", ", ".join(busy))
                return
            await asyncio.sleep(_LOOK)

    def exit(self, exit_status: int | str | None = 0) -> None:
        """As stock."""
        super().exit(exit_status or self._status)

    def start(self) -> None:
        """As stock, until it is told to stop."""
        super().start()
        if self._status:
            self.exit(self._status)
