"""What the kernel's sockets are, as its app says: decides what must be bound and verified."""

from __future__ import annotations

from typing import Any


def is_plain_tcp(app: Any) -> bool:
    """Whether messages go over TCP without encryption; an embedding program without an app has that."""
    if getattr(app, "curve_secretkey", None) is not None:
        return False
    return getattr(app, "transport", "tcp") == "tcp"


def is_loopback(app: Any) -> bool:
    """Whether only this host can connect."""
    ip = getattr(app, "ip", "127.0.0.1")
    return ip.startswith("127.") or ip in ("localhost", "::1")
