"""Completion and inspection by the kernel: below ``stored`` ours, on control ours alone, else IPython's.

Rules: on shell and subshells IPython answers, except below ``stored`` and in our magics' lines. On control
our answers are all there is, so that they come while a cell runs and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean

from .namespace import StoredNamespace

if TYPE_CHECKING:
    from .answers import Answers


def _answered(stock: Callable[[], Any], nothing: dict[str, Any]) -> Any:
    """The stock answer, or nothing: an object that raises SystemExit when looked at would end the kernel."""
    try:
        return stock()
    except BaseException:  # code of the person's objects may raise anything
        return nothing


class AnswersForStored(IPythonKernel):  # type: ignore[misc]  # ipykernel ships no types that mypy can follow
    """ipykernel's kernel, whose answers know the stored objects and, on control, run nothing."""

    stored: StoredNamespace

    @cached_property
    def _answers(self) -> Answers:
        from .answers import Answers

        return Answers(self)

    def do_complete(self, code: str, cursor_pos: int | None) -> Any:
        """As stock; below ``stored`` and in lines of our magics the names there are."""
        cursor = len(code) if cursor_pos is None else cursor_pos
        may_be_ours = "stored" in code or "%" in code
        found = self._answers.completed(code, cursor, everything=False) if may_be_ours else None
        if found is not None:
            return found
        nothing = {
            "matches": [],
            "cursor_start": cursor,
            "cursor_end": cursor,
            "metadata": {},
            "status": "ok",
        }
        stock = super().do_complete
        return _answered(lambda: stock(code, cursor_pos), nothing)

    def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()) -> Any:
        """As stock; of a stored object, or a part of it, what ``inspect`` tells."""
        found = None
        if detail_level == 0 and "stored" in code:
            # Where only code of the object would tell, IPython knows how far that may go.
            found = self._answers.inspected(code, cursor_pos, everything=False)
        if found is not None:
            return found
        nothing = {"status": "ok", "data": {}, "metadata": {}, "found": False}
        stock = super().do_inspect
        return _answered(lambda: stock(code, cursor_pos, detail_level, omit_sections), nothing)

    async def complete_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """As stock; on control without running code."""
        if stream is not self.control_stream:
            await super().complete_request(stream, ident, parent)
            return
        content = parent["content"]
        answer = self._answers.completed(content["code"], content["cursor_pos"], everything=True)
        self.session.send(stream, "complete_reply", json_clean(answer), parent, ident)

    async def inspect_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """As stock; on control without running code."""
        if stream is not self.control_stream:
            await super().inspect_request(stream, ident, parent)
            return
        content = parent["content"]
        answer = self._answers.inspected(content["code"], content["cursor_pos"], everything=True)
        self.session.send(stream, "inspect_reply", json_clean(answer), parent, ident)
