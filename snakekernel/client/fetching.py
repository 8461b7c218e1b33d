"""``outcome``: what an earlier call gave, by its ``call_id``, for both clients.

Rules: the kernel waits for the call's end for a while and is then asked again, so that it keeps nothing for
a client that is gone. The call itself is not touched, whoever gives up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from ..errors import ReplyTimeout, from_reply
from .payload import Finish
from .requests import Requests

#: Seconds that the kernel waits for the end of a call before it is asked again.
_AT_ONCE: Final = 20.0
#: Seconds that the answer itself may take.
_PATIENCE: Final = 30.0
#: In place of what a call gave, while it has not ended.
_UNDER_WAY: Final = object()

_Buffers = Sequence[memoryview]


class Fetching(Requests):
    """Fetching what was called before, by this client or another."""

    def outcome(
        self,
        call_id: str,
        *,
        timeout: float | None = None,
        session_id: str | None = None,
        epoch: str | None = None,
    ) -> Any:
        """What a call gave that was made with this ``call_id``: its result, or it raises the call's error.

        It answers while the kernel is busy, and runs nothing.

        Args:
            timeout: seconds to wait for the call's end; 0 only looks, None waits for as long as it runs.
            session_id: of the call; proxies in the result lead there.
            epoch: the kernel process that it was sent to, where that is known (``ping()["epoch"]``).

        Raises:
            NotFound: no such call has come to this kernel. OutcomeUnknown: its outcome is kept no longer, or
            this is another kernel process. ReplyTimeout: it has not ended in time; it goes on.
        """
        owner = self._in_session(session_id)
        return self._fetched(call_id, owner._ended, timeout, epoch)

    def exchange_outcome(self, call_id: str, *, timeout: float | None = None) -> Any:
        """As ``outcome``, as it came: the content of the call's reply, also that of an error, and its
        buffers."""
        return self._fetched(call_id, _as_it_came, timeout, None)

    def _fetched(self, call_id: str, finish: Finish, timeout: float | None, epoch: str | None) -> Any:
        ask = partial(self._ask, call_id, partial(_outcome_of, finish), epoch)
        until = None if timeout is None else time.monotonic() + timeout
        return _awaited(ask, call_id, until) if self._is_async else _waited(ask, call_id, until)

    def _ask(self, call_id: str, finish: Finish, epoch: str | None, seconds: float) -> Any:
        link = self._link
        if epoch is None and link is not None:
            # Asking is no use of the id: it may still be called in a kernel that starts later.
            epoch = link.epochs.known(call_id, link.last_epoch)
        fields = {"call_id": call_id, "timeout": seconds, "epoch": epoch}
        return self._send("outcome", fields, finish, None, seconds + _PATIENCE, channel="control")

    def _ended(self, content: dict[str, Any], buffers: _Buffers) -> Any:
        """What the call gave."""
        op, outcome = content["op"], content["outcome"]
        if outcome["status"] == "error":
            error = from_reply(outcome)
            error.buffers = buffers
            raise error
        if op == "pipeline":
            results = outcome["pipeline_results"]
            return [self._step_result(_sent(one), one, buffers) for one in results]
        return self._step_result({"op": op}, outcome, buffers)


def _sent(result: dict[str, Any]) -> dict[str, Any]:
    """What is known of a pipeline's step by its result."""
    return {} if "result" in result else {"op": "retrieve"} if "object" in result else {"op": ""}


def _outcome_of(finish: Finish, content: dict[str, Any], buffers: _Buffers) -> Any:
    return finish(content, buffers) if content["state"] == "done" else _UNDER_WAY


def _as_it_came(content: dict[str, Any], buffers: _Buffers) -> tuple[dict[str, Any], _Buffers]:
    return content["outcome"], buffers


def _next_wait(until: float | None) -> float:
    return _AT_ONCE if until is None else max(0.0, min(until - time.monotonic(), _AT_ONCE))


def _check(call_id: str, until: float | None) -> None:
    if until is not None and time.monotonic() >= until:
        raise ReplyTimeout(f"The call {call_id!r} has not ended yet; it goes on.")


def _waited(ask: Any, call_id: str, until: float | None) -> Any:
    while (found := ask(_next_wait(until))) is _UNDER_WAY:
        _check(call_id, until)
    return found


async def _awaited(ask: Any, call_id: str, until: float | None) -> Any:
    while (found := await ask(_next_wait(until))) is _UNDER_WAY:
        _check(call_id, until)
    return found
