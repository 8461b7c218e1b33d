"""``stored`` in the notebook: the kernel-wide namespace as a mapping with attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from ..objects.store import Store


class StoredNamespace(MutableMapping[str, Any]):
    """The kernel-wide stored objects, live: ``stored["df"]``, ``stored.df``, ``stored.df = …``, ``del``."""

    _store: Store
    _clock: Callable[[], float]
    _writer: Callable[[], str]

    def __init__(self, store: Store, clock: Callable[[], float], writer: Callable[[], str]) -> None:
        # Set past our own __setattr__, which stores.
        object.__setattr__(self, "_store", store)
        object.__setattr__(self, "_clock", clock)
        object.__setattr__(self, "_writer", writer)

    def __getitem__(self, name: str) -> Any:
        entry = self._store.find(None, name, now=self._clock()) if isinstance(name, str) else None
        if entry is None:
            raise KeyError(name)
        return entry.obj

    def __setitem__(self, name: str, obj: Any) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError("stored objects have names: non-empty strings")
        self._store.put(None, name, obj, writer=self._writer(), now=self._clock())

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
        return "\n".join([f"<stored: {len(self)} objects>", *rows])
