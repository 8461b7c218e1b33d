"""What lives as long as the kernel: store, sessions, policy, secrets, plugins, the table. No I/O.

Rules: the kernel assembles one Runtime and gives it the few things that touch the process (the clock, the
main thread, the notebook's variables); tests assemble one with their own. Commands see it through a Scope.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .. import inspection
from ..durable.kept import Durable
from ..inspection.variables import variables
from ..inspection.watches import Seen, StoredName, Watches
from ..memory.attachments import Attachments
from ..memory.publications import Publications
from ..objects.entries import Entry
from ..objects.leases import Leases
from ..objects.policy import TargetPolicy
from ..objects.quotas import Account
from ..objects.secrets import Secrets
from ..objects.sessions import Session, SessionTable
from ..objects.store import Store
from ..values import Limits
from .audit import Audit
from .callbacks import Callbacks
from .command import Command
from .flow import Flows
from .interrupts import Interrupts
from .outcomes import Outcomes

if TYPE_CHECKING:
    from .scope import Scope

#: What became of a request that was cancelled; see ``commands.cancel``.
State = Literal["stopped", "asked", "over", "unknown"]

#: A function that takes the place of a framework's own: (scope, args, kwargs) -> result.
Override = Callable[["Scope", list[Any], dict[str, Any]], Any]


class Framework(Protocol):
    """What commands need of a framework plugin; ``plugins.api.Plugin`` has the full words."""

    name: str

    def configure(self, config: Mapping[str, Any], scope: Scope) -> str:
        """Configure the framework; returns a message for the caller."""

    def takes_over(self, path: tuple[str, ...]) -> Override | None:
        """A stand-in for the target below the framework's root package, or None."""

    def describe(self, obj: Any, describer: Any) -> dict[str, Any] | None:
        """Fields of a description of one of the framework's objects, or None."""

    def inspect(self, obj: Any, describer: Any) -> dict[str, Any] | None:
        """More fields for an inspection, or None."""

    def session_context(self, state: Any) -> AbstractContextManager[Any]:
        """Entered around every call of a session that configured this framework for itself."""


class Frameworks(Protocol):
    """The plugins of this kernel, loaded when first asked for."""

    def get(self, root: str) -> Framework | None:
        """The plugin of a root package, or None; loads it."""

    def for_type(self, cls: type) -> Framework | None:
        """The plugin of the first class in the MRO whose root package has one."""

    def available(self) -> list[str]:
        """Names of the frameworks with a plugin whose package is installed; imports nothing."""

    def failures(self) -> dict[str, str]:
        """Plugins that failed to load, and why."""


class Subshells(Protocol):
    """The subshells that clients hold; ``kernel.subshells.Subshells``."""

    async def open(self, count: int) -> list[str]:
        """Open some more; returns their ids. Raises Unsupported, LimitExceeded."""

    def retire(self, subshell_id: str) -> None:
        """Let one go, on any thread, without waiting; what runs in it is cancelled."""

    async def ended(self, ids: Sequence[str], seconds: float) -> int:
        """Wait until those let go have ended, for so long at most; how many have not."""


class Clock(Protocol):
    """Seconds since 1970."""

    def __call__(self) -> float: ...


