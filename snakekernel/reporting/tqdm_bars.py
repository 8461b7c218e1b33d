"""tqdm's bars, reported like ours where somebody listens.

Rules: tqdm is not imported here; once somebody imports it, the making of its bars is looked at. A bar made
where nobody listens is left as it is.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import weakref
from collections.abc import Callable, Sequence
from functools import partial, wraps
from types import MethodType, ModuleType
from typing import Any, Final

from . import telling
from .telling import Listener

_MADE: Final = "_snakekernel"
#: Where the file that a bar goes to stands among its arguments.
_FILE: Final = 4


def install() -> None:
    """Look at tqdm's modules, those loaded already and those that will be. Idempotent."""
    for name, hook in _HOOKS.items():
        if name in sys.modules:
            hook(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds tqdm's modules as they would be found without it, and has them hooked when they are loaded."""

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

    def __init__(self, loader: Any, hook: Callable[[ModuleType], None]) -> None:
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


def _hook_std(module: ModuleType) -> None:
    kind = module.tqdm
    if hasattr(kind, _MADE):
        return
    setattr(kind, _MADE, None)
    stock = kind.__init__

    @wraps(stock)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        # Those that draw by themselves come with gui=True.
        listener = None if kwargs.get("gui") or kwargs.get("disable") else telling.find()
        if listener is None:
            stock(self, *args, **kwargs)
            return
        if len(args) > _FILE:
            args = (*args[:_FILE], _Nowhere(), *args[_FILE + 1 :])
        else:
            kwargs["file"] = _Nowhere()
        if kwargs.get("disable", False) is None:
            # Meant for what is no terminal.
            kwargs["disable"] = False
        bar = weakref.proxy(self)
        self.display = partial(_tell, bar, listener)
        stock(self, *args, **kwargs)

    kind.__init__ = init


def _hook_notebook(module: ModuleType) -> None:
    kind = module.tqdm_notebook
    if _MADE in vars(kind):
        return
    setattr(kind, _MADE, None)
    stock = kind.__init__

    @wraps(stock)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("disable") or telling.find() is None:
            stock(self, *args, **kwargs)
            return
        kwargs.pop("display", None)
        above: Any = super(kind, self)
        above.__init__(*args, **kwargs)
        self.disp = _no_widget
        self.reset = MethodType(above.reset.__func__, weakref.proxy(self))

    kind.__init__ = init


_HOOKS: Final[dict[str, Callable[[ModuleType], None]]] = {
    "tqdm.std": _hook_std,
    "tqdm.notebook": _hook_notebook,
}


def _tell(bar: Any, listener: Listener, *_: Any, **__: Any) -> bool:
    """In the place of a bar's ``display``."""
    words = (bar.desc.removesuffix(": "), bar.postfix)
    text = ", ".join(str(word) for word in words if word)
    listener(round(bar.n), round(bar.total or 0), text)
    # While it is being closed it is off already.
    if bar.disable:
        listener.close()
    return True


def _no_widget(*_: Any, **__: Any) -> None:
    return


class _Nowhere:
    """A file that keeps nothing."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return
