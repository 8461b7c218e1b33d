"""What a pool looks like at one moment: its kernels, sessions and queue, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from .fleet import Kernel
from .member import Member
from .policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelStatus:
    """One kernel. Times are seconds, memory bytes of the process tree; None where it is not known."""

    number: int
    kernel_id: str
    #: Of its process, where that is one of this machine.
    pid: int | None
    #: Where its provisioner says that it runs; None for this machine.
    host: str | None
    #: starting, unused, calls, retiring, sessions, stopping or lost.
    state: str
    age: float
    #: Calls that run now, and all that it was given.
    calls: int
    served: int
    sessions: tuple[str, ...]
    memory: int | None
    #: Why it is stopped, or will be once its calls are done.
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """A pool."""

    name: str
    #: new, open, draining, closing or closed.
    state: str
    minimum: int
    maximum: int
    sessions: int
    #: Calls that wait for a kernel, and sessions that wait for one.
    calls_waiting: int
    sessions_waiting: int
    #: Failed starts in a row.
    failures: int
    kernels: tuple[KernelStatus, ...]


def status_of(name: str, state: str, policy: Policy, members: dict[int, Member], now: float) -> PoolStatus:
    """A pool's status; ``now`` is of the policy's clock."""
    return PoolStatus(
        name=name,
        state=state,
        minimum=policy.settings.minimum,
        maximum=policy.settings.maximum,
        sessions=len(policy.sessions),
        calls_waiting=len(policy.line.calls),
        sessions_waiting=len(policy.line.openings),
        failures=policy.failures,
        kernels=tuple(
            _kernel(kernel, members[number], now) for number, kernel in sorted(policy.fleet.kernels.items())
        ),
    )


def _kernel(kernel: Kernel, member: Member, now: float) -> KernelStatus:
    return KernelStatus(
        number=kernel.number,
        kernel_id=member.kernel_id,
        pid=member.pid,
        host=member.host,
        state=kernel.state,
        age=now - kernel.since,
        calls=len(kernel.calls),
        served=kernel.served,
        sessions=tuple(kernel.sessions),
        memory=member.memory,
        reason=kernel.reason,
    )
