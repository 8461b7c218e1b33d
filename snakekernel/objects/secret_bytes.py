"""Secrets in binary buffers, and their removal: in UTF-8, and in UTF-16 and UTF-32 of either byte order.

Rules: a buffer may have gigabytes and there may be dozens of secrets, so what is looked for everywhere is
short and holds no zeros: a search for text of wide characters would stop at each zero of an array. Nothing is
copied whole where there is no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

_WIDE: Final = ("utf-16-le", "utf-32-le", "utf-16-be", "utf-32-be")
#: Bytes looked at together: what a core's own cache holds, and a bound to the time without other threads.
_AT_ONCE: Final = 1 << 18
#: What lies between the bytes of any secret, of six characters at least, where characters are wide.
_BETWEEN: Final = bytes(5)


class Needles:
    """The encoded forms of the registered secrets. Immutable."""

    def __init__(self, forms: Iterable[str] = ()) -> None:
        self._exact: frozenset[bytes] = frozenset()
        self._narrow: frozenset[bytes] = frozenset()
        # Longest first, so that a secret that contains another is removed whole.
        self._all: tuple[bytes, ...] = ()
        self._add(forms)

    def also(self, forms: Iterable[str]) -> Needles:
        """These, and others."""
        more = Needles()
        more._exact, more._narrow, more._all = self._exact, self._narrow, self._all
        more._add(forms)
        return more

    def _add(self, forms: Iterable[str]) -> None:
        exact, narrow, wide = set(), set(), set()
        for form in forms:
            exact.add(form.encode("utf-8", "surrogatepass"))
            encoded = {form.encode(encoding, "surrogatepass") for encoding in _WIDE}
            wide |= encoded
            try:
                narrow.add(form.encode("latin-1"))
            except UnicodeEncodeError:
                exact |= encoded
        self._exact |= exact
        self._narrow |= narrow
        self._all = tuple(sorted({*self._all, *exact, *wide}, key=len, reverse=True))

    def masked(self, buffer: memoryview) -> memoryview:
        """A buffer with ``*`` in place of secrets, of the same length; the same object where none was."""
        if not self._all or not buffer.nbytes:
            return buffer
        view = buffer if buffer.format == "B" and buffer.ndim == 1 else buffer.cast("B")
        # One that begins in a piece ends in it.
        whole, beyond = None, len(self._all[0]) - 1
        for start in range(0, view.nbytes, _AT_ONCE):
            end = min(start + _AT_ONCE + beyond, view.nbytes)
            # A copy: a memoryview has no search but item by item.
            if not self._may_be_in(bytes(view[start:end])):
                continue
            whole = bytearray(view) if whole is None else whole
            self._mask(whole, start, end)
        return buffer if whole is None or whole == view else memoryview(whole)

    def _may_be_in(self, piece: bytes) -> bool:
        for needle in self._exact:
            if needle in piece:
                return True
        return any(needle in lane for lane in _lanes(piece) for needle in self._narrow)

    def _mask(self, whole: bytearray, start: int, end: int) -> None:
        for needle in self._all:
            at = whole.find(needle, start, end)
            while at >= 0:
                whole[at : at + len(needle)] = b"*" * len(needle)
                at = whole.find(needle, at + len(needle), end)


def _lanes(piece: bytes) -> Iterator[bytes]:
    """Every second and every fourth byte, where what is between them may be that of wide characters."""
    even, odd = piece[::2], piece[1::2]
    for lane, other in ((even, odd), (odd, even)):
        if _BETWEEN in other:
            yield lane
            yield lane[::2]
            yield lane[1::2]
