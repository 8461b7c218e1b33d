"""What the fuzzer calls: bytes in, messages out of them, each through the kernel's own way to its reply.

An input holds up to eight messages for one kernel, divided by empty lines. A message is lines: where it
comes in (s, u, c or m: shell, subshell, control, comm) with ``+`` where it is signed rightly and ``-`` where
the second line is its signature; then that signature, the header, the parent header, the metadata, the
content, and any buffers. A header such as ``call m1`` stands for a whole one. So an input can be read, and a
mutation of it is most often a message again.

What has to hold, whatever the bytes are:

- taking a message apart gives a message of ours, or none, or ``BadFrame``; nothing else is raised;
- what is not signed rightly, or was signed and sent before, is a ``BadFrame`` and runs nothing;
- each other request gets exactly one reply, which its own type can read (``verify_reply``): an answer, or an
  error of the protocol that is no failure of the kernel's own code;
- a reply takes less than ``SECONDS`` and is smaller than ``BYTES``;
- after it the kernel answers a ping, and no request holds its session.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Final

from jupyter_client.session import Session

from snakekernel.commands.dispatch import Outcome, Run, frame_of_comm
from snakekernel.commands.outcomes import Packed
from snakekernel.commands.runtime import Runtime
from snakekernel.commands.table import BUILTINS
from snakekernel.durable.kept import Durable
from snakekernel.durable.places import Places
from snakekernel.kernel.activity import Activities
from snakekernel.kernel.incoming import split
from snakekernel.kernel.session import KernelSession
from snakekernel.objects.policy import TargetPolicy
from snakekernel.objects.secrets import Secrets
from snakekernel.testing.dispatch import make_runtime, verify_reply
from snakekernel.values import Limits
from snakekernel.wire.errors import InvalidRequest
from snakekernel.wire.frame import DELIMITER, BadFrame, Frame, pack_json
from snakekernel.wire.names import Door, request_type

#: Bounds of one reply. Generous: they are to find what grows without a bound, on any machine.
SECONDS: Final = 20.0
BYTES: Final = 16 << 20
#: Bytes of an input; beyond it nothing new is found, only more of the same.
LONGEST: Final = 4_096
_MESSAGES: Final = 8
_KEY: Final = b"the key of the fuzzer"
_DOORS: Final[dict[bytes, Door]] = {b"s": "shell", b"u": "subshell", b"c": "control", b"m": "comm"}
#: Targets that harm nobody, and whose results are not much bigger than their arguments.
_HARMLESS: Final = TargetPolicy(
    allow=[
        *(
            f"builtins.{name}"
            for name in ("len", "list", "dict", "sorted", "sum", "abs", "iter", "ValueError")
        ),
        "operator.truediv",
        "json.loads",
    ]
)


class Wrong(AssertionError):
    """What the fuzzer looks for: an input after which something does not hold."""


class _Here(Places):
    """Files of names alone: what a fuzzer makes up as a path must not be written to."""

    def file(self, name: str | None, path: str | None) -> Path:
        """As of a kernel, with any path the kernel's own file."""
        return super().file(None if path is not None else name, None)