@dataclass(kw_only=True)
class Runtime:
    """Everything a request may need that outlives it."""

    table: Mapping[str, Command]
    frameworks: Frameworks
    clock: Clock
    store: Store
    sessions: SessionTable
    secrets: Secrets = field(default_factory=Secrets)
    policy: TargetPolicy = field(default_factory=TargetPolicy)
    #: Of the kernel-wide namespace; None where it has no quota.
    account: Account | None = None
    #: Told of each request as it ends; None where nobody asks.
    audit: Audit | None = None
    outcomes: Outcomes = field(default_factory=Outcomes)
    #: Shared memory with the clients that attached.
    attachments: Attachments = field(default_factory=Attachments)
    #: What was published for other kernels.
    publications: Publications = field(default_factory=Publications)
    #: The objects that are also on the disk.
    durable: Durable = field(default_factory=Durable)
    #: What clients hold for as long as they are heard of.
    leases: Leases = field(default_factory=Leases)
    #: The streams under way.
    flows: Flows = field(default_factory=Flows)
    #: None where there are none.
    subshells: Subshells | None = None
    #: Functions of the clients; None where nobody can be called back.
    callbacks: Callbacks | None = None
    #: What clients watch for changes in place.
    watches: Watches = field(default_factory=Watches)
    limits: Limits = field(default_factory=Limits)
    #: What ``returns="auto"`` sends as a value; beyond it a preview.
    auto_limits: Limits = field(default_factory=lambda: Limits(json_bytes=1 << 20, buffer_bytes=16 << 20))
    #: Whether naming an unknown session in call, store or pipeline opens it.
    auto_sessions: bool = True
    #: Whether buffers must be bound by hashes: plain TCP beyond loopback.
    buffers_bound: bool = False
    epoch: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: The notebook's variables.
    user_namespace: Callable[[], MutableMapping[str, Any]] = field(default_factory=lambda: dict)
    #: Those of them that IPython put there, with the values it gave them.
    hidden_variables: Callable[[], Mapping[str, Any]] = dict
    #: Runs a function on the main thread and returns its result.
    on_main: Callable[[Callable[[], Any]], Any] = lambda function: function()
    #: Told what a look found, on the thread that looked.
    on_seen: Callable[[Seen], None] = lambda seen: None
    #: Stops a session's own request by its msg_id or else its call_id: what became of it.
    cancel: Callable[[str | None, str | None, str], State | Coroutine[Any, Any, State]] = (
        lambda msg_id, call_id, sender: "unknown"
    )
    #: Whether a request with this call id has come and waits for its turn.
    waits: Callable[[str], bool] = lambda call_id: False
    #: Has a request stopped after so many seconds; what it returns calls that off.
    stop_after: Callable[[Interrupts, float], Callable[[], None]] = lambda interrupts, seconds: lambda: None
    started: float = 0.0
    requests_handled: int = 0
    #: Frames of ours dropped for a bad signature or header.
    frames_dropped: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.sessions.on_account = self.store.open_account
        if self.account is not None:
            self.store.open_account(None, self.account)

    @cached_property
    def orders(self) -> inspection.Orders:
        """The orders of tables that were sorted or filtered last."""
        return inspection.Orders()

    def variables(self) -> dict[str, Any]:
        """The notebook's variables that are a person's own."""
        return variables(self.user_namespace(), self.hidden_variables())

    def look(self, seconds: float) -> Seen:
        """Look at what clients watch, for about so long."""
        seen = self.watches.look(self._stored_at, self.variables, seconds)
        if seen.stored or seen.variables:
            self.on_seen(seen)
        return seen

    def _stored_at(self, name: StoredName) -> Entry | None:
        session_id, id = name
        session = None if session_id is None else self.sessions.find(session_id)
        if session_id is not None and session is None:
            return None
        space = None if session is None else session.space
        found = self.store.look(space, id, now=self.clock())
        return None if found is None or found[1] != space else found[0]

    def release(self, session: Session, *, renew: bool = True) -> None:
        """End a request's lease on its session; what it stored in one closed meanwhile goes."""
        self.sessions.release(session, now=self.clock(), renew=renew)
        if self.sessions.is_over(session):
            self.forget(session, writer="expiry")

    def forget(self, session: Session, *, writer: str) -> int:
        """Clear what is left of a session that is over; returns how many objects there were."""
        self.publications.clear(session.space)
        with self.durable.together():
            count = self.store.clear(session.space, writer=writer)
        self.store.close_account(session.space)
        return count

    def expire(self, now: float) -> None:
        """Clean up the sessions and entries whose time ended."""
        due = self.next_expiry()
        if due is None or now < due:
            return
        for session in self.sessions.expire(now):
            self.forget(session, writer="expiry")
        with self.durable.together():
            self.store.expire(now)

    def next_expiry(self) -> float | None:
        """When ``expire`` next has something to do, or None."""
        session, entry = self.sessions.next_expiry(), self.store.next_expiry()
        if session is None or entry is None:
            return entry if session is None else session
        return min(session, entry)
