"""What a thread prints, shows and reports goes out under the request that started it.

Rules: ipykernel knows the request of each thread by context variables, which a new thread does not inherit;
what it does not know goes to the latest request. So the threads that a request of ours starts, and what one
has a thread pool do, are told theirs. Threads that cells start are left as in stock, where they print to the
current cell: while one lives, requests of ours do not become the latest one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from ..wire.names import is_ours
from .threads import OWN

if TYPE_CHECKING:
    from .kernel import SnakeKernel


class Parents:
    """The requests that threads belong to.

    Attributes:
        of_cells: threads that live and were started by cells.
    """

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        self.of_cells: set[threading.Thread] = set()
        #: Whether the thread that starts now is a pool's, which serves many requests.
        self._pooled = threading.local()

    def install(self) -> None:
        """Be told of the threads of this process that start from now on."""
        global _parents
        if _parents is None:
            threading.Thread.start = _start  # type: ignore[method-assign,assignment]
            ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign,assignment]
        _parents = self

    def set_here(self, identities: Any, parent: dict[str, Any]) -> None:
        """As ``kernel.set_parent``, for this thread or task alone."""
        kernel = self._kernel
        kernel._shell_parent_ident.set(identities)
        kernel._shell_parent.set(parent)
        kernel.shell.set_thread_parent(parent)

    def started(self, thread: threading.Thread) -> None:
        """A thread is about to start."""
        parent = self._kernel._shell_parent.get(None)
        if parent and not thread.name.startswith(OWN) and not getattr(self._pooled, "starts", False):
            ours = is_of_ours(parent)
            if parent["header"].get("msg_type") == "execute_request":
                self.of_cells.add(thread)
            thread.run = partial(self._run, thread, parent if ours else None, thread.run)  # type: ignore[method-assign]

    def failed(self, thread: threading.Thread) -> None:
        """It did not start, and may be started again."""
        vars(thread).pop("run", None)
        self.of_cells.discard(thread)

    def _run(self, thread: threading.Thread, parent: dict[str, Any] | None, run: Callable[[], None]) -> None:
        # Or the thread would hold itself.
        vars(thread).pop("run", None)
        try:
            if parent is not None:
                self.set_here(b"", parent)
            run()
        finally:
            self.of_cells.discard(thread)

    def submitted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function as a pool is to call it."""
        parent = self._kernel._shell_parent.get(None)
        return partial(self._call, parent, function) if parent and is_of_ours(parent) else function

    def _call(
        self, parent: dict[str, Any], function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        kernel = self._kernel
        token = kernel._shell_parent.set(parent)
        tokens = kernel.shell.set_thread_parent(parent)
        try:
            return function(*args, **kwargs)
        finally:
            kernel.shell.reset_thread_parent(tokens)
            kernel._shell_parent.reset(token)

    def submit(
        self, pool: ThreadPoolExecutor, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> Future[Any]:
        """Have a pool call a function."""
        self._pooled.starts = True
        try:
            made: Future[Any] = _stock_submit(pool, self.submitted(function), *args, **kwargs)
            return made
        finally:
            self._pooled.starts = False


def is_of_ours(parent: dict[str, Any]) -> bool:
    """Whether a request is one of our protocol."""
    return is_ours(str((parent.get("header") or {}).get("msg_type", "")))


#: Those of the kernel of this process.
_parents: Parents | None = None
_stock_start: Final = threading.Thread.start
_stock_submit: Final[Callable[..., Future[Any]]] = ThreadPoolExecutor.submit


@wraps(_stock_start)
def _start(thread: threading.Thread) -> None:
    if _parents is not None:
        _parents.started(thread)
    try:
        _stock_start(thread)
    except BaseException:
        if _parents is not None:
            _parents.failed(thread)
        raise


@wraps(_stock_submit)
def _submit(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    if _parents is None:
        return _stock_submit(pool, fn, *args, **kwargs)
    return _parents.submit(pool, fn, args, kwargs)
