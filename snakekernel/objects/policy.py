"""Which importable targets may be called. A guard rail, not a sandbox.

Rules: patterns are shell patterns over the dotted name (``"os.*"``); a target is refused where any deny
pattern matches or no allow pattern does. Code that is allowed can reach anything in the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..wire.errors import Denied


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Allow and deny patterns for importable dotted names."""

    allow: Sequence[str] = ("*",)
    deny: Sequence[str] = ()

    def check(self, dotted: str, at: str) -> None:
        """Raise Denied where the policy refuses the name."""
        if any(fnmatchcase(dotted, pattern) for pattern in self.deny):
            raise Denied(f"The policy of this kernel denies the target {dotted!r}.", at=at)
        if not any(fnmatchcase(dotted, pattern) for pattern in self.allow):
            raise Denied(f"The policy of this kernel does not allow the target {dotted!r}.", at=at)
