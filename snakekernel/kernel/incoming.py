"""A message as it came, taken apart as far as routing needs it.

Rules: a glance at the header's bytes decides for most of what is not ours, so that stock messages pay next to
nothing; ours are decoded once, here. Nothing is verified yet: whoever serves a message does that, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ..wire.frame import DELIMITER, BadFrame, unpack_any_header
from ..wire.names import is_ours

_OURS: Final = b'"snake_'
#: JSON may spell any letter so.
_ESCAPED: Final = b"\\u"


class Incoming(NamedTuple):
    """One request of ours: routing identities, the five signed parts, buffers as they came, its header."""

    identities: list[bytes]
    #: Signature, header, parent header, metadata, content.
    signed: list[bytes]
    buffers: Sequence[Any]
    header: dict[str, Any]

    @property
    def subshell_id(self) -> Any:
        """Whom the request is for: a subshell's id, None for the main shell, or what a client made up."""
        return self.header.get("subshell_id")

    def parent(self) -> dict[str, Any]:
        """The request as ipykernel knows the parent of what user code puts out."""
        header = self.header
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": {},
            "metadata": {},
            "content": {},
            "buffers": [],
        }


def split(msg: Sequence[Any], at: int | None = None) -> Incoming | None:
    """Take a message apart, if it is one of ours; raises BadFrame where it is broken.

    Args:
        msg: zmq frames, or bytes in the place of all but the buffers.
        at: where the delimiter is, if that is known; the parts up to the content are bytes then.
    """
    if at is None:
        at = next((i for i, p in enumerate(msg) if len(p) == len(DELIMITER) and p.bytes == DELIMITER), -1)
        if at < 0:
            raise BadFrame("there is no delimiter")
        msg = [*(part.bytes for part in msg[: at + 6]), *msg[at + 6 :]]
    if len(msg) < at + 6:
        raise BadFrame("there are too few parts")
    packed = msg[at + 2]
    if _OURS not in packed and _ESCAPED not in packed:
        return None
    header = unpack_any_header(packed)
    if not is_ours(header["msg_type"]):
        return None
    return Incoming(list(msg[:at]), list(msg[at + 1 : at + 6]), msg[at + 6 :], header)
