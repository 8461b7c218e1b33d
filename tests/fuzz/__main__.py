"""``make fuzz``: half of the time messages, half of it whole sessions; says what was found, and how."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time

from fuzzing import HERE, fuzz_frames, is_guided

#: Examples of one run of the session machine; each run has another seed.
_EXAMPLES = 500


def main() -> int:
    """The exit status: 1 where something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    seconds = parser.parse_args().seconds
    if not is_guided():
        print(
            "atheris is not installed (it has no wheel for this Python): random mutations, without coverage."
        )
    fuzzed = fuzz_frames(seconds // 2, random.randrange(1, 2**31))
    print(f"Messages: {fuzzed.inputs:,} inputs, {fuzzed.how}.")
    for path, said in fuzzed.found.items():
        print(f"\nFound {path}:\n{said}")
    broken = _sessions(time.monotonic() + seconds / 2)
    return 1 if fuzzed.found or broken else 0


def _sessions(end: float) -> bool:
    """Try sessions until then; whether one did what the model does not."""
    tried = 0
    while time.monotonic() < end:
        seed = random.randrange(2**31)
        command = [sys.executable, "-m", "pytest", "-q", str(HERE / "test_fuzz_sessions.py")]
        done = subprocess.run(
            [*command, f"--hypothesis-seed={seed}", "-o", "timeout=0"],
            env={**os.environ, "FUZZ_EXAMPLES": str(_EXAMPLES)},
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            print(f"\nFound with --hypothesis-seed={seed}:\n{done.stdout[-6_000:]}")
            return True
        tried += _EXAMPLES
    print(f"Sessions: {tried:,} of up to 40 requests each, compared with a model.")
    return False


if __name__ == "__main__":
    sys.exit(main())
