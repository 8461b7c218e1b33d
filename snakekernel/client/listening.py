"""The iopub channel of a client: what requests under way print, show and tell of their progress.

Rules: opened when first somebody listens, and subscribed to only while somebody does, so that what others
print is not gathered by a client that rests. A subscription is known to hold once the kernel has welcomed a
topic of ours that was subscribed to after it; no request is sent before. All is used under the link's lock.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Final, Protocol

import msgspec
import zmq

from ..wire.frame import DELIMITER, BadFrame, Headers, Signer, unpack_header
from .door import Door
from .message import Received, Slot

_WELCOME: Final = "iopub_welcome"
#: What tells that something runs, and is no output.
_STATUS: Final = "status"
_NOBLOCK: Final = int(zmq.NOBLOCK)
_numbers = itertools.count()


class _Welcome(msgspec.Struct):
    subscription: str


class Ear(Protocol):
    """Gets what one request puts out."""

    def hear(self, msg_type: str, content: bytes) -> None:
        """A message of the request's came. Called under the link's lock: only takes note."""


class Listening:
    """The channel, and who listens: by the numbers of the requests."""

    def __init__(self, door: Door, signer: Signer, headers: Headers) -> None:
        self.door = door
        self._signer = signer
        self._headers = headers
        self._ears: dict[int, Ear] = {}
        #: Ours alone, subscribed to after all the rest; None while nothing is subscribed to.
        self._topic: str | None = None
        self._is_welcome = False
        self._waiting: list[Slot] = []

    def add(self, number: int, ear: Ear, ready: Slot) -> bool:
        """Have an ear hear what a request puts out; whether the request may be sent at once.

        Where not, ``ready`` is called when it may, or with the reason why it cannot be.
        """
        self._ears[number] = ear
        if self._topic is None:
            self.door.socket.subscribe(b"")
            self._knock()
        if not self._is_welcome:
            self._waiting.append(ready)
        return self._is_welcome

    def ask_again(self) -> None:
        """No welcome came for a while: ipykernel may overlook a subscription that comes while it sends."""
        if self._topic is not None and not self._is_welcome:
            self.door.socket.unsubscribe(self._topic)
            self._knock()

    def _knock(self) -> None:
        self._topic = f"snakekernel.{self._headers.session}.{next(_numbers)}"
        self.door.socket.subscribe(self._topic)
        # The socket was used, so what has come is read.
        self.read(None)

    def remove(self, number: int) -> None:
        """Nobody listens to this request any more. Idempotent."""
        if self._ears.pop(number, None) is not None and not self._ears:
            self._rest()

    def _rest(self) -> None:
        topic, self._topic, self._is_welcome = self._topic, None, False
        if topic is not None and not self.door.socket.closed:
            self.door.socket.unsubscribe(topic)
            self.door.socket.unsubscribe(b"")
            self.read(None)

    def fail(self, reason: BaseException) -> None:
        """The kernel is lost: whoever waits is told, and the next who listens is to be welcomed anew."""
        self._rest()
        waiting, self._waiting = self._waiting, []
        for slot in waiting:
            slot(reason)

    def read(self, ready: Collection[int] | None) -> None:
        """Read what has come; ``ready`` are the descriptors that are readable, None looks at the socket."""
        door = self.door
        if ready is not None and not door.unread and door.descriptor not in ready:
            return
        if door.torn:
            # One message of many, and the reply says how many there are.
            door.drop()
            door.torn = False
        door.unread = True
        while door.has_message():
            door.torn = True
            frames = door.socket.recv_multipart(_NOBLOCK)
            door.torn = False
            self._deliver(frames)
        door.unread = False

    def _deliver(self, frames: list[bytes]) -> None:
        # A topic stands before the delimiter, or none.
        at = 0 if frames[0] == DELIMITER else 1
        signed = frames[at + 2 : at + 6]
        if len(signed) < 4 or frames[at] != DELIMITER or not self._signer.check(frames[at + 1], signed):
            return
        try:
            if signed[1] == b"{}":
                self._welcome(unpack_header(signed[0]).msg_type, signed[3])
                return
            number = self._headers.number(signed[1])
            ear = None if number is None else self._ears.get(number)
            if ear is not None and (msg_type := unpack_header(signed[0]).msg_type) != _STATUS:
                ear.hear(msg_type, signed[3])
        except BadFrame:
            # Of what is no header of a request nothing can be told.
            return

    def _welcome(self, msg_type: str, content: bytes) -> None:
        if msg_type != _WELCOME or self._topic is None:
            return
        try:
            told = msgspec.json.decode(content, type=_Welcome).subscription
        except msgspec.MsgspecError:
            return
        if told == self._topic:
            self._is_welcome = True
            waiting, self._waiting = self._waiting, []
            for slot in waiting:
                slot(WELCOME)


#: What ``ready`` is called with where a request may be sent.
WELCOME: Final = Received(b"", b"", (), 0)
