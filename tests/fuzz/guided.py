"""atheris on ``frames.one_input``: ``python guided.py [libFuzzer's options] corpus …``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["snakekernel"]):
    import frames


def main() -> None:
    """Fuzz until libFuzzer's own options end it."""
    frames.quiet()
    atheris.Setup(sys.argv, frames.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
