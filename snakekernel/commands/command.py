"""What a command is: one operation, its types, its function and where it is served."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..wire.model import Reply, Request

if TYPE_CHECKING:
    from .scope import Scope


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table; built-ins and plugins use the same type.

    Args:
        op: the operation's name, ``"call"`` for ``snake_call_request``.
        request, reply: its types; the request refuses unknown fields.
        run: the work. It suspends only through ``await scope.wait(…)``; it raises SnakeErrors.
        summary: one line for lists and the generated reference.
        control: also served on control, where no user code may run.
        comm: also served through the comm of the inspector.
        creates_session: naming an unknown session opens it.
        names_session: ``session_id`` is this operation's argument; it takes no lease.
        looks: it only looks: on control and the comm it does not renew its session.
        idempotent: a repeated ``call_id`` gets the first outcome (not where ``call_id`` is an argument).
        task: whether a request on control or the comm runs on the inspector's thread, where it may take its
            time and be cancelled (``scope.task``); a function says so of each request.
    """

    op: str
    request: type[Request]
    reply: type[Reply]
    run: Callable[[Any, Scope], Coroutine[Any, Any, Reply]]
    summary: str
    control: bool = False
    comm: bool = False
    creates_session: bool = False
    names_session: bool = False
    looks: bool = False
    idempotent: bool = True
    task: bool | Callable[[Any], bool] = False

    def is_task(self, request: Request) -> bool:
        """Whether this request is one for the inspector's thread."""
        return self.task if isinstance(self.task, bool) else self.task(request)
