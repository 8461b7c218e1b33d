"""Content read as the request that it is, once, by the command's own type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from ..values.bounds import member
from ..wire.errors import InvalidRequest, LimitExceeded
from ..wire.model import Request


@lru_cache(maxsize=256)
def _reader(kind: type[Request]) -> Callable[[bytes], Request]:
    return msgspec.json.Decoder(kind).decode


def to_request(content: bytes | Mapping[str, Any], kind: type[Request]) -> Request:
    """Content as the command's own type. Raises InvalidRequest with the path of the bad part."""
    try:
        if isinstance(content, bytes):
            return _reader(kind)(content)
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        # The path is msgspec's last word; a field's own name may hold anything before it.
        message, _, path = str(error).rpartition(" - at `")
        message, at = (message, path.removesuffix("`")) if message else (path, "$")
        if message.startswith("Object contains unknown field `"):
            at += member(message[message.index("`") + 1 : message.rindex("`")])
        raise InvalidRequest(f"{message}.", at=at) from None
    except RecursionError:
        raise LimitExceeded("The content is nested too deeply to be read.", at="$") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The content is not valid JSON: {error}.", at="$") from None
