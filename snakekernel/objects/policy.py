"""Which importable targets may be called. A guard rail, not a sandbox.

Rules: patterns are shell patterns over the dotted name (``"os.*"``); a target is refused where any deny
pattern matches or no allow pattern does. Code that is allowed can reach anything in the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache

from ..wire.errors import Denied


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Allow and deny patterns for importable dotted names; read once, when the policy is made."""

    allow: Sequence[str] = ("*",)
    deny: Sequence[str] = ()
    _refusal: Callable[[str], str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        allow, deny = tuple(self.allow), tuple(self.deny)

        def refusal(dotted: str) -> str | None:
            if any(fnmatchcase(dotted, pattern) for pattern in deny):
                return "denies"
            if not any(fnmatchcase(dotted, pattern) for pattern in allow):
                return "does not allow"
            return None

        # Patterns are many times dearer than a look-up, and programs call the same few targets.
        object.__setattr__(self, "_refusal", lru_cache(maxsize=1_024)(refusal))

    def check(self, dotted: str, at: str) -> None:
        """Raise Denied where the policy refuses the name."""
        refusal = self._refusal(dotted)
        if refusal is not None:
            raise Denied(f"The policy of this kernel {refusal} the target {dotted!r}.", at=at)
