"""Mutations in plain Python, for where atheris is not: the same inputs, and no coverage to guide them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

#: Pieces that messages are made of, and what has broken readers of JSON before.
_PIECES: Final = (
    b"{}", b"[]", b"null", b"-1", b"1e999", b"NaN", b'"\\ud800"', b"\xff", b"\x00", b"\n", b"\n\n",
    b'{"$ref":"x"}', b'{"$bytes":{"buffer":0}}', b'{"$tuple":[1]}', b'{"$step":0}',
    b'{"$ndarray":{"buffer":0}}',
    b'"session_id":"s",', b'"call_id":"c",', b'"returns":"ref",', b'"store_as":"x",', b'"stored.x"',
    b"[" * 300, b'{"a":' * 100, b"9" * 400,
)  # fmt: skip


def mutated(corpus: Sequence[bytes], seed: int, longest: int) -> Iterator[bytes]:
    """Inputs without an end: one of the corpus, changed at a few places, or parts of two."""
    random_ = random.Random(seed)
    while True:
        data = bytearray(random_.choice(corpus))
        for _ in range(random_.randint(1, 6)):
            at = random_.randint(0, len(data))
            change = random_.randrange(5)
            if change == 0:
                data[at:at] = random_.choice(_PIECES)
            elif change == 1:
                del data[at : at + random_.randint(1, 20)]
            elif change == 2 and at < len(data):
                data[at] = random_.randrange(256)
            elif change == 3:
                data[at : at + random_.randint(0, 20)] = random_.choice(_PIECES)
            else:
                other = random_.choice(corpus)
                begin = random_.randint(0, len(other))
                data[at:at] = other[begin : begin + random_.randint(1, 200)]
        yield bytes(data[:longest])
