"""Files of objects in the making, and those whose log is being worked off: others open them meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import saved_files
from saved_files import KEY, read, write

from snakekernel.durable.database import Database
from snakekernel.durable.pickles import pickled
from snakekernel.wire.errors import StorageFailed


def test_many_make_one_file_at_once(tmp_path: Path) -> None:
    """Processes: threads of one take turns, and seldom see what another has half done."""
    rounds, names = 40, range(6)
    code = (
        "import sys\nfrom pathlib import Path\nfrom saved_files import write\n"
        "folder, name = Path(sys.argv[1]), sys.argv[2]\n"
        "for line in iter(sys.stdin.readline, ''):\n"
        "    write(folder / line.strip(), {('', name): int(name)})\n"
        "    print(flush=True)\n"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(saved_files.__file__).parent)},
        )
        for name in names
    ]
    with ExitStack() as stack:
        for maker in makers:
            stack.enter_context(maker)
            stack.callback(maker.kill)
        for n in range(rounds):
            for maker in makers:
                print(f"{n}.db", file=maker.stdin, flush=True)
            for maker in makers:
                assert maker.stdout is not None
                assert maker.stdout.readline() == "\n"
            assert read(tmp_path / f"{n}.db") == {("", str(name)): name for name in names}


def test_a_file_says_whose_it_is_from_its_first_byte_on(tmp_path: Path) -> None:
    """Stopped after any step of its making it is made on by the next."""
    step, was_made = 0, False
    while not was_made:
        path = tmp_path / f"{step}.db"
        code = (
            "import os, sqlite3, sys\nfrom pathlib import Path\nfrom snakekernel.durable import opening\n"
            "from snakekernel.durable.database import Database\nleft = int(sys.argv[2])\n"
            "class Stopped(sqlite3.Connection):\n"
            "    def execute(self, *args):\n"
            "        global left\n"
            "        left -= 1\n"
            "        if left < 0: os._exit(3)\n"
            "        return super().execute(*args)\n"
            "connect = sqlite3.connect\n"
            "sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=Stopped)\n"
            "Database(Path(sys.argv[1]), bytes(range(32)), create=True)\n"
        )
        ended = subprocess.run([sys.executable, "-c", code, str(path), str(step)], check=False)
        was_made = ended.returncode == 0
        assert was_made or ended.returncode == 3
        data = path.read_bytes()
        assert not data or data[68:72] == b"snak", f"after {step} steps"
        write(path, {("", "a"): step})
        assert read(path) == {("", "a"): step}
        step += 1
    # So many that the file was written between them.
    assert step > 15


def test_a_log_is_worked_off_to_the_end_by_whoever_opens_the_file_next(tmp_path: Path) -> None:
    """Its first page says of a file how long it is, and is the first that is written."""
    path = tmp_path / "x.db"
    with Database(path, KEY, create=True) as database:
        with database.writing() as writing:
            writing.put(
                "", "a", pickled(1, None), type="int", module="builtins", created=1.0, expires_at=None
            )
        log = (tmp_path / "x.db-wal").read_bytes()
    whole = path.read_bytes()
    assert len(whole) > 2 * 16_384
    for length in range(16_384, len(whole) + 1, 8_192):
        cut = tmp_path / f"{length}.db"
        cut.write_bytes(whole[:length])
        cut.with_name(f"{length}.db-wal").write_bytes(log)
        assert read(cut) == {("", "a"): 1}, f"a file of {length} bytes"
        # A file that was cut and has no log holds what cannot be believed.
        if length < len(whole):
            cut.write_bytes(whole[:length])
            with pytest.raises(StorageFailed) as caught:
                read(cut)
            assert caught.value.reply["reason"] in ("corrupt", "signature")
