"""What the benchmarks of pools ask of a crew: several workers of one library that share the calls which come.

Rules: each call is one of its own, as a program would send it that does not know what comes next; so many are
under way at once that no worker waits for its next one. What a crew gives can be compared with what is right.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from .measure import Opened
from .processes import in_environment

#: The arguments of one call.
Arguments = tuple[Any, ...]

#: Calls that are under way at once where a library does not limit them itself.
UNDER_WAY: Final = 100


@dataclass(frozen=True, kw_only=True)
class Crew:
    """An opened crew.

    Attributes:
        each: calls a function, named by its dotted name, with each of these arguments on whichever worker;
            gives the results in order.
        pids: the workers' processes.
    """

    each: Callable[[str, Sequence[Arguments]], list[Any]]
    pids: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class CrewKind:
    """A crew that can be opened.

    Attributes:
        name: as the tables show it.
        open: opens it with so many workers; leaving it ends all its processes.
        needs: modules that must be there.
        settings: environment variables that those read when they are imported.
        quick: whether a quick run has it too.
    """

    name: str
    open: Callable[[int], AbstractContextManager[Crew]]
    needs: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    quick: bool = False


class Worker:
    """What an actor is made of."""

    def run(self, name: str, arguments: Arguments) -> Any:
        """Call a function."""
        return called(name, *arguments)

    def pid(self) -> int:
        """The actor's process."""
        return os.getpid()


def called(name: str, *arguments: Any) -> Any:
    """Call the function of that dotted name."""
    return pkgutil.resolve_name(name)(*arguments)


def work(turns: int) -> int:
    """So many turns of a loop; gives their number."""
    done = 0
    for _ in range(turns):
        done += 1
    return done


def in_bursts(
    submit: Callable[[str, Arguments], Any], gather: Callable[[list[Any]], list[Any]]
) -> Callable[[str, Sequence[Arguments]], list[Any]]:
    """``Crew.each`` of a library that gives something to wait for as soon as it is called."""

    def each(name: str, calls: Sequence[Arguments]) -> list[Any]:
        got: list[Any] = []
        for begin in range(0, len(calls), UNDER_WAY):
            got += gather([submit(name, arguments) for arguments in calls[begin : begin + UNDER_WAY]])
        return got

    return each


@contextmanager
def opened_crews(opened: Opened, kinds: Sequence[CrewKind], workers: int) -> Iterator[dict[str, Crew]]:
    """All crews that are there, open at the same time with so many workers each, by name."""
    crews: dict[str, Crew] = {}
    with ExitStack() as stack:
        for kind in kinds:
            if opened.scale.has_all_crews or kind.quick:
                try:
                    stack.enter_context(in_environment(kind.settings))
                    for module in kind.needs:
                        importlib.import_module(module)
                    crews[kind.name] = stack.enter_context(kind.open(workers))
                except Exception as error:  # a crew's library may raise anything; the others go on
                    opened.leave_out(kind.name, f"{error!r}")
        yield crews
