"""From exceptions to errors of the protocol, and from those to the content of an error reply.

Rules: what the called code raised is ``raised`` with its own name, text and traceback, user frames only;
the text of a hostile exception (one whose ``__str__`` raises) cannot break the reply. Nothing here keeps
an exception, for its traceback would keep the caller's objects alive.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import traceback
from types import TracebackType
from typing import Any, Final

from ..objects.secret_names import MASK, scrubbed
from ..objects.target import UserCodeRaised
from ..wire.errors import Raised, SnakeError
from .interrupts import Reason, stopped

_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Ours that stand for a user: frames of these folders are shown.
_SHOWN: Final = tuple(os.path.join(_PACKAGE, name) + os.sep for name in ("demo", "testing"))
_LONGEST: Final = 10_000
_MOST_LINES: Final = 200


def text_of(error: BaseException) -> str:
    """The exception's text, bounded; says so where its own ``__str__`` fails."""
    try:
        text = str(error)
    except BaseException as failure:  # a hostile __str__ may raise anything
        return f"<the text of this {type(error).__name__} cannot be had: {type(failure).__name__}>"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters in all)"
    return scrubbed(text)


def _is_shown(filename: str) -> bool:
    return not filename.startswith(_PACKAGE) or filename.startswith(_SHOWN)


def _user_frames(tb: TracebackType | None) -> list[str]:
    frames = [f for f in traceback.extract_tb(tb) if _is_shown(f.filename)]
    lines = traceback.format_list(frames)
    if len(lines) > _MOST_LINES:
        half = _MOST_LINES // 2
        lines = [*lines[:half], f"  … {len(lines) - _MOST_LINES} frames left out …\n", *lines[-half:]]
    return lines


def traceback_of(error: BaseException) -> list[str]:
    """Lines of the traceback without our own frames, causes first as Python prints them."""
    lines: list[str] = []
    seen: set[int] = set()
    chain: list[tuple[BaseException, str | None]] = []
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(chain) < 20:
        seen.add(id(current))
        if current.__cause__ is not None:
            chain.append((current, "The above exception was the direct cause of the following exception:"))
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            chain.append((current, "During handling of the above exception, another exception occurred:"))
            current = current.__context__
        else:
            chain.append((current, None))
            current = None
    for one, joint in reversed(chain):
        if joint is not None:
            lines += ["", joint, ""]
        frames = _user_frames(one.__traceback__)
        if frames:
            lines.append("Traceback (most recent call last):")
            lines += [scrubbed(line.rstrip("\n")) for line in frames]
        text = text_of(one)
        lines.append(f"{type(one).__name__}: {text}" if text else type(one).__name__)
        for note in getattr(one, "__notes__", None) or ():
            lines.append(scrubbed(str(note)[:_LONGEST]))
    return lines


def from_user_code(
    error: BaseException, *, at: str | None = None, reason: Reason | None = None
) -> SnakeError:
    """The error for what user code raised; ``reason`` where it was asked to stop."""
    if isinstance(error, UserCodeRaised):
        error = error.error
    if reason is not None and isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return stopped(reason, "call", at=at, traceback=traceback_of(error))
    kind = type(error).__name__
    text = text_of(error)
    return Raised(
        f"{kind}: {text}" if text else kind,
        at=at,
        ename=kind,
        evalue=text,
        traceback=traceback_of(error),
        reply={"bases": _builtin_bases(type(error))},
    )


def _builtin_bases(kind: type[BaseException]) -> list[str]:
    mro: tuple[type, ...] = type.__getattribute__(kind, "__mro__")
    return [base.__name__ for base in mro[:-1] if getattr(builtins, base.__name__, None) is base]


def from_our_bug(error: BaseException) -> SnakeError:
    """The error for an exception that no rule of ours foresaw: a fault of the kernel, with all frames."""
    kind, text = type(error).__name__, text_of(error)
    lines = traceback.format_list(traceback.extract_tb(error.__traceback__))
    return Raised(
        f"The kernel failed while it served this request: {kind}: {text}",
        fault="kernel",
        ename=kind,
        evalue=text,
        traceback=[*(line.rstrip("\n") for line in lines[-_MOST_LINES:]), f"{kind}: {text}"],
    )


def content_of(error: SnakeError) -> dict[str, Any]:
    """The fields of an error reply, the common ones apart."""
    told = error.traceback or [f"{error.ename}: {error.evalue}"]
    return {
        "status": "error",
        "lossy": any(MASK in line for line in told),
        "ename": error.ename,
        "evalue": error.evalue,
        "traceback": told,
        "code": error.code,
        "error": error.message,
        "at": error.at,
        "fault": error.fault,
        **error.reply,
    }
