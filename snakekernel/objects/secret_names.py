"""What a name or a text says of itself: that it is a secret, or holds one.

Rules: pure functions; names are read word by word, so that ``tokenizer`` and ``max_tokens`` are none. These
are guesses, made where something is shown (descriptions, tables, tracebacks, logs). Data that is asked for
is not changed by a guess, only by what is registered (``secrets``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, Literal

#: What is shown in a secret's place.
MASK: Final = "[secret]"

#: Whether a name means a secret: ``maybe`` where only what has the looks of a key is one.
Meaning = Literal["secret", "maybe", "harmless"]

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET: Final = _words(
    "password passwords passwd passphrase pwd secret secrets credential credentials authorization "
    "apikey apikeys privatekey secretkey accesskey"
)
#: Before ``key`` or ``keys``.
_KEYS: Final = _words("api private secret access signing encryption auth account master hmac")
#: Before ``token`` or ``tokens``.
_TOKENS: Final = _words(
    "api access auth refresh bearer oauth session csrf xsrf secret bot id login security user personal "
    "deploy jwt github gitlab hf hub slack jupyter"
)
#: Before ``token``: what language models cut texts into.
_PIECES: Final = _words(
    "max min n num per next prev first last start end begin stop special eos bos pad unk sep cls mask "
    "prompt completion input output total cached reasoning new image audio text time"
)
_MAYBE: Final = _words("token cookie bearer pass sig signature")
#: At the end: it is not the secret itself.
_ABOUT: Final = _words(
    "env name names file filename path dir folder id ids type kind count counts length len size limit "
    "limits hint policy field url uri expiry expires ttl at manager provider store version usage strength "
    "required enabled header index column prefix"
)


@lru_cache(maxsize=4_096)
def meaning_of(name: str) -> Meaning:
    """Whether a value of this name is a secret: ``api_key``, ``dbPassword``, ``X-Auth-Token``."""
    words = [word.lower() for word in _WORD.findall(name[:200])]
    if not words or words[-1] in _ABOUT:
        return "harmless"
    before = words[-2] if len(words) > 1 else ""
    if words[-1] in ("token", "tokens"):
        if before in _TOKENS:
            return "secret"
        if words[-1] == "tokens" or before in _PIECES:
            return "harmless"
        return "maybe"
    if not _SECRET.isdisjoint(words) or any(
        key in ("key", "keys") and word in _KEYS for word, key in pairwise(words)
    ):
        return "secret"
    return "maybe" if words[-1] in _MAYBE else "harmless"


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name is to be kept secret: ``api_key``, ``password``, ``token``."""
    return meaning_of(name) != "harmless"


def is_key_name(name: str) -> bool:
    """Whether an argument of this name is a key or a password, whatever is called with it."""
    return meaning_of(name) == "secret"


def hides(name: object, text: Any) -> bool:
    """Whether a text or bytes of this name must not be shown."""
    cls = type(text)
    # By identity: a metaclass may have an __eq__ of its own.
    if type(name) is not str or not (cls is str or cls is bytes or cls is bytearray) or not text:
        return False
    meaning = meaning_of(name)
    if meaning == "maybe":
        return looks_like_key(str(text[:200], "latin-1") if type(text) is not str else text)
    return meaning == "secret"


def looks_like_key(text: str) -> bool:
    """Whether a text is made like a key, not like a word: long, unbroken, with figures or mixed case."""
    if len(text) < 8 or any(one.isspace() for one in text[:200]):
        return False
    figures = sum(one.isdigit() for one in text[:200])
    mixed = text[1:] != text[1:].lower() and text != text.upper()
    return figures > 0 or mixed or len(text) >= 32


#: Characters looked at.
_LONGEST: Final = 1 << 20

