"""What every peer serves: one object with the methods that the workloads call.

Rules: standard library only when imported, so that a server starts with what its own framework needs.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def record(number: int = 0) -> dict[str, Any]:
    """A dictionary of about 1 kB as JSON: a record as programs pass them around."""
    return {
        "id": number,
        "name": "a customer's name, some thirty letters",
        "active": True,
        "score": 0.8731,
        "parent": None,
        "tags": ["red", "green", "blue", "a longer tag", "another one"],
        "address": {"street": "Main Street 12", "city": "Springfield", "zip": "12345", "floor": 3},
        "history": [{"day": day, "amount": day * 12.25, "note": "an entry"} for day in range(8)],
        "text": "Words that say something about it, as long as a remark usually is. " * 5,
    }


class Served:
    """The object that a peer keeps."""

    def __init__(self) -> None:
        self.record = record()
        self.total = 0
        self.array: Any = None
        self.made: Any = None
        self.frame: Any = None

    def add(self, a: int, b: int) -> int:
        """A small call."""
        return a + b

    def wait(self, number: int) -> int:
        """A call that waits, as for a database."""
        time.sleep(0.02)
        return number

    def count(self, by: int) -> int:
        """A step that needs the one before, where a peer's batch cannot pass results on."""
        self.total += by
        return self.total

    def reset(self) -> int:
        """Count from 0 again; gives what was counted."""
        total, self.total = self.total, 0
        return total

    def call_back(self, function: Callable[[int], int], count: int) -> int:
        """Call a function of the caller's so many times."""
        return sum(function(i) for i in range(count))

    def swap(self, new: dict[str, Any]) -> dict[str, Any]:
        """Keep this record; gives the one before."""
        old, self.record = self.record, new
        return old

    def put(self, array: np.ndarray[Any, Any]) -> int:
        """Keep an array; gives its length."""
        self.array = array
        return len(array)

    def get(self) -> np.ndarray[Any, Any]:
        """The array that was put."""
        return self.array  # type: ignore[no-any-return]

    def make(self, count: int, value: float) -> int:
        """Make an array here."""
        import numpy as np

        self.made = np.full(count, value)
        return len(self.made)

    def get_made(self) -> np.ndarray[Any, Any]:
        """The array that was made here."""
        return self.made  # type: ignore[no-any-return]

    def put_frame(self, frame: pd.DataFrame) -> int:
        """Keep a data frame; gives its length."""
        self.frame = frame
        return len(frame)

    def get_frame(self) -> pd.DataFrame:
        """The data frame that was put."""
        return self.frame

    def numbers(self, count: int) -> Iterator[int]:
        """Small items, one after the other."""
        # Ray's actors cannot run `yield from`.
        for number in range(count):  # noqa: UP028
            yield number

    def arrays(self, count: int) -> Iterator[np.ndarray[Any, Any]]:
        """Items of 1 MB."""
        import numpy as np

        for number in range(count):
            yield np.full(125_000, float(number))

    # For peers that move bytes only.

    def arrays_bytes(self, count: int) -> Iterator[bytes]:
        """As ``arrays``, of their bytes."""
        return (array.tobytes() for array in self.arrays(count))

    def put_bytes(self, data: bytes) -> int:
        """As ``put``, of the array's bytes."""
        return self.put(array_of(data))

    def get_bytes(self) -> bytes:
        """As ``get``."""
        return self.get().tobytes()

    def get_made_bytes(self) -> bytes:
        """As ``get_made``."""
        return self.get_made().tobytes()

    def put_frame_bytes(self, data: bytes) -> int:
        """As ``put_frame``, of an Arrow stream."""
        return self.put_frame(frame_of(data))

    def get_frame_bytes(self) -> bytes:
        """As ``get_frame``, an Arrow stream."""
        return bytes(frame_bytes(self.get_frame()))


async def wait_awaiting(number: int) -> int:
    """As ``Served.wait``; not among its methods, for one coroutine function changes how Ray runs them all."""
    await asyncio.sleep(0.02)
    return number


def array_of(data: Any) -> np.ndarray[Any, Any]:
    """The array in these bytes, as a view of them."""
    import numpy as np

    return np.frombuffer(data, dtype=np.float64)


def frame_bytes(frame: pd.DataFrame) -> Any:
    """An Arrow stream of a data frame, as a buffer."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getbuffer()


def frame_of(data: Any) -> pd.DataFrame:
    """The data frame in an Arrow stream."""
    import pyarrow as pa

    with pa.ipc.open_stream(data) as reader:
        return reader.read_pandas()
