"""A malicious pickle in the place of an object that was saved: no way to put it there has it loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from saved_files import KEY, write

import snakekernel
from snakekernel.commands.runtime import Runtime
from snakekernel.durable.kept import Durable
from snakekernel.durable.places import Places
from snakekernel.testing.dispatch import ask, make_runtime

pytestmark = [pytest.mark.kernel, pytest.mark.promise("attack-8")]


class Evil:
    """Makes a file when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return open, (str(self.canary), "w")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def evil(canary: Path) -> bytes:
    return pickle.dumps(Evil(canary))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the owner's, as it was before somebody else had it."""
    path = tmp_path / "x.db"
    write(path, {("", "a"): "old", ("", "b"): "the other", ("s", "a"): "of a session"})
    shutil.copy(path, tmp_path / "old.db")
    write(path, {("", "a"): "new"})
    return path


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    key = tmp_path / "keys" / "owner.key"
    key.parent.mkdir(mode=0o700)
    key.touch(mode=0o600)
    key.write_bytes(KEY)
    return make_runtime(durable=Durable(Places(tmp_path / "folder", key=key)))


@pytest.fixture
def restored(runtime: Runtime, canary: Path, path: Path) -> Callable[[], dict[str, Any]]:
    """Restores and gives what was loaded; the canary must not be there."""

    def restored() -> dict[str, Any]:
        content = {"path": str(path), "overwrite": True}
        reply = ask(runtime, "restore", content)
        assert ask(runtime, "list_checkpoint", {"path": str(path)})["status"] in ("ok", "error")
        assert not canary.exists(), "it was loaded"
        if reply["status"] == "error":
            assert reply["code"] in ("storage", "not_found"), reply
            return {}
        return {name: runtime.store.get(None, name, now=0).obj for name in reply["restored"]}

    return restored


def test_the_pickle_is_as_bad_as_it_seems(evil: bytes, canary: Path) -> None:
    pickle.loads(evil).close()
    assert canary.exists()


def test_a_file_of_anothers_key(path: Path, canary: Path, restored: Callable[[], Any]) -> None:
    path.unlink()
    write(path, {("", "a"): Evil(canary)}, key=os.urandom(32))
    assert restored() == {}


def _run(path: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    db = sqlite3.connect(path)
    with db:
        for statement, values in statements:
            db.execute(statement, values)
    db.close()


def test_the_bytes_of_a_row(path: Path, evil: bytes, restored: Callable[[], Any]) -> None:
    where = "entry = (SELECT number FROM entries WHERE session = '' AND name = 'a')"
    _run(path, (f"UPDATE parts SET data = ? WHERE {where}", (evil,)))
    # The others of the file are whole.
    assert restored() == {"b": "the other"}


def test_the_bytes_of_a_row_and_all_that_it_says(
    path: Path, evil: bytes, restored: Callable[[], Any]
) -> None:
    layout = json.dumps([[len(evil), sha256(evil).hexdigest(), True]])
    where = "session = '' AND name = 'a'"
    _run(
        path,
        (f"UPDATE parts SET data = ? WHERE entry = (SELECT number FROM entries WHERE {where})", (evil,)),
        (f"UPDATE entries SET layout = ?, size = ? WHERE {where}", (layout, len(evil))),
    )
    assert restored() == {"b": "the other"}
    # With a tag of one's own making, too.
    _run(path, (f"UPDATE entries SET tag = ? WHERE {where}", (sha256(evil).digest(),)))
    assert restored() == {}


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE entries SET name = 'c' WHERE name = 'b'"],
        ["DELETE FROM entries WHERE name = 'a'", "UPDATE entries SET name = 'a' WHERE name = 'b'"],
        ["UPDATE entries SET session = '', name = 'd' WHERE session = 's'"],
        ["UPDATE parts SET entry = entry + 100", "UPDATE parts SET entry = 1 WHERE entry > 100"],
        ["DELETE FROM entries WHERE name = 'b'"],
        ["DELETE FROM parts"],
        ["UPDATE seal SET generation = generation + 1"],
        ["DELETE FROM seal"],
        ["DROP TABLE parts"],
        ["ALTER TABLE entries RENAME TO was", "CREATE VIEW entries AS SELECT * FROM was WHERE name = 'b'"],
        ["CREATE TRIGGER t AFTER UPDATE ON seal BEGIN DELETE FROM entries; END"],
    ],
    ids=range(11),
)  # fmt: skip
def test_rows_that_stand_for_others(path: Path, restored: Callable[[], Any], statements: list[str]) -> None:
    try:
        _run(path, *((statement, ()) for statement in statements))
    except sqlite3.IntegrityError:
        # The file itself refuses it.
        pass
    found = restored()
    # What was loaded is what stood there under that name, and is the latest.
    expected = {"a": "new", "b": "the other"}
    assert found == {name: expected.get(name) for name in found}