#: Cheap signs that a text may hold a secret; most texts have none.
_SIGNS: Final = re.compile(
    r"://|(?i:bearer|basic|token|secret|passw|pwd|passphrase|credential|authoriz|key|BEGIN)"
    r"|sk-|gh[pousr]_|hf_|xox|AKIA|AIza|eyJ"
)
_START: Final = r"(?:(?<![\w.-])|(?<=[\[\d;]m))"
_SPACE: Final = r"(?:\x1b\[[\d;]{0,10}m|[ \t]){0,8}"
#: Name and value as reprs, JSON, settings and tracebacks with locals write them: colours, escaped quotes.
_QUOTED: Final = re.compile(
    rf"{_START}(?P<head>(?P<name>[A-Za-z_][\w.-]{{0,100}})(?:\\{{0,4}}['\"])?{_SPACE}[=:]{_SPACE}[bru]{{0,2}}"
    r"(?P<escape>\\{1,4})?(?P<quote>['\"]))(?P<value>(?(escape).|(?:\\.|[^\\\n]))*?)"
    r"(?P<end>(?(escape)(?P=escape))(?P=quote)|…|\Z|\n)"
)
_BARE: Final = re.compile(
    rf"{_START}(?P<name>[A-Za-z_][\w.-]{{0,100}})=(?P<value>[^\s'\"&;,)}}\]…]{{1,4096}})"
)
_SCHEME: Final = re.compile(r"(?P<head>\b(?i:bearer|basic|token)\s{1,3})(?P<value>[\w.~+/=-]{8,8192})")
_IN_URL: Final = re.compile(
    r"(?P<head>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://[^\s:/@'\"]{0,200}:)(?P<value>[^\s/'\"]{1,1024})(?=@|…)"
)
_IN_QUERY: Final = re.compile(r"(?P<head>[?&](?P<name>[\w.-]{1,100})=)(?P<value>[^&\s#'\"…]{1,4096})")
_KNOWN: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
    r"|\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{20,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|eyJ[\w-]{8,4096}\.eyJ[\w-]{4,}(?:\.[\w-]*)?)",
    re.DOTALL,
)


def scrubbed(text: str) -> str:
    """The text without what has the looks of a secret; the same object where there is none.

    ``password='…'``, ``"api_key": "…"``, ``Bearer …``, ``scheme://user:password@host``, ``?token=…``, private
    keys, and keys of well-known make; in the first million characters.
    """
    if len(text) > _LONGEST:
        head = scrubbed(text[:_LONGEST])
        return text if head == text[:_LONGEST] else head + text[_LONGEST:]
    if _SIGNS.search(text) is None:
        return text
    clean = _KNOWN.sub(MASK, text)
    clean = _IN_URL.sub(_tail_masked, clean)
    clean = _IN_QUERY.sub(_query_masked, clean)
    clean = _SCHEME.sub(_key_masked, clean)
    clean = _QUOTED.sub(_value_masked, clean)
    clean = _BARE.sub(_bare_masked, clean)
    return text if clean == text else clean


def _tail_masked(found: re.Match[str]) -> str:
    return f"{found['head']}{MASK}"


def _query_masked(found: re.Match[str]) -> str:
    is_secret = meaning_of(found["name"]) != "harmless" or found["name"].lower() == "key"
    return f"{found['head']}{MASK}" if is_secret else found[0]


def _key_masked(found: re.Match[str]) -> str:
    return f"{found['head']}{MASK}" if looks_like_key(found["value"]) else found[0]


def _value_masked(found: re.Match[str]) -> str:
    value, name = found["value"], found["name"].rpartition(".")[2]
    if value and MASK not in value and hides(name, value):
        return f"{found['head']}{MASK}{found['end']}"
    # A text within the text; each level has quotes of its own, so that there are few.
    return f"{found['head']}{_QUOTED.sub(_value_masked, value)}{found['end']}"


def _bare_masked(found: re.Match[str]) -> str:
    name, value = found["name"].rpartition(".")[2], found["value"]
    # Unquoted it may be code that passes a variable on.
    if meaning_of(name) == "harmless" or MASK in value or not looks_like_key(value) or "(" in value:
        return found[0]
    return f"{found['name']}={MASK}"
