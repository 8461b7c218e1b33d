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

from ..inspection import genuine
from ..objects.secret_names import MASK, scrubbed
from ..objects.static import type_name
from ..objects.target import UserCodeRaised
from ..wire.errors import Raised, SnakeError
from .interrupts import Reason, stopped

_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Ours that stand for a user: frames of these folders are shown.
_SHOWN: Final = tuple(os.path.join(_PACKAGE, name) + os.sep for name in ("demo", "testing"))
_LONGEST: Final = 10_000
_LONGEST_NAME: Final = 500
_MOST_NOTES: Final = 20
_CAUSE: Final = BaseException.__dict__["__cause__"].__get__
_CONTEXT: Final = BaseException.__dict__["__context__"].__get__
_SUPPRESSED: Final = BaseException.__dict__["__suppress_context__"].__get__
_TRACEBACK: Final = BaseException.__dict__["__traceback__"].__get__
_MOST_LINES: Final = 200


def text_of(error: BaseException) -> str:
    """The exception's text, bounded; says so where its own ``__str__`` fails."""
    try:
        # Exactly a text, whatever class of texts its own __str__ gives.
        text = str.__str__(str(error))
    except BaseException as failure:  # a hostile __str__ may raise anything
        return f"<the text of this {_name(error)} cannot be had: {_name(failure)}>"
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters in all)"
    return scrubbed(text)


def _name(error: BaseException) -> str:
    return type_name(error)[:_LONGEST_NAME]


def _notes(error: BaseException) -> list[str]:
    """What was added to it; a hostile class may give anything for that."""
    try:
        return [str.__str__(str(note))[:_LONGEST] for note in error.__notes__[:_MOST_NOTES]]
    except BaseException:  # none, or code of the class that fails
        return []


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
        # Past what a class may put in their place.
        cause, context = _CAUSE(current), _CONTEXT(current)
        if cause is not None:
            chain.append((current, "The above exception was the direct cause of the following exception:"))
            current = cause
        elif context is not None and not _SUPPRESSED(current):
            chain.append((current, "During handling of the above exception, another exception occurred:"))
            current = context
        else:
            chain.append((current, None))
            current = None
    for one, joint in reversed(chain):
        if joint is not None:
            lines += ["", joint, ""]
        frames = _user_frames(_TRACEBACK(one))
        if frames:
            lines.append("Traceback (most recent call last):")
            lines += [scrubbed(line.rstrip("\n")) for line in frames]
        text = text_of(one)
        lines.append(f"{_name(one)}: {text}" if text else _name(one))
        lines += map(scrubbed, _notes(one))
    return lines


def from_user_code(
    error: BaseException, *, at: str | None = None, reason: Reason | None = None
) -> SnakeError:
    """The error for what user code raised; ``reason`` where it was asked to stop."""
    if isinstance(error, UserCodeRaised):
        error = error.error
    if reason is not None and isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return stopped(reason, "call", at=at, traceback=traceback_of(error))
    kind, text = _name(error), text_of(error)
    return Raised(
        f"{kind}: {text}" if text else kind,
        at=at,
        ename=kind,
        evalue=text,
        traceback=traceback_of(error),
        reply={"bases": _builtin_bases(type(error))},
    )


def _builtin_bases(kind: type[BaseException]) -> list[str]:
    bases = genuine.mro(kind)[:-1]
    return [name for base in bases if getattr(builtins, name := genuine.type_name(base), None) is base]


def from_our_bug(error: BaseException) -> SnakeError:
    """The error for an exception that no rule of ours foresaw: a fault of the kernel, with all frames."""
    kind, text = _name(error), text_of(error)
    lines = traceback.format_list(traceback.extract_tb(_TRACEBACK(error)))
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
        "ename": error.ename,
        "evalue": error.evalue,
        "traceback": told,
        "code": error.code,
        "error": error.message,
        "at": error.at,
        "fault": error.fault,
        **({"lossy": True} if any(MASK in line for line in told) else {}),
        **error.reply,
    }
