"""What a benchmark asks of a peer: one small set of abilities, each a plain function.

Rules: a peer answers from a process of its own. What it cannot do, or what makes no sense for it, is left
None and shows as a dash. Every function gives values back, so that they can be compared with what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Transport = Literal["ipc", "tcp"]
Record = dict[str, Any]

#: Calls that are under way at once where a peer has several in flight.
OUTSTANDING: Final = 100
#: Steps of which each needs the one before.
STEPS: Final = 10
#: Calls that wait over there, and how many of them do at once.
WAITS: Final = 32
AT_ONCE: Final = 8


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An opened peer.

    Attributes:
        call: one small call, ``add(2, 3)``.
        in_flight: ``add(i, 1)`` for so many ``i``, 100 of them under way at once; gives the sums in order.
        batch: the same by the peer's own form of sending many calls together.
        swap: a method of an object that the peer keeps: takes a dictionary of 1 kB, gives the one before.
        put, get: hand over a float64 array, which the peer then keeps; get it back.
        make, get_made: the peer makes an array of so many numbers, all equal; get that.
        put_frame, get_frame: the same as put and get with a pandas DataFrame.
        loop: ten calls, each adding 1 to the result of the one before, one after the other; gives the last.
        chain: the same ten steps by one message or whatever comes nearest.
        refer: has the peer make so many objects, and refers to each until the next is there.
        waits: ``wait(i)`` for 32 ``i``, 20 ms each, eight at once; gives the ``i`` in order.
        items: so many numbers from a generator over there, counted from 0; gives them in a list.
        arrays: the same of arrays of 1 MB, each full of its number; gives what ``seen`` says of each.
        items_in_turn: as items, by a round trip for each.
        call_back: has a function of this process called over there with 0, 1, … so many times, one after the
            other; gives the sum of what it gave.
        pids: the processes that serve it, the one that answers first.
        prepare: run once, after the first call; what it does is not measured.
    """

    call: Callable[[], Any] | None = None
    in_flight: Callable[[int], Sequence[Any]] | None = None
    batch: Callable[[int], Sequence[Any]] | None = None
    swap: Callable[[Record], Record] | None = None
    put: Callable[[Any], object] | None = None
    get: Callable[[], Any] | None = None
    make: Callable[[int, float], object] | None = None
    get_made: Callable[[], Any] | None = None
    put_frame: Callable[[Any], object] | None = None
    get_frame: Callable[[], Any] | None = None
    loop: Callable[[], Any] | None = None
    chain: Callable[[], Any] | None = None
    refer: Callable[[int], object] | None = None
    waits: Callable[[], list[Any]] | None = None
    items: Callable[[int], list[Any]] | None = None
    arrays: Callable[[int], list[Any]] | None = None
    items_in_turn: Callable[[int], list[Any]] | None = None
    call_back: Callable[[Callable[[int], int], int], int] | None = None
    pids: Sequence[int] = field(default=())
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A peer that can be opened.

    Attributes:
        name: as the tables show it.
        open: gives the opened peer; leaving it ends all its processes and removes its files.
        needs: modules that must be there; imported before anything is measured.
        settings: environment variables that those read when they are imported.
        floor: name of the echo that it is compared with.
        phase: peers of one phase are alive together; those that bring many processes come later.
        starts: whether opening it starts its server, which start-up and memory then measure.
        gigabyte: whether it takes part with 1 GB arrays too.
    """

    name: str
    open: Callable[[], AbstractContextManager[Peer]]
    needs: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    floor: str = "echo, tcp"
    phase: int = 1
    starts: bool = True
    gigabyte: bool = False


class LeftOut(Exception):
    """A peer cannot take part; the text says why."""


def seen(array: Any) -> float:
    """What has read all of an array that is full of one number."""
    return float(array.sum()) / len(array)


def one_by_one(add: Callable[[int, int], int]) -> Callable[[], int]:
    """``Peer.loop`` of a peer whose small call is ``add``."""

    def loop() -> int:
        value = 0
        for _ in range(STEPS):
            value = add(value, 1)
        return value

    return loop
