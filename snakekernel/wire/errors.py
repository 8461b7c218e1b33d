"""The one tree of errors: every failure that crosses the wire is one of these.

Rules: an error carries a stable ``code``, the JSON path ``at`` of the offending part of the request (or
``None``), and whose ``fault`` it is: ``"caller"`` (mend the request), ``"target"`` (the called code or
object) or ``"kernel"`` (this program). The message tells the reader what to do next. The kernel raises
these, the dispatcher turns them into error replies, and the client raises them again from the reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

Fault = Literal["caller", "target", "kernel"]


class SnakeError(Exception):
    """Base of every error of the protocol.

    Attributes:
        code: stable identifier, see the protocol reference.
        at: JSON path into the request, such as ``$.steps[2].args[0]``, or ``None``.
        fault: ``"caller"``, ``"target"`` or ``"kernel"``.
        ename, evalue: name and text of the underlying exception; for ``raised`` those of the called code.
        traceback: lines of the remote traceback, user frames only.
        reply: the content of the error reply, in the client. buffers: the reply's, to which it refers.
    """

    code: ClassVar[str] = "raised"
    default_fault: ClassVar[Fault] = "kernel"
    buffers: Sequence[memoryview] = ()

    def __init__(
        self,
        message: str,
        *,
        at: str | None = None,
        fault: Fault | None = None,
        ename: str | None = None,
        evalue: str | None = None,
        traceback: list[str] | None = None,
        reply: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.fault: Fault = fault or self.default_fault
        self.ename = ename or type(self).__name__
        self.evalue = message if evalue is None else evalue
        self.traceback = traceback or []
        self.reply = reply or {}

    def __str__(self) -> str:
        where = f" (at {self.at})" if self.at else ""
        return f"{self.message}{where}"


class InvalidRequest(SnakeError):
    """Malformed content: a missing, unknown or mistyped field, a bad buffer."""

    code = "invalid_request"
    default_fault = "caller"


class UnknownOperation(SnakeError):
    """This kernel serves no such operation."""

    code = "unknown_operation"
    default_fault = "caller"


class NotFound(SnakeError):
    """No stored object, session, program or framework of that name."""

    code = "not_found"
    default_fault = "caller"


class Unresolvable(SnakeError):
    """The target names no importable module or attribute."""

    code = "unresolvable"
    default_fault = "caller"


class Denied(SnakeError):
    """The target policy refuses the target."""

    code = "denied"
    default_fault = "caller"


class Raised(SnakeError):
    """The called code raised; ``ename``, ``evalue`` and ``traceback`` are its own."""

    code = "raised"
    default_fault = "target"


class Interrupted(SnakeError):
    """Stopped by an interrupt (SIGINT or ``interrupt_request``)."""

    code = "interrupted"
    default_fault = "caller"


class Cancelled(SnakeError):
    """Stopped by a ``cancel`` request."""

    code = "cancelled"
    default_fault = "caller"


class DeadlineExceeded(SnakeError):
    """Stopped by its deadline."""

    code = "deadline"
    default_fault = "caller"


class Unserializable(SnakeError):
    """The caller demanded a value that has no lossless form."""

    code = "unserializable"
    default_fault = "target"


class LimitExceeded(SnakeError):
    """A size, depth, count or quota limit."""

    code = "limit"
    default_fault = "caller"


class SessionExpired(SnakeError):
    """The session's time to live ended."""

    code = "session_expired"
    default_fault = "caller"


class OutcomeUnknown(SnakeError):
    """Whether the request ran cannot be told: another epoch, an evicted ``call_id``, or a lost kernel."""

    code = "outcome_unknown"
    default_fault = "kernel"


class StorageFailed(SnakeError):
    """A file of stored objects cannot be used, for ``reply["reason"]``; what it held is unchanged."""

    code = "storage"
    default_fault = "kernel"


class Unsupported(SnakeError):
    """A known operation, field or option that this build does not serve yet."""

    code = "unsupported"
    default_fault = "caller"


#: Every code and the class that carries it, in the order of the protocol reference.
BY_CODE: dict[str, type[SnakeError]] = {
    cls.code: cls
    for cls in (
        InvalidRequest,
        UnknownOperation,
        NotFound,
        Unresolvable,
        Denied,
        Raised,
        Interrupted,
        Cancelled,
        DeadlineExceeded,
        Unserializable,
        LimitExceeded,
        SessionExpired,
        OutcomeUnknown,
        StorageFailed,
        Unsupported,
    )
}
