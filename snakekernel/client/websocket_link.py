"""How a client comes by a link to a kernel behind a server; what that takes is loaded when asked for."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from .link import Link

if TYPE_CHECKING:
    from .websocket import Bridge

_SCHEMES: Final = ("http://", "https://", "ws://", "wss://")


def bridge_to(where: Any, **options: Any) -> Bridge | None:
    """The bridge to a kernel behind a server, being opened; None where ``where`` is no server's address.

    Args:
        options: of ``read_address``; where none is a server's, they must be at their defaults.
    """
    if isinstance(where, str) and where.lower().startswith(_SCHEMES):
        from .websocket import Bridge
        from .websocket_address import read_address

        return Bridge(read_address(where, **options))
    given = [name for name, value in options.items() if value is not None and value is not True]
    if given:
        raise TypeError(f"{', '.join(given)} can be given with the address of a server only")
    return None


def bridged(bridge: Bridge) -> Link:
    """A link over an open bridge, which ends with it at the latest."""
    link = Link(bridge.connection, None, bridge.why)
    link.loss = bridge.loss
    weakref.finalize(link, bridge.end).atexit = False
    return link
