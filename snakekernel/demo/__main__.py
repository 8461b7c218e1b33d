"""``python -m snakekernel.demo``: starts a kernel, drives it by structured messages alone, and shows it.

Exit code 0 if every result was what it must be, 1 if one was not or the demo's libraries are missing.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import time
from importlib.util import find_spec

import snakekernel

from ..wire.errors import SnakeError
from . import steps
from .lm_server import LMServer
from .show import DemoFailed, Narrator, make_console

_NEEDED = ("bm25s", "dspy", "palmerpenguins", "pandas", "pyarrow", "sklearn", "vaderSentiment")


def main(argv: list[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    argparse.ArgumentParser(prog="python -m snakekernel.demo", description=steps.__doc__).parse_args(argv)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(f"The demo needs {', '.join(missing)}: pip install 'snakekernel[demo]'", file=sys.stderr)
        return 1
    # DSPy and litellm read these as the kernel imports them: no look-up in the network, no cache left behind.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with tempfile.TemporaryDirectory(prefix="snakekernel-demo-") as cache:
        os.environ.setdefault("DSPY_CACHEDIR", cache)
        return _run()


def _run() -> int:
    console = make_console()
    began = time.monotonic()
    key = f"sk-demo-{secrets.token_hex(12)}"
    try:
        with LMServer(api_key=key) as server, snakekernel.start() as snake:
            ready = time.monotonic() - began
            console.print(
                f"A kernel is running (started in {ready:.1f} s), and a language model on {server.api_base}."
            )
            tell = Narrator(snake, console, secrets=[key])
            steps.data_science(tell)
            steps.two_frameworks(tell, api_base=server.api_base, api_key=key)
            steps.legacy(tell, api_base=server.api_base, api_key=key)
            spent = time.monotonic() - began
            tell.end("What you just saw", _summary(tell, server, spent))
    except DemoFailed as failed:
        console.print(f"\nThe demo failed: {failed}", style="bold red", markup=False)
        return 1
    except SnakeError as error:
        lines = [f"\nThe demo failed: {type(error).__name__} [{error.code}]: {error}", *error.traceback]
        console.print("\n".join(lines), style="bold red", markup=False)
        return 1
    return 0


def _summary(tell: Narrator, server: LMServer, spent: float) -> list[str]:
    asked, answered = tell.requests, server.completions
    return [
        f"{asked} requests to a kernel, and {answered} from it to a language model, in {spent:.0f} s;",
        f"{tell.claims} claims about their results were checked, and all of them hold.",
        "",
        "Tables, a model, a language-model program and a sentiment analyser lived",
        "in one kernel, and were called, combined and inspected by name.",
        "",
        "Next steps:",
        "  the same in a notebook   jupyter lab notebooks/01-quickstart.ipynb",
        "  from the shell           snakekernel call math.sqrt 2",
        "  from Python              import snakekernel; snake = snakekernel.start()",
        "  from other languages     docs/, the protocol reference",
    ]


if __name__ == "__main__":
    sys.exit(main())
