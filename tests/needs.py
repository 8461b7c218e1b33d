"""What a test needs of its machine, and how it tells what it found."""

from __future__ import annotations

import os
from typing import Final, NoReturn

import pytest

#: What has this name as a property (``record_property``) is shown at the end of the run, from any process.
TOLD: Final = "told"
#: What has this name stands in the table of promises (see ``promised``), if the test shows one.
MEASURED: Final = "measured"


def in_ci() -> bool:
    """Whether this is a run in which everything must be there."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def skip_unless_ci(reason: str) -> NoReturn:
    """Skip the running test for what this machine lacks; in CI, where all must be there, fail."""
    if in_ci():
        pytest.fail(f"this must run in CI: {reason}")
    pytest.skip(reason)
