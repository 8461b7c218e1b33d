"""Messages as bytes: unpacking, signing, packing and the binding of buffers. No I/O.

Rules: a message is ``[identities…, DELIMITER, signature, header, parent, metadata, content, buffers…]``.
Header, parent, metadata and content are signed; buffers are not, so ``metadata["snake_buffers"]`` binds
them. Content stays packed until the command's own type decodes it, once. A frame whose signature or header
is bad is a :class:`BadFrame`: it is dropped and counted, never answered.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from .errors import InvalidRequest, LimitExceeded

DELIMITER: Final = b"<IDS|MSG>"
_BUFFERS_KEY: Final = "snake_buffers"

Buffer = bytes | bytearray | memoryview


class BadFrame(Exception):
    """A signature or header that cannot be trusted or read."""


class Frame(msgspec.Struct, frozen=True):
    """One message of ours. Content and metadata are packed JSON, or objects where they came unpacked."""

    msg_type: str
    msg_id: str
    content: bytes | dict[str, Any]
    metadata: bytes | dict[str, Any] = {}
    buffers: Sequence[memoryview] = ()
    #: Jupyter session of the sender.
    session: str = ""
    #: Name of the sender's user, as its header gives it.
    username: str = ""


class Header(msgspec.Struct):
    """What a client reads of a Jupyter header; other fields are left alone."""

    msg_id: str
    msg_type: str


class Signer:
    """HMAC of the four signed parts, with the key's state computed once and copied per message."""

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        self._state = hmac.new(key, digestmod=scheme.removeprefix("hmac-")) if key else None

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """Hexadecimal signature of the parts, empty where the connection has no key."""
        if self._state is None:
            return b""
        state = self._state.copy()
        # One update of joined parts costs less than four.
        state.update(b"".join(parts))
        return state.hexdigest().encode()

    def check(self, signature: Buffer, parts: Sequence[Buffer]) -> bool:
        """Whether the signature is that of the parts, compared in constant time."""
        return self._state is None or hmac.compare_digest(bytes(signature), self.sign(parts))


class Headers:
    """Headers of one sender's messages, from a template: only message id, type and date change.

    Message ids are ``<session>_<number>``, or ``<prefix>_<number>``; a kernel copies the header into its
    reply, as its parent header. Thread-safe.
    """

    def __init__(self, session: str, username: str, prefix: str | None = None) -> None:
        self.session = session
        self._begin = b'{"msg_id":"%b_' % pack_json(prefix or session)[1:-1]
        middle = {"username": username, "session": session}
        self._middle = b',%b,"date":"' % pack_json(middle)[1:-1]
        self._numbers = itertools.count()
        self._date = (-1, b"")

    def next(self, msg_type: str, now: float, subshell: str | None = None) -> tuple[int, bytes]:
        """The number and the header of a new message; ``now`` in seconds since 1970.

        Args:
            subshell: the id of the subshell that the message is for; None for the main shell.
        """
        second, date = self._date
        if second != int(now):
            second = int(now)
            date = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
            self._date = second, date
        number = next(self._numbers)
        return number, b'%b%d","msg_type":%b%b%b.%06dZ","version":"5.4"%b}' % (
            self._begin,
            number,
            pack_json(msg_type),
            self._middle,
            date,
            (now - second) * 1_000_000,
            b"" if subshell is None else b',"subshell_id":%b' % pack_json(subshell),
        )

    def number(self, parent: bytes) -> int | None:
        """The number of ours whose header a reply has as its parent, or None where it is none of ours.

        Raises BadFrame where the parent is no header at all.
        """
        if parent.startswith(self._begin):
            number, _, _ = parent[len(self._begin) :].partition(b'"')
            return int(number) if number.isdigit() and len(number) < 20 else None
        # A kernel may write the header anew: other spaces, another order.
        session, _, text = unpack_header(parent).msg_id.rpartition("_")
        ours = session == self.session and text.isascii() and text.isdigit() and len(text) < 20
        return int(text) if ours else None


