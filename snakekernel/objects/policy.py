"""Which importable targets may be called. A guard rail, not a sandbox.

Rules: patterns are shell patterns over the dotted name (``"os.*"``, which is ``os`` too); a target is refused
where any deny pattern matches or no allow pattern does. Judged are the name that was asked for, each step of
it, and the own names of what is found there, whatever root the path began at. While there is a policy, names
such as ``__globals__`` and the well-known ways past it are refused too, but for what an allow pattern names
exactly. Code that is allowed can reach anything in the process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

from ..wire.errors import Denied
from ..wire.path import Attr, Item, path_text
from .escapes import aliases, is_escape, is_inner, names_of
from .target import Target

_MAGIC: Final = frozenset("*?[")
#: Packages of values whose methods reach nothing but the value.
_PLAIN: Final = frozenset({"builtins", "collections", "datetime", "decimal", "enum", "fractions", "uuid"})


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """Allow and deny patterns for importable dotted names; read once, when the policy is made.

    Attributes:
        is_set: whether it may refuse anything. exact: the allow patterns that are names.
    """

    allow: Sequence[str] = ("*",)
    deny: Sequence[str] = ()
    is_set: bool = field(init=False, repr=False, compare=False)
    exact: frozenset[str] = field(init=False, repr=False, compare=False)
    _refusal: Callable[[str], str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        allow, deny = tuple(self.allow), tuple(self.deny)

        def refusal(dotted: str) -> str | None:
            if any(_matches(dotted, pattern) for pattern in deny):
                return "denies"
            if not any(_matches(dotted, pattern) for pattern in allow):
                return "does not allow"
            return None

        object.__setattr__(self, "is_set", bool(deny) or allow != ("*",))
        object.__setattr__(self, "exact", frozenset(p for p in allow if _MAGIC.isdisjoint(p)))
        # Patterns are many times dearer than a look-up, and programs call the same few targets.
        object.__setattr__(self, "_refusal", lru_cache(maxsize=1_024)(refusal))

    def check(self, dotted: str, at: str) -> None:
        """Raise Denied where the policy refuses the name."""
        refusal = self._refusal(dotted)
        if refusal is not None:
            raise Denied(f"The policy of this kernel {refusal} the target {dotted!r}.", at=at)

    def denies(self, dotted: str) -> bool:
        """Whether a deny pattern matches the name."""
        return self._refusal(dotted) == "denies"

    def allows(self, dotted: str) -> bool:
        """Whether an allow pattern matches the name and no deny pattern does."""
        return self._refusal(dotted) is None

    def walk(self, target: Target, at: str) -> Walk | None:
        """What judges a path while it is followed; None where all is allowed. Raises Denied."""
        return Walk(self, target, at) if self.is_set else None


class Walk:
    """One path under a policy: told of each ``step`` to be taken, what it ``reached``, and its ``end``."""

    __slots__ = ("_asked", "_at", "_is_exact", "_names", "_policy", "_required", "_shown")

    def __init__(self, policy: TargetPolicy, target: Target, at: str) -> None:
        self._policy, self._at, self._shown = policy, at, target.text
        is_import = target.root == "import"
        first = target.name.partition(".")[0] if is_import else f"{target.root}.{target.name}"
        #: What the path so far is called, as it was asked for; None where that is no module's name.
        self._asked: str | None = first if is_import else None
        #: All that it is called.
        self._names: set[str] = set(aliases(first)) if is_import else {first}
        #: Each of these is a set of names of which one has to be allowed in the end.
        self._required: list[set[str]] = []
        self._is_exact = is_import and target.text in policy.exact
        if is_import:
            # Before anything is imported.
            policy.check(target.text, at)
        self._check_denied()

    def copy(self) -> Walk:
        """The same, to be gone on with by itself."""
        other = object.__new__(Walk)
        for name in Walk.__slots__:
            value = getattr(self, name)
            setattr(other, name, value.copy() if isinstance(value, set | list) else value)
        return other

    def step(self, step: Any) -> None:
        """A step is about to be taken. Raises Denied."""
        name = step.name if isinstance(step, Attr) else step.key if isinstance(step, Item) else step
        if not self._is_exact and is_inner(name):
            raise self._denied(
                f"The policy of this kernel denies {name!r}: such a name leads to the inside of Python."
            )
        ending = path_text((step,))
        self._asked = None if self._asked is None else self._asked + ending
        self._names = {known + ending for known in self._names}
        self._required = [{known + ending for known in names} for names in self._required]
        self._check_denied()

    def reached(self, obj: Any) -> None:
        """The path leads here. Raises Denied."""
        kind, own = names_of(obj)
        if not kind:
            self._check_escapes()
            return
        asked = self._asked
        is_asked = asked is not None and (
            # A module by its own name, or a thing of the package that was asked for.
            sys.modules.get(asked) is obj
            if kind == "module"
            else any(_package(name) == _package(known) for name in own for known in aliases(asked))
        )
        package = _package(own[0]) if own else ""
        is_free = (asked is None and package == "__main__") or (kind == "method" and package in _PLAIN)
        if own and not (is_asked or is_free):
            self._required.append(set(own))
        self._names.update(own)
        self._check_denied()
        if kind != "module":
            self._check_escapes()

    def end(self) -> None:
        """The path ends here. Raises Denied."""
        self._check_escapes()
        for names in self._required:
            if not any(map(self._policy.allows, names)):
                raise self._denied(f"The policy of this kernel does not allow {self._told(names)}.")

    def _check_denied(self) -> None:
        denied = [name for name in self._names if self._policy.denies(name)]
        if denied:
            raise self._denied(f"The policy of this kernel denies {self._told(denied)}.")

    def _check_escapes(self) -> None:
        if self._is_exact or not self._policy.exact.isdisjoint(self._names):
            return
        escapes = [name for name in self._names if is_escape(name)]
        if escapes:
            raise self._denied(
                f"The policy of this kernel denies {self._told(escapes)}, a way around any policy. "
                "To allow it, name it in allow_targets, without a wildcard."
            )

    def _told(self, names: Iterable[str]) -> str:
        name = min(names)
        shown = f"the target {self._shown!r}"
        return shown if name == self._shown else f"{shown}, which is {name!r}"

    def _denied(self, message: str) -> Denied:
        return Denied(message, at=self._at)


def _matches(dotted: str, pattern: str) -> bool:
    return fnmatchcase(dotted, pattern) or (pattern.endswith(".*") and dotted == pattern[:-2])


def _package(dotted: str) -> str:
    return dotted.partition(".")[0]