class _Kernel:
    """One kernel's way of messages, without its sockets."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"fuzz-{uuid.uuid4().hex}"
        self.runtime: Runtime = make_runtime(
            policy=_HARMLESS,
            table=BUILTINS,
            durable=Durable(_Here(folder=self._folder, own="own")),
            limits=Limits(items=20_000, json_bytes=1 << 20, buffer_bytes=1 << 20),
            auto_limits=Limits(items=2_000, json_bytes=1 << 16, buffer_bytes=1 << 16),
        )
        session = Session(key=_KEY)
        self.session = KernelSession.adopt(session, Activities(lambda *_: None), Secrets(), _at_once)
        self._loop: asyncio.AbstractEventLoop | None = None

    def message(self, door: Door, frames: list[bytes]) -> bool:
        """Take one message to its end; whether it got a reply. Raises Wrong."""
        handled = self.runtime.requests_handled
        try:
            incoming = split(frames, frames.index(DELIMITER) if DELIMITER in frames else -1)
            if incoming is None:
                return False
            self.session.admit(incoming.signed)
        except BadFrame:
            if self.runtime.requests_handled != handled:
                raise Wrong("a bad frame was served") from None
            return False
        header = incoming.header
        buffers = [memoryview(part) for part in incoming.buffers]
        frame = Frame(
            header["msg_type"],
            header["msg_id"],
            incoming.signed[4],
            incoming.signed[3],
            buffers,
            "sender",
            "name",
        )
        self.serve(door, frame)
        return True

    def comm(self, data: bytes) -> None:
        """What a comm brings. Raises Wrong."""
        try:
            decoded = json.loads(data)
        except (ValueError, RecursionError):
            # Taking comm messages apart is ipykernel's own part.
            return
        try:
            frame, _ = frame_of_comm(decoded, "m", [])
        except InvalidRequest as error:
            run = Run(Frame(request_type("?"), "m", {}), self.runtime, "comm")
            self._check(run, run.pack(run.fail(error)))
        else:
            self.serve("comm", frame)

    def serve(self, door: Door, frame: Frame) -> None:
        """A request that was admitted, to its reply. Raises Wrong."""
        began = time.process_time()
        run = Run(frame, self.runtime, door)
        step = run.resume()
        while not isinstance(step, Outcome):
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            try:
                value = self._loop.run_until_complete(
                    asyncio.ensure_future(_of(step.awaitable), loop=self._loop)
                )
            except Exception as error:
                step = run.throw(error)
            else:
                step = run.resume(value)
        self._check(run, run.pack(step))
        if time.process_time() - began > SECONDS:
            raise Wrong(f"{frame.msg_type} took {time.process_time() - began:.1f} s")

    def _check(self, run: Run, packed: Packed) -> None:
        content = verify_reply(packed, self.runtime, run.op)
        if packed.nbytes > BYTES:
            raise Wrong(f"a reply of {packed.nbytes} bytes to {run.frame.msg_type}")
        if str(content.get("error", "")).startswith("The kernel failed"):
            raise Wrong("\n".join(content["traceback"]))

    def close(self) -> None:
        """Check that it goes on, and let go of what it has."""
        self.serve("control", Frame(request_type("ping"), "last", b"{}", b"{}"))
        runtime = self.runtime
        sessions = list(runtime.sessions.sessions())
        if any(session.leases for session in sessions):
            raise Wrong("a request that is over holds its session")
        for session in sessions:
            runtime.forget(session, writer="fuzz")
        runtime.publications.clear(None)
        runtime.durable.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._loop is not None:
            self._loop.close()


async def _of(awaitable: Any) -> Any:
    return await awaitable


def _at_once(work: Any, *args: Any) -> Any:
    return work(*args)


def messages(data: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The messages of an input: how each comes in, and its lines."""
    found = [block.split(b"\n") for block in data.split(b"\n\n")[:_MESSAGES]]
    return [(lines[0], lines[1:]) for lines in found]


def _header(line: bytes) -> bytes:
    words = line.split(b" ")
    if line.startswith(b"{") or len(words) != 2:
        return line
    op, msg_id = (word.decode("utf-8", "replace") for word in words)
    return pack_json({"msg_id": msg_id, "msg_type": request_type(op), "session": "fuzz", "username": "fuzz"})


def one_input(data: bytes) -> int:
    """Serve the messages of an input; how many replies there were. Raises what must not be raised."""
    replies = 0
    kernel = _Kernel()
    try:
        for way, lines in messages(data[:LONGEST]):
            door = _DOORS.get(way[:1], "shell")
            if door == "comm":
                kernel.comm(b"\n".join(lines))
                continue
            signature = b""
            if way[1:2] == b"-":
                signature, lines = (lines[0], lines[1:]) if lines else (b"", [])
            signed = [_header(line) for line in lines[:1]] + lines[1:4]
            if way[1:2] != b"-":
                # Short of parts it cannot be signed.
                signature = kernel.session._signer.sign(signed)
            replies += kernel.message(door, [b"identity", DELIMITER, signature, *signed, *lines[4:]])
    finally:
        kernel.close()
    return replies


def quiet() -> None:
    """The kernel logs what fails; a fuzzer makes that by the thousand."""
    logging.getLogger("snakekernel").setLevel(logging.CRITICAL)