_decode_header = msgspec.json.Decoder(Header).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def pack_json(data: Any, encode: Callable[[Any], bytes] = _encode) -> bytes:
    """Plain JSON data, or a message's struct, as bytes.

    Text may hold lone surrogates, which JSON cannot carry; they come out as ``\\udxxx`` in letters.
    Values are not concerned: their encoder gives such strings a form of their own.
    """
    try:
        return encode(data)
    except UnicodeEncodeError:
        return encode(_without_surrogates(data))


def _without_surrogates(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_without_surrogates(key): _without_surrogates(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_surrogates(item) for item in data]
    if isinstance(data, msgspec.Struct):
        return _without_surrogates(msgspec.structs.asdict(data))
    return data


def unpack_header(part: bytes) -> Header:
    """A header frame; raises BadFrame where it is not one."""
    try:
        return _decode_header(part)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"header: {error}") from None


def unpack_any_header(part: bytes) -> dict[str, Any]:
    """A header frame with all its fields; raises BadFrame where it has no id or no type."""
    try:
        header = _decode_any(part)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"header: {error}") from None
    if (
        not isinstance(header, dict)
        or not isinstance(header.get("msg_id"), str)
        or not isinstance(header.get("msg_type"), str)
    ):
        raise BadFrame("header: it has no msg_id or no msg_type")
    return header


def unpack_object(part: bytes) -> dict[str, Any]:
    """A JSON object; raises InvalidRequest or LimitExceeded where it is not one."""
    try:
        data = _decode_any(part)
    except RecursionError:
        raise LimitExceeded("The content is nested too deeply to be read.", at="$") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The content is not valid JSON: {error}.", at="$") from None
    if not isinstance(data, dict):
        raise InvalidRequest(f"The content must be an object, not {type(data).__name__}.", at="$")
    return data


def flat(buffer: Buffer) -> memoryview:
    """A flat view of bytes: zmq copies silently what is not (it decides by ``len()``)."""
    view = memoryview(buffer)
    return view if view.ndim == 1 and view.format == "B" else view.cast("B")


def flattened(data: Any) -> memoryview:
    """A bytes-like object as a flat view of its bytes; a copy where its memory is not contiguous."""
    view = memoryview(data)
    return flat(view) if view.c_contiguous and 0 not in (view.shape or ()) else memoryview(view.tobytes())


def bind_buffers(buffers: Sequence[Buffer]) -> dict[str, Any]:
    """Metadata that binds buffers to the signed part: their lengths and SHA-256."""
    views = [flat(buffer) for buffer in buffers]
    return {_BUFFERS_KEY: [{"length": v.nbytes, "sha256": hashlib.sha256(v).hexdigest()} for v in views]}


def check_buffers(metadata: Mapping[str, Any], buffers: Sequence[Buffer], *, required: bool) -> None:
    """Compare buffers with what the metadata says of them.

    Raises InvalidRequest on a missing, extra or altered buffer, or where ``required`` and the
    metadata does not bind the buffers there are.
    """
    bound = metadata.get(_BUFFERS_KEY)
    where = f"$metadata.{_BUFFERS_KEY}"
    if bound is None:
        if required and buffers:
            raise InvalidRequest("Buffers must be bound by their hashes on this transport.", at=where)
        return
    if not isinstance(bound, list) or len(bound) != len(buffers):
        said = len(bound) if isinstance(bound, list) else "no list of"
        raise InvalidRequest(f"The metadata names {said} buffers; {len(buffers)} came.", at=where)
    for index, (entry, buffer) in enumerate(zip(bound, buffers, strict=True)):
        view = flat(buffer)
        digest = entry.get("sha256") if isinstance(entry, dict) else None
        if not isinstance(digest, str) or entry.get("length") != view.nbytes:
            raise InvalidRequest("The buffer is not of the length that was signed.", at=f"{where}[{index}]")
        if not hmac.compare_digest(digest.encode(), hashlib.sha256(view).hexdigest().encode()):
            raise InvalidRequest("The buffer is not the one that was signed.", at=f"{where}[{index}]")
