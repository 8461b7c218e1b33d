"""Errors as a client sees them: those of the wire, and remote exceptions that can be caught by their kind.

Rules: a remote ValueError can be caught as ``ValueError``. The kinds come from a fixed list of built-ins;
a name from the wire is never looked up anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

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
    StorageFailed,
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
    "End",
    "Interrupted",
    "InvalidRequest",
    "KernelHung",
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
    "StorageFailed",
    "UnknownOperation",
    "Unresolvable",
    "Unserializable",
    "Unsupported",
    "WorkerLost",
    "from_reply",
]


class RemoteError(Raised):
    """The called code raised. ``ename``, ``evalue`` and ``traceback`` are the remote exception's."""


#: Why a kernel is gone: a signal, its own exit, a shutdown that somebody asked for, this side killed it; or
#: the connection is all that is known to be lost.
Cause = Literal["signal", "exit", "shutdown", "killed", "connection"]


@dataclass(frozen=True)
class End:
    """What is known of a kernel's end; see ``KernelLost``."""

    cause: Cause = "connection"
    signal: str | None = None
    exit_code: int | None = None
    stderr: str = ""
    memory: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)

    def asked_for(self) -> End:
        """The same of a kernel that somebody had end, but for one that this side killed."""
        return self if self.cause == "killed" else replace(self, cause="shutdown", memory=False)


class KernelLost(OutcomeUnknown, ConnectionError):
    """The connection to the kernel ended: whether pending requests ran cannot be told.

    Attributes:
        sent: False where it is certain that the request was not sent, so that it did not run.
        cause: ``"signal"``, ``"exit"``, ``"shutdown"`` (it was asked to end), ``"killed"`` (by this
            client or pool), or ``"connection"``: no more is known, for it is no child of this process.
        signal: the name of the signal that ended it, such as ``"SIGSEGV"``, or None.
        exit_code: what it exited with, or None.
        stderr: what its process wrote to stderr last, at most 200 lines and 16 KiB.
        memory: whether it may have been ended for want of memory: signal 9, and nobody here sent it.
        sizes: bytes, as far as known: ``resident`` of all its processes when last looked at, ``peak`` of the
            kernel itself, ``limit`` of its address space or its control group; and ``oom_kills``, how many
            processes of its control group the system ended for want of memory while it ran.
    """

    sent = True

    def __init__(self, message: str, *, end: End | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        end = self.end = end or End()
        self.cause, self.signal, self.exit_code = end.cause, end.signal, end.exit_code
        self.stderr, self.memory, self.sizes = end.stderr, end.memory, dict(end.sizes)

    @classmethod
    def unsent(cls, message: str, end: End | None = None) -> Self:
        """The error for a request that was not sent."""
        error = cls(message, end=end)
        error.sent = False
        return error


class WorkerLost(KernelLost):
    """The pool's kernel that ran this is gone or out of reach: whether it ran cannot be told."""


class PoolFull(LimitExceeded):
    """The pool takes no more: its queue is full, or it has as many sessions as it may. Nothing was sent."""


class QueueTimeout(DeadlineExceeded, TimeoutError):
    """No kernel of the pool was free in time. Nothing was sent."""


class PoolClosed(Unsupported):
    """The pool drains or is closed. Nothing was sent."""


class KernelHung(DeadlineExceeded, TimeoutError):
    """A call's deadline is over and the kernel does not stop it; it may still run.

    Attributes:
        control: whether the kernel still answers on control. If not, something holds its interpreter.
        is_killed: whether the kernel was ended for it.
    """

    def __init__(
        self, message: str, *, control: bool = False, is_killed: bool = False, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.control, self.is_killed = control, is_killed


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
