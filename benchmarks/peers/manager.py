"""multiprocessing's BaseManager: pickles over a Unix socket, one call at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from multiprocessing.managers import BaseManager
from typing import Final

from ..peer import Kind, Peer, one_by_one
from ..processes import folder, listening, server
from ..served import Served

_KEY: Final = b"a key of this benchmark"


class _Manager(BaseManager):
    pass


@contextmanager
def opened() -> Iterator[Peer]:
    """One proxy. It has no form of several calls at once."""
    with folder() as place, server(__name__, str(place / "socket")) as process:
        _Manager.register("Served")
        manager = _Manager(address=process.address, authkey=_KEY)
        manager.connect()
        # Proxies of a manager that was not started here look for the key there.
        before, current_process().authkey = current_process().authkey, _KEY
        try:
            kept = manager.Served()  # type: ignore[attr-defined]
            yield Peer(
                call=lambda: kept.add(2, 3),
                swap=kept.swap,
                put=kept.put,
                get=kept.get,
                make=kept.make,
                get_made=kept.get_made,
                put_frame=kept.put_frame,
                get_frame=kept.get_frame,
                loop=one_by_one(kept.add),
                pids=[process.pid],
            )
        finally:
            current_process().authkey = before


KINDS: Final = [Kind(name="BaseManager", open=opened, floor="echo, ipc")]

if __name__ == "__main__":
    _Manager.register("Served", Served)
    serving = _Manager(address=sys.argv[1], authkey=_KEY).get_server()
    listening(sys.argv[1])
    serving.serve_forever()
