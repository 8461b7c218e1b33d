"""Following a path where user code must not run, or only for a while: on control, on the comm, in tasks."""

from __future__ import annotations

from typing import Any, Final

from .. import inspection
from ..inspection.task import Task
from ..objects.policy import Walk
from ..objects.target import NeedsCode, UserCodeRaised, follow, follow_static
from ..wire.errors import SnakeError, Unresolvable

#: Seconds for which a task waits for the objects on a path.
_PATIENCE: Final = 2.0


def follow_beside(
    obj: Any, steps: tuple[Any, ...], *, at: str, task: Task | None, walk: Walk | None = None
) -> Any:
    """The object that steps lead to, by plain reading; where that ends a task asks the objects.

    Raises NeedsCode where there is no task, else as ``follow``, and Unresolvable where that takes too long.
    """
    beginning = None if walk is None else walk.copy()
    try:
        return follow_static(obj, steps, at=at, part_of=inspection.part_of, judge=walk)
    except NeedsCode:
        if task is None:
            raise
    refused: list[Exception] = []

    def ask() -> Any:
        try:
            return follow(obj, steps, at=at, judge=beginning)
        except (SnakeError, UserCodeRaised) as error:
            refused.append(error)
            return None

    outcome = inspection.attempt(ask, _PATIENCE)
    task.check()
    if refused:
        raise refused[0]
    if not outcome.ok:
        why = "took too long" if outcome.timed_out else f"raised {outcome.error}"
        raise Unresolvable(f"The path cannot be followed: it {why}.", at=at, fault="target")
    return outcome.value
