"""RPyC: a service in a process of its own, on a Unix socket, public attributes allowed.

Over TCP its packets wait for each other (Nagle's algorithm), 40 ms for every burst of calls in flight.
What is not immutable crosses as a reference by default; the record is pickled instead, which takes half the
time, and compression, which only slows random numbers down, is off at both ends.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final

from ..peer import AT_ONCE, OUTSTANDING, WAITS, Kind, LeftOut, Peer, one_by_one, seen
from ..processes import folder, listening, server
from ..served import Served, array_of, frame_bytes, frame_of

_TRIES: Final = 5_000
_CONFIG: Final = {"allow_public_attrs": True, "sync_request_timeout": None}


#: Bytes that one packet carries: what does not fit the socket is copied again for every piece that does.
_PIECE: Final = 1 << 20


class _Service(Served):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.data = b""

    def new_list(self) -> list[Any]:
        return []

    def swap_pickled(self, data: bytes) -> bytes:
        return pickle.dumps(self.swap(pickle.loads(data)), protocol=5)

    def put_piece(self, data: bytes) -> None:
        self.pieces.append(data)

    def put_pieces(self, name: str) -> int:
        data, self.pieces = b"".join(self.pieces), []
        done: int = getattr(self, name)(data)
        return done

    def get_pieces(self, name: str) -> int:
        self.data = getattr(self, name)()
        return len(self.data)

    def get_piece(self, begin: int) -> bytes:
        return self.data[begin : begin + _PIECE]


def _connected(rpyc: Any, address: str) -> Any:
    # The server has bound its socket when it says so, and listens a moment later.
    for _ in range(_TRIES):
        try:
            return rpyc.utils.factory.unix_connect(address, config=_CONFIG)
        except ConnectionRefusedError:
            time.sleep(0.001)
    raise LeftOut("its server does not listen")


def _without_compression() -> Any:
    import rpyc
    from rpyc.core.channel import Channel

    Channel.COMPRESSION_THRESHOLD = 1 << 62
    return rpyc


@contextmanager
def opened() -> Iterator[Peer]:
    """One connection; calls in flight by ``rpyc.async_``."""
    rpyc = _without_compression()

    with (
        folder() as place,
        server(__name__, str(place / "socket")) as process,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        connection = _connected(rpyc, process.address)
        # A connection is served by one thread over there.
        others = [_connected(rpyc, process.address) for _ in range(AT_ONCE)]
        free = SimpleQueue[Any]()
        for other in others:
            free.put(other.root.wait)

        def wait(number: int) -> Any:
            method = free.get()
            try:
                return method(number)
            finally:
                free.put(method)

        try:
            kept = connection.root
            # Looking a method up is a round trip of its own.
            add, swap = kept.add, kept.swap_pickled
            put_piece, put_pieces = kept.put_piece, kept.put_pieces
            get_piece, get_pieces = kept.get_piece, kept.get_pieces
            later, new_list = rpyc.async_(add), kept.new_list

            def put(name: str, data: Any) -> None:
                for begin in range(0, len(data), _PIECE):
                    put_piece(bytes(data[begin : begin + _PIECE]))
                put_pieces(name)

            def get(name: str) -> bytes:
                return b"".join(get_piece(begin) for begin in range(0, get_pieces(name), _PIECE))

            def in_flight(count: int) -> list[Any]:
                got = []
                for begin in range(0, count, OUTSTANDING):
                    under_way = [later(i, 1) for i in range(begin, min(begin + OUTSTANDING, count))]
                    got += [result.value for result in under_way]
                return got

            def refer(count: int) -> None:
                for _ in range(count):
                    new_list()

            yield Peer(
                call=lambda: add(2, 3),
                in_flight=in_flight,
                refer=refer,
                swap=lambda record: pickle.loads(swap(pickle.dumps(record, protocol=5))),
                put=lambda array: put("put_bytes", memoryview(array).cast("B")),
                get=lambda: array_of(get("get_bytes")),
                make=kept.make,
                get_made=lambda: array_of(get("get_made_bytes")),
                put_frame=lambda frame: put("put_frame_bytes", frame_bytes(frame)),
                get_frame=lambda: frame_of(get("get_frame_bytes")),
                call_back=kept.call_back,
                loop=one_by_one(add),
                waits=lambda: list(threads.map(wait, range(WAITS))),
                items=lambda count: list(kept.numbers(count)),
                arrays=lambda count: [seen(array_of(data)) for data in kept.arrays_bytes(count)],
                pids=[process.pid],
            )
        finally:
            for one in (connection, *others):
                one.close()


KINDS: Final = [Kind(name="RPyC", open=opened, needs=("rpyc",), floor="echo, ipc")]

if __name__ == "__main__":
    rpyc = _without_compression()
    from rpyc.utils.server import ThreadedServer

    class _OfConnection(_Service, rpyc.Service):  # type: ignore[misc]
        """One for each connection."""

    serving = ThreadedServer(_OfConnection, socket_path=sys.argv[1], protocol_config=_CONFIG)
    listening(sys.argv[1])
    serving.start()
