"""Files of objects in the making: others make them, too."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import saved_files
from saved_files import read, write


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
