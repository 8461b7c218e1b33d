"""What both clients check while they open: that a kernel of ours answers, and for how long that may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import KernelLost, NotASnakeKernel
from ..wire.names import FEATURE, PROTOCOL_VERSION
from .ending import words

if TYPE_CHECKING:
    from .websocket import Bridge

#: Seconds until a kernel must answer, and one that a server may have to start.
_CONNECT_TIMEOUT, _SERVER_TIMEOUT = 10.0, 60.0
#: Seconds before a kernel that does not answer ours is asked what it is.
ASK_AFTER: Final = 0.5


def not_started(error: KernelLost) -> KernelLost:
    """What is raised of a kernel that was lost before it answered."""
    return KernelLost(f"The kernel's process ended before it answered.{words(error.end)}", end=error.end)


def patience(timeout: float | None, bridge: Bridge | None) -> float:
    """Seconds to wait for a kernel that one connects to."""
    if timeout is not None:
        return timeout
    return _CONNECT_TIMEOUT if bridge is None else _SERVER_TIMEOUT


def check_identity(content: dict[str, Any]) -> None:
    """Raise NotASnakeKernel where a ping's or kernel info's details are not of our major version."""
    version = str(content.get("protocol_version", "0"))
    if version.partition(".")[0] != PROTOCOL_VERSION.partition(".")[0]:
        raise NotASnakeKernel(
            f"The kernel speaks version {version} of the protocol, this client {PROTOCOL_VERSION}. "
            "Install matching versions of snakekernel on both sides."
        )


def check_kernel_info(content: dict[str, Any]) -> None:
    """Raise NotASnakeKernel where a kernel info reply is not of a kernel of ours."""
    if FEATURE not in content:
        name = content.get("implementation") or "unknown"
        raise NotASnakeKernel(
            f"The kernel there is a plain {name} kernel and does not serve the snake protocol. "
            "Start one with snakekernel.start(), or choose the kernelspec 'snakekernel'."
        )
    check_identity(content[FEATURE])
