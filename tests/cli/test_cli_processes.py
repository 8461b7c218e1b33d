"""The commands as programs: both names, help, pipes, installing a kernelspec, starting and ending kernels."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_lines import Run
from jupyter_client.kernelspec import KernelSpecManager

import snakekernel
from snakekernel import Client
from snakekernel.cli.app import _SUBCOMMANDS

pytestmark = pytest.mark.kernel

#: The scripts that installing the package brings.
SCRIPTS = Path(sys.executable).parent
#: The kernelspec that the package brings.
KERNELSPEC = Path(__file__).parents[2] / "kernelspec"


def _program(words: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(words, capture_output=True, text=True, timeout=60, env=env, **options)


def test_both_names_of_the_program(kernel: Client) -> None:
    for name in (["snakekernel"], ["jupyter", "snakekernel"]):
        ran = _program([*name, "call", "--existing", "math.hypot", "3", "4"])
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "5.0\n", "")


def test_a_pipeline_through_a_pipe(kernel: Client) -> None:
    steps = '[{"target": "math.sqrt", "args": [16]}, {"target": "operator.neg", "args": [{"$step": 0}]}]'
    ran = _program(["snakekernel", "pipeline", "--existing"], input=steps)
    assert ran.stdout.splitlines() == ["0  call math.sqrt", "4.0", "1  call operator.neg", "-4.0"]


def test_errors_of_the_program(kernel: Client) -> None:
    ran = _program(["snakekernel", "call", "--existing", "math.sqrt", "--json", "--", "-1"])
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["ename"] == "ValueError"
    assert ran.stderr == ""


def test_a_fresh_kernel_writes_nothing_to_stdout() -> None:
    """What the kernel's process itself prints goes to stderr: stdout is the answer's."""
    ran = _program(["snakekernel", "call", "os.write", "1", '{"$bytes": 0}', "--json"])
    assert json.loads(ran.stdout)["status"] == "error"
    ran = _program(["snakekernel", "call", "os.system", "echo from a child", "--json"])
    assert json.loads(ran.stdout)["result"]["value"] == 0


def test_no_colours_where_nobody_looks(kernel: Client) -> None:
    for words in (["ping"], ["call", "math.sqrt", "-1"], ["list"], ["inspect", "json"]):
        ran = _program(["snakekernel", *words, "--existing"])
        assert "\x1b" not in ran.stdout + ran.stderr


def test_a_reader_that_leaves_is_no_error_of_ours(kernel: Client) -> None:
    ran = _program(["sh", "-c", "snakekernel inspect --existing pandas.DataFrame | head -1"])
    assert ran.stdout.startswith("type")
    assert "Traceback" not in ran.stderr


def test_help(run: Run) -> None:
    assert run("--version").out.strip() == snakekernel.__version__
    listed = run("--help").out
    assert all(name in listed for name in _SUBCOMMANDS)
    assert run().out == listed
    for name in _SUBCOMMANDS:
        ran = run(name, "--help")
        assert ran.status == 0
        assert f"snakekernel {name}" in ran.out
        # The options of a server are Jupyter Server's.
        assert ("--port" if name == "serve" else "--json") in ran.out
        everything = run(name, "--help-all").out
        assert "JupyterApp(Application) options" in everything
        assert len(everything) > len(ran.out)
    assert "KernelCommand.existing" in run("call", "--help-all").out


def test_help_of_the_program() -> None:
    ran = _program(["jupyter", "snakekernel", "call", "--help-all"])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "--KernelCommand.timeout" in ran.stdout


def test_installing_a_kernelspec_and_starting_a_kernel_from_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = run(
        "install", "--prefix", str(tmp_path), "--name=snake-test", "--display-name=A test",
        "--env", "SNAKE_TEST", "a value", "--env", "OTHER=1", "--json",
    ).document  # fmt: skip
    folder = tmp_path / "share" / "jupyter" / "kernels" / "snake-test"
    assert document == {"status": "ok", "kernelspec": str(folder), "name": "snake-test"}
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable
    assert spec["display_name"] == "A test"
    assert spec["metadata"] == {"debugger": True, "supported_encryption": ["curve"]}
    assert folder.stat().st_mode & 0o777 == 0o755

    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    assert "snake-test" in KernelSpecManager().find_kernel_specs()
    with snakekernel.start("snake-test") as client:
        assert client.call("os.environ.get", args=["SNAKE_TEST"]) == "a value"
        assert client.call("os.environ.get", args=["OTHER"]) == "1"
    assert run("call", "--kernel=snake-test", "os.environ.get", "SNAKE_TEST").out == "a value\n"


def test_installing_a_kernelspec_that_places_its_kernels(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = ("install", "--prefix", str(tmp_path), "--json")
    document = run(
        *prefix, "--provisioner=zygote", "--preload=numpy", "--preload=json", "--config", "idle_timeout=20",
        "--config", 'own_variables=["A_*"]',
    ).document  # fmt: skip
    assert document["name"] == "snakekernel-zygote"
    spec = json.loads(Path(document["kernelspec"], "kernel.json").read_text())
    assert spec["display_name"] == "Python (snakekernel-zygote)"
    assert spec["metadata"]["kernel_provisioner"] == {
        "provisioner_name": "snakekernel-zygote",
        "config": {"preload": ["numpy", "json"], "idle_timeout": 20, "own_variables": ["A_*"]},
    }
    # As where the engine is not installed.
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = run(*prefix, "--provisioner=ray", "--address=ray://head:10001")
    assert ran.status == 1
    assert ran.document["code"] == "unsupported"
    assert 'pip install "snakekernel[ray]"' in ran.document["error"]


def test_installing_for_the_user_and_for_the_environment(
    run: Run, jupyter_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    user = run("install", "--user", "--json").document["kernelspec"]
    assert Path(user) == jupyter_folders / "data" / "kernels" / "snakekernel"
    environment = run("install", "--sys-prefix", "--json").document["kernelspec"]
    assert Path(environment) == tmp_path / "share" / "jupyter" / "kernels" / "snakekernel"
    assert "Installed" in run("install", "--sys-prefix").out


def test_an_installed_kernelspec_has_our_logos(run: Run, jupyter_folders: Path, tmp_path: Path) -> None:
    brought = jupyter_folders / "data" / "kernels" / "snakekernel"
    shutil.rmtree(brought, ignore_errors=True)
    shutil.copytree(KERNELSPEC, brought)
    run("install", "--prefix", str(tmp_path), "--name=other")
    folder = tmp_path / "share" / "jupyter" / "kernels" / "other"
    assert sorted(path.name for path in folder.iterdir()) == [
        "kernel.json",
        "logo-32x32.png",
        "logo-64x64.png",
        "logo-svg.svg",
    ]
    ours, brought_spec = (json.loads((one / "kernel.json").read_text()) for one in (folder, KERNELSPEC))
    assert brought_spec["argv"][0] == "python"
    brought_spec["argv"][0] = sys.executable
    assert ours == brought_spec


def test_installing_what_cannot_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "share").write_text("a file in the way")
    assert run("install", "--prefix", str(tmp_path), "--json").document["code"] == "denied"
    assert run("install", "--user", "--name=a b", "--json").document["code"] == "invalid_request"


def test_the_logos_are_ours_and_of_their_size() -> None:
    for size in (32, 64):
        head = (KERNELSPEC / f"logo-{size}x{size}.png").read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(head[16:20]) == int.from_bytes(head[20:24]) == size
    assert "<svg" in (KERNELSPEC / "logo-svg.svg").read_text()


def _started(*words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [str(SCRIPTS / "snakekernel"), "start", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_start_runs_a_kernel_until_ctrl_c(number: signal.Signals, run: Run) -> None:
    process, document = _started()
    file = document["connection_file"]
    with process:
        with snakekernel.connect(file) as client:
            assert client.call("os.getpid") == document["pid"]
        assert run("call", f"--existing={file}", "math.sqrt", "4").out == "2.0\n"
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not Path(file).exists()
    assert not psutil.pid_exists(document["pid"])


def test_start_ends_when_its_kernel_does() -> None:
    process, document = _started("--transport=tcp")
    with process, snakekernel.connect(document["connection_file"]) as client:
        with pytest.raises(snakekernel.errors.KernelLost):
            client.call("os._exit", args=[3])
        assert process.wait(30) == 1
        assert process.stdout is not None
        failure = json.loads(process.stdout.read())
    assert failure["code"] == "outcome_unknown"
    assert "status 3" in failure["error"]


def test_start_tells_people_how_to_reach_the_kernel() -> None:
    with subprocess.Popen(
        [str(SCRIPTS / "snakekernel"), "start"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "Ctrl-C" in lines[0]
    assert "--existing=" in "".join(lines)


_SLOW = """
from pathlib import Path
import time, __main__
def slow(begun, over):
    try:
        Path(begun).touch()
        time.sleep(1000)
    finally:
        Path(over).touch()
def items(begun, over):
    yield 1
    yield slow(begun, over)
__main__.slow, __main__.items = slow, items
"""


def test_ctrl_c_during_a_call(tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    process = subprocess.Popen(
        [str(SCRIPTS / "snakekernel"), "call", "builtins.exec", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while not marker.exists():
            assert process.poll() is None
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None
        assert "interrupted" in process.stderr.read()
    assert not child.is_running()


@pytest.mark.parametrize("stream", [False, True])
def test_ctrl_c_stops_the_call_and_not_the_kernel(tmp_path: Path, stream: bool) -> None:
    with snakekernel.start() as snake:
        snake.call("builtins.exec", args=[_SLOW, {}], store_as="nothing")
        begun, over = tmp_path / "begun", tmp_path / "over"
        command = [str(SCRIPTS / "snakekernel"), "call", f"--existing={snake.connection_file}"]
        command += ["--stream"] * stream + ["user.items" if stream else "user.slow", str(begun), str(over)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            while not begun.exists():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            assert process.stderr is not None
            assert "asked to stop" in process.stderr.read()
        # It is at its end before the kernel serves another.
        assert snake.call("operator.add", args=[1, 2], timeout=30) == 3
        assert over.exists()
