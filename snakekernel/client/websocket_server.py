"""What a remote client asks of a Jupyter Server: kernels, sessions of pools, and websockets to them.

Rules: used on the bridge's loop only. Failures are told with the server's address and never with the token.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Never

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, WebSocketError, websocket_connect

from ..errors import (
    Denied,
    InvalidRequest,
    KernelLost,
    PoolClosed,
    PoolFull,
    QueueTimeout,
    SnakeError,
    WorkerLost,
)
from .websocket_address import Address
from .websocket_frames import PROTOCOL

#: Bytes of one message that the server may send.
_BIGGEST: Final = 1 << 40
#: Seconds until a connection must be made, and until a kernel must have started.
_CONNECT, _START = 20.0, 120.0
_NO_SERVER: Final = 599
#: Characters of a server's own words that an error quotes.
_QUOTED: Final = 1000
#: What a served pool may refuse with, by the name that its answers give.
_REFUSALS: Final[dict[str, type[SnakeError]]] = {
    kind.__name__: kind for kind in (PoolFull, PoolClosed, QueueTimeout, WorkerLost, InvalidRequest)
}


class _Names(Resolver):
    """Looks names up, and remembers them for when Python exits, where no thread can be asked any more."""

    def initialize(self) -> None:
        self._known: dict[tuple[str, int], list[tuple[int, Any]]] = {}

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        try:
            # An address needs no look-up, and so no thread.
            found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            loop = asyncio.get_running_loop()
            try:
                found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            except RuntimeError:
                return self._known[host, port]
        self._known[host, port] = [(one[0], one[4]) for one in found]
        return self._known[host, port]


class Server:
    """A Jupyter Server, as its address says."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._names = _Names()
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=self._names)
        self._client: AsyncHTTPClient = client

    def close(self) -> None:
        """Ask nothing more."""
        self._client.close()

    async def find(self) -> None:
        """Raise KernelLost or FileNotFoundError where there is no Jupyter Server."""
        await self._ask("GET", f"{self._address.base}/api")

    async def start_kernel(self) -> str:
        """Start a kernel; its id."""
        name = self._address.kernel_name
        body = {} if name is None else {"name": name}
        return str((await self._ask("POST", f"{self._address.base}/api/kernels", body))["id"])

    async def open_session(self) -> str:
        """The id of the kernel of the named session, opened where it is not yet."""
        return str((await self._ask("PUT", self._address.pool_session(), {}))["kernel_id"])

    async def pools(self) -> Any:
        """What the pools that it serves do, as ``snakekernel.pool.status`` has it."""
        return await self._ask("GET", f"{self._address.base}/snakekernel/api/pools")

    async def check_kernel(self, kernel_id: str) -> None:
        """Raise FileNotFoundError where there is no such kernel."""
        await self._ask("GET", self._address.kernel(kernel_id))

    async def end_kernel(self, kernel_id: str) -> None:
        """Shut a kernel down, where it still is."""
        try:
            await self._ask("DELETE", self._address.kernel(kernel_id), patience=_CONNECT)
        except FileNotFoundError:
            return

    async def open_channels(
        self, kernel_id: str, heard: Callable[[str | bytes | None], None]
    ) -> WebSocketClientConnection:
        """A websocket to the kernel; ``heard`` gets each message, and None when it is closed."""
        url = self._address.channels(kernel_id)
        request = HTTPRequest(
            url,
            headers=self._address.headers,
            ssl_options=self._address.ssl,
            connect_timeout=_CONNECT,
            # The token is for this server.
            follow_redirects=False,
        )
        # Made here, so that a server that takes the connection and says nothing is given up.
        request.request_timeout = _START
        try:
            channels = await websocket_connect(
                request,
                on_message_callback=heard,
                max_message_size=_BIGGEST,
                subprotocols=[PROTOCOL],
                resolver=self._names,
            )
        except (HTTPClientError, WebSocketError, OSError) as error:
            self._failed(error, f"the websocket of kernel {kernel_id}")
        if channels.protocol is not None and channels.protocol.stream is not None:
            channels.protocol.stream.max_buffer_size = _BIGGEST
        if channels.selected_subprotocol != PROTOCOL:
            channels.close()
            raise SnakeError(f"The server at {self._address.base} does not speak {PROTOCOL}; update it.")
        return channels

    async def _ask(self, method: str, url: str, body: Any = None, patience: float = _START) -> Any:
        request = HTTPRequest(
            url,
            method,
            headers={**self._address.headers, "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body),
            ssl_options=self._address.ssl,
            connect_timeout=_CONNECT,
            request_timeout=patience,
            follow_redirects=False,
        )
        try:
            answer = await self._client.fetch(request)
            return json.loads(answer.body) if answer.body else None
        except (HTTPClientError, OSError) as error:
            self._failed(error, url)
        except ValueError:
            raise KernelLost(f"What answers at {self._address.base} is no Jupyter Server.") from None

    def _failed(self, error: Exception, what: str) -> Never:
        """Raise what the failure means; its own text may quote headers, so little of it is told."""
        base = self._address.base
        if isinstance(error, ssl.SSLCertVerificationError):
            raise KernelLost(
                f"The certificate of {base} cannot be trusted: {error.verify_message}. Pass ca_file=… with "
                "the certificate of who signed it."
            ) from None
        if isinstance(error, ssl.SSLError):
            reason = error.reason or "it was broken off"
            raise KernelLost(f"No TLS connection to {base}: {reason}.") from None
        code = error.code if isinstance(error, HTTPClientError) else _NO_SERVER
        if code == _NO_SERVER:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise KernelLost(f"No server answers at {base}: {reason}.") from None
        told = _told(error.response if isinstance(error, HTTPClientError) else None)
        if (refusal := _REFUSALS.get(told["reason"])) is not None:
            raise refusal(told["message"]) from None
        if code in (401, 403) or 300 <= code < 400:
            raise Denied(f"The server at {base} does not let us in ({code}): pass its token=….") from None
        if code == 404:
            raise FileNotFoundError(f"There is no {what}: {told['message'] or 'not found'}.") from None
        reason = told["message"] or "it gives no reason"
        raise KernelLost(f"The server at {base} failed ({code}): {reason}.") from None


def _told(answer: HTTPResponse | None) -> dict[str, str]:
    try:
        told = json.loads(answer.body) if answer is not None and answer.body else {}
    except ValueError:
        # A page for people.
        told = {}
    told = told if isinstance(told, dict) else {}
    return {name: str(told.get(name) or "")[:_QUOTED] for name in ("message", "reason")}
