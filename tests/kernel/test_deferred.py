"""A deferred module runs once, when it is used, and is then like any other."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakekernel.kernel.deferred import defer, run


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An importable package that counts how often it runs, with two submodules that know each other."""
    folder = tmp_path / "deferred_example"
    folder.mkdir()
    (folder / "__init__.py").write_text("import sys\nfrom .first import value\nsys.runs_of_example += 1\n")
    (folder / "first.py").write_text("from . import second\nvalue = second.value + 1\n")
    (folder / "second.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "runs_of_example", 0, raising=False)
    yield folder.name
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def _runs() -> int:
    runs: int = sys.runs_of_example  # type: ignore[attr-defined]
    return runs


def test_it_runs_when_a_name_is_asked_of_it(package: str) -> None:
    module = defer(package, given=3)
    assert importlib.import_module(package) is module
    assert module is not None
    assert module.given == 3
    assert module.__file__ is not None
    assert not hasattr(module, "__wrapped__")
    assert _runs() == 0
    assert module.value == 2
    assert _runs() == 1
    run(module)
    assert _runs() == 1
    with pytest.raises(AttributeError, match="no attribute"):
        _ = module.absent


def test_its_submodules_are_imported_by_themselves(package: str) -> None:
    defer(package)
    assert importlib.import_module(f"{package}.first").value == 2
    assert sys.modules[package].second.value == 1
    assert _runs() == 0


def test_its_names_are_listed(package: str) -> None:
    module = defer(package)
    assert "value" in dir(module)
    assert _runs() == 1


def test_many_threads_run_it_once(package: str) -> None:
    module = defer(package)
    ready, seen = threading.Barrier(8), []

    def use() -> None:
        ready.wait(60)
        seen.append(module.value)  # type: ignore[union-attr]

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [2] * 8
    assert _runs() == 1


def test_a_module_that_fails_says_so_each_time(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "second.py").write_text("raise RuntimeError('broken')\n")
    module = defer(package)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            _ = module.value  # type: ignore[union-attr]


def test_what_is_loaded_or_absent_is_left_alone() -> None:
    assert defer("json") is None
    assert defer("there_is_no_such_module") is None
