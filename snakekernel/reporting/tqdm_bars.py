"""tqdm's bars, reported like ours where somebody listens.

Rules: tqdm is not imported here; once somebody imports it, the making of its bars is looked at. A bar made
where nobody listens is left as it is.
"""

from __future__ import annotations

import weakref
from functools import partial, wraps
from types import MethodType, ModuleType
from typing import Any, Final

from ..plugins.imported import Hook, when_loaded
from . import telling
from .telling import Listener

_MADE: Final = "_snakekernel"
#: Where the file that a bar goes to stands among its arguments.
_FILE: Final = 4


def install() -> None:
    """Look at tqdm's modules, those loaded already and those that will be. Idempotent."""
    for name, hook in _HOOKS.items():
        when_loaded(name, hook)


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


_HOOKS: Final[dict[str, Hook]] = {
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
