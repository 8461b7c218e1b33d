"""One object as bytes and back: cloudpickle, protocol 5, large buffers beside the pickle.

Rules: what is pickled is left as it is, and nothing keeps it after. Pickling and loading run user code: they
are called as such. Loading takes bytes whose signature was checked, and nothing else ever does.
"""

from __future__ import annotations

import gc
import io
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from ..objects.secret_bytes import Needles
from ..objects.secret_names import is_key_name, looks_like_key
from ..objects.secrets import Secrets, forms_of, text_of
from ..wire.errors import Unserializable

_PROTOCOL: Final = 5
#: Bytes from which a buffer is written without being copied into the pickle.
_BESIDE: Final = 64 << 10
#: Objects of a loaded one in which keys are looked for.
_MOST: Final = 10_000
#: Types whose objects hold no keys, or are the program's own and not the loaded object's.
_HOLD_NONE: Final = frozenset(
    {str, bytes, int, float, bool, complex, type(None), ModuleType, FunctionType, BuiltinFunctionType}
)


@dataclass
class Pickled:
    """The parts of an object: its pickle first, then the buffers beside it, flat and in order."""

    parts: list[memoryview] = field(default_factory=list)
    are_read_only: list[bool] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.nbytes for part in self.parts)


def pickled(obj: Any, secrets: Secrets | None) -> Pickled:
    """An object as bytes. Raises what its code raises, and Unserializable where it holds a secret.

    Args:
        secrets: those that must not be written; None where they may be.
    """
    from cloudpickle import Pickler

    class Looking(Pickler):  # type: ignore[misc]  # cloudpickle has no types
        """Notes the keys that objects hold, for the search of the bytes to find them."""

        def reducer_override(self, obj: Any) -> Any:
            _note_keys(obj, keys)
            return super().reducer_override(obj)

    whole = Pickled([memoryview(b"")], [True])
    file = io.BytesIO()
    # Of this object alone: registered, a word that some record has as its password would go from all replies.
    keys: dict[str, None] = {}
    kind: Callable[..., Any] = Pickler if secrets is None else Looking
    if secrets is not None:
        _note_keys(obj, keys)
    kind(file, protocol=_PROTOCOL, buffer_callback=_Beside(whole)).dump(obj)
    whole.parts[0] = file.getbuffer()
    if secrets is not None:
        needles = Needles(form for key in keys for form in forms_of(key))
        for part in whole.parts:
            if secrets.scrub_buffer(part) is not part or needles.masked(part) is not part:
                raise Unserializable("It holds a secret, which is not written to disk.")
    return whole


class _Beside:
    """Takes what is worth it out of the pickle."""

    def __init__(self, whole: Pickled) -> None:
        self._whole = whole

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _BESIDE:
            return True
        self._whole.parts.append(raw)
        self._whole.are_read_only.append(raw.readonly)
        return False


def _note_keys(obj: Any, keys: dict[str, None]) -> None:
    """Note an API key or a SecretStr, read without running code of the object's but SecretStr's own."""
    if type(obj).__name__ in ("SecretStr", "SecretBytes"):
        _note(obj, keys)
        return
    try:
        held = obj if type(obj) is dict else object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return
    if type(held) is not dict:
        return
    for name, value in list(held.items()):
        if type(name) is str and is_key_name(name):
            _note(value, keys)
        elif type(value) is dict:
            for inner, key in list(value.items()):
                if type(inner) is str and is_key_name(inner):
                    _note(key, keys)


def _note(value: Any, keys: dict[str, None]) -> None:
    text = text_of(value)
    if text is not None:
        keys[text] = None


def unpickled(parts: Sequence[bytearray], are_read_only: Sequence[bool], secrets: Secrets) -> Any:
    """The object of parts whose signature was checked. Raises what its code raises.

    Args:
        secrets: where the keys that it holds are registered: its class's ``__init__`` did not run.
    """
    views = [
        memoryview(part).toreadonly() if is_read_only else memoryview(part)
        for part, is_read_only in zip(parts[1:], are_read_only[1:], strict=True)
    ]
    obj = pickle.loads(parts[0], buffers=views)
    for key in _keys_within(obj):
        # A word would go from all replies.
        if looks_like_key(key):
            secrets.find(key)
    return obj


def _keys_within(obj: Any) -> dict[str, None]:
    """The keys that an object and what it holds hold, in the first so many objects."""
    keys: dict[str, None] = {}
    found = {id(obj): obj}
    waiting = deque([obj])
    while waiting:
        one = waiting.popleft()
        _note_keys(one, keys)
        for held in gc.get_referents(one):
            kind = type(held)
            if kind in _HOLD_NONE or issubclass(kind, type) or id(held) in found or len(found) >= _MOST:
                continue
            found[id(held)] = held
            waiting.append(held)
    return keys
