"""Whether a client's connection is lost, as zmq tells it.

Rules: used under the link's lock. An event that was lost may have told of a loss, and is taken for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from .door import Door
from .sleeper import Sleeper

_WATCHED: Final = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECTED
_NOBLOCK: Final = int(zmq.NOBLOCK)


class Monitor:
    """Watches one socket.

    Args:
        lose: told of each loss; with True where an event was broken off.

    Attributes:
        door: what its events come through. is_lost: whether the connection is lost now.
    """

    def __init__(self, watched: zmq.Socket[bytes], lose: Callable[[bool], None]) -> None:
        self._watched = watched
        self._lose = lose
        socket = watched.get_monitor_socket(_WATCHED)
        socket.linger = 0
        self.door = Door(socket, "")
        self._sleeper = Sleeper([self.door.descriptor])
        self.is_lost = False

    def look(self) -> None:
        """Read what has come, whether a descriptor told of it or not."""
        if self.door.unread or self._sleeper.sleep(0):
            self.read()

    def read(self) -> None:
        """Read what has come."""
        door = self.door
        door.unread = True
        if door.torn:
            self._lose(True)
            door.drop()
            door.torn = False
        while door.has_message():
            door.torn = True
            event = parse_monitor_message(door.socket.recv_multipart(_NOBLOCK))
            door.torn = False
            self.is_lost = event["event"] == zmq.EVENT_DISCONNECTED
            if self.is_lost:
                self._lose(False)
        door.unread = False

    def close(self) -> None:
        """Watch no more, before the sockets are closed."""
        self._watched.disable_monitor()
