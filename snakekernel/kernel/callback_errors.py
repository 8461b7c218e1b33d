"""What a client's function raised, raised again in the kernel.

Rules: the exception has the name, the text and the built-in base of the client's own, so that code here
catches it as it would catch that one, and a caller further out gets it by the same name; the client's
traceback goes with it as a note. No name from the wire is looked up outside of a fixed list of built-ins.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ..errors import KINDS

_BY_NAME: Final = {kind.__name__: kind for kind in KINDS}
_LONGEST: Final = 100_000


class _Raised(Exception):
    def __str__(self) -> str:
        # Some built-ins show their only argument as Python source.
        return str(self.args[0]) if self.args else ""


@lru_cache(maxsize=256)
def _class(name: str, base_name: str) -> type[Exception]:
    base = _BY_NAME.get(base_name, Exception)
    return type(name, (_Raised, base), {"__module__": "client"})


def raised_by(content: Mapping[str, Any]) -> BaseException:
    """The exception that an answer of status ``error`` stands for; whatever the answer holds."""
    name = str(content.get("ename") or "Exception")[:200]
    text = str(content.get("evalue") or "")[:_LONGEST]
    bases, lines = content.get("bases"), content.get("traceback")
    error: BaseException
    if name == "KeyboardInterrupt":
        error = KeyboardInterrupt(text or "interrupted in the client")
    else:
        kinds = (name, *(bases if isinstance(bases, list) else ()))
        known = [kind for kind in kinds if isinstance(kind, str) and kind in _BY_NAME]
        error = _class(name, known[0] if known else "Exception")(text)
    if isinstance(lines, list) and lines:
        shown = "\n".join(str(line) for line in lines)[:_LONGEST].split("\n")
        error.add_note("Traceback in the client:\n" + "\n".join(f"  {line}" for line in shown))
    return error
