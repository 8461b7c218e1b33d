"""What the legacy commands share: which stored objects are programs, and how a program is summed up."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ...commands.scope import Scope
from ...objects.entries import Entry
from ...wire.errors import InvalidRequest, NotFound, SnakeError
from .describe import fields_of, main_signature

#: The prefix of targets that need none: DSPy's own module classes.
ROOT: Final = "dspy"


def is_program(obj: Any) -> bool:
    """Whether an object is a DSPy module; before DSPy is imported nothing is."""
    dspy = sys.modules.get(ROOT)
    return dspy is not None and isinstance(obj, dspy.Module)


def program_entry(scope: Scope, name: str, *, at: str) -> Entry:
    """The program of that id as this request sees it; raises NotFound, for other objects as well."""
    entry = scope.runtime.store.find(scope.space, name, now=scope.now)
    if entry is None or not is_program(entry.obj):
        what = "" if entry is None else f" ({name!r} is stored, but is a {entry.type})"
        raise NotFound(f"There is no program {name!r} here{what}. See list_programs.", at=at)
    return entry


def visible_programs(scope: Scope) -> Iterator[Entry]:
    """The session's programs, then the kernel-wide ones that they do not hide."""
    store = scope.runtime.store
    own: set[str] = set()
    if scope.space is not None:
        for entry in store.entries(scope.space):
            own.add(entry.name)
            if is_program(entry.obj):
                yield entry
    for entry in store.entries(None):
        if entry.name not in own and is_program(entry.obj):
            yield entry


def summary(entry: Entry) -> dict[str, Any]:
    """``id``, ``type``, ``signature`` (as text), ``instructions`` and ``fields`` of a program."""
    try:
        signature = main_signature(entry.obj)
    except Exception:  # a user's class may fail to list its predictors; the others are still to be listed
        signature = None
    known = signature is not None
    return {
        "id": entry.name,
        "type": entry.type,
        "signature": signature.signature if known else None,
        "instructions": signature.instructions if known else None,
        "fields": fields_of(signature) if known else [],
    }


def one_id(program_id: str | None, id: str | None) -> tuple[str, str]:
    """The program's id, which may come under either name, and its path; raises InvalidRequest."""
    if program_id is not None and id is None:
        return program_id, "$.program_id"
    if id is not None and program_id is None:
        return id, "$.id"
    raise InvalidRequest("Name the program by program_id.", at="$.program_id")


@contextmanager
def paths(renamed: Mapping[str, str]) -> Iterator[None]:
    """Errors of a translated operation point into the request as it was sent."""
    try:
        yield
    except SnakeError as error:
        at = error.at or ""
        for inner, outer in renamed.items():
            if at == inner or at.startswith((f"{inner}.", f"{inner}[")):
                error.at = outer + at.removeprefix(inner)
                break
        raise
