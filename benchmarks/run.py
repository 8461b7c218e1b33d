"""Run all workloads with all peers: phase by phase, each with the echo and memcpy among its peers.

Rules: a peer that is not there, does not start or fails is left out with one line. Whatever ends the run,
every peer is closed, in the opposite order.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from .kinds import FLOORS, OTHERS
from .measure import Opened, Row, Scale, Start
from .memory import descendants, megabytes
from .peer import Kind, LeftOut, Peer
from .processes import in_environment
from .workloads import WORKLOADS

_VERSIONS: Final = (
    "snakekernel",
    "ipykernel",
    "jupyter_client",
    "pyzmq",
    "orjson",
    "numpy",
    "pandas",
    "pyarrow",
    "rpyc",
    "Pyro5",
    "grpcio",
    "zerorpc",
    "ipyparallel",
    "distributed",
    "ray",
)
_ORDER: Final = {kind.name: number for number, kind in enumerate([*FLOORS, *OTHERS])}


@dataclass
class Result:
    """What a run found.

    Attributes:
        where: date, machine and versions.
        workloads: workload -> peer -> column -> figure.
        phases: the same for the echo and memcpy of later phases, which peers of those are compared with.
        left_out: peer -> why.
    """

    where: dict[str, Any]
    workloads: dict[str, dict[str, Row]] = field(default_factory=dict)
    phases: dict[int, dict[str, dict[str, Row]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, phase: int, workload: str, rows: dict[str, Row]) -> None:
        """Take the rows that a workload gave in a phase."""
        into = self.workloads.setdefault(workload, {})
        for peer, row in rows.items():
            if peer in into:
                self.phases.setdefault(phase, {}).setdefault(workload, {})[peer] = row
            else:
                into[peer] = row
        # In the order of the tables; rows that are no peers come first.
        self.workloads[workload] = dict(sorted(into.items(), key=lambda item: _ORDER.get(item[0], -1)))


def run(
    scale: Scale,
    *,
    tell: Callable[[str], None],
    only: Collection[str] = (),
    workloads: Collection[str] = (),
) -> Result:
    """Measure.

    Args:
        scale: how much.
        tell: told what is being done, in one line each.
        only: names, or beginnings of names, of the peers to measure beside the floors; all by default.
        workloads: names of the workloads to run; all by default.
    """
    began = time.monotonic()
    result = Result(where())
    kinds = [kind for kind in OTHERS if not only or kind.name.startswith(tuple(only))]

    def leave_out(name: str, reason: str) -> None:
        if name not in result.left_out:
            result.left_out[name] = " ".join(reason.split())[:200]
            tell(f"left out: {name}: {result.left_out[name]}")

    def installed(needs: Iterable[str], name: str) -> bool:
        missing = _missing(needs)
        if missing is not None:
            leave_out(name, f"{missing} is not installed")
        return missing is None

    wanted = [one for one in WORKLOADS if not workloads or one.name in workloads]
    wanted = [one for one in wanted if installed(one.needs, one.title)]
    kinds = [kind for kind in kinds if installed(kind.needs, kind.name)]
    floors = [kind for kind in FLOORS if installed(kind.needs, kind.name)]
    for phase in sorted({1, *(kind.phase for kind in kinds)}):
        here = [*floors, *(kind for kind in kinds if kind.phase == phase)]
        with _opened(here, scale, leave_out, tell) as opened:
            if phase > 1 and len(opened.peers) == len(floors):
                continue
            # What is loaded stays: so the collections between turns are short.
            gc.collect()
            gc.freeze()
            for workload in wanted:
                if phase == 1 or not workload.first_phase_only:
                    tell(f"{workload.title} …")
                    try:
                        result.add(phase, workload.name, workload.run(opened))
                    except Exception as error:  # one that cannot be measured here; the others go on
                        leave_out(workload.title, f"{error!r}")
    result.seconds = round(time.monotonic() - began, 1)
    return result


@contextmanager
def _opened(
    kinds: Iterable[Kind], scale: Scale, leave_out: Callable[[str, str], None], tell: Callable[[str], None]
) -> Iterator[Opened]:
    peers: dict[str, tuple[Kind, Peer]] = {}
    starts: dict[str, Start] = {}
    with ExitStack() as stack:
        for kind in kinds:
            tell(f"starting {kind.name} …")
            stack.enter_context(in_environment(kind.settings))
            try:
                for module in kind.needs:
                    importlib.import_module(module)
                peers[kind.name] = kind, _start(kind, stack, starts)
            except Exception as error:  # a peer's library may raise anything; the others go on
                leave_out(kind.name, str(error) if isinstance(error, LeftOut) else f"{error!r}")
        yield Opened(peers, scale, starts, leave_out)


def _start(kind: Kind, stack: ExitStack, starts: dict[str, Start]) -> Peer:
    with ExitStack() as own:
        can_weigh = not _missing(("psutil",))
        before = descendants() if can_weigh else set()
        began = time.perf_counter()
        peer = own.enter_context(kind.open())
        if peer.call is not None:
            peer.call()
        seconds = time.perf_counter() - began
        if kind.starts:
            own_mb, all_mb = 0.0, 0.0
            if can_weigh:
                own_mb, all_mb = megabytes(peer.pids[:1])[0], megabytes(descendants() - before)[1]
            starts[kind.name] = Start(seconds, own_mb, all_mb)
        peer.prepare()
        stack.push(own.pop_all())
        return peer


def _missing(modules: Iterable[str]) -> str | None:
    # Not imported here: some read their settings then.
    return next((module for module in modules if importlib.util.find_spec(module) is None), None)


def where() -> dict[str, Any]:
    """Date, machine and versions."""
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
