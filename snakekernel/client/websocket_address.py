"""Where a remote kernel is: the address of a Jupyter Server, and what opens its door. No I/O.

Rules: the token goes into a header and nowhere else, whatever way it came; no text made here shows it.
"""

from __future__ import annotations

import re
import ssl
import uuid
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

#: Ends the address of one kernel.
_KERNEL: Final = re.compile(r"^(?P<base>.*)/api/kernels/(?P<id>[^/]+)(/channels)?$")
#: Begins the name of a connection that never comes back under it, for whom a server need keep nothing.
PASSING: Final = "snakekernel-"
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and which of its kernels is meant.

    Attributes:
        base: the server's address without the slash at its end.
        kernel_id: the kernel that runs there; None where one is to be started or opened.
        kernel_name: of the kernel to start; None for the server's default.
        pool, session: the named session of a pool of ``snakekernel serve``.
        ssl: how the server's certificate is checked; None for plain HTTP.
    """

    base: str
    kernel_id: str | None = None
    kernel_name: str | None = None
    pool: str = "default"
    session: str | None = None
    token: str | None = field(default=None, repr=False)
    ssl: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What each request says of who asks."""
        return {} if self.token is None else {"Authorization": f"token {self.token}"}

    def kernel(self, kernel_id: str) -> str:
        """The address of one kernel."""
        return f"{self.base}/api/kernels/{quote(kernel_id, safe='')}"

    def channels(self, kernel_id: str) -> str:
        """The address of a kernel's websocket, for a connection of its own."""
        kernel = self.kernel(kernel_id)
        return f"ws{kernel.removeprefix('http')}/channels?session_id={PASSING}{uuid.uuid4().hex}"

    def pool_session(self) -> str:
        """The address of the session."""
        pool, session = quote(self.pool, safe=""), quote(self.session or "", safe="")
        return f"{self.base}/snakekernel/api/pools/{pool}/sessions/{session}"


def read_address(
    url: str,
    *,
    token: str | None = None,
    kernel_name: str | None = None,
    session: str | None = None,
    pool: str | None = None,
    ca_file: str | None = None,
    verify: bool = True,
) -> Address:
    """What the options of ``connect`` say.

    Raises:
        ValueError: they do not fit together. FileNotFoundError: there is no such ``ca_file``.
    """
    parts = urlsplit(url)
    scheme = _SCHEMES[parts.scheme.lower()]
    if not parts.hostname:
        raise ValueError("The address names no host.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("An address with a user's name and password is not served: pass token=….")
    if token is None:
        # As Jupyter Server prints it for browsers.
        token = next(iter(parse_qs(parts.query).get("token", ())), None)
    if token is not None and not (token.isascii() and token.isprintable()):
        # A header could not carry it, and would tell it to whoever reads of that.
        raise ValueError("The token has a line's end, or another character that no token has.")
    path, kernel_id = parts.path.rstrip("/"), None
    if (kernel := _KERNEL.match(path)) is not None:
        path, kernel_id = kernel["base"], kernel["id"]
    if kernel_id is not None and (kernel_name is not None or session is not None or pool is not None):
        raise ValueError("The address is one kernel's: kernel_name, session and pool are for a server's.")
    if session is not None and kernel_name is not None:
        raise ValueError("The pool says which kernel serves a session: pass pool=… or kernel_name=….")
    if pool is not None and kernel_name is not None:
        raise ValueError("A pool's kernels are started by its name: pass pool=… or kernel_name=….")
    if pool is not None and session is None:
        # The kernels of a pool are started by its name.
        kernel_name, pool = pool, None
    return Address(
        base=f"{scheme}://{parts.netloc}{path}",
        kernel_id=kernel_id,
        kernel_name=kernel_name,
        pool=pool or "default",
        session=session,
        token=token,
        ssl=None if scheme == "http" else _checks(ca_file, verify),
    )


def _checks(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
