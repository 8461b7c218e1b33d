"""A client's function with options of its lending, and the method that makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..values import Encoder
from ..values.callbacks import described
from .requests import Requests


@dataclass(frozen=True, eq=False)
class Function:
    """A function with options of its lending; calling it calls the function. See ``Client.callback``.

    is_async: None for what the function tells of itself.
    """

    function: Callable[..., Any]
    name: str | None = None
    doc: str | None = None
    deadline: float | None = None
    is_async: bool | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def described(self) -> dict[str, Any]:
        """What is told of it; see ``values.callbacks.described``."""
        told = described(self.function, Encoder())
        options = {"name": self.name, "doc": self.doc, "deadline": self.deadline, "async": self.is_async}
        return {**told, **{name: option for name, option in options.items() if option is not None}}


class Lending(Requests):
    """What a client offers for functions of its own."""

    def callback(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        doc: str | None = None,
        deadline: float | None = None,
        is_async: bool | None = None,
    ) -> Function:
        """A function to be passed as an argument, with options; without any, pass the function itself.

        Args:
            name, doc: in the place of its own, for those in the kernel who read them, such as agents.
            deadline: seconds for a call; after them the kernel goes on with a TimeoutError.
            is_async: whether it is awaited in the kernel; None where that is so of the function itself.
        """
        return Function(function, name, doc, deadline, is_async)
