"""What the store holds under a name, and what it tells of changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .provenance import Action, Maker, Past
from .static import module_name, type_name

#: Key of a namespace: None is the kernel-wide one, a session's is its id and serial number.
Space = tuple[str, int] | None


@dataclass(slots=True)
class Entry:
    """One stored object. ``created`` and ``used`` are seconds since 1970; ``writer`` a request or cell id.

    ``number`` rises in the order in which names were first stored. ``by`` says which cell or call made it,
    ``action`` and ``past`` how it came to be, ``told`` when and by whom it was renamed (see ``provenance``).
    """

    name: str
    obj: Any
    created: float
    used: float
    writer: str
    version: int
    number: int
    expires_at: float | None = None
    by: Maker = None
    action: Action = "stored"
    past: Past | None = None
    told: tuple[float, Maker] | None = None
    #: Bytes, estimated, where somebody asked.
    size: int | None = None
    #: Bytes that it counts for in its namespace's quota.
    charged: int = 0

    @property
    def type(self) -> str:
        """Name of the object's class, read without running its code."""
        return type_name(self.obj)

    @property
    def module(self) -> str:
        """Module of the object's class, read without running its code."""
        return module_name(self.obj)


@dataclass(frozen=True, slots=True)
class Change:
    """One changed name, for ``snake_changed``. The store itself does not see what is ``changed`` in place."""

    action: Literal["stored", "replaced", "deleted", "changed"]
    name: str
    session_id: str | None
    writer: str
    version: int
    #: Of the session; 0 for the kernel-wide namespace.
    serial: int = 0
