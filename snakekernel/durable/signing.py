"""What is signed: HMAC-SHA-256 by the owner's key.

Rules: a row's tag binds all that the row says, with its file, session, name and the hashes of its bytes, so
that no row passes for another. A file's seal binds its generation and the tags of all its rows, so that none
is missing, added or put back to an earlier one. An earlier copy of the whole file bears a valid seal: that
cannot be told from the file alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Final

from .rows import Row

#: Version of the files; what is signed says it.
SCHEMA: Final = 1

_KEYED: Final = "snakekernel durable"


class Signer:
    """Signs and checks for one file.

    Args:
        key: the owner's. file: the file's own random id.
    """

    def __init__(self, key: bytes, file: bytes) -> None:
        self._key = key
        self._file = file.hex()

    def tag(self, row: Row) -> bytes:
        """The tag of a row; its own is left out of account."""
        return self._hmac("row", *row.said())

    def is_signed(self, row: Row) -> bool:
        """Whether a row is as its owner wrote it."""
        return hmac.compare_digest(self.tag(row), row.tag)

    def seal(self, generation: int, saved: float, rows: Iterable[Row]) -> bytes:
        """The seal of a file that holds these rows."""
        tags = hashlib.sha256()
        for row in sorted(rows, key=lambda row: (row.session, row.name)):
            tags.update(row.tag)
        return self._hmac("file", generation, saved, tags.hexdigest())

    def _hmac(self, *said: str | int | float | None) -> bytes:
        # JSON tells numbers from texts and where each ends; ASCII, so that any name has one form.
        text = json.dumps([_KEYED, SCHEMA, self._file, *said], ensure_ascii=True)
        return hmac.digest(self._key, text.encode("ascii"), "sha256")
