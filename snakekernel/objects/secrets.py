"""Strings that must never leave the kernel, and their removal from what does.

Rules: a registered secret is replaced in every outgoing frame, in JSON text as in binary buffers; a frame
that was changed says so. Very short strings and well-known placeholders are not secrets: scrubbing
``"test"`` would corrupt ordinary replies and protect nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from ..wire.model import ErrorReply, Reply
from .secret_names import MASK, is_secret_name, meaning_of

_SHORTEST: Final = 6
_PLACEHOLDERS: Final = frozenset(
    {"EMPTY", "not-needed", "no-key-required", "dummy", "ollama", "lm-studio"}
    | {"disabled", "enabled", "default", "password", "changeme"}
)
#: Secrets that nobody named, but that were found in objects: beyond, each message would cost too much.
_MOST_FOUND: Final = 256
_SHORTEST_OF_ENVIRONMENT: Final = 8
#: A path, an address, or words.
_ELSEWHERE: Final = re.compile(r"^[/~.\\]|^[A-Za-z]:\\|://|\s")
#: Fields of every reply: scrubbing one of these words would take the reply's own keys.
_FIELDS: Final = frozenset({*Reply.__struct_fields__, *ErrorReply.__struct_fields__})
#: How text lies in buffers: bytes, and numpy's strings of either byte order.
_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-32-le", "utf-16-be", "utf-32-be")
#: What ends a text that was cut, and how JSON writes it.
_CUT: Final = "…"
_CUTS: Final = (_CUT.encode(), json.dumps(_CUT)[1:-1].encode())
#: A JSON string with its quotes.
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Secrets:
    """The registered secrets of one kernel. Scrubbing is hot: it costs one test when empty."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._text: tuple[bytes, ...] = ()
        self._heads: tuple[bytes, ...] = ()
        self._binary: tuple[bytes, ...] = ()
        self._known: dict[str, None] = {}
        self._found = 0

    def __len__(self) -> int:
        return len(self._known)

    def add(self, value: object) -> None:
        """Register a string or a ``SecretStr``; anything else, or what is too short, is ignored."""
        reveal = getattr(value, "get_secret_value", None)
        if callable(reveal):
            value = reveal()
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str) or len(value) < _SHORTEST or value in self._known:
            return
        if value in _PLACEHOLDERS or value in _FIELDS:
            return
        self._known[value] = None
        # As it stands, and as it is shown inside other texts: a dict's repr, JSON in a string.
        shown = (value, repr(value)[1:-1], ascii(value)[1:-1], json.dumps(value)[1:-1])
        # And as pages show each of these.
        new = dict.fromkeys((*shown, *map(escape, shown)))
        # Longest first, so that a secret that contains another is removed whole.
        self._forms = tuple(sorted({*self._forms, *new}, key=len, reverse=True))
        self._text = tuple({*self._text, *_packed(new)})
        self._heads = tuple({*self._heads, *_packed([form[:_SHORTEST] for form in new])})
        binary = {form.encode(encoding, "surrogatepass") for form in new for encoding in _ENCODINGS}
        self._binary = tuple(sorted({*self._binary, *binary}, key=len, reverse=True))

    def find(self, value: object) -> None:
        """Register what turned up in an object and that nobody named; only so many of them."""
        if self._found < _MOST_FOUND:
            before = len(self._known)
            self.add(value)
            self._found += len(self._known) - before

    def add_environment(self, variables: Mapping[str, str]) -> None:
        """Register the values of environment variables whose names say that they are secret.

        Paths, addresses and sentences are not: such a variable says where a secret is.
        """
        for name, value in variables.items():
            is_secret = meaning_of(name) == "secret" and len(value) >= _SHORTEST_OF_ENVIRONMENT
            if is_secret and _ELSEWHERE.search(value) is None:
                self.add(value)

    def add_from(self, config: Mapping[str, Any]) -> None:
        """Register the values whose names say that they are secret, nested objects included."""
        for name, value in config.items():
            if isinstance(value, Mapping):
                self.add_from(value)
            elif isinstance(value, list | tuple):
                for item in value:
                    self.add_from(item if isinstance(item, Mapping) else {name: item})
            elif is_secret_name(str(name)):
                self.add(value)

    def scrub(self, packed: bytes) -> bytes:
        """Packed JSON without secrets; the same object where there was none."""
        if not any(quoted in packed for quoted in self._text) and not self._may_be_cut(packed):
            return packed
        # Inside JSON strings alone: a secret such as "12345678" must not take numbers apart.
        clean = _STRING.sub(self._masked, packed)
        return packed if clean == packed else clean

    def _may_be_cut(self, packed: bytes) -> bool:
        """Whether a text may end within a secret, of which it shows the beginning."""
        return any(cut in packed for cut in _CUTS) and any(head in packed for head in self._heads)

    def _masked(self, string: re.Match[bytes]) -> bytes:
        # Decoded first: in the packed text an escape such as \\n may run into what follows it.
        text = json.loads(string[0], strict=False)
        clean = self.scrub_text(text)
        return string[0] if clean == text else json.dumps(clean).encode()

    def scrub_text(self, text: str) -> str:
        """Text without secrets."""
        for form in self._forms:
            text = text.replace(form, MASK)
        if _CUT in text:
            for form in self._forms:
                for length in range(len(form) - 1, _SHORTEST - 1, -1):
                    if form[:_SHORTEST] not in text:
                        break
                    text = text.replace(form[:length] + _CUT, MASK + _CUT)
        return text

    def scrub_buffer(self, buffer: memoryview) -> memoryview:
        """A buffer without secrets, of the same length; the same object where there was none."""
        if not self._binary:
            return buffer
        whole: bytearray | None = None
        for needle in self._binary:
            # `in` on a memoryview compares items, so look through a bytes-like with a real search.
            found = re.finditer(re.escape(needle), buffer if whole is None else whole)
            for start, end in [match.span() for match in found]:
                whole = bytearray(buffer) if whole is None else whole
                whole[start:end] = b"*" * len(needle)
        return buffer if whole is None else memoryview(whole)


def _packed(texts: Iterable[str]) -> tuple[bytes, ...]:
    """Texts as they are within JSON's, in either way that JSON may be written."""
    return tuple(
        dict.fromkeys(
            json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogatepass")
            for text in texts
            for ascii_only in (False, True)
        )
    )
