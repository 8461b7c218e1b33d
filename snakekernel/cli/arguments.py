"""Words of a command line as data of the protocol's grammar.

Rules: a word that parses as JSON is that JSON, any other is a string; ``name=value`` with an identifier
before the sign is a keyword argument. Nothing is rounded or replaced silently: ``NaN`` and ``1e999``, which
JSON does not know, are strings.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..wire.errors import InvalidRequest


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond what JSON numbers can say")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _sendable(data: Any) -> Any:
    """Data with lone surrogates, which UTF-8 cannot hold, in the grammar's own form."""
    if isinstance(data, str):
        return data if _is_text(data) else {"$str": [ord(character) for character in data]}
    if isinstance(data, list):
        return [_sendable(item) for item in data]
    if isinstance(data, dict):
        return {key: _sendable(item) for key, item in data.items()}
    return data


def _is_text(string: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in string)


def read_json(text: str, what: str) -> Any:
    """Text as JSON; raises InvalidRequest that names ``what`` where it is not."""
    try:
        return _sendable(json.loads(text, parse_float=_finite, parse_constant=_no_constant))
    except RecursionError:
        raise InvalidRequest(f"{what} is nested too deeply.") from None
    except ValueError as error:
        raise InvalidRequest(f"{what} is not valid JSON: {error}.") from None


def read_object(text: str, what: str) -> dict[str, Any]:
    """Text as a JSON object."""
    data = read_json(text, what)
    if not isinstance(data, dict):
        raise InvalidRequest(f"{what} must be a JSON object.")
    return data


def datum(word: str) -> Any:
    """A word as JSON if it parses, else as a string."""
    try:
        return read_json(word, "")
    except InvalidRequest:
        return _sendable(word)


def call_arguments(words: Sequence[str], kwargs: str) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments of a call, from its words and the text of ``--kwargs``."""
    args: list[Any] = []
    named = read_object(kwargs, "--kwargs") if kwargs else {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name.isidentifier():
            args.append(datum(word))
        elif name in named:
            raise InvalidRequest(f"The argument {name!r} is given twice.")
        else:
            named[name] = datum(value)
    return args, named


def target_of(word: str) -> str | list[Any]:
    """A target: dotted text, or the list form as JSON."""
    if word.startswith("["):
        data = read_json(word, "TARGET")
        if isinstance(data, list):
            return data
    return word


def read_source(name: str) -> str:
    """The text of a file, or of standard input for ``-``. Raises InvalidRequest where it cannot be read."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"Cannot read {name}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name} is not text in UTF-8.") from None
