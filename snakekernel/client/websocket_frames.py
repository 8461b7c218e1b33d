"""Messages as Jupyter Server's websocket carries them: ``v1.kernel.websocket.jupyter.org``. No I/O.

Rules: a message is the count of its offsets, the offsets (all 8 bytes, little-endian, from the message's
start), the channel's name, header, parent, metadata, content and buffers. Nothing is decoded or signed: the
server signs what it hands to the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ..wire.frame import BadFrame, Buffer

#: The subprotocol asked of the server.
PROTOCOL: Final = "v1.kernel.websocket.jupyter.org"
#: Header, parent, metadata and content.
SIGNED: Final = 4


def pack_message(channel: str, parts: Sequence[Buffer]) -> bytes:
    """One binary message: the parts are header, parent, metadata, content and any buffers."""
    name = channel.encode()
    end = 8 * (len(parts) + 3)
    offsets = [end]
    for part in (name, *parts):
        end += len(part)
        offsets.append(end)
    return b"".join((struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), name, *parts))


def unpack_message(message: bytes) -> tuple[str, list[memoryview]]:
    """The channel and the parts, which are views of the message; raises BadFrame where it is none."""
    view = memoryview(message)
    try:
        (count,) = struct.unpack_from("<Q", view)
        if not SIGNED + 2 <= count <= len(view) // 8:
            raise BadFrame(f"a message of {count} offsets")
        offsets = struct.unpack_from(f"<{count}Q", view, 8)
        channel = str(view[offsets[0] : offsets[1]], "utf-8")
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise BadFrame(str(error)) from None
    if offsets[0] != 8 * (count + 1) or offsets[-1] != len(view) or list(offsets) != sorted(offsets):
        raise BadFrame("offsets that do not fit the message")
    return channel, [view[start:end] for start, end in pairwise(offsets[1:])]
