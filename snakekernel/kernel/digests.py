"""The signatures seen, so that no message is taken twice.

Rules: two generations. When the younger is full it becomes the older, and the older is let go; so the newest
``size / 2`` to ``size`` signatures are known, each at the same cost. Stock keeps one set and culls it by a
random sample, for which the kernel stands still every few thousand messages. With a file they are known to
the kernel's next process, too. Only signatures that were found right are added: others would push these out.
"""

from __future__ import annotations

import threading
from binascii import a2b_hex
from collections.abc import Iterable
from typing import Any, Final

from .seen import SIZE, SeenFile

#: Of the hexadecimal digits, as many as are looked at.
_DIGITS: Final = 2 * SIZE


class Digests(set[bytes]):
    """Takes the place of jupyter_client's ``Session.digest_history``, which has to be a set."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._generation = max(1, size // 2)
        self._lock = threading.Lock()
        self._younger: set[bytes] = set()
        self._older: set[bytes] = set()
        #: Of the next digest in the younger generation.
        self._place = 0
        self._file: SeenFile | None = None

    @property
    def generation(self) -> int:
        """How many are known at least, once there were as many."""
        return self._generation

    def outlive(self, file: SeenFile) -> None:
        """Know what the file tells of earlier processes, and write down what comes from now on."""
        places = dict(file.digests(file.younger))
        self._younger.update(places.values())
        self._older.update(digest for _, digest in file.digests(1 - file.younger))
        self._place = max(places, default=-1) + 1
        self._file = file

    def add(self, signature: bytes) -> None:
        """Remember a signature."""
        self.take(signature)

    def take(self, signature: bytes) -> bool:
        """Remember a signature; whether it was new."""
        digest = a2b_hex(signature[:_DIGITS])
        # The same message may come on two channels at once: one of their threads has it.
        with self._lock:
            if digest in self._younger or digest in self._older:
                return False
            if self._place >= self._generation:
                if self._file is not None:
                    self._file.turn()
                self._older, self._younger, self._place = self._younger, set(), 0
            self._younger.add(digest)
            if self._file is not None:
                self._file.keep(self._place, digest)
            self._place += 1
        return True

    def update(self, *others: Iterable[bytes]) -> None:
        """Remember all of these."""
        for other in others:
            for signature in other:
                self.add(signature)

    def __contains__(self, signature: Any) -> bool:
        try:
            digest = a2b_hex(signature[:_DIGITS])
        except ValueError:
            # No signature at all.
            return False
        return digest in self._younger or digest in self._older

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def __iter__(self) -> Any:
        return (digest.hex().encode() for digest in (*self._older, *self._younger))
