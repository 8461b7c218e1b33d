"""The results of calls that are under way.

Rules: what came is kept packed until somebody asks for the result, and is let go then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final

from ..errors import ReplyTimeout, from_reply
from ..wire.frame import check_buffers, unpack_object
from .message import Received
from .payload import Finish

if TYPE_CHECKING:
    from .waiting import Turns, Wait

_log: Final = logging.getLogger(__name__)
#: In place of a reply that was made a result, so that it is not kept twice.
SETTLED: Final = Received(b"", b"", (), 0)


def read_reply(received: Received) -> dict[str, Any]:
    """The content of a reply; raises the exception that an error reply stands for."""
    if received.metadata != b"{}":
        check_buffers(unpack_object(received.metadata), received.buffers, required=False)
    content = unpack_object(received.content)
    if content.get("status") != "ok":
        error = from_reply(content)
        error.buffers = received.buffers
        raise error
    return content


class Future:
    """The result of a call that is under way: as ``concurrent.futures.Future``, but for what follows.

    No thread stands behind it. Replies are read while some thread waits on the client, sends a request
    through it, or asks ``done()``. ``concurrent.futures.wait`` and ``as_completed`` know nothing of that and
    do not work with it. To have many results, ask one after the other: each wait reads what came for all.
    """

    __slots__ = ("_callbacks", "_came", "_finish", "_number", "_op", "_result", "_sleeping", "_turns")

    #: Whether its thread, where it leads, leaves the lead to whoever comes.
    yields = False

    def __init__(self, turns: Turns, op: str, finish: Finish, number: int) -> None:
        self._turns = turns
        self._op = op
        self._finish = finish
        self._number = number
        #: What came, until somebody asks for the result: then ``_result`` makes it a value or an exception.
        self._came: Received | BaseException | None = None
        self._result: tuple[Any, BaseException | None] | None = None
        #: Of threads that wait for it while another leads; most calls never have one.
        self._sleeping: list[Wait] = []
        self._callbacks: list[Callable[[Future], object]] | None = None

    def _receive(self, came: Received | BaseException) -> None:
        # The link's lock is held.
        if self._came is None:
            self._came = came
        self._turns.came(self)

    def step_down(self) -> None:
        """Leave the lead to others, where it ``yields``. On any thread."""

    def _has_come(self) -> bool:
        return self._came is not None

    def _settle(self) -> tuple[Any, BaseException | None]:
        # In this order: what is settled has its result.
        came, result = self._came, self._result
        if result is None:
            assert came is not None
            try:
                result = self._turns.finish(came, self._finish), None
            except Exception as error:
                result = None, error
            result = self._turns.settled(self, result)
        return result

    def result(self, timeout: float | None = None) -> Any:
        """The result, or the exception that the call ended with.

        Args:
            timeout: seconds to wait; None waits as long as the kernel lives. The future can be asked again.

        Raises:
            ReplyTimeout: nothing came in time. CancelledError: it was cancelled.
            KernelLost: the kernel ended, or the client was closed.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._settle()[0]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that the call ended with, or None; waits like ``result``, and raises ReplyTimeout and
        CancelledError like it."""
        if self._came is None and not self._turns.wait(self, timeout):
            raise ReplyTimeout(f"No reply to {self._op!r} within {timeout} s; it may still run.")
        error = self._settle()[1]
        if isinstance(error, CancelledError):
            raise error
        return error

    def done(self) -> bool:
        """Whether the result is there, or it was cancelled; reads what has come."""
        if self._came is None:
            self._turns.look()
        return self._came is not None

    def running(self) -> bool:
        """Whether the reply is still to come: it may run, or wait for its turn in the kernel."""
        return not self.done()

    def cancel(self) -> bool:
        """Give the result up and have the kernel stop the call; False if the result is there already.

        It is not waited for: the call may run on for a moment, or for long in native code. ``cancel`` of the
        client waits, and tells what became of it.
        """
        if self.done():
            return False
        return self._turns.give_up(self, CancelledError(f"The result of this {self._op!r} was given up."))

    def cancelled(self) -> bool:
        """Whether ``cancel`` gave it up."""
        return isinstance(self._came, CancelledError)

    def add_done_callback(self, function: Callable[[Future], object]) -> None:
        """Call ``function(future)`` when it is done; at once if it is.

        It is called in the thread that reads the reply, which may be any that uses the client, and not before
        one does. What it raises is logged.
        """
        if self._turns.note_callback(self, function):
            return
        call_back(function, self)

    def __repr__(self) -> str:
        state = "pending" if self._came is None else "cancelled" if self.cancelled() else "done"
        return f"<snakekernel {self._op} {state}>"


def call_back(function: Callable[[Future], object], future: Future) -> None:
    """Call a future's callback; what it raises is logged."""
    try:
        function(future)
    except Exception:
        _log.exception("A callback of %r failed", future)
