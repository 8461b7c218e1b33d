"""zerorpc: msgpack over ZeroMQ and gevent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..peer import OUTSTANDING, Kind, Peer, one_by_one
from ..processes import free_port, listening, server
from ..served import Served, array_of, frame_bytes, frame_of


@contextmanager
def opened() -> Iterator[Peer]:
    """One client; calls in flight by its asynchronous calls."""
    import zerorpc

    # It reports every event that it caught up with.
    logging.getLogger("zerorpc").setLevel(logging.CRITICAL)
    with server(__name__) as process:
        kept = zerorpc.Client(process.address, timeout=120)
        try:

            def in_flight(count: int) -> list[Any]:
                got = []
                for begin in range(0, count, OUTSTANDING):
                    numbers = range(begin, min(begin + OUTSTANDING, count))
                    # "async" is a word of Python's own since.
                    under_way = [kept("add", i, 1, **{"async": True}) for i in numbers]
                    got += [result.get() for result in under_way]
                return got

            yield Peer(
                call=lambda: kept.add(2, 3),
                in_flight=in_flight,
                swap=kept.swap,
                put=lambda array: kept.put_bytes(array.tobytes()),
                get=lambda: array_of(kept.get_bytes()),
                make=kept.make,
                get_made=lambda: array_of(kept.get_made_bytes()),
                put_frame=lambda frame: kept.put_frame_bytes(bytes(frame_bytes(frame))),
                get_frame=lambda: frame_of(kept.get_frame_bytes()),
                loop=one_by_one(kept.add),
                pids=[process.pid],
            )
        finally:
            kept.close()


KINDS: Final = [Kind(name="zerorpc", open=opened, needs=("zerorpc",))]

if __name__ == "__main__":
    import zerorpc

    serving = zerorpc.Server(Served())
    address = f"tcp://127.0.0.1:{free_port()}"
    serving.bind(address)
    listening(address)
    serving.run()
