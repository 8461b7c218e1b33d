"""Targets: from a path to an object.

Rules: a target is ``stored.<id>…``, ``user.<name>…`` or an importable dotted path, as text or as a list
whose parts may hold any character; within a pipeline a list may begin with ``{"$step": n}``. Along an
importable path, an attribute that exists is taken as Python would take it; where there is none, the submodule
of that name is imported. Static resolution, for the control channel, reads only what is there: no imports,
properties, ``__getattr__`` or ``__getitem__``.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol

from ..wire.errors import InvalidRequest, Unresolvable
from ..wire.path import Attr, Item, path_text
from .static import MISSING, NEEDS_CODE, attribute, is_exactly, type_name


@dataclass(frozen=True)
class Target:
    """A parsed target. ``name`` is the id, the variable, the number of an earlier step, or the dotted
    importable path (then no steps unless the list form gave some that are not plain names)."""

    root: Literal["stored", "user", "step", "import"]
    name: str
    steps: tuple[Any, ...]

    def __str__(self) -> str:
        return self.text

    @cached_property
    def text(self) -> str:
        """As a person would write it; for an importable target also what the policy judges."""
        prefix = "" if self.root == "import" else f"{self.root}."
        return f"{prefix}{self.name}{path_text(self.steps)}"

    @cached_property
    def dotted(self) -> tuple[str, ...]:
        """The importable path as names; empty for other roots, and where a step is an item."""
        names = [step.name if isinstance(step, Attr) else step for step in self.steps]
        if self.root != "import" or not all(isinstance(name, str) for name in names):
            return ()
        return (*self.name.split("."), *names)


class UserCodeRaised(Exception):
    """Wraps what the code of an object raised while a path was followed, so that it is not taken for ours."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class NeedsCode(Unresolvable):
    """A path that cannot be followed without running code of the objects on it."""


def parse(raw: str | list[Any], *, at: str = "$.target") -> Target:
    """Parse a target. Raises InvalidRequest where it is malformed.

    In the list form each step is a name, a value that is an item, ``{"attr": name}`` or ``{"item": key}``.
    """
    if not isinstance(raw, str):
        if raw and isinstance(raw[0], dict):
            return _of_step(raw, at)
        parts = [_step(part, f"{at}[{index}]") for index, part in enumerate(raw)]
        if not parts or not isinstance(parts[0], str) or not parts[0]:
            raise InvalidRequest("A target's first part is a name: stored, user or a module.", at=at)
        return _of_parts(parts, raw, at)
    try:
        return _of_text(raw)
    except InvalidRequest as error:
        error.at = at
        raise


# What a text means never changes, and programs name the same few targets again and again.
@lru_cache(maxsize=512)
def _of_text(raw: str) -> Target:
    parts = raw.split(".")
    if not all(parts):
        raise InvalidRequest(f"The target {raw!r} has an empty part.")
    return _of_parts(parts, raw, None)


def _of_parts(parts: list[Any], raw: str | list[Any], at: str | None) -> Target:
    root = parts[0]
    if root == "stored" or root == "user":
        if len(parts) < 2 or not isinstance(parts[1], str) or not parts[1]:
            raise InvalidRequest(f"A target below {root!r} names an object: {root}.<name>.", at=at)
        return Target("stored" if root == "stored" else "user", parts[1], tuple(parts[2:]))
    names = []
    for part in parts:
        if not isinstance(part, str) or not part.isidentifier():
            break
        names.append(part)
    rest = tuple(parts[len(names) :])
    if not names or (rest and isinstance(raw, str)):
        raise InvalidRequest(f"The target {raw!r} is no dotted path of Python names.", at=at)
    return Target("import", ".".join(names), rest)


def _of_step(raw: list[Any], at: str) -> Target:
    number = raw[0].get("$step")
    if len(raw[0]) != 1 or type(number) is not int or number < 0:
        raise InvalidRequest(
            'A target\'s first part is a name, or in a pipeline {"$step": n}: the result of an earlier step.',
            at=f"{at}[0]",
        )
    steps = tuple(_step(part, f"{at}[{index}]") for index, part in enumerate(raw) if index)
    return Target("step", str(number), steps)


