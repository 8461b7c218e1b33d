"""The data of calls of clients' functions: arguments on their way out, and mentions of functions in requests.

Rules: what has a lossless form goes as a value; anything else is stored under a fresh anonymous name that the
client holds by its lease, and is given as ``$ref``. A client's own function goes back to it as itself.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from ..commands.runtime import Runtime
from ..commands.scope import Scope
from ..values import Encoder, NotLossless, is_own_data
from ..wire.errors import SnakeError
from ..wire.frame import unpack_object
from .callback_calls import Lent
from .callback_functions import lent_of

_TAG: Final = "$callback"


class Arguments:
    """Encodes the arguments of one call.

    Attributes:
        buffers: those that the arguments refer to. kinds: type and module of what is stored, by name.
    """

    def __init__(self, runtime: Runtime, lent: Lent) -> None:
        self._runtime = runtime
        self._lent = lent
        #: Made when the first argument comes that is not its own data.
        self._encoder: Encoder | None = None
        self.kinds: dict[str, dict[str, Any]] = {}

    @property
    def buffers(self) -> list[memoryview]:
        return [] if self._encoder is None else self._encoder.buffers

    def encoded(self, argument: Any) -> Any:
        """The data of one argument."""
        if is_own_data(argument):
            return argument
        if self._encoder is None:
            limits = self._runtime.limits
            self._encoder = Encoder(limits=limits, extra={types.FunctionType: self._function})
        try:
            return self._encoder.encode(argument)
        except (NotLossless, SnakeError):
            runtime, sender = self._runtime, self._lent.sender
            now = runtime.clock()
            entry = runtime.store.put_anonymous(None, argument, writer="callback", now=now)
            # By name and version: what is kept for the release must not keep the object.
            release = partial(runtime.store.release, None, entry.name, entry.version)
            runtime.leases.hold(sender, ("ref", entry.name), release)
            self.kinds[entry.name] = Scope.kind(argument)
            return {"$ref": entry.name}

    def _function(self, function: Any, encoder: Encoder) -> Any:
        lent = lent_of(function)
        if lent is None or lent.sender != self._lent.sender or lent.is_lost:
            raise NotLossless("a function of the kernel's")
        return {_TAG: lent.callback.id}


def mentions(content: bytes | dict[str, Any]) -> Iterator[str]:
    """The ids of the functions that a message's content mentions, each as often as it does."""
    if isinstance(content, bytes):
        if b'"$callback"' not in content:
            return
        try:
            content = unpack_object(content)
        except SnakeError:
            return
    left: list[Any] = [content]
    while left:
        data = left.pop()
        if type(data) is list:
            left += data
        elif type(data) is dict:
            if len(data) == 1 and _TAG in data:
                told = data[_TAG]
                id = told.get("id") if type(told) is dict else told
                if type(id) is str:
                    yield id
            left += data.values()
