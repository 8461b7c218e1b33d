"""``snakekernel.progress``: work says how far it is, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

from . import telling
from .shown import shown_here

T = TypeVar("T")


class Bar(Generic[T]):
    """How far some work is; iterate over it, or call ``update``. Made by ``progress``.

    Attributes:
        done: how much is done. total: of how much; 0 where that is not known. text: what is being done.
    """

    def __init__(self, iterable: Iterable[T] | None, total: float | None, text: str) -> None:
        if total is None:
            try:
                total = len(iterable)  # type: ignore[arg-type]
            except TypeError:
                total = 0
        self.done: float = 0
        self.total: float = total
        self.text = text
        self._iterable = iterable
        self._listener = telling.find() or shown_here()
        self._tell()

    def update(self, n: float = 1, text: str | None = None) -> None:
        """``n`` more are done; from any thread."""
        self.done += n
        if text is not None:
            self.text = text
        self._tell()

    def close(self) -> None:
        """It is over, at whatever it came to. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener(round(self.done), round(self.total), self.text)

    def __iter__(self) -> Iterator[T]:
        if self._iterable is None:
            raise TypeError(
                "This progress has nothing to iterate over; give it an iterable, or call update()."
            )
        with self:
            for item in self._iterable:
                yield item
                self.update()

    def __len__(self) -> int:
        return round(self.total)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<progress {self.text!r}: {self.done} of {self.total or 'unknown'}>"


def progress(
    iterable: Iterable[Any] | None = None, *, total: float | None = None, text: str = ""
) -> Bar[Any]:
    """Tell how far work is: ``for x in progress(xs): …``, or ``bar = progress(total=10); bar.update(3)``.

    In a call it goes to the caller (``on_progress=``), at most ten times a second and the last one always. In
    a notebook's cell it shows as a bar; elsewhere as tqdm's where that is installed.

    Args:
        iterable: what is gone through; each item counts as one.
        total: how many there are, if ``len`` does not tell. text: what is being done, in a word or two.
    """
    return Bar(iterable, total, text)