def _step(part: Any, at: str) -> Any:
    if isinstance(part, dict):
        if len(part) == 1:
            if isinstance(part.get("attr"), str):
                return Attr(part["attr"])
            if "item" in part:
                return Item(part["item"])
        raise InvalidRequest('A step of a path is a name, an item, {"attr": …} or {"item": …}.', at=at)
    if isinstance(part, list):
        raise InvalidRequest("A step of a path is not a list.", at=at)
    return part


class Judge(Protocol):
    """Told of a path while it is followed; raises where it must not go on. ``policy.Walk`` is one."""

    def step(self, step: Any) -> None:
        """A step is about to be taken."""

    def reached(self, obj: Any) -> None:
        """The path leads here."""


def follow(obj: Any, steps: tuple[Any, ...], *, at: str, judge: Judge | None = None) -> Any:
    """The object that steps lead to.

    Raises Unresolvable where a step leads nowhere, and UserCodeRaised where an object's own code fails.
    """
    for index, step in enumerate(steps):
        if judge is not None:
            judge.step(step)
        obj = _live_step(obj, step, at, steps, index)
        if judge is not None:
            judge.reached(obj)
    return obj


def _no_part(obj: Any, step: Any) -> Any:
    return MISSING


def follow_static(
    obj: Any,
    steps: tuple[Any, ...],
    *,
    at: str,
    part_of: Callable[[Any, Any], Any] = _no_part,
    judge: Judge | None = None,
) -> Any:
    """The object that steps lead to, found without running code of any object.

    ``part_of`` is asked, with an object and a step, where plain reading ends; it gives MISSING for what it
    does not know either. Raises NeedsCode then.
    """
    for index, step in enumerate(steps):
        if judge is not None:
            judge.step(step)
        found = _static_step(obj, step)
        if found is MISSING or found is NEEDS_CODE:
            found = part_of(obj, step)
        if found is MISSING:
            raise _needs_shell(steps[: index + 1], at)
        obj = found
        if judge is not None:
            judge.reached(obj)
    return obj


def _live_step(obj: Any, step: Any, at: str, steps: tuple[Any, ...], index: int) -> Any:
    try:
        if isinstance(step, Attr):
            return _attribute(obj, step.name)
        if isinstance(step, Item):
            return obj[step.key]
        if not isinstance(step, str):
            return obj[step]
        # Asking the abstract class is slow, and most mappings are dicts.
        if (type(obj) is dict or isinstance(obj, Mapping)) and step in obj:
            return obj[step]
        try:
            return _attribute(obj, step)
        except AttributeError:
            if isinstance(obj, type) or not hasattr(type(obj), "__getitem__"):
                raise
            try:
                return obj[step]
            except (LookupError, TypeError, ValueError):
                raise AttributeError(step) from None
    except (AttributeError, LookupError, TypeError) as error:
        raise _nowhere(obj, steps[: index + 1], at, error) from None
    except UserCodeRaised:
        raise
    except BaseException as error:  # user code: any exception may come out of a property or __getitem__
        raise UserCodeRaised(error) from None


def _attribute(obj: Any, name: str) -> Any:
    try:
        return getattr(obj, name)
    except (LookupError, TypeError) as error:
        # Only AttributeError says that there is none; a property that fails otherwise is a failure.
        raise UserCodeRaised(error) from None


def _nowhere(obj: Any, path: tuple[Any, ...], at: str, error: BaseException) -> Unresolvable:
    kind = type_name(obj)
    try:
        is_module = isinstance(obj, types.ModuleType)
        what = f"module {obj.__name__!r}" if is_module else f"an object of type {kind!r}"
        reason = f" ({type(error).__name__}: {error})"
    except BaseException:  # a hostile object's own __class__, or an exception's own text
        what, reason = f"an object of type {kind!r}", ""
    return Unresolvable(
        f"{path_text(path)} leads nowhere: {what} has no such attribute or item{reason[:300]}.", at=at
    )


def _static_step(obj: Any, step: Any) -> Any:
    name = step.name if isinstance(step, Attr) else step
    if not isinstance(step, Attr):
        key = step.key if isinstance(step, Item) else step
        found = _static_item(obj, key)
        if found is not MISSING:
            return found
    if isinstance(step, Item) or not isinstance(name, str):
        return MISSING
    return attribute(obj, name)


