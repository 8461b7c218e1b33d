"""Sessions: named namespaces with a sliding time to live. Pure: functions of (table, now).

Rules: every use renews the time to live; looking is none. A call holds a lease on its session, and a session
with a lease does not expire, so none is torn down under a running call. An expired session answers
``session_expired`` until it is created anew on purpose: a program must not go on with an empty namespace
unawares.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..wire.errors import InvalidRequest, LimitExceeded, NotFound, SessionExpired
from .quotas import Account, Quota

_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class Session:
    """One session. Times are seconds since 1970; ``ttl`` seconds, or None for no end."""

    id: str
    ttl: float | None
    created: float
    used: float
    #: Tells this session from an earlier or later one of the same id.
    serial: int = 0
    leases: int = 0
    #: Whether it was closed; a call that still holds it stores nothing more in it.
    closed: bool = False
    #: What it has used of its quota; None where it has none.
    account: Account | None = None
    #: What plugins configured for this session alone, by framework.
    frameworks: dict[str, Any] = field(default_factory=dict)

    @property
    def space(self) -> tuple[str, int]:
        """Key of its namespace in the store: a session opened anew never sees the old one's objects."""
        return self.id, self.serial

    @property
    def expires_at(self) -> float | None:
        """When the session ends unless it is used before."""
        return None if self.ttl is None else self.used + self.ttl


class SessionTable:
    """All sessions of one kernel. Thread-safe; runs no code of others.

    Args:
        on_change: told, outside of the lock, of each session opened or closed; must be cheap and not raise.
        quota: of each session, which may ask for less.

    Attributes:
        on_account: told of the account of each session with a quota, before anything is stored in it.
    """

    def __init__(
        self,
        *,
        default_ttl: float | None = 3600.0,
        max_sessions: int = 10_000,
        on_change: Callable[[Literal["opened", "closed"], str], None] = lambda action, id: None,
        quota: Quota | None = None,
    ) -> None:
        self._on_change = on_change
        self._quota = quota or Quota()
        self.on_account: Callable[[tuple[str, int], Account], None] = lambda space, account: None
        self.default_ttl = default_ttl
        self._max_sessions = max_sessions
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._serials = itertools.count(1)
        self._expired: OrderedDict[str, None] = OrderedDict()
        #: No session ends before; kept, so that asking costs nothing where there are many.
        self._earliest: float | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    def create(
        self,
        id: str,
        *,
        now: float,
        ttl: float | None = None,
        quota: Quota | None = None,
        at: str = "$.session_id",
    ) -> Session:
        """Open a session, or one anew whose time ended.

        Raises InvalidRequest where it exists, LimitExceeded where its quota is beyond that of all sessions.
        """
        quota = self._quota if quota is None else quota.within(self._quota, at="$.quota")
        with self._lock:
            if id in self._sessions:
                raise InvalidRequest(f"The session {id!r} exists already.", at=at)
            session = self._open(id, now, ttl, quota, at)
            self._expired.pop(id, None)
        self._on_change("opened", id)
        return session

    def lease(
        self, id: str, *, now: float, create: bool, renew: bool = True, at: str = "$.session_id"
    ) -> Session:
        """Hold a session for one request, and ``renew`` it; ``create`` lets it come into being.

        Raises SessionExpired, NotFound, or LimitExceeded when there are too many.
        """
        with self._lock:
            session = self._sessions.get(id)
            # One that is due stays in the table for ``expire``, whose caller clears its objects.
            is_due = session is not None and session.leases == 0 and _is_due(session, now)
            if is_due or (session is None and id in self._expired):
                raise SessionExpired(
                    f"The session {id!r} expired and its objects are gone. Create it anew to go on.", at=at
                )
            is_new = session is None
            if session is None:
                if not create:
                    raise NotFound(f"There is no session {id!r}.", at=at)
                session = self._open(id, now, None, self._quota, at)
            session.leases += 1
            if renew:
                session.used = now
        if is_new:
            self._on_change("opened", id)
        return session

    def release(self, session: Session, *, now: float, renew: bool = True) -> None:
        """End a lease; what renews counts as use until now."""
        with self._lock:
            session.leases -= 1
            if renew:
                session.used = now
            if session.expires_at is not None and not session.closed:
                self._expect(session.expires_at)

    def is_over(self, session: Session) -> bool:
        """Whether a session was closed and no call holds it."""
        with self._lock:
            return session.closed and session.leases == 0

    def close(self, id: str, *, at: str = "$.session_id") -> Session:
        """Forget a session on request; raises NotFound."""
        with self._lock:
            session = self._sessions.pop(id, None)
            if session is None:
                raise NotFound(f"There is no session {id!r}.", at=at)
            session.closed = True
        self._on_change("closed", id)
        return session

    def find(self, id: str) -> Session | None:
        """The session of an id, without using it."""
        with self._lock:
            return self._sessions.get(id)

    def expire(self, now: float) -> list[Session]:
        """Forget the sessions whose time ended and that no call holds; returns them."""
        with self._lock:
            if self._earliest is None or now < self._earliest:
                return []
            due = [s for s in self._sessions.values() if s.leases == 0 and _is_due(s, now)]
            for session in due:
                self._forget(session)
            # A session that a call holds is looked at again from the end of the call.
            free = [s.expires_at for s in self._sessions.values() if s.leases == 0]
            self._earliest = min((end for end in free if end is not None), default=None)
        for session in due:
            self._on_change("closed", session.id)
        return due

    def next_expiry(self) -> float | None:
        """When ``expire`` next has something to look at, or None: no session ends before."""
        return self._earliest

    def sessions(self) -> list[Session]:
        """A snapshot, oldest first."""
        with self._lock:
            return list(self._sessions.values())

    def _open(self, id: str, now: float, ttl: float | None, quota: Quota, at: str) -> Session:
        if len(self._sessions) >= self._max_sessions:
            raise LimitExceeded(f"There are {self._max_sessions} sessions already; close some.", at=at)
        session = Session(id, self.default_ttl if ttl is None else ttl, now, now, next(self._serials))
        if quota:
            session.account = Account(quota)
            self.on_account(session.space, session.account)
        self._sessions[id] = session
        if session.expires_at is not None:
            self._expect(session.expires_at)
        return session

    def _expect(self, end: float) -> None:
        self._earliest = end if self._earliest is None else min(self._earliest, end)

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        self._expired[session.id] = None
        while len(self._expired) > _REMEMBERED:
            self._expired.popitem(last=False)


def _is_due(session: Session, now: float) -> bool:
    return session.ttl is not None and session.used + session.ttl <= now
