"""Errors as a client sees them: those of the wire, and remote exceptions that can be caught by their kind.

Rules: a remote ValueError can be caught as ``ValueError``. The kinds come from a fixed list of built-ins;
a name from the wire is never looked up anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .wire.errors import (
    BY_CODE,
    Cancelled,
    DeadlineExceeded,
    Denied,
    Interrupted,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    Raised,
    SessionExpired,
    SnakeError,
    UnknownOperation,
    Unresolvable,
    Unserializable,
    Unsupported,
)

__all__ = [
    "CallbackLost",
    "Cancelled",
    "DeadlineExceeded",
    "Denied",
    "Interrupted",
    "InvalidRequest",
    "KernelLost",
    "LimitExceeded",
    "NotASnakeKernel",
    "NotFound",
    "OutcomeUnknown",
    "OutputLost",
    "PoolClosed",
    "PoolFull",
    "QueueTimeout",
    "Raised",
    "RemoteError",
    "ReplyTimeout",
    "SessionExpired",
    "SnakeError",
    "UnknownOperation",
    "Unresolvable",
    "Unserializable",
    "Unsupported",
    "WorkerLost",
    "from_reply",
]


class RemoteError(Raised):
    """The called code raised. ``ename``, ``evalue`` and ``traceback`` are the remote exception's."""


class KernelLost(OutcomeUnknown, ConnectionError):
    """The connection to the kernel ended: whether pending requests ran cannot be told."""


class WorkerLost(KernelLost):
    """The pool's kernel that ran this is gone or out of reach: whether it ran cannot be told."""


class PoolFull(LimitExceeded):
    """The pool takes no more: its queue is full, or it has as many sessions as it may. Nothing was sent."""


class QueueTimeout(DeadlineExceeded, TimeoutError):
    """No kernel of the pool was free in time. Nothing was sent."""


class PoolClosed(Unsupported):
    """The pool drains or is closed. Nothing was sent."""


class ReplyTimeout(OutcomeUnknown, TimeoutError):
    """No reply came in time. What was waited for is cancelled, but for a future, which can be asked again."""


class CallbackLost(ConnectionError):
    """Raised in the kernel: the client whose function was to be called is gone, or has let it go."""


class OutputLost(RuntimeWarning):
    """A call's result came, and not all that it put out: the kernel drops what a client does not read."""


class NotASnakeKernel(SnakeError):
    """The kernel is there and does not speak this protocol, or another major version of it."""

    code = "unsupported"


#: What remote exceptions can be caught as. Those that need more than a text to be made, end the process or
#: steer generators are left out.
KINDS: Final[tuple[type[Exception], ...]] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BlockingIOError,
    BrokenPipeError,
    BufferError,
    ChildProcessError,
    ConnectionAbortedError,
    ConnectionError,
    ConnectionRefusedError,
    ConnectionResetError,
    EOFError,
    FileExistsError,
    FileNotFoundError,
    FloatingPointError,
    ImportError,
    IndexError,
    InterruptedError,
    IsADirectoryError,
    KeyError,
    LookupError,
    MemoryError,
    ModuleNotFoundError,
    NameError,
    NotADirectoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    PermissionError,
    ProcessLookupError,
    RecursionError,
    ReferenceError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TimeoutError,
    TypeError,
    UnboundLocalError,
    ValueError,
    ZeroDivisionError,
)

_REMOTE: Final[dict[str, type[RemoteError]]] = {
    kind.__name__: type(f"Remote{kind.__name__}", (RemoteError, kind), {"__module__": __name__})
    for kind in KINDS
}


def from_reply(content: Mapping[str, Any]) -> SnakeError:
    """The exception that an error reply stands for."""
    code = content.get("code")
    if code == Raised.code:
        bases = content.get("bases") or [content.get("ename")]
        kind = next((_REMOTE[name] for name in bases if name in _REMOTE), RemoteError)
    else:
        kind = BY_CODE.get(str(code), SnakeError)  # type: ignore[assignment]
    lines = [str(line) for line in content.get("traceback") or []]
    message = content.get("error") or content.get("evalue") or "the kernel gave no reason"
    error = kind(
        str(message),
        at=content.get("at"),
        fault=content.get("fault"),
        ename=content.get("ename"),
        evalue=content.get("evalue"),
        traceback=lines,
        reply=dict(content),
    )
    if code == Raised.code and lines:
        error.add_note(
            "Remote traceback:\n" + "\n".join(f"  {line}" for line in "\n".join(lines).split("\n"))
        )
    return error
