"""``stored`` in the notebook: the kernel-wide namespace as a mapping with attributes.

Rules: listing the objects runs no code of theirs. Showing a stored object in a cell does not keep it: where
it leaves the store, it leaves the notebook's output history too.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from fnmatch import fnmatchcase
from typing import Any, Final

from .. import inspection
from ..inspection.words import counted
from ..objects.entries import Entry
from ..objects.provenance import Maker, made_by
from ..objects.static import is_exactly
from ..objects.store import ANONYMOUS, Store

#: Values that many names share; they pin nothing of weight.
_SHARED: Final = (type(None), bool, int, float, complex, str)

#: Objects shown in a list, and searched for those that match a pattern.
_SHOWN: Final = 100
_SEARCHED: Final = 100_000


class StoredNamespace(MutableMapping[str, Any]):
    """The kernel-wide stored objects, live: ``stored["df"]``, ``stored.df``, ``stored.df = …``, ``del``."""

    _store: Store
    _clock: Callable[[], float]
    _writer: Callable[[], str]
    _maker: Callable[[], Maker]

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        writer: Callable[[], str],
        maker: Callable[[], Maker] = lambda: None,
    ) -> None:
        # Set past our own __setattr__, which stores.
        object.__setattr__(self, "_store", store)
        object.__setattr__(self, "_clock", clock)
        object.__setattr__(self, "_writer", writer)
        object.__setattr__(self, "_maker", maker)

    def __getitem__(self, name: str) -> Any:
        entry = self._store.find(None, name, now=self._clock()) if isinstance(name, str) else None
        if entry is None:
            raise KeyError(name)
        return entry.obj

    def __setitem__(self, name: str, obj: Any) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError("stored objects have names: non-empty strings")
        if name.startswith(ANONYMOUS):
            raise ValueError(f"names that begin with {ANONYMOUS!r} are the kernel's own")
        # A name that UTF-8 cannot hold could be listed by no client.
        name.encode()
        self._store.put(None, name, obj, writer=self._writer(), now=self._clock(), by=self._maker())

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._store.delete(None, name, writer=self._writer())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._store.find(None, name, now=self._clock()) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.names(None))

    def __len__(self) -> int:
        return self._store.counts(None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # IPython probes objects for display methods; those are never stored objects.
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no stored object {name!r}") from None

    def __setattr__(self, name: str, obj: Any) -> None:
        self[name] = obj

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"there is no stored object {name!r}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        rows = [f"  {e.name}: {e.module}.{e.type}" for e in self._store.page(None, limit=20)[0]]
        more = len(self) - len(rows)
        if more > 0:
            rows.append(f"  … and {more} more")
        return "\n".join([f"<stored: {counted(len(self), 'object')}>", *rows])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": listing(self).html}


def listing(stored: StoredNamespace, pattern: str = "*") -> inspection.Page:
    """The stored objects whose names match a shell pattern, as a table; runs no user code."""
    # Its own attributes: a stored object may have any name but one of those.
    store, now = object.__getattribute__(stored, "_store"), object.__getattribute__(stored, "_clock")()
    entries, count, _ = store.page(None, limit=_SHOWN if pattern == "*" else _SEARCHED)
    if pattern != "*":
        entries = [entry for entry in entries if fnmatchcase(entry.name, pattern)]
        count = len(entries)
    said = counted(count, "stored object")
    title = said if pattern == "*" else f"{said} like {pattern}"
    return inspection.listing_page(title, [_described(entry) for entry in entries[:_SHOWN]], count, now)


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "type": entry.type,
        "module": entry.module,
        **inspection.glance(entry.obj, entry.name),
        "created": entry.created,
        "made_by": made_by(entry.by),
    }


def forget_outputs(shell: Any, objects: list[Any]) -> None:
    """Take objects out of ``Out``, ``_``, the last traceback and what else IPython remembers of cells."""
    gone = {id(obj) for obj in objects if not is_exactly(obj, *_SHARED)}
    if not gone:
        return
    history = shell.user_ns.get("_oh")
    if not isinstance(history, dict):  # a person may have put anything there
        history = {}
    numbers = [number for number, value in list(history.items()) if id(value) in gone]
    for number in numbers:
        del history[number]
    for namespace in (shell.user_ns, shell.user_ns_hidden, vars(shell.displayhook)):
        for name in (*(f"_{number}" for number in numbers), "_", "__", "___"):
            if id(namespace.get(name)) in gone:
                namespace[name] = ""
    result = shell.last_execution_result
    if result is not None and id(result.result) in gone:
        result.result = None
    _forget_in_tracebacks(getattr(sys, "last_value", None), gone)


def _forget_in_tracebacks(error: object, gone: set[int]) -> None:
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            is_function = frame.f_locals is not frame.f_globals
            if is_function and any(id(value) in gone for value in frame.f_locals.values()):
                try:
                    frame.clear()
                except RuntimeError:  # it runs still
                    continue
                # Read again: Python keeps what the first reading gave.
                frame.f_locals  # noqa: B018
        error = error.__cause__ or error.__context__
