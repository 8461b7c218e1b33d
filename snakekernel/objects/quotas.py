"""Quotas of a namespace, and what it has used of them.

Rules: what would exceed a quota is refused before anything changes. Bytes are the estimate of the moment at
which an object was stored; one that grows later counts as before until it is stored again. An object under
two names counts twice. What a namespace without a quota uses is not counted here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from ..wire.errors import LimitExceeded

Count = Annotated[int, msgspec.Meta(ge=0)]


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a namespace may use; null for no bound.

    objects: stored at once, anonymous ones included. bytes: of all of them together, estimated as each is
    stored. calls: made in its whole life, those that failed included. concurrent: calls under way at once.
    """

    objects: Count | None = None
    bytes: Count | None = None
    calls: Count | None = None
    concurrent: Count | None = None

    def within(self, most: Quota, *, at: str) -> Quota:
        """This quota, with the bounds of ``most`` where it names none. Raises LimitExceeded beyond them."""
        fields: dict[str, int | None] = {}
        for name in self.__struct_fields__:
            wanted, bound = getattr(self, name), getattr(most, name)
            if wanted is not None and bound is not None and wanted > bound:
                raise LimitExceeded(
                    f"A session of this kernel may have {name}={bound} at most.", at=f"{at}.{name}"
                )
            fields[name] = bound if wanted is None else wanted
        return Quota(**fields)

    def bounds(self) -> dict[str, int]:
        """Those that there are."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: bound for name, bound in found.items() if bound is not None}

    def __bool__(self) -> bool:
        return bool(self.bounds())


@dataclass(slots=True)
class Account:
    """What one namespace has used. The store counts objects and bytes under its own lock."""

    quota: Quota
    objects: int = 0
    bytes: int = 0
    calls: int = 0
    running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def check_room(self, objects: int, size: int, name: str, at: str | None) -> None:
        """Raise LimitExceeded where so many more objects, or bytes, are too many."""
        quota = self.quota
        if quota.objects is not None and objects > 0 and self.objects + objects > quota.objects:
            raise LimitExceeded(
                f"{name!r} was not stored: the quota is {quota.objects} objects. Delete some first.", at=at
            )
        if quota.bytes is not None and size > 0 and self.bytes + size > quota.bytes:
            raise LimitExceeded(
                f"{name!r} was not stored: with about {size} bytes more, the objects here would take "
                f"{self.bytes + size}, and the quota is {quota.bytes}. Delete some first.",
                at=at,
            )

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call, counted as it begins. Raises LimitExceeded, then it is not counted."""
        quota = self.quota
        with self._lock:
            if quota.calls is not None and self.calls >= quota.calls:
                raise LimitExceeded(f"The quota of {quota.calls} calls is used up; nothing ran.", at="$")
            if quota.concurrent is not None and self.running >= quota.concurrent:
                raise LimitExceeded(
                    f"{self.running} calls are under way, which is the quota; nothing ran.", at="$"
                )
            self.calls += 1
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def use(self) -> dict[str, int | None]:
        """What is used; null where it is not counted."""
        return {
            "objects": self.objects,
            "bytes": None if self.quota.bytes is None else self.bytes,
            "calls": self.calls,
            "concurrent": self.running,
        }
