"""TCP connections that pass through here and can be cut, while both ends live."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any, Self

_PORTS = ("shell_port", "control_port", "iopub_port", "stdin_port", "hb_port")


class Forwarder:
    """Forwards the ports of a kernel: ``with Forwarder(info) as forwarder: connect(forwarder.info)``.

    Attributes:
        info: connection details that lead through here.
    """

    def __init__(self, info: dict[str, Any]) -> None:
        self._host = info["ip"]
        self._ports = {name: info[name] for name in _PORTS}
        self.info = dict(info)
        self._ends: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forwarder")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def cut(self) -> None:
        """Break every connection off; new ones go through again."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(30)

    async def _cut(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        servers = []
        for name, port in self._ports.items():
            server = await asyncio.start_server(lambda r, w, port=port: self._pass(r, w, port), self._host, 0)
            self.info[name] = server.sockets[0].getsockname()[1]
            servers.append(server)
        self._ready.set()
        await self._over.wait()
        for server in servers:
            server.close()
        await self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            theirs, ours = await asyncio.open_connection(self._host, port)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, ours}
        try:
            await asyncio.gather(_pump(reader, ours), _pump(theirs, writer))
        finally:
            self._ends -= {writer, ours}


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.transport.abort()
