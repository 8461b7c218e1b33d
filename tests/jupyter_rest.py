"""The REST interface of a running Jupyter server, as tests of several folders ask it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
import websocket

#: Seconds that one answer may take, a server until it gives the first, or a program as a whole.
PATIENCE: Final = 90


class JupyterRest:
    """A running server.

    Attributes:
        url: ends with a slash. token: what the server knows its clients by.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer of one request, or None where the answer is empty."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def channels(self, kernel_id: str) -> websocket.WebSocket:
        """The websocket that carries all channels of one kernel."""
        return websocket.create_connection(
            f"{self.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels",
            header={"Authorization": f"token {self.token}"},
            timeout=PATIENCE,
        )

    def wait_until_it_answers(self, check: Callable[[], None]) -> None:
        """A server tells its address before it listens there; ``check`` fails the test where it has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.ask("GET", "api/status")
                return
            except OSError:
                # Refused, or cut where the server ends just now.
                check()
        pytest.fail("the server does not answer")


def message(msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
    """A message for the shell channel, as front-ends send it through a websocket."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": msg_type,
        "session": "tests",
        "username": "tests",
        "version": "5.3",
        "date": "2026-01-01T00:00:00Z",
    }
    return {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}


def until(
    socket: websocket.WebSocket, request: dict[str, Any], last: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """The messages that belong to a request, up to the one for which ``last`` holds."""
    messages = []
    while True:
        came = json.loads(socket.recv())
        if came["parent_header"].get("msg_id") == request["header"]["msg_id"]:
            messages.append(came)
            if last(came):
                return messages


def check_that_it_runs(process: subprocess.Popen[Any], said: Callable[[], str]) -> None:
    """Look a moment whether a process goes on; fails the test with what it ``said`` where it ended."""
    with suppress(subprocess.TimeoutExpired):
        status = process.wait(0.05)
        pytest.fail(f"the server ended with {status}:\n{said()[-4000:]}")
