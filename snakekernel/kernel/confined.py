"""A kernel in a sandbox: it gives up the last rights it was started with, and listens where it was told to.

Rules: ``SNAKEKERNEL_SANDBOX`` is ``{"sockets": {port: descriptor}, "signatures": descriptor, "user": id or
null}``; children never see it. The sockets listen already, made by whoever built the sandbox, so nothing of
the host need be writable here. This is done before anything of a user runs.
"""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Final

import zmq
from ipykernel.heartbeat import Heartbeat

#: What the sandbox's builder sets.
VARIABLE: Final = "SNAKEKERNEL_SANDBOX"
#: Descriptor of the file of signatures that outlives the process (``seen``); -1 where none is given.
signatures = -1
_PR_SET_DUMPABLE: Final = 4


def settle() -> dict[int, int]:
    """Become the sandbox's user, where that is to be done; descriptors of the sockets by their ports."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return {}
    global signatures
    told = json.loads(text)
    signatures = int(told["signatures"])
    user = told["user"]
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        # With it go all capabilities.
        os.setresuid(user, user, user)
        # Else its own files in /proc would be another user's.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    sockets = {int(port): int(descriptor) for port, descriptor in told["sockets"].items()}
    for descriptor in (signatures, *sockets.values()):
        os.set_inheritable(descriptor, False)
    return sockets


class GivenHeartbeat(Heartbeat):  # type: ignore[misc]  # ipykernel ships no types that mypy can follow
    """As stock, on a socket that listens already."""

    descriptor = -1

    def _try_bind_socket(self) -> Any:
        self.socket.setsockopt(zmq.USE_FD, self.descriptor)
        return super()._try_bind_socket()
