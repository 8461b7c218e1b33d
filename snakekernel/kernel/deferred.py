"""Modules that ipykernel imports at start and most kernels never use: in place, and not run until used.

Rules: a deferred module is the real module object; its code runs when a name is asked of it that it was not
given beforehand, and from then on it is an ordinary module. Submodules of a deferred package are imported by
themselves. A module that is loaded already, or not installed, is left alone.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, Final

#: All other names with two underscores are asked of every module by somebody, and none of these has them.
_SPECIAL: Final = ("__all__", "__version__")
_running: Final = threading.RLock()
_under_way: Final[set[str]] = set()


class _Deferred(ModuleType):
    """A module whose code has not run."""

    def __getattr__(self, name: str) -> Any:
        full_name = f"{self.__name__}.{name}"
        if name.startswith("__") and name not in _SPECIAL:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if "__path__" in vars(self) and find_spec(full_name) is not None:
            # Its submodules ask each other's of it while they are imported: it must not run then.
            return import_module(full_name)
        run(self)
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        run(self)
        return dir(self)


def defer(name: str, **given: Any) -> ModuleType | None:
    """Put a module in place with nothing but the names given; None where it is loaded or not installed."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:
        return None
    module = module_from_spec(spec)
    module.__class__ = _Deferred
    vars(module).update(given)
    sys.modules[name] = module
    package, _, child = name.rpartition(".")
    if package:
        setattr(sys.modules[package], child, module)
    return module


def run(module: ModuleType) -> None:
    """Run a deferred module's code now. Harmless on any other, and again."""
    with _running:
        if type(module) is not _Deferred:
            return
        if module.__name__ in _under_way:
            raise AttributeError(f"module {module.__name__!r} is not fully loaded yet")
        loader = module.__spec__.loader if module.__spec__ is not None else None
        assert loader is not None
        _under_way.add(module.__name__)
        try:
            loader.exec_module(module)
        finally:
            _under_way.discard(module.__name__)
        module.__class__ = ModuleType  # type: ignore[assignment]


def defer_clients() -> None:
    """Defer jupyter_client's package, of which a kernel needs sessions and connection files only."""
    package = defer("jupyter_client")
    if package is not None:
        # What ipykernel takes from the package itself is all of this module.
        connect = import_module("jupyter_client.connect")
        vars(package).update((name, getattr(connect, name)) for name in connect.__all__)
