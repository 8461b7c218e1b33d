"""A message that was captured runs once, whatever becomes of the kernel's process."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from stock_client import Stock

import snakekernel
from snakekernel.kernel.digests import Digests
from snakekernel.kernel.seen import SeenFile, seen_file

pytestmark = pytest.mark.kernel

TAKEN = 16


def _captured(stock: Stock, folder: Path) -> list[tuple[str, list[bytes]]]:
    """What an eavesdropper has seen, by channel: messages that were sent, each of which leaves a mark."""
    seen = []
    for channel in ("shell", "control"):
        target = str(folder / f"call-{channel}")
        content = f'{{"target": "os.mkdir", "args": ["{target}"]}}'.encode()
        seen.append((channel, stock.frames("snake_call_request", content=content)))
    code = f"import os; os.mkdir('{folder / 'cell'}')"
    content = f'{{"code": "{code}", "silent": false}}'.encode()
    seen.append(("shell", stock.frames("execute_request", content=content)))
    sent = []
    for channel, (msg_id, frames) in seen:
        stock.send_frames(frames, channel=channel)
        stock.reply(msg_id, channel=channel)
        sent.append((channel, frames))
    return sent


@pytest.mark.promise("attack-2")
@pytest.mark.promise("attack-3")
def test_a_captured_message_runs_in_no_later_process(tmp_path: Path) -> None:
    with snakekernel.start(transport="tcp") as client:
        before = client.manager.get_connection_info()
        stock = Stock(before)
        captured = _captured(stock, tmp_path)
        marks = sorted(one.name for one in tmp_path.iterdir())
        assert marks == ["call-shell", "cell"] or marks == ["call-control", "call-shell", "cell"]
        try:
            # In the same process, after a restart, and after a kill and a restart.
            for turn in range(3):
                if turn == 2:
                    os.kill(client.manager.provisioner.pid, signal.SIGKILL)
                if turn > 0:
                    client.manager.restart_kernel(now=True)
                    assert client.manager.get_connection_info() == before
                    stock.close()
                    stock = Stock(before)
                for one in tmp_path.iterdir():
                    one.rmdir()
                dropped = stock.ok("ping")["frames_dropped"]
                for channel, frames in captured:
                    # Also where it did not come before.
                    for where in {channel, "shell", "control"}:
                        stock.send_frames(frames, channel=where)
                stock.fence()
                stock.fence(channel="control")
                assert stock.ok("ping")["frames_dropped"] == dropped + 2 * len(captured)
                assert not list(tmp_path.iterdir())
                assert stock.call("operator.add", 1, 2) == 3
        finally:
            stock.close()
        file = seen_file(client.connection_file)
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()


class TestFile:
    def digests(self, folder: Path, size: int, key: bytes = b"key") -> Digests:
        digests = Digests(size)
        digests.outlive(SeenFile(folder / "kernel-1.json", key, digests.generation))
        return digests

    @pytest.mark.promise("attack-3")
    def test_the_newest_are_known_to_each_next_process(self, tmp_path: Path) -> None:
        (tmp_path / "kernel-1.json").touch()
        signatures = [os.urandom(32).hex().encode() for _ in range(50)]
        digests = self.digests(tmp_path, 2 * TAKEN)
        for number, signature in enumerate(signatures):
            if number % 7 == 0:
                # The one before is never closed, as if it was killed.
                digests = self.digests(tmp_path, 2 * TAKEN)
            assert digests.take(signature)
            newest = signatures[max(0, number + 1 - TAKEN) : number + 1]
            assert not any(map(digests.take, newest))
            assert len(digests) <= 2 * TAKEN

    def test_a_file_of_another_key_or_size_is_not_taken_over(self, tmp_path: Path) -> None:
        (tmp_path / "kernel-1.json").touch()
        signature = os.urandom(32).hex().encode()
        assert self.digests(tmp_path, 8).take(signature)
        assert self.digests(tmp_path, 8, b"other").take(signature)
        assert self.digests(tmp_path, 10, b"other").take(signature)

    @pytest.mark.parametrize("spoil", ["folder", "link", "readable", "short"])
    def test_what_is_no_file_of_ours(self, tmp_path: Path, spoil: str) -> None:
        (tmp_path / "kernel-1.json").touch()
        place = seen_file(tmp_path / "kernel-1.json")
        spoilt: dict[str, Callable[[], Any]] = {
            "folder": place.mkdir,
            "link": lambda: place.symlink_to(tmp_path / "kernel-1.json"),
            "readable": lambda: place.touch(0o644),
            "short": lambda: place.touch(0o600),
        }
        spoilt[spoil]()
        if spoil == "folder":
            with pytest.raises(OSError):
                self.digests(tmp_path, 8)
        else:
            assert self.digests(tmp_path, 8).take(os.urandom(32).hex().encode())
            assert (tmp_path / "kernel-1.json").read_bytes() == b""
            assert not place.is_symlink()

    def test_what_others_left_is_removed(self, tmp_path: Path) -> None:
        for name in ("kernel-1.json", "kernel-2.json"):
            (tmp_path / name).touch()
            SeenFile(tmp_path / name, b"key", 4)
        (tmp_path / "kernel-2.json").unlink()
        SeenFile(tmp_path / "kernel-1.json", b"key", 4)
        assert seen_file(tmp_path / "kernel-1.json").exists()
        assert not seen_file(tmp_path / "kernel-2.json").exists()

    def test_what_a_kernel_uses_is_left_alone_and_what_nobody_used_for_long_is_not(
        self, tmp_path: Path
    ) -> None:
        files = {name: tmp_path / name for name in ("kernel-1.json", "kernel-2.json", "kernel-3.json")}
        for file in files.values():
            file.touch()
        # Its connection file goes while it runs.
        used = SeenFile(files["kernel-1.json"], b"key", 4)
        files["kernel-1.json"].unlink()
        SeenFile(files["kernel-2.json"], b"key", 4)
        os.utime(seen_file(files["kernel-2.json"]), (0, 0))
        SeenFile(files["kernel-3.json"], b"key", 4)
        assert used.path.exists()
        assert not seen_file(files["kernel-2.json"]).exists()
        del used
        SeenFile(files["kernel-3.json"], b"key", 4)
        assert [one.name for one in tmp_path.glob(".*.seen")] == [".kernel-3.json.seen"]

    @pytest.mark.promise("attack-2")
    def test_of_two_threads_one_takes_a_message(self, tmp_path: Path) -> None:
        digests = self.digests(tmp_path, 1 << 16)
        signatures = [os.urandom(32).hex().encode() for _ in range(20_000)]
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(4) as threads:
                taken = threads.map(lambda _: sum(map(digests.take, signatures)), range(4))
                assert sum(taken) == len(signatures)
        finally:
            sys.setswitchinterval(before)

    def test_without_room_for_it_a_kernel_starts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = tmp_path / "runtime"
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
        env = {**os.environ, "SNAKEKERNEL_LIMITS": json.dumps({"fsize": 1 << 19})}
        with (tmp_path / "log").open("w+") as log:
            with snakekernel.start(env=env, output=log, transport="tcp") as client:
                assert client.call("operator.add", args=[1, 2]) == 3
                assert not list(runtime.glob(".*.seen"))
            log.seek(0)
            assert "Messages that were seen are not known after a restart" in log.read()


@pytest.mark.promise("attack-2")
def test_wrong_signatures_push_no_right_ones_out(fresh_kernel: Callable[..., Any], tmp_path: Path) -> None:
    profile = tmp_path / "profile_default"
    profile.mkdir()
    (profile / "snakekernel_kernel_config.py").write_text("c.Session.digest_history_size = 8\n")
    _, stock = fresh_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    _, frames = stock.frames("snake_store_request", content=b'{"id": "replayed", "value": 1}')
    stock.send_frames(frames)
    dropped = stock.ok("ping")["frames_dropped"]
    for number in range(20):
        _, forged = stock.frames("execute_request", content=b'{"code": "1"}')
        stock.send_frames([forged[0], b"%064d" % number, *forged[2:]])
    stock.send_frames(frames)
    assert stock.ok("ping")["frames_dropped"] == dropped + 21
