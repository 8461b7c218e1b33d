"""The REST interface of a running Jupyter server, as tests of several folders ask it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest

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

    def wait_until_it_answers(self, check: Callable[[], None]) -> None:
        """A server tells its address before it listens there; ``check`` fails the test where it has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.ask("GET", "api/status")
                return
            except urllib.error.URLError:
                check()
        pytest.fail("the server does not answer")


def check_that_it_runs(process: subprocess.Popen[Any], said: Callable[[], str]) -> None:
    """Look a moment whether a process goes on; fails the test with what it ``said`` where it ended."""
    with suppress(subprocess.TimeoutExpired):
        status = process.wait(0.05)
        pytest.fail(f"the server ended with {status}:\n{said()[-4000:]}")
