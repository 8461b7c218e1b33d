"""What the policy of a pool is told and what it asks for: frozen types, no I/O.

Rules: kernels are numbered by the policy, in the order it asks for them; tickets, one for each call or
checkout, are numbered by the pool. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Why a kernel is stopped.
StopReason = Literal["idle", "used", "age", "requests", "memory", "failed", "drain", "closed"]
#: Why a ticket gets no kernel.
Refusal = Literal["full", "sessions", "late", "draining", "failed"]
#: How a session ended other than by its user.
SessionEnd = Literal["expired", "lost", "memory", "drain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a pool is sized and when it replaces kernels. None means no bound.

    Raises ValueError for what no pool can do.
    """

    #: Kernels kept for calls, whether there are calls or not; sessions never get the last of these, but of
    #: ``maximum`` kernels one always is in their reach.
    minimum: int = 0
    #: Kernels at once, whatever they are used for, starting and stopping ones included.
    maximum: int = 4
    #: Unused kernels kept ready beside those in use.
    spares: int = 1
    #: Kernels that start at the same time.
    starting: int = 2
    #: Calls at once on one kernel.
    calls_per_kernel: int = 1
    #: Sessions that one kernel gets in all its life: at 1 no kernel is ever used by two.
    sessions_per_kernel: int = 1
    #: Calls and checkouts that may wait.
    queue_limit: int = 1_000
    max_sessions: int = 10_000
    #: Seconds that a session lives while nobody uses it.
    session_ttl: float | None = 3600.0
    #: Seconds after which a kernel for calls that is not needed stops, beyond ``minimum``.
    idle: float | None = 60.0
    #: Seconds of life, calls served and bytes of the process tree, past which a kernel for calls is replaced
    #: once its calls are done.
    max_age: float | None = None
    max_requests: int | None = None
    max_memory: int | None = None
    #: Bytes of the process tree past which a session's kernel is ended, and the session with it.
    session_memory: int | None = None
    #: Seconds to wait after a failed start: doubled for each failure in a row, up to the second.
    backoff: tuple[float, float] = (0.5, 30.0)
    #: Failed starts in a row after which those that wait are refused.
    give_up_after: int = 5

    def __post_init__(self) -> None:
        """Check the bounds."""
        for name in ("maximum", "starting", "calls_per_kernel", "sessions_per_kernel", "give_up_after"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("minimum", "spares", "queue_limit", "max_sessions", "session_ttl", "idle", "max_age"):
            # Not a number, either.
            if not (getattr(self, name) or 0) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative.")
        if self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum}, beyond maximum, which is {self.maximum}.")
        if not 0 < self.backoff[0] <= self.backoff[1]:
            raise ValueError(f"backoff is {self.backoff}; its times must be positive and in order.")


# -- what the policy is told ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """A kernel answers and can be used."""

    kernel: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Contact with a kernel is lost; it may still run: its calls and sessions are over, and it is stopped."""

    kernel: int


@dataclass(frozen=True, slots=True)
class Gone:
    """A kernel has ended for certain: its start failed, it died, it was fenced, or it was stopped.

    Tickets of calls that it ran are over.
    """

    kernel: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes of a kernel's process tree."""

    kernel: int
    memory: int


@dataclass(frozen=True, slots=True)
class CallAsked:
    """A call wants any kernel, by ``deadline`` if there is one."""

    ticket: int
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class SessionAsked:
    """Somebody wants the kernel of a session, which is opened where it is not yet.

    A session that is over is opened anew once its kernel is gone; on a kernel that it never had, but where
    that one is shared and runs on for others.
    """

    ticket: int
    session: str
    ttl: float | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A ticket is over: its call ended, its session's handle was let go, or nobody waits for it any more."""

    ticket: int


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A session is closed by its user, whoever else holds it: its tickets are over.

    Without a ``Stop`` in answer its kernel has other sessions, and the session is to be ended inside it; so
    it is after ``EndSession``.
    """

    session: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; ``Policy.next_tick`` tells when one is needed."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Take nothing new, let what runs come to its end (``at_once``: end it), then stop everything."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Resize:
    """New settings, from now on."""

    settings: Settings


Event = (
    Started
    | Unreachable
    | Gone
    | Measured
    | CallAsked
    | SessionAsked
    | Done
    | SessionClosed
    | Tick
    | Drain
    | Resize
)


# -- what it asks for ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Start a kernel; answered by ``Started`` or ``Gone``."""

    kernel: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a kernel; answered by ``Gone``."""

    kernel: int
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Grant:
    """The ticket has this kernel until ``Done``. ``is_new`` tells whether its session is opened by this."""

    ticket: int
    kernel: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """The ticket gets no kernel and is over."""

    ticket: int
    reason: Refusal


@dataclass(frozen=True, slots=True)
class EndSession:
    """A session is over; whoever holds it is to be told. Its tickets are over too."""

    session: str
    kernel: int
    reason: SessionEnd


Action = Start | Stop | Grant | Refuse | EndSession
