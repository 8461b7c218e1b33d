"""Pyro5: an object in a daemon of its own process; msgpack, the fastest of its serializers that can batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..peer import STEPS, Kind, Peer, one_by_one
from ..processes import listening, server
from ..served import Served, array_of, frame_bytes, frame_of


@contextmanager
def opened() -> Iterator[Peer]:
    """One proxy; many calls by its own batch, which takes the place of calls in flight."""
    import Pyro5.api

    Pyro5.api.config.SERIALIZER = "msgpack"
    with server(__name__) as process, Pyro5.api.Proxy(process.address) as kept:

        def batch(count: int) -> list[Any]:
            calls = Pyro5.api.BatchProxy(kept)
            for i in range(count):
                calls.add(i, 1)
            return list(calls())

        def chain() -> Any:
            calls = Pyro5.api.BatchProxy(kept)
            calls.reset()
            for _ in range(STEPS):
                calls.count(1)
            return list(calls())[-1]

        yield Peer(
            call=lambda: kept.add(2, 3),
            batch=batch,
            swap=lambda record: kept.swap(record),
            put=lambda array: kept.put_bytes(array.tobytes()),
            get=lambda: array_of(kept.get_bytes()),
            make=lambda count, value: kept.make(count, value),
            get_made=lambda: array_of(kept.get_made_bytes()),
            put_frame=lambda frame: kept.put_frame_bytes(bytes(frame_bytes(frame))),
            get_frame=lambda: frame_of(kept.get_frame_bytes()),
            loop=one_by_one(lambda a, b: kept.add(a, b)),
            chain=chain,
            pids=[process.pid],
        )


KINDS: Final = [Kind(name="Pyro5", open=opened, needs=("Pyro5", "msgpack"))]

if __name__ == "__main__":
    import Pyro5.api

    Pyro5.api.config.SERIALIZER = "msgpack"
    with Pyro5.api.Daemon(host="127.0.0.1") as daemon:
        address = daemon.register(Pyro5.api.expose(Served)(), "served")
        listening(str(address))
        daemon.requestLoop()
