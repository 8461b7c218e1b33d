"""Functions that live in the clients, as commands know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..values import Callback
from ..wire.frame import Frame
from .requester import Requester

if TYPE_CHECKING:
    from .scope import Scope


class Callbacks(Protocol):
    """Makes and looks after what stands for clients' functions in the kernel."""

    def function(self, callback: Callback, scope: Scope) -> Callable[..., Any]:
        """What stands for a function that the request of this scope brings."""

    def settle(self, frame: Frame, requester: Requester) -> None:
        """The request is over: each mention of a function in it is counted, or told to be released."""
