"""What clients hold in the kernel, for as long as they are heard of.

Rules: nothing else tells that a client is gone, for its socket drops silently what is sent to it. So who
holds something renews a lease; where that runs out, all that the client held is let go. A state and a clock
decide, no thread stands behind it: ``on_sooner`` tells whoever looks after ``next_end``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

#: Seconds that a lease lasts where the client names none.
DEFAULT_LEASE: Final = 5.0

Release = Callable[[], object]


class _Lease:
    __slots__ = ("end", "held", "seconds")

    def __init__(self) -> None:
        self.end = self.seconds = 0.0
        self.held: dict[Hashable, Release] = {}


class Leases:
    """Who holds what, by owner: the Jupyter session of a client. Thread-safe.

    Args:
        clock: seconds from some point on; it must not jump.
        on_sooner: told, outside of the lock, when a lease begins or comes to end earlier than it did.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, on_sooner: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._on_sooner = on_sooner
        #: Entered again where a collection of garbage runs user code within it.
        self._lock = threading.RLock()
        self._leases: dict[str, _Lease] = {}

    def hold(self, owner: str, key: Hashable, release: Release, seconds: float | None = None) -> None:
        """Have an owner hold something, let go by ``release()`` when its lease runs out.

        Args:
            key: names it among what the owner holds. release: called on any thread, must neither wait nor
                run user code. seconds: how long the lease lasts from now on; None for as long as before.
        """
        with self._lock:
            lease = self._leases.get(owner)
            is_new = lease is None
            if lease is None:
                lease = self._leases[owner] = _Lease()
                lease.seconds = DEFAULT_LEASE
            lease.held[key] = release
            is_sooner = self._extend(lease, seconds)
        if is_new or is_sooner:
            self._on_sooner()

    def _extend(self, lease: _Lease, seconds: float | None) -> bool:
        if seconds is not None:
            lease.seconds = seconds
        before, lease.end = lease.end, self._clock() + lease.seconds
        return lease.end < before

    def renew(self, owner: str, seconds: float | None = None) -> int:
        """The owner is there still; returns how many things it holds."""
        with self._lock:
            lease = self._leases.get(owner)
            if lease is None:
                return 0
            is_sooner, held = self._extend(lease, seconds), len(lease.held)
        if is_sooner:
            self._on_sooner()
        return held

    def drop(self, owner: str, key: Hashable) -> Release | None:
        """The owner holds this no more; returns what would release it, or None where it did not hold it."""
        with self._lock:
            lease = self._leases.get(owner)
            if lease is None:
                return None
            release = lease.held.pop(key, None)
            if not lease.held:
                del self._leases[owner]
            return release

    def held(self, owner: str) -> int:
        """How many things an owner holds."""
        with self._lock:
            lease = self._leases.get(owner)
            return 0 if lease is None else len(lease.held)

    def expire(self) -> list[Release]:
        """What is to be released of the owners whose lease ran out; they hold nothing any more."""
        with self._lock:
            now = self._clock()
            over = [owner for owner, lease in self._leases.items() if lease.end <= now]
            return [release for owner in over for release in self._leases.pop(owner).held.values()]

    def next_end(self) -> float | None:
        """Seconds until a lease may run out, or None where nobody holds anything."""
        with self._lock:
            if not self._leases:
                return None
            return max(0.0, min(lease.end for lease in self._leases.values()) - self._clock())
