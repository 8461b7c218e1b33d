"""A client's function as long as something here stands for it, and a call of it that is under way."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from ..commands.requester import Requester
from ..values import Callback
from ..wire.frame import Frame
from .incoming import Incoming


class Lent:
    """One function of a client's, as long as something here stands for it."""

    __slots__ = ("callback", "calls", "is_lost", "mentions", "requester", "sender", "session_id", "stand_in")

    def __init__(self, callback: Callback, sender: str) -> None:
        self.callback = callback
        self.sender = sender
        #: Of the last request that brought it.
        self.requester: Requester | None = None
        self.session_id: str | None = None
        #: How often it was mentioned, which is to be given back.
        self.mentions = 0
        self.is_lost = False
        self.stand_in: weakref.ref[Any] | None = None
        #: Its calls under way.
        self.calls: set[Call] = set()

    @property
    def key(self) -> tuple[str, str]:
        return self.sender, self.callback.id

    def __reduce__(self) -> Any:
        raise TypeError(f"the function {self.callback.name!r} lives in a client and cannot be pickled")


#: What a waiting call gets: the client's answer, a request made within it, or None where the client is lost.
Item = Frame | Incoming | None


class Awake:
    """Stands in an inbox for nothing: whoever waits is to be stopped, and an exception is under way."""


Inbox = SimpleQueue[Item | Awake]


class Call:
    """One call under way; ``put`` gives something to whoever waits, from any thread.

    ``put`` raises RuntimeError where that one's loop is closed; ``inbox`` is what a thread waits for.
    """

    __slots__ = ("id", "inbox", "lent", "put")

    def __init__(
        self, id: str, lent: Lent, put: Callable[[Item], object], inbox: Inbox | None = None
    ) -> None:
        self.id = id
        self.lent = lent
        self.put = put
        self.inbox = inbox
