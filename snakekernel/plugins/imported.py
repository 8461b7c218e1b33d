"""Following the import of other people's modules, without importing any.

Rules: a hook runs once its module is loaded, and must bear to run again. Nothing else of an import changes.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

Hook = Callable[[ModuleType], None]

_HOOKS: Final[dict[str, Hook]] = {}


def when_loaded(name: str, hook: Hook) -> None:
    """Run the hook on the module: now where it is loaded already, else when it will be. Idempotent."""
    _HOOKS[name] = hook
    if name in sys.modules:
        hook(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules as they would be found without it, and has them hooked when they are loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        hook = _HOOKS.get(fullname)
        if hook is None:
            return None
        for finder in sys.meta_path:
            if not isinstance(finder, _Finder):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = _Loader(spec.loader, hook)
                    return spec
        return None


class _Loader(importlib.abc.Loader):
    """A module's own loader, and what follows it."""

    def __init__(self, loader: Any, hook: Hook) -> None:
        self._loader = loader
        self._hook = hook

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._hook(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