def _static_item(obj: Any, key: Any) -> Any:
    # Exact types only: a subclass may bring its own __getitem__.
    if not is_exactly(key, str, int, float, bool, type(None)):
        return MISSING
    if type(obj) is dict:
        # Keys of other types could run their own __eq__ on a hash collision; look only among exact ones.
        return next((v for k, v in list(obj.items()) if type(k) is type(key) and k == key), MISSING)
    if is_exactly(obj, list, tuple) and type(key) is int and -len(obj) <= key < len(obj):
        return obj[key]
    return MISSING


def _needs_shell(path: tuple[Any, ...], at: str) -> NeedsCode:
    return NeedsCode(
        f"{path_text(path)} cannot be read without running code of the object; ask on the shell channel.",
        at=at,
    )


def resolve_import(dotted: str, *, at: str, static: bool = False, judge: Judge | None = None) -> Any:
    """The object at an importable dotted path.

    Raises Unresolvable where there is none, and UserCodeRaised where a module's own code fails.
    """
    names = dotted.split(".")
    if static:
        return _resolve_imported(names, at, judge)
    obj = _import(names[0])
    if obj is MISSING:
        raise Unresolvable(
            f"There is no module {names[0]!r} here. Is it installed in the kernel's environment?", at=at
        )
    if judge is not None:
        judge.reached(obj)
    depth = 1
    for name in names[1:]:
        depth += 1
        if judge is not None:
            judge.step(name)
        try:
            found = getattr(obj, name, MISSING)
        except BaseException as error:  # a module's or class's own __getattr__
            raise UserCodeRaised(error) from None
        if found is MISSING:
            prefix = ".".join(names[:depth])
            if isinstance(obj, types.ModuleType) and hasattr(obj, "__path__"):
                found = _import(prefix)
            if found is MISSING:
                raise _nowhere(obj, (name,), at, AttributeError(prefix))
        obj = found
        if judge is not None:
            judge.reached(obj)
    return obj


def _import(name: str) -> Any:
    try:
        # The import system's own first look, without what it costs to ask for it: whether the module's own
        # code has run, on this thread or another.
        module = sys.modules[name]
        if not module.__spec__._initializing:  # type: ignore[union-attr]  # what has none goes on below
            return module
    except (KeyError, AttributeError):
        pass
    except BaseException as error:  # of what stands there in a module's place
        raise UserCodeRaised(error) from None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module asked for is "not there"; one that it needs is its own failure.
        if error.name == name:
            return MISSING
        raise UserCodeRaised(error) from None
    except BaseException as error:  # a module's code may raise anything, SystemExit included
        raise UserCodeRaised(error) from None


def _resolve_imported(names: list[str], at: str, judge: Judge | None) -> Any:
    for length in range(len(names), 0, -1):
        module = sys.modules.get(".".join(names[:length]))
        if module is not None:
            if judge is not None:
                for name in names[1:length]:
                    judge.step(name)
                judge.reached(module)
            return follow_static(module, tuple(names[length:]), at=at, judge=judge)
    raise Unresolvable(
        f"{names[0]!r} is not imported yet, and importing runs its code; ask on the shell channel.", at=at
    )


def assign(obj: Any, step: Any, value: Any, *, at: str) -> None:
    """Set the attribute or item that a step names, by the rule that reading it follows.

    A bare string is an item of a Mapping, an attribute of an object that has or takes one, else an item.
    Raises Unresolvable where neither can be set, and UserCodeRaised where the object's own code fails.
    """
    try:
        if isinstance(step, Attr):
            setattr(obj, step.name, value)
        elif isinstance(step, Item):
            obj[step.key] = value
        elif not isinstance(step, str) or isinstance(obj, Mapping):
            obj[step] = value
        elif not hasattr(type(obj), "__setitem__") or hasattr(type(obj), step):
            setattr(obj, step, value)
        else:
            obj[step] = value
    except (AttributeError, LookupError, TypeError) as error:
        raise _nowhere(obj, (step,), at, error) from None
    except BaseException as error:  # user code: __setitem__ and properties may raise anything
        raise UserCodeRaised(error) from None
