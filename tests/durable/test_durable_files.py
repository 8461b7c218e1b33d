"""Files of objects: what goes in comes out; what is not as its owner wrote it is never loaded."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saved_files import KEY, read, write

from snakekernel.durable.database import CHUNK, Database
from snakekernel.durable.keys import owner_key
from snakekernel.durable.pickles import pickled, unpickled
from snakekernel.objects.secrets import Secrets
from snakekernel.wire.errors import NotFound, StorageFailed, Unserializable

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
STEPS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["", "s", "t'--"]), st.sampled_from("abc") | NAMES, VALUES), max_size=4
    ),
    max_size=3,
)


def reason(caught: pytest.ExceptionInfo[StorageFailed]) -> str:
    return str(caught.value.reply["reason"])


@given(STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_holds_what_was_written_last(tmp_path: Path, steps: list[Any]) -> None:
    path = tmp_path / "any.db"
    for file in tmp_path.iterdir():
        file.unlink()
    expected: dict[tuple[str, str], Any] = {}
    write(path, {})
    for step in steps:
        objects = {(session, name): value for session, name, value in step}
        write(path, objects)
        expected.update(objects)
        expected = {key: value for key, value in expected.items() if value is not None}
        assert read(path) == expected


def test_buffers_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    large = np.arange(CHUNK // 8 + 100_000, dtype="<i8").reshape(2, -1)
    fixed = np.arange(20_000.0)
    fixed.flags.writeable = False
    mixed = {"large": large.T, "fixed": fixed, "small": np.arange(3), "twice": [fixed, fixed], "empty": b""}
    write(path, {("", "mixed"): mixed})
    ((_, back),) = read(path).items()
    assert np.array_equal(back["large"], mixed["large"])
    assert np.array_equal(back["fixed"], fixed)
    assert back["large"].flags.writeable
    assert not back["fixed"].flags.writeable
    assert back["twice"][0] is back["twice"][1]


def test_large_buffers_are_beside_the_pickle_and_not_copied() -> None:
    array = np.zeros(1_000_000)
    whole = pickled({"array": array}, None)
    assert whole.parts[0].nbytes < 1_000
    assert np.shares_memory(np.frombuffer(whole.parts[1]), array)


def test_one_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, {("", "a"): 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StorageFailed) as caught:
        read(path, key=bytes(32))
    assert reason(caught) == "signature"
    with pytest.raises(StorageFailed) as caught:
        write(path, {("", "a"): 2}, key=bytes(32))
    assert reason(caught) == "signature"
    assert read(path) == {("", "a"): 1}


def test_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, {("", "a"): 1})
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=2")
    db.close()
    before = path.read_bytes()
    for use in (lambda: read(path), lambda: write(path, {("", "a"): 2})):
        with pytest.raises(StorageFailed, match="version 2") as caught:
            use()
        assert reason(caught) == "newer"
    assert path.read_bytes() == before


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE a (b)")
    db.close()
    text = tmp_path / "text"
    text.write_text("some text that is no database\n" * 50)
    for path in (other, text):
        before = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
        for use in (read, lambda path: write(path, {("", "a"): 1})):
            with pytest.raises(StorageFailed) as caught:
                use(path)
            assert reason(caught) == "corrupt"
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == before
    with pytest.raises(NotFound):
        read(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    link = tmp_path / "link.db"
    link.symlink_to(other)
    with pytest.raises(StorageFailed) as caught:
        read(link)
    assert reason(caught) == "refused"


def test_a_file_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, {("", "a"): 1})
    db = Database(path, KEY)
    # As on a read-only disk, whoever runs this.
    db._db.execute("PRAGMA query_only=ON")
    with pytest.raises(StorageFailed) as caught, db.writing() as writing:
        writing.delete("", "a")
    assert reason(caught) == "read_only"
    db.close()
    assert read(path) == {("", "a"): 1}


def test_two_processes_that_write(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    write(path, {("", "a"): 1})
    with Database(path, KEY) as database, database.writing():
        with Database(path, KEY) as other, pytest.raises(StorageFailed) as caught, other.writing(0.05):
            pass
        assert reason(caught) == "busy"
        assert read(path) == {("", "a"): 1}


def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    """Its log, too, which SQLite would work off and delete as it closes the file."""
    path = tmp_path / "theirs.db"
    code = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA journal_mode=WAL');"
        "db.execute('CREATE TABLE t (x)'); db.execute('INSERT INTO t VALUES (1)'); db.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)

    def there() -> dict[str, tuple[int, bytes]]:
        return {found.name: (found.stat().st_mode, found.read_bytes()) for found in tmp_path.iterdir()}

    before = there()
    assert "theirs.db-wal" in before
    for create in (False, True):
        with pytest.raises(StorageFailed) as caught:
            Database(path, KEY, create=create)
        assert reason(caught) == "corrupt"
        assert there() == before


def small(path: Path) -> None:
    """A file of small pages, so that there are few bytes to change."""
    write(path, {("", "a"): "the first", ("s", "b"): [1, 2, 3]})
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=DELETE", "page_size=512"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("VACUUM")
    db.close()


def test_no_changed_byte_is_loaded_as_something_else(tmp_path: Path) -> None:
    path, changed = tmp_path / "x.db", tmp_path / "changed.db"
    small(path)
    whole, expected = path.read_bytes(), read(path)
    refused = 0
    for index in range(len(whole)):
        if index % 16 and not any(whole[max(0, index - 8) : index + 8]):
            # Free space, of which a part is enough.
            continue
        data = bytearray(whole)
        data[index] ^= 1 << index % 8
        changed.write_bytes(data)
        try:
            assert read(changed) == expected, f"byte {index}"
        except (StorageFailed, NotFound):
            refused += 1
        for beside in tmp_path.glob("changed.db-*"):
            beside.unlink()
    # The rest is nowhere read: free space in the pages.
    assert refused > 800


def test_a_log_cut_at_any_byte_leaves_one_of_two_states(tmp_path: Path) -> None:
    path, log = tmp_path / "x.db", tmp_path / "x.db-wal"
    write(path, {("", "a"): 0, ("", "b"): 0})
    with Database(path, KEY) as database:
        with database.writing() as writing:
            for name in "ab":
                writing.put(
                    "", name, pickled(1, None), type="int", module="builtins", created=1.0, expires_at=None
                )
        data, written = path.read_bytes(), log.read_bytes()
    cut = tmp_path / "cut.db"
    found = set()
    frame = 16_384 + 24
    ends = {32 + n * frame + near for n in range(len(written) // frame + 1) for near in (-1, 0, 1)}
    for length in sorted({*range(0, len(written), 307), *ends, len(written)}):
        cut.write_bytes(data)
        (tmp_path / "cut.db-wal").write_bytes(written[:length])
        (tmp_path / "cut.db-shm").unlink(missing_ok=True)
        state = read(cut)
        assert set(state) == {("", "a"), ("", "b")}
        assert len(set(state.values())) == 1, f"a log of {length} bytes"
        found |= set(state.values())
    assert found == {0, 1}


class TestKeys:
    def test_it_is_made_once(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "owner.key"
        found: list[bytes] = []
        threads = [threading.Thread(target=lambda: found.append(owner_key(path))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [file.name for file in path.parent.iterdir()] == ["owner.key"]

    def test_one_that_others_could_have_made_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "owner.key"
        owner_key(path)

        def refused() -> None:
            with pytest.raises(StorageFailed) as caught:
                owner_key(path)
            assert reason(caught) == "key"

        path.chmod(0o640)
        refused()
        path.chmod(0o600)
        tmp_path.chmod(0o777)
        refused()
        tmp_path.chmod(0o700)
        kept = path.rename(tmp_path / "kept")
        path.symlink_to(kept)
        refused()
        path.unlink()
        shutil.copy(kept, path)
        path.chmod(0o600)
        assert owner_key(path) == kept.read_bytes()
        path.write_bytes(b"short")
        refused()
        path.unlink()
        path.mkdir()
        refused()
        path.rmdir()
        os.mkfifo(path)
        refused()


class TestSecrets:
    def test_what_holds_one_is_not_pickled(self) -> None:
        secrets = Secrets()
        secrets.add("sk-canary-of-no-worth")
        for obj in (
            "sk-canary-of-no-worth",
            {"a": ["x sk-canary-of-no-worth y"]},
            np.frombuffer(b"x" * 100_000 + b"sk-canary-of-no-worth", "u1"),
        ):
            with pytest.raises(Unserializable, match="secret"):
                pickled(obj, secrets)
            assert unpickled(*_bytes(pickled(obj, None)), Secrets()) is not None

    def test_keys_in_objects_are_found_by_their_names(self) -> None:
        class Model:
            def __init__(self) -> None:
                self.kwargs = {"api_key": "a-key-that-nobody-named"}

        for obj in (Model(), [Model()], {"api_key": "a-key-that-nobody-named"}):
            with pytest.raises(Unserializable, match="secret"):
                pickled(obj, Secrets())

    def test_what_a_record_holds_as_its_password_is_registered_nowhere_else(self) -> None:
        """It may be a common word, and there may be thousands of them."""
        secrets = Secrets()
        with pytest.raises(Unserializable, match="secret"):
            pickled([types.SimpleNamespace(password=f"production {n}") for n in range(2_000)], secrets)
        assert not secrets

    def test_what_leaves_its_key_out_is_pickled(self) -> None:
        class Model:
            api_key = ""

            def __getstate__(self) -> dict[str, str]:
                return {"name": "gpt"}

        model = Model()
        model.api_key = "a-key-that-nobody-named"
        assert pickled(model, Secrets()).size > 0

    def test_secret_strings_are_found_by_their_type(self) -> None:
        from pydantic import BaseModel, SecretStr

        class Settings(BaseModel):
            password: SecretStr = SecretStr("a password of some length")

        with pytest.raises(Unserializable, match="secret"):
            pickled({"settings": Settings()}, Secrets())


def _bytes(whole: Any) -> tuple[list[bytearray], list[bool]]:
    return [bytearray(part) for part in whole.parts], whole.are_read_only
