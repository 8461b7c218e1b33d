"""What stands for a client's function: a plain function, or a coroutine function, of its name and signature.

Rules: it is a real function, for libraries ask ``inspect`` for those only (DSPy reads a tool's signature and
type hints so), copy them as they are, and refuse to pickle them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .callback_calls import Lent

if TYPE_CHECKING:
    from .callbacks import Callbacks

#: Attribute of a stand-in that says what it stands for.
_MARK: Final = "__snakekernel_callback__"


def made(lent: Lent, callbacks: Callbacks) -> Callable[..., Any]:
    """A new stand-in."""
    function: Any

    if lent.callback.is_async:

        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return await callbacks.acall(lent, args, kwargs)

        function = asynchronous
    else:

        def synchronous(*args: Any, **kwargs: Any) -> Any:
            return callbacks.call(lent, args, kwargs)

        function = synchronous
    callback = lent.callback
    function.__name__ = callback.name
    function.__qualname__ = f"client.{callback.name}"
    function.__module__ = "client"
    function.__doc__ = callback.doc
    function.__annotations__ = {}
    setattr(function, _MARK, lent)
    signature = callback.signature
    if signature is not None:
        function.__signature__ = signature
        empty = inspect.Parameter.empty
        hints = {name: one.annotation for name, one in signature.parameters.items()}
        hints["return"] = signature.return_annotation
        function.__annotations__ = {name: hint for name, hint in hints.items() if hint is not empty}
    return function  # type: ignore[no-any-return]


def lent_of(function: Any) -> Lent | None:
    """What a function stands for, or None where it is no stand-in. No user code runs."""
    return function.__dict__.get(_MARK)  # type: ignore[no-any-return]
