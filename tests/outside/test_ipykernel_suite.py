"""ipykernel's own tests, from its source distribution: what passes on ipykernel passes on our kernel.

The suite runs with our kernel in ipykernel's place (see ``on_our_kernel``). How it ends on ipykernel is
kept here, by ipykernel's and Python's versions; of versions that are not known yet, and with
``SUITE_ON_BOTH`` set, as ``make soak`` has it, it runs on ipykernel as well, at the same time, and what comes
of it is kept from then on. A test that passed only on ipykernel gets one more chance by itself, on both: many
of its tests measure time, and the machine was shared; some need what not every machine has.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from needs import TOLD, skip_unless_ci
from suites import Outcomes, SuiteRun, released_tests

pytestmark = [pytest.mark.kernel, pytest.mark.outside]

#: Files of the suite that know no kernel but the one they name themselves.
LEFT_OUT: Final = {
    "tests/test_start_kernel.py": "writes programs that start ipykernel's app by its own name",
    "tests/test_kernelspec.py": "tests the installer of ipykernel's own kernelspec",
}

#: Tests that must differ on our kernel, each with its reason. A row whose test passes must go.
DIFFERENT: Final = {
    "tests/test_message_spec.py::test_kernel_info_request": (
        "wants IPython's release (2.1 or later) as implementation_version; ours is snakekernel's own"
    ),
}

#: Why some do not pass on ipykernel either.
NEITHER: Final = {
    "tests/test_ipkernel_direct.py::test_do_apply": "needs ipyparallel, too much to install for one test",
}

#: Seconds for one run of the whole suite.
PATIENCE: Final = 600

#: How the suite ends on ipykernel, for the versions in the name.
KEPT: Final = Path(__file__).with_name("on_ipykernel")
#: Whether it is to be run there in any case.
ON_BOTH: Final = "SUITE_ON_BOTH" in os.environ


@pytest.mark.timeout(PATIENCE + 300)
def test_what_passes_on_ipykernel_passes_on_our_kernel(
    tmp_path: Path,
    jupyter_env: dict[str, str],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    release = version("ipykernel")
    cache = request.config.cache
    assert cache is not None
    suite = released_tests("ipykernel", release, cache.mkdir("outside"), tmp_path)
    if suite is None:
        skip_unless_ci(f"pip could not download the source of ipykernel {release}; is there a network?")
        return
    names = sorted(str(path.relative_to(suite)) for path in suite.glob("tests/**/test_*.py"))
    assert LEFT_OUT.keys() <= set(names)
    tests = [name for name in names if name not in LEFT_OUT]

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    kept = KEPT / f"ipykernel-{release}-python-{python}-{sys.platform}.json"
    known: Outcomes | None = json.loads(kept.read_text()) if kept.exists() and not ON_BOTH else None
    ours = SuiteRun(suite, tests, kernel="snakekernel", env=jupyter_env, workplace=tmp_path / "ours")
    stock = None
    try:
        if known is None:
            stock = SuiteRun(suite, tests, kernel="stock", env=jupyter_env, workplace=tmp_path / "stock")
        on_stock, on_ours = known or stock.wait(PATIENCE), ours.wait(PATIENCE)
    finally:
        ours.close()
        if stock is not None:
            stock.close()
    if known is None:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(on_stock, indent=1, sort_keys=True) + "\n")

    worse = _worse(on_stock, on_ours)
    if worse:
        again = SuiteRun(suite, worse, kernel="snakekernel", env=jupyter_env, workplace=tmp_path / "again")
        on_ours |= again.wait(PATIENCE)
        worse = _worse(on_stock, on_ours)
    if worse and known is not None:
        here = SuiteRun(suite, worse, kernel="stock", env=jupyter_env, workplace=tmp_path / "here")
        on_stock |= here.wait(PATIENCE)
    print(_table(on_stock, on_ours, on_stock.keys() | on_ours.keys()))
    apart = {test for test, outcome in on_ours.items() if (outcome, on_stock.get(test)) != _BOTH_PASS}
    counts = f"{_count(on_stock)} on ipykernel, {_count(on_ours)} on ours"
    record_property(TOLD, f"ipykernel {release}'s own tests: {counts}\n{_table(on_stock, on_ours, apart)}")

    worse = _worse(on_stock, on_ours)
    assert not worse, f"passed on ipykernel, not on ours: {worse}\n{ours.log()[-8000:]}"
    needless = [test for test in DIFFERENT if on_ours.get(test) == "passed"]
    assert not needless, f"these pass on ours: take them out of the table: {needless}"


_BOTH_PASS: Final = ("passed", "passed")


def _worse(on_stock: Outcomes, on_ours: Outcomes) -> list[str]:
    passed = [test for test, outcome in on_stock.items() if outcome == "passed"]
    return sorted(test for test in passed if on_ours.get(test) != "passed" and test not in DIFFERENT)


def _count(outcomes: Outcomes) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(outcomes.values()).items()))


def _table(on_stock: Outcomes, on_ours: Outcomes, tests: set[str]) -> str:
    rows, reasons = ["  ipykernel   ours        test"], DIFFERENT | NEITHER
    for test in sorted(tests):
        stock, ours = on_stock.get(test, "did not run"), on_ours.get(test, "did not run")
        rows.append(f"  {stock:12}{ours:12}{test}  {reasons.get(test, '')}".rstrip())
    return "\n".join(rows)
