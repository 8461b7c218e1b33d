"""ipykernel's debugger, loaded when a front-end first asks for it instead of at every start.

Rules: what a kernel says of itself and how it debugs is as stock: the debugger is announced where debugpy is
installed, ``breakpoint()`` goes to debugpy. Loading happens on the thread that asks (control, for requests)
and finds the modules that a start would have found: files in the notebook's folder shadow none. Where a
release of ipykernel differs from what is overridden here, it loads its debugger at start as ever.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from ipykernel.ipkernel import IPythonKernel
from traitlets import Type

from .deferred import defer, run

_MODULE: Final = "ipykernel.debugger"


class _PathOfTheStart:
    """Finds what one thread imports where it would have been found when the kernel started."""

    def __init__(self) -> None:
        self._path = sys.path.copy()
        self._thread: int | None = None
        # Added once and never taken out: another thread may be going through the list.
        sys.meta_path.insert(sys.meta_path.index(PathFinder), self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a top-level module that the loading thread imports."""
        if path is None and self._thread == threading.get_ident():
            return PathFinder.find_spec(name, self._path, target)
        return None

    def run(self, module: ModuleType) -> None:
        """Run a deferred module's code on this thread."""
        self._thread = threading.get_ident()
        try:
            run(module)
        finally:
            self._thread = None


class _Planned:
    """What the debugger is to be made of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class DebuggerOnDemand(IPythonKernel):  # type: ignore[misc]  # ipykernel ships no types that mypy can follow
    """ipykernel's kernel, whose debugger is made when it is first asked for."""

    debugger_class = Type(_Planned)

    def __init__(self, **kwargs: Any) -> None:
        self._debugger: Any = None
        self._making = threading.RLock()
        self._made: Future[None] = Future()
        # Running, it cannot be cancelled: whoever waits for it may end before.
        self._made.set_running_or_notify_cancel()
        self._path: _PathOfTheStart | None = None
        if find_spec("debugpy") is not None and defer(_MODULE, _is_debugpy_available=True) is not None:
            self._path = _PathOfTheStart()
            if sys.breakpointhook is sys.__breakpointhook__:
                sys.breakpointhook = self._breakpoint
        super().__init__(**kwargs)

    @property
    def debugger(self) -> Any:
        """ipykernel's ``Debugger``, made when first asked for; None where debugpy is not installed."""
        with self._making:
            if isinstance(planned := self._debugger, _Planned):
                self._debugger = self._load().Debugger(*planned.args, **planned.kwargs)
                self._made.set_result(None)
            return self._debugger

    @debugger.setter
    def debugger(self, debugger: Any) -> None:
        self._debugger = debugger

    def _load(self) -> ModuleType:
        with self._making:
            module = import_module(_MODULE)
            (run if self._path is None else self._path.run)(module)
            return module

    def _breakpoint(self, *args: Any, **kwargs: Any) -> Any:
        # Debugpy puts its own hook in our place; where it cannot be loaded, Python's serves.
        sys.breakpointhook = sys.__breakpointhook__
        self._load()
        return sys.breakpointhook(*args, **kwargs)  # noqa: T100 - it is what breakpoint() calls

    async def do_debug_request(self, msg: dict[str, Any]) -> Any:
        """As stock."""
        # Only now its module knows whether debugpy, which is installed, can be loaded.
        self._load()
        return await super().do_debug_request(msg)

    async def poll_stopped_queue(self) -> None:
        """As stock, from when there is a debugger that stops."""
        await asyncio.wrap_future(self._made)
        await super().poll_stopped_queue()
