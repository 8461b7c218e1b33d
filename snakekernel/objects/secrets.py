"""Strings that must never leave the kernel, and their removal from what does.

Rules: a registered secret is replaced in every outgoing frame, in JSON text as in binary buffers; a frame
that was changed says so. Very short strings and well-known placeholders are not secrets: scrubbing
``"test"`` would corrupt ordinary replies and protect nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ..wire.model import ErrorReply, Reply

MASK: Final = "[secret]"
_SHORTEST: Final = 6
_PLACEHOLDERS: Final = frozenset({"EMPTY", "not-needed", "no-key-required", "dummy", "ollama", "lm-studio"})
_NAMES: Final = re.compile(r"api[_-]?key|secret|token$|passw|credential|authorization", re.IGNORECASE)
_KEY: Final = re.compile(r"api[_-]?key$", re.IGNORECASE)
#: Fields of every reply: scrubbing one of these words would take the reply's own keys.
_FIELDS: Final = frozenset({*Reply.__struct_fields__, *ErrorReply.__struct_fields__})
#: Names that match but hold no secret: the name of a variable, a count of tokens.
_HARMLESS: Final = re.compile(r"_env$|max_.*tokens?$", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is to be kept secret: ``api_key``, ``password``, ``auth_token``."""
    return bool(_NAMES.search(name)) and not _HARMLESS.search(name)


def is_key_name(name: str) -> bool:
    """Whether an argument of this name is an API key, whatever is called with it."""
    return bool(_KEY.search(name))


class Secrets:
    """The registered secrets of one kernel. Scrubbing is hot: it costs one test when empty."""

    def __init__(self) -> None:
        self._text: tuple[tuple[bytes, bytes], ...] = ()
        self._binary: tuple[bytes, ...] = ()
        self._known: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, value: object) -> None:
        """Register a string or a ``SecretStr``; anything else, or what is too short, is ignored."""
        reveal = getattr(value, "get_secret_value", None)
        if callable(reveal):
            value = reveal()
        if not isinstance(value, str) or len(value) < _SHORTEST or value in self._known:
            return
        if value in _PLACEHOLDERS or value in _FIELDS:
            return
        self._known[value] = None
        text: dict[bytes, bytes] = {}
        binary: dict[bytes, None] = {}
        # Longest first, so that a secret that contains another is removed whole.
        for secret in sorted(self._known, key=len, reverse=True):
            for ascii_only in (False, True):
                quoted = json.dumps(secret, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogatepass")
                text[quoted] = MASK.encode()
            for encoding in ("utf-8", "utf-16-le", "utf-32-le", "utf-16-be", "utf-32-be"):
                binary[secret.encode(encoding, "surrogatepass")] = None
        self._text, self._binary = tuple(text.items()), tuple(binary)

    def add_from(self, config: Mapping[str, Any]) -> None:
        """Register the values whose names say that they are secret, nested objects included."""
        for name, value in config.items():
            if isinstance(value, Mapping):
                self.add_from(value)
            elif isinstance(value, list | tuple):
                for item in value:
                    if isinstance(item, Mapping):
                        self.add_from(item)
            elif is_secret_name(str(name)):
                self.add(value)

    def scrub(self, packed: bytes) -> bytes:
        """Packed JSON without secrets; the same object where there was none."""
        for quoted, mask in self._text:
            if quoted in packed:
                packed = packed.replace(quoted, mask)
        return packed

    def scrub_text(self, text: str) -> str:
        """Text without secrets."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def scrub_buffer(self, buffer: memoryview) -> memoryview:
        """A buffer without secrets, of the same length; the same object where there was none."""
        if not self._binary:
            return buffer
        whole: bytearray | None = None
        for needle in self._binary:
            # `in` on a memoryview compares items, so look through a bytes-like with a real search.
            where = re.search(re.escape(needle), whole if whole is not None else buffer)
            while where is not None:
                if whole is None:
                    whole = bytearray(buffer)
                whole[where.start() : where.end()] = b"*" * len(needle)
                where = re.search(re.escape(needle), whole)
        return buffer if whole is None else memoryview(whole)
