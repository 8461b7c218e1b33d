"""The data grammar: any Python object to JSON-able data with binary buffers, and back, exactly or not at all.

Rules: ``decode(encode(x)) == x`` with its type, or ``NotLossless`` says why not; depth, size and cycles are
bounded; codecs for numpy, pandas, pyarrow and third parties are imported only when one of their objects or
tags is met.
"""

from __future__ import annotations

from snakekernel.values.bounds import Limits, NotLossless
from snakekernel.values.callbacks import Callback
from snakekernel.values.codec import Codec
from snakekernel.values.decoder import PLAIN, Decoder
from snakekernel.values.encoder import Encoder
from snakekernel.values.packing import PackingEncoder, is_own_data
from snakekernel.values.published import Published
from snakekernel.values.registry import Registry, registry
from snakekernel.wire.path import Attr, Item, Ref, Step

__all__ = [
    "PLAIN",
    "Attr",
    "Callback",
    "Codec",
    "Decoder",
    "Encoder",
    "Item",
    "Limits",
    "NotLossless",
    "PackingEncoder",
    "Published",
    "Ref",
    "Registry",
    "Step",
    "is_own_data",
    "registry",
]
