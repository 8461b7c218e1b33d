"""Results that a kernel published for others: ``$published``.

Rules: the payload has the value as data of the grammar and says in which sealed segments its buffers lie. It
is data until a decoder's resolver opens it; without a resolver it stays a ``Published``. What is opened is
decoded like any value: nothing is imported, called or unpickled because a payload says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import msgspec

from snakekernel.memory.publications import Hex, Part, Segment, host, open_parts
from snakekernel.values.bounds import DEFAULT_LIMITS, Limits, member
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest, LimitExceeded, NotFound, SnakeError

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

_TAG: Final = "$published"


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A result that a kernel keeps for other kernels of its host; an argument for any client of those.

    Attributes:
        id: names it. kernel: the epoch of the kernel that published it. host: where its segments are.
        type: the full name of the object's class. value: its data; absent where that is long, as JSON in the
            last buffer. segments: where its bytes are. buffers: which of them belong to each buffer of the
            value, as segment, offset and length; None for an empty one.
    """

    id: Hex
    kernel: Annotated[str, msgspec.Meta(max_length=1024)]
    host: Hex
    type: Annotated[str, msgspec.Meta(max_length=4096)]
    value: Any = msgspec.UNSET
    segments: tuple[Segment, ...] = ()
    buffers: tuple[Part | None, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of its segments; 0 where all of it is here."""
        return sum(segment.length for segment in self.segments)

    def get(self) -> Any:
        """The object, in this process: arrays are views of the shared memory; what is written is our own.

        Raises NotFound where it was unpublished, its kernel is gone, or it is on another host.
        """
        try:
            return opened(self)
        except SnakeError as error:
            error.at = f"${error.at}" if error.at else None
            raise

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be sent by any means; in any request's data it stands for the object."""
        payload: dict[str, Any] = msgspec.to_builtins(self)
        return {_TAG: payload}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """What ``to_json`` gave. Raises InvalidRequest."""
        if type(data) is not dict or list(data) != [_TAG]:
            raise InvalidRequest(f'expected an object with the one key "{_TAG}"', at="$")
        try:
            return msgspec.convert(data[_TAG], cls)
        except msgspec.ValidationError as error:
            reason, at = _told(error)
            raise InvalidRequest(reason, at=f"${member(_TAG)}{at}") from None

    def __hash__(self) -> int:
        return hash((self.id, self.host))

    def __repr__(self) -> str:
        size, unit = float(self.nbytes), 0
        while size >= 1000 and unit < len(_UNITS) - 1:
            size, unit = size / 1024, unit + 1
        return f"<published {self.type}, {size:.{1 if unit else 0}f} {_UNITS[unit]}, {self.id[:8]}>"


_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Tagged(msgspec.Struct):
    """A publication as data of the grammar."""

    published: Published = msgspec.field(name=_TAG)


def opened(
    published: Published, limits: Limits = DEFAULT_LIMITS, resolve_name: Callable[[str], Any] | None = None
) -> Any:
    """The object that was published. Errors have the path of the bad part within the payload.

    Raises NotFound where its segments are on another host or gone, InvalidRequest where they are not as
    described, LimitExceeded, Unsupported.
    """
    from snakekernel.values.decoder import Decoder

    if published.segments and published.host != host():
        raise NotFound(
            "It was published on another host, where its memory is; only a pool moves that between hosts: "
            "pass it to a call or a session of the pool.",
            at=".host",
        )
    buffers = open_parts(published.segments, published.buffers)
    data = published.value
    if data is msgspec.UNSET:
        if not buffers:
            raise InvalidRequest("there is neither a value nor a buffer with its JSON", at=".value")
        data = _read(buffers[-1])
    decoder = Decoder(buffers, limits, resolve_name=resolve_name, at=member("value"))
    if published.value is msgspec.UNSET:
        decoder.used.add(len(buffers) - 1)
    return decoder.decode(data)


def _read(text: memoryview) -> Any:
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise LimitExceeded("the value is nested too deeply to be read", at=".value") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the last buffer is no JSON: {error}", at=".buffers") from None


def _told(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, and its path within the payload."""
    message, _, at = str(error).rpartition(" - at `$")
    return (message, at.removesuffix("`")) if message else (at, "")


def _encode(obj: Published, encoder: Encoder) -> Any:
    return msgspec.to_builtins(obj)


def _decode(payload: Any, decoder: Decoder) -> Any:
    try:
        published = msgspec.convert(payload, Published)
    except msgspec.ValidationError as error:
        reason, at = _told(error)
        raise InvalidRequest(reason, at=decoder.at() + at) from None
    return decoder.resolve(decoder.resolve_published, published)


CODECS = (Codec("published", (Published,), _encode, _decode),)