def test_an_earlier_row_and_one_of_another_file(
    path: Path, tmp_path: Path, restored: Callable[[], Any]
) -> None:
    db = sqlite3.connect(path)
    db.execute("ATTACH ? AS old", (str(tmp_path / "old.db"),))
    with db:
        db.execute("DELETE FROM entries WHERE name = 'a' AND session = ''")
        db.execute("INSERT INTO entries SELECT * FROM old.entries WHERE name = 'a' AND session = ''")
        db.execute("INSERT OR REPLACE INTO parts SELECT * FROM old.parts")
    db.close()
    assert restored() == {}
    path.unlink()
    write(path, {("", "b"): "of another file"})
    db = sqlite3.connect(path)
    db.execute("ATTACH ? AS old", (str(tmp_path / "old.db"),))
    with db:
        db.execute("DELETE FROM seal")
        db.execute("INSERT INTO seal SELECT * FROM old.seal")
    db.close()
    assert restored() == {}


def test_any_value_in_any_column(path: Path, evil: bytes, restored: Callable[[], Any]) -> None:
    values = [None, -1, 0, 1, 2**63 - 1, 0.5, float("inf"), "", "a", "\0", b"", evil, "[" * 3_000]
    whole = path.read_bytes()
    db = sqlite3.connect(path)
    columns = {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in TABLES}
    db.close()
    for table, names in columns.items():
        for name in names:
            for value in values:
                path.write_bytes(whole)
                try:
                    _run(path, (f"UPDATE {table} SET {name} = ? WHERE rowid = 1", (value,)))
                except (sqlite3.IntegrityError, sqlite3.OperationalError):
                    continue
                found = restored()
                expected = {"a": "new", "b": "the other"}
                assert found == {key: expected[key] for key in found}, (table, name, value)


TABLES = ("seal", "entries", "parts")


def test_another_key_in_the_owners_place(
    runtime: Runtime, path: Path, canary: Path, tmp_path: Path, restored: Callable[[], Any]
) -> None:
    theirs, key = bytes(32), tmp_path / "keys" / "owner.key"
    path.unlink()
    write(path, {("", "a"): Evil(canary)}, key=theirs)
    elsewhere = tmp_path / "their.key"
    elsewhere.write_bytes(theirs)
    elsewhere.chmod(0o600)
    key.unlink()
    key.symlink_to(elsewhere)
    assert restored() == {}
    key.unlink()
    key.write_bytes(theirs)
    key.chmod(0o644)
    assert restored() == {}
    key.chmod(0o600)
    key.parent.chmod(0o777)
    assert restored() == {}
    key.parent.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(key, 12_345, 12_345)
        assert restored() == {}
        os.chown(key, 0, 0)
        os.chown(path, 12_345, 12_345)
        assert restored() == {}


def test_in_a_kernel(path: Path, canary: Path, evil: bytes, tmp_path: Path, runtime: Runtime) -> None:
    _run(path, ("UPDATE parts SET data = ?", (evil,)))
    env = {**os.environ, "SNAKEKERNEL_OWNER_KEY": str(tmp_path / "keys" / "owner.key")}
    with snakekernel.start(env=env, durable=path, restore=True) as snake:
        told = snake.list_checkpoint()
        assert told["restored_at_start"]["restored"] == []
        assert len(told["restored_at_start"]["failed"]) == 3
        assert snake.restore()["restored"] == []
        snake.checkpoint()
        assert snake.restore()["restored"] == []
    assert not canary.exists()
