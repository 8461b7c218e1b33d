"""Looking for inputs that break something, for so many seconds: guided by coverage where atheris is there.

Rules: what is found is written into the corpus beside this file, where every later run tries it first; what
is only new to the coverage goes to a folder that is no part of the repository.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import frames
from mutations import mutated

HERE: Final = Path(__file__).parent
CORPUS: Final = HERE / "corpus"
#: Inputs that reach new code, of this machine.
REACHED: Final = HERE.parents[1] / ".fuzz"


class Fuzzed(NamedTuple):
    """How a run was: ``found`` are the inputs that break something, with what was said of them."""

    how: str
    inputs: int
    found: dict[Path, str]


def is_guided() -> bool:
    """Whether atheris is here; it has no wheels for all Pythons."""
    return importlib.util.find_spec("atheris") is not None


def corpus() -> dict[str, bytes]:
    """The inputs that are kept, by name."""
    return {path.name: path.read_bytes() for path in sorted(CORPUS.iterdir())}


def fuzz_frames(seconds: int, seed: int) -> Fuzzed:
    """Fuzz the way of messages for so long."""
    return _guided(seconds, seed) if is_guided() else _plain(seconds, seed)


def _guided(seconds: int, seed: int) -> Fuzzed:
    REACHED.mkdir(exist_ok=True)
    found = CORPUS / "found-"
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={frames.LONGEST}"]
    options += [f"-timeout={frames.SECONDS * 3:.0f}", "-rss_limit_mb=2048", f"-artifact_prefix={found}"]
    options += ["-print_final_stats=1", "-verbosity=0"]
    before = set(CORPUS.iterdir())
    done = subprocess.run(
        [sys.executable, str(HERE / "guided.py"), *options, str(REACHED), str(CORPUS)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    new = dict.fromkeys(set(CORPUS.iterdir()) - before, done.stdout[-4_000:])
    if done.returncode != 0 and not new:
        raise RuntimeError(f"the fuzzer ended with {done.returncode}:\n{done.stdout[-4_000:]}")
    count = [line.split()[-1] for line in done.stdout.splitlines() if "number_of_executed_units" in line]
    return Fuzzed("guided by coverage (atheris)", int(count[0]) if count else 0, new)


def _plain(seconds: int, seed: int) -> Fuzzed:
    end, count = time.monotonic() + seconds, 0
    for data in mutated(list(corpus().values()), seed, frames.LONGEST):
        if time.monotonic() > end:
            break
        count += 1
        try:
            frames.one_input(data)
        except Exception as error:
            path = CORPUS / f"found-{hashlib.sha256(data).hexdigest()[:16]}"
            path.write_bytes(data)
            return Fuzzed("by random mutations", count, {path: repr(error)[-4_000:]})
    return Fuzzed("by random mutations", count, {})
