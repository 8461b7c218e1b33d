"""Progress shown where it is made, or where the caller is: as a bar in a notebook, else as tqdm's."""

from __future__ import annotations

import html
import sys
from typing import Any, Final

from .telling import Listener, Throttle

#: Characters of a bar in plain text.
_WIDTH: Final = 30


def shown_here() -> Listener | None:
    """Shows progress in this process: to a notebook, to a terminal if tqdm is there, else not at all."""
    shell = _shell()
    if shell is not None and getattr(shell, "kernel", None) is not None:
        return Throttle(NotebookBar())
    try:
        from tqdm.std import tqdm
    except ImportError:
        return None
    return _TqdmBar(tqdm)


def _shell() -> Any:
    # Where nobody loaded it, there is none.
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def bundle_of(done: int, total: int, text: str) -> dict[str, str]:
    """A bar by MIME type: as plain text, and as HTML."""
    counted = f"{done}/{total}" if total else str(done)
    before = f"{text} " if text else ""
    plain = f"{before}{counted}"
    attributes = ""
    if total > 0:
        filled = _WIDTH * min(max(done, 0), total) // total
        plain = f"{before}[{'#' * filled}{'.' * (_WIDTH - filled)}] {counted}"
        attributes = f' value="{done}" max="{total}"'
    label = html.escape(f"{before}{counted}")
    shown = f'<div><progress{attributes} style="width: 20em"></progress> <span>{label}</span></div>'
    return {"text/plain": plain, "text/html": shown}


class NotebookBar:
    """A display of a notebook's, updated in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, done: int, total: int, text: str) -> None:
        """Show it."""
        from IPython.display import display

        bundle = bundle_of(done, total, text)
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class _TqdmBar:
    """tqdm's own bar, on stderr where that is a terminal."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._bar: Any = None

    def __call__(self, done: int, total: int, text: str) -> None:
        bar = self._bar
        if bar is None:
            bar = self._bar = self._make(total=total or None, desc=text or None, disable=None)
        if total:
            bar.total = total
        if not bar.disable and bar.desc.removesuffix(": ") != text:
            bar.set_description(text, refresh=False)
        bar.update(done - bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
