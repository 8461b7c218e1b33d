"""The type every codec has, built-in or third-party: a tag, the types it serves, and two functions.

Rules: a codec serves exact types, because a subclass would come back as its base. ``encode`` returns a
payload of plain JSON, of children put through ``encoder.encode`` and of indexes from ``encoder.buffer``.
``decode`` gets that payload back and raises ``InvalidRequest(..., at=decoder.at())`` if it is malformed.
Payloads are read from the network: they are data, never something to import, call or unpickle.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

#: Gives the finished data of an object (plain JSON, or the tagged object).
Handler = Callable[[Any, "Encoder"], Any]

_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Codec:
    """How objects of some types travel as ``{"$<tag>": payload}``.

    Attributes:
        tag: the name after ``$``. A third-party codec's tag is its root package, or begins with it and a dot
            (``"shapely"``, ``"shapely.Point"``), because that is how its entry point is found.
        types: the exact types served (``type(obj) is T``).
        encode: ``(obj, encoder) -> payload``; raises ``NotLossless(reason)`` for a value it cannot keep.
        decode: ``(payload, decoder) -> object``; raises ``InvalidRequest`` for a malformed payload.
        matches: optional predicate on the type, asked after all exact types.
    """

    tag: str
    types: tuple[type, ...]
    encode: Callable[[Any, Encoder], Any]
    decode: Callable[[Any, Decoder], Any]
    matches: Callable[[type], bool] | None = None

    def __post_init__(self) -> None:
        if not _TAG.fullmatch(self.tag):
            raise ValueError(f"{self.tag!r} is no codec tag: letters, digits, '_', '-', parts joined by dots")

    @property
    def root(self) -> str:
        """The root package: the tag up to its first dot."""
        return self.tag.partition(".")[0]
