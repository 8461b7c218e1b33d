"""A stock jupyter_client on a running kernel, sending any of our messages by any route and counting replies.

Rules: nothing of our own client is used. A reply is only believed to be the only one after a later request on
the same route was answered, for every route answers in order.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.session import DELIM

PATIENCE = 60.0


class Stock:
    """One stock client. ``messages[channel]`` holds all that came, oldest first."""

    def __init__(self, connection_info: dict[str, Any]) -> None:
        self.kc = BlockingKernelClient()
        self.kc.load_connection_info(connection_info)
        self.kc.start_channels(hb=False)
        self.session = self.kc.session
        self.sockets: dict[str, zmq.Socket[bytes]] = {
            "shell": self.kc.shell_channel.socket,
            "control": self.kc.control_channel.socket,
            "iopub": self.kc.iopub_channel.socket,
        }
        self.messages: dict[str, list[dict[str, Any]]] = {name: [] for name in self.sockets}
        self._poller = zmq.Poller()
        for socket in self.sockets.values():
            self._poller.register(socket, zmq.POLLIN)
        self._numbers = itertools.count()
        self._join()

    def _join(self) -> None:
        # A subscriber sees what is published after it joined: ask until a status comes back.
        deadline = time.monotonic() + PATIENCE
        asked: set[str] = set()
        while time.monotonic() < deadline:
            asked.add(self.send("kernel_info_request"))
            if self.poll(lambda: any(_parent(m) in asked for m in self.messages["iopub"]), 0.2):
                # Output that belongs to no thread goes to the latest request: from now on, a test's.
                self.until(lambda: all(map(self.replies, asked)), "replies")
                self.flush_iopub()
                for came in self.messages.values():
                    came.clear()
                return
        raise TimeoutError("nothing came on iopub")

    def close(self) -> None:
        """Close the channels."""
        self.kc.stop_channels()
        self.kc.context.destroy(linger=0)

    # -- sending -----------------------------------------------------------------------------------

    def send(
        self,
        msg_type: str,
        content: Any = None,
        *,
        channel: str = "shell",
        subshell_id: Any = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> str:
        """Send a message as jupyter_client does; ``"call"`` stands for ``"snake_call_request"``."""
        if "_" not in msg_type or not msg_type.endswith(
            ("_request", "_reply", "comm_open", "comm_msg", "comm_close")
        ):
            msg_type = f"snake_{msg_type}_request"
        msg = self.session.msg(msg_type, content or {}, metadata=metadata)
        if subshell_id is not None:
            msg["header"]["subshell_id"] = subshell_id
        self.session.send(self.sockets[channel], msg, buffers=list(buffers) or None)
        return str(msg["header"]["msg_id"])

    def frames(
        self,
        msg_type: str,
        *,
        content: bytes = b"{}",
        metadata: bytes = b"{}",
        parent: bytes = b"{}",
        header: dict[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> tuple[str, list[bytes]]:
        """A message with parts of one's own, signed rightly: its id and its frames."""
        head = {**self.session.msg_header(msg_type), **(header or {})}
        signed = [self.session.pack(head), parent, metadata, content]
        return str(head["msg_id"]), [DELIM, self.session.sign(signed), *signed, *buffers]

    def send_frames(self, frames: list[bytes], *, channel: str = "shell") -> None:
        """Send frames as they are."""
        self.sockets[channel].send_multipart(frames)

    # -- receiving ---------------------------------------------------------------------------------

    def poll(self, done: Callable[[], bool], seconds: float) -> bool:
        """Read what comes until ``done`` or the time is over; returns ``done()``."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return done()
            for socket, _ in self._poller.poll(left * 1000):
                name = next(n for n, s in self.sockets.items() if s is socket)
                while True:
                    try:
                        frames = socket.recv_multipart(zmq.NOBLOCK)
                    except zmq.Again:
                        break
                    _, parts = self.session.feed_identities(frames)
                    self.messages[name].append(self.session.deserialize(parts))
        return True

    def until(self, done: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Read until ``done``; fails where that takes too long."""
        assert self.poll(done, seconds), f"waited {seconds} s for {what}"

    def came(self, msg_id: str, channel: str = "shell") -> list[dict[str, Any]]:
        """What has come so far as children of a request: its reply, and messages beside it."""
        return [m for m in self.messages[channel] if _parent(m) == msg_id]

    def replies(self, msg_id: str, channel: str = "shell") -> list[dict[str, Any]]:
        """The replies to a request that have come so far."""
        return [m for m in self.came(msg_id, channel) if m["msg_type"].endswith("_reply")]

    def reply(self, msg_id: str, *, channel: str = "shell") -> dict[str, Any]:
        """The reply to a request, waited for; whether it is the only one is not checked."""
        self.until(lambda: bool(self.replies(msg_id, channel)), "a reply")
        return self.replies(msg_id, channel)[0]

    def fence(self, *, channel: str = "shell", subshell_id: str | None = None) -> None:
        """Wait until this route has answered all that was sent on it."""
        self.reply(self.send("ping", channel=channel, subshell_id=subshell_id), channel=channel)

    def only_reply(
        self, msg_id: str, *, channel: str = "shell", subshell_id: str | None = None
    ) -> dict[str, Any]:
        """The one reply to a request; fails where there is none, or a second."""
        self.reply(msg_id, channel=channel)
        self.fence(channel=channel, subshell_id=subshell_id)
        found = self.replies(msg_id, channel)
        assert len(found) == 1, [m["msg_type"] for m in found]
        return found[0]

    def ask(self, op: str, content: Any = None, **route: Any) -> dict[str, Any]:
        """Send a request and return the content of its one reply, whatever its status."""
        msg_id = self.send(op, content, **route)
        kept = {name: route[name] for name in ("channel", "subshell_id") if name in route}
        return dict(self.only_reply(msg_id, **kept)["content"])

    def ok(self, op: str, content: Any = None, **route: Any) -> dict[str, Any]:
        """Like ``ask``, for a request that must go well."""
        reply = self.ask(op, content, **route)
        assert reply["status"] == "ok", reply
        return reply

    def fails(self, op: str, content: Any = None, **route: Any) -> dict[str, Any]:
        """Like ``ask``, for a request that must fail; checks the fields of an error reply."""
        reply = self.ask(op, content, **route)
        check_error(reply)
        return reply

    def call(self, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a target and return the result's value as it came."""
        reply = self.ok("call", {"target": target, "args": list(args), "kwargs": kwargs})
        return reply["result"].get("value")

    def run(self, code: str, **options: Any) -> dict[str, Any]:
        """Run a cell; returns the content of its reply."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, **options}
        return dict(self.reply(self.send("execute_request", content))["content"])

    def cell(self, code: str) -> None:
        """Run a cell that must go well."""
        reply = self.run(code)
        assert reply["status"] == "ok", reply

    def until_it_prints(self, msg_id: str) -> None:
        """Wait until a request has printed something: its code runs."""

        def has_printed() -> bool:
            return any(m["msg_type"] == "stream" and _parent(m) == msg_id for m in self.messages["iopub"])

        self.until(has_printed, "the code to print")

    # -- iopub -------------------------------------------------------------------------------------

    def flush_iopub(self) -> None:
        """Wait until all that was published so far has come."""
        fence = self.send("kernel_info_request")
        self.until(lambda: self._is_idle(fence), "iopub")

    def published(self, msg_id: str) -> list[dict[str, Any]]:
        """What was published for a request, status included, up to now."""
        self.flush_iopub()
        return [m for m in self.messages["iopub"] if _parent(m) == msg_id]

    def statuses(self, msg_id: str) -> list[str]:
        """The states published for a request."""
        return [m["content"]["execution_state"] for m in self.published(msg_id) if m["msg_type"] == "status"]

    def outputs(self, msg_id: str) -> list[dict[str, Any]]:
        """What was published for a request, status apart."""
        return [m for m in self.published(msg_id) if m["msg_type"] != "status"]

    def _is_idle(self, msg_id: str) -> bool:
        return any(
            _parent(m) == msg_id and m["content"].get("execution_state") == "idle"
            for m in reversed(self.messages["iopub"])
        )


def _parent(message: dict[str, Any]) -> str | None:
    header = message.get("parent_header") or {}
    return header.get("msg_id")


def check_error(reply: dict[str, Any]) -> None:
    """Every error reply says what, where, whose fault, and when."""
    assert reply["status"] == "error", reply
    for name in ("ename", "evalue", "code", "error", "epoch"):
        assert isinstance(reply[name], str), name
    assert reply["error"], reply
    assert reply["fault"] in ("caller", "target", "kernel"), reply
    assert reply["at"] is None or reply["at"].startswith("$"), reply
    assert isinstance(reply["timestamp"], float)
    assert isinstance(reply["output"], int)
    assert reply["traceback"], reply
    assert all(isinstance(line, str) for line in reply["traceback"]), reply
