"""Strings that must never leave the kernel, and their removal from what does.

Rules: a registered secret is replaced in every outgoing frame, in JSON text as in binary buffers; a frame
that was changed says so. Very short strings and well-known placeholders are not secrets: scrubbing
``"test"`` would corrupt ordinary replies and protect nothing.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from ..wire.model import ErrorReply, Reply
from .secret_bytes import Needles
from .secret_names import MASK, is_secret_name, looks_like_key

_SHORTEST: Final = 6
_PLACEHOLDERS: Final = frozenset(
    {"EMPTY", "not-needed", "no-key-required", "dummy", "ollama", "lm-studio"}
    | {"disabled", "enabled", "default", "password", "changeme"}
)
#: Secrets that nobody named, but that were found in objects: beyond, each message would cost too much.
_MOST_FOUND: Final = 256
#: A path, an address, or words.
_ELSEWHERE: Final = re.compile(r"^[/~.\\]|^[A-Za-z]:\\|://|\s")
#: Fields of every reply: scrubbing one of these words would take the reply's own keys.
_FIELDS: Final = frozenset({*Reply.__struct_fields__, *ErrorReply.__struct_fields__})
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
        self._needles = Needles()
        self._known: dict[str, None] = {}
        self._found = 0
        # Of any thread, and of a finalizer within.
        self._adding = threading.RLock()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, value: object) -> None:
        """Register a string or a ``SecretStr``; anything else, or what is too short, is ignored."""
        text = text_of(value)
        if text is None or text in self._known:
            return
        new = forms_of(text)
        with self._adding:
            # Longest first, so that a secret that contains another is removed whole.
            self._forms = tuple(sorted({*self._forms, *new}, key=len, reverse=True))
            self._text = tuple({*self._text, *_packed(new)})
            self._heads = tuple({*self._heads, *_packed([form[:_SHORTEST] for form in new])})
            self._needles = self._needles.also(new)
            self._known[text] = None

    def find(self, value: object) -> None:
        """Register what turned up in an object and that nobody named; only so many of them."""
        if self._found < _MOST_FOUND:
            before = len(self._known)
            self.add(value)
            self._found += len(self._known) - before

    def add_environment(self, variables: Mapping[str, str]) -> None:
        """Register the values of environment variables whose names say that they are secret.

        Those alone that look like keys: ``production`` or ``postgres`` is part of ordinary texts. Paths,
        addresses and sentences are none either: such a variable says where a secret is.
        """
        for name, value in variables.items():
            if is_secret_name(name) and looks_like_key(value) and _ELSEWHERE.search(value) is None:
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
        # A loop: with dozens of secrets a generator would take half as long again.
        for quoted in self._text:
            if quoted in packed:
                break
        else:
            if not self._may_be_cut(packed):
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
        return self._needles.masked(buffer)


def text_of(value: object) -> str | None:
    """A string or a ``SecretStr`` that can be a secret as text; None for anything else."""
    reveal = getattr(value, "get_secret_value", None)
    if callable(reveal):
        value = reveal()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str) or len(value) < _SHORTEST or value in _PLACEHOLDERS or value in _FIELDS:
        return None
    return value


def forms_of(text: str) -> dict[str, None]:
    """A secret as it stands, as it is shown inside other texts, and as pages show each of these."""
    # In a dict's repr, and in JSON in a string.
    shown = (text, repr(text)[1:-1], ascii(text)[1:-1], json.dumps(text)[1:-1])
    return dict.fromkeys((*shown, *map(escape, shown)))


def _packed(texts: Iterable[str]) -> tuple[bytes, ...]:
    """Texts as they are within JSON's, in either way that JSON may be written."""
    return tuple(
        dict.fromkeys(
            json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogatepass")
            for text in texts
            for ascii_only in (False, True)
        )
    )
