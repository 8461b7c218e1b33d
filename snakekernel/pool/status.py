"""What a pool does at this moment, for people and programs: its kernels, its sessions and those that wait.

Rules: plain data that any JSON reader understands; times are seconds since 1970, so that a reader who comes
later can tell ages. Nothing here is secret: no keys, no addresses, no values.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from .events import Settings, StopReason
from .fleet import Kernel, State

if TYPE_CHECKING:
    from .performing import Performing


class KernelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel. ``pid`` is None where its process is not one of this machine."""

    number: int
    kernel_id: str | None
    pid: int | None
    host: str | None
    state: State
    use: Literal["calls", "sessions"] | None
    sessions: list[str]
    #: Calls that run, and that it got in all.
    calls: int
    served: int
    #: Bytes of its process tree when it was last measured.
    memory: int | None
    #: When it was asked for.
    since: float
    #: Why it is stopped, or will be once its calls are done.
    reason: StopReason | None


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One session. ``expires`` is None while somebody holds it, or where it has no time to live."""

    session: str
    kernel: int
    handles: int
    since: float
    expires: float | None


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Those that wait, and since when the oldest does."""

    calls: int
    sessions: int
    oldest: float | None


class CountsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What was done since the pool was opened; by outcome or reason where there are several."""

    kernels_started: int
    starts_failed: int
    kernels_lost: int
    kernels_stopped: dict[str, int]
    sessions_opened: int
    sessions_ended: dict[str, int]
    calls: dict[str, int]
    refused: dict[str, int]


class PoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One pool at the time ``at``."""

    name: str
    #: new, open, draining, closing or closed.
    state: str
    pid: int
    #: Tells its process from a later one of the same number.
    process: str | None
    host: str
    #: Whether SIGTERM makes its process drain it.
    drains_on_sigterm: bool
    opened: float | None
    at: float
    minimum: int
    maximum: int
    spares: int
    kernels: list[KernelStatus]
    sessions: list[SessionStatus]
    queue: QueueStatus
    #: Failed starts in a row.
    failures: int
    counts: CountsStatus


def status_of(pool: Performing) -> PoolStatus:
    """How a pool stands; to be asked on its event loop."""
    policy, counts = pool.policy, pool.counts
    settings: Settings = policy.settings
    now = time.time()
    # What is added to a time of the pool's clock.
    offset = now - time.monotonic()
    line = policy.line
    waiting = [since for _, since in line.calls.values()]
    of_sessions = [since for opening in line.openings.values() for since in opening.tickets.values()]
    oldest = min(waiting[:1] + of_sessions, default=None)
    return PoolStatus(
        name=pool.name,
        state=pool.state,
        pid=os.getpid(),
        process=process_mark(os.getpid()),
        host=_host(),
        drains_on_sigterm=pool.drains_on_sigterm,
        opened=_shifted(pool.opened, offset),
        at=now,
        minimum=settings.minimum,
        maximum=settings.maximum,
        spares=settings.spares,
        kernels=[_kernel(pool, kernel, offset) for kernel in policy.fleet.kernels.values()],
        sessions=[
            SessionStatus(
                session=session.name,
                kernel=session.kernel.number,
                handles=len(session.holders),
                since=session.since + offset,
                expires=_shifted(policy.expires(session), offset),
            )
            for session in policy.sessions.values()
        ],
        queue=QueueStatus(calls=len(waiting), sessions=len(of_sessions), oldest=_shifted(oldest, offset)),
        failures=policy.failures,
        counts=CountsStatus(
            kernels_started=counts.started,
            starts_failed=counts.starts_failed,
            kernels_lost=counts.stopped["failed"],
            kernels_stopped=dict(counts.stopped),
            sessions_opened=counts.sessions_opened,
            sessions_ended=dict(counts.sessions_ended),
            calls={str(outcome): number for outcome, number in counts.calls.items()},
            refused=dict(counts.refused),
        ),
    )


def _kernel(pool: Performing, kernel: Kernel, offset: float) -> KernelStatus:
    member = pool.member(kernel.number)
    return KernelStatus(
        number=kernel.number,
        kernel_id=None if member is None else member.kernel_id,
        pid=None if member is None else member.pid,
        host=None if member is None else _host() if member.is_local else member.host,
        state=kernel.state,
        use=kernel.use,
        sessions=list(kernel.sessions),
        calls=len(kernel.calls),
        served=kernel.served,
        memory=kernel.memory,
        since=kernel.since + offset,
        reason=kernel.reason,
    )


def _shifted(when: float | None, offset: float) -> float | None:
    return None if when is None else when + offset


@cache
def _host() -> str:
    return socket.gethostname()


def process_mark(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None where there is none, or none tells."""
    if sys.platform == "linux":
        try:
            # Behind the name, which may hold anything: the 3rd field is its state, the 22nd when it began.
            fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
            return None if fields[0] == "Z" else fields[19]
        except (OSError, IndexError):
            return None
    try:
        # Comes with ipykernel, but for the newest Pythons.
        psutil: Any = import_module("psutil")
    except ImportError:
        return None
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
