"""RPyC: a service in a process of its own, on a Unix socket, public attributes allowed.

Over TCP its packets wait for each other (Nagle's algorithm), 40 ms for every burst of calls in flight.
What is not immutable crosses as a reference by default; the record is pickled instead, which takes half the
time, and compression, which only slows random numbers down, is off at both ends.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..peer import OUTSTANDING, Kind, Peer, one_by_one
from ..processes import folder, listening, server
from ..served import Served, array_of, frame_bytes, frame_of

_CONFIG: Final = {"allow_public_attrs": True, "sync_request_timeout": None}


class _Pickling(Served):
    def swap_pickled(self, data: bytes) -> bytes:
        return pickle.dumps(self.swap(pickle.loads(data)), protocol=5)


def _without_compression() -> Any:
    import rpyc
    from rpyc.core.channel import Channel

    Channel.COMPRESSION_THRESHOLD = 1 << 62
    return rpyc


@contextmanager
def opened() -> Iterator[Peer]:
    """One connection; calls in flight by ``rpyc.async_``."""
    rpyc = _without_compression()

    with folder() as place, server(__name__, str(place / "socket")) as process:
        connection = rpyc.utils.factory.unix_connect(process.address, config=_CONFIG)
        try:
            kept = connection.root
            # Looking a method up is a round trip of its own.
            add, swap, put, get = kept.add, kept.swap_pickled, kept.put_bytes, kept.get_bytes
            later = rpyc.async_(add)

            def in_flight(count: int) -> list[Any]:
                got = []
                for begin in range(0, count, OUTSTANDING):
                    under_way = [later(i, 1) for i in range(begin, min(begin + OUTSTANDING, count))]
                    got += [result.value for result in under_way]
                return got

            yield Peer(
                call=lambda: add(2, 3),
                in_flight=in_flight,
                swap=lambda record: pickle.loads(swap(pickle.dumps(record, protocol=5))),
                put=lambda array: put(array.tobytes()),
                get=lambda: array_of(get()),
                make=kept.make,
                get_made=lambda: array_of(kept.get_made_bytes()),
                put_frame=lambda frame: kept.put_frame_bytes(bytes(frame_bytes(frame))),
                get_frame=lambda: frame_of(kept.get_frame_bytes()),
                loop=one_by_one(add),
                pids=[process.pid],
            )
        finally:
            connection.close()


KINDS: Final = [Kind(name="RPyC", open=opened, needs=("rpyc",), floor="echo, ipc")]

if __name__ == "__main__":
    rpyc = _without_compression()
    from rpyc.utils.server import ThreadedServer

    class _Service(_Pickling, rpyc.Service):  # type: ignore[misc]
        """One for each connection."""

    serving = ThreadedServer(_Service, socket_path=sys.argv[1], protocol_config=_CONFIG)
    listening(sys.argv[1])
    serving.start()
