"""Hostile code in a sandbox, with all of Python at its disposal: what it reaches, and what it takes along."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from needs import TOLD
from stock_client import PATIENCE

import snakekernel
from snakekernel.errors import KernelLost, Raised

pytestmark = [pytest.mark.kernel, pytest.mark.promise("attack-10"), pytest.mark.usefixtures("bubblewrap")]
if sys.platform != "linux":
    pytest.skip("a sandbox needs Linux", allow_module_level=True)

_ROOM = 8 << 20
_PROCESSES = 80
_SETTINGS = {
    "home_bytes": _ROOM,
    "tmp_bytes": _ROOM,
    "limits": {"nproc": _PROCESSES, "nofile": 256, "as": 1 << 30},
}
_CANARY = f"canary-{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Files with the canary: in the home, in the project, in /tmp, in /var/tmp and in /dev/shm."""
    name = f".snakekernel-{_CANARY}"
    folders = [Path.home(), Path(__file__).parents[2], tmp_path_factory.mktemp("canary")]
    folders += [Path("/var/tmp"), Path("/dev/shm")]
    made = [folder / name for folder in folders if os.access(folder, os.W_OK)]
    for file in made:
        file.write_text(_CANARY)
    yield made
    for file in made:
        file.unlink()


@pytest.fixture(scope="module")
def snake(files: list[Path]) -> Iterator[snakekernel.Client]:
    """A client of the sandboxed kernel that these tests share; its program has the canary as a variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY", _CANARY)
        client = snakekernel.start(sandbox=_SETTINGS)
    with client:
        yield client


@pytest.fixture(scope="module")
def neighbour() -> Iterator[snakekernel.Client]:
    """Somebody else's kernel, without a sandbox."""
    with snakekernel.start() as client:
        yield client


def run(snake: snakekernel.Client, code: str, **names: Any) -> Any:
    """What ``result`` is after this code ran in the kernel, with these names."""
    names = {**names, "code": code}
    return snake.call("builtins.eval", args=["(exec(code, globals()), result)[1]", names], returns="value")


def namespace_of(snake: snakekernel.Client) -> str:
    """The sandbox's process table, by the name that this host has for it."""
    return os.readlink(f"/proc/{snake.manager.provisioner._init_number}/ns/pid")


def members(namespace: str) -> list[int]:
    """The processes of a process table."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns" / "pid") == namespace:
                found.append(int(folder.name))
        except OSError:
            # It has just ended.
            continue
    return found


def until(fact: Callable[[], bool]) -> float:
    """Wait for a fact; the seconds that it took."""
    began = time.monotonic()
    while not fact():
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.01)
    return time.monotonic() - began


# -- what it reaches -------------------------------------------------------------------------------


def test_there_is_no_network(snake: snakekernel.Client) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0{_CANARY}")
        for listening in (tcp, abstract):
            listening.listen()
            listening.setblocking(False)
        said = run(
            snake,
            """
import errno, fcntl, os, socket, stat
result = {"interfaces": [name for _, name in socket.if_nameindex()]}
def attempt(name, family, address, kind=socket.SOCK_STREAM):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(5)
            one.connect(address)
        result[name] = "connected"
    except OSError as error:
        result[name] = errno.errorcode.get(error.errno, str(error))
attempt("tcp", socket.AF_INET, ("127.0.0.1", port))
attempt("far", socket.AF_INET, ("192.0.2.1", 80))
attempt("six", socket.AF_INET6, ("::1", port))
attempt("abstract", socket.AF_UNIX, chr(0) + canary)
attempt("hypervisor", 40, (2, 80))
attempt("packets", 17, ("lo", 0), socket.SOCK_RAW)
# The client's connections are sockets of the host's network.
asked = set()
for name in os.listdir("/proc/self/fd"):
    try:
        if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
            fcntl.ioctl(int(name), 0x8912, bytes(16))
            asked.add("told")
    except OSError as error:
        # The descriptor of the listing itself is closed.
        asked.add(errno.errorcode[error.errno])
result["asked"] = sorted(asked)
""",
            port=tcp.getsockname()[1],
            canary=_CANARY,
        )
        assert said == {
            "interfaces": ["lo"],
            "tcp": "ECONNREFUSED",
            "far": "ENETUNREACH",
            "six": said["six"],
            "abstract": "ECONNREFUSED",
            "hypervisor": "EAFNOSUPPORT",
            "packets": "EAFNOSUPPORT",
            "asked": ["EBADF", "EPERM"],
        }
        assert said["six"] in ("ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL")
        for listening in (tcp, abstract):
            with pytest.raises(BlockingIOError):
                listening.accept()


def test_there_is_no_file_of_the_host_but_programs(
    snake: snakekernel.Client, neighbour: snakekernel.Client, files: list[Path]
) -> None:
    hidden = [*files, Path(neighbour.connection_file or ""), Path(neighbour.manager.ip).parent]
    hidden += [Path("/etc/shadow"), Path("/var/lib"), Path("/run/dbus"), Path("/sys/class"), Path("/boot")]
    hidden += [Path(__file__).parents[2] / "pyproject.toml", Path.home() / ".bashrc"]
    said = run(
        snake,
        """
import os
result = {
    "seen": [path for path in hidden if os.path.lexists(path)],
    "top": sorted(os.listdir("/")),
    "etc": sorted(os.listdir("/etc")),
    "shared": os.listdir("/dev/shm"),
    "told": os.listdir("/run/snakekernel"),
    # Copies of descriptors would be doors, too.
    "open": [],
}
for name in os.listdir("/proc/self/fd"):
    try:
        result["open"].append(os.readlink(f"/proc/self/fd/{name}"))
    except OSError:
        # That of the listing itself.
        pass
""",
        hidden=[str(path) for path in hidden],
    )
    assert said["seen"] == []
    top = {
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "run",
        "sbin",
        "tmp",
        "usr",
    }
    ways = {
        Path(path).parts[1]
        for path in (sys.executable, os.path.realpath(sys.executable), snakekernel.__file__)
    }
    assert set(said["top"]) <= top | ways
    assert not {"shadow", "ssl", "ssh", "hosts", "machine-id"} & set(said["etc"])
    assert said["shared"] == []
    assert said["told"] == [Path(snake.connection_file or "").name]
    named = {path for path in said["open"] if path.startswith("/") and not path.startswith("/proc/")}
    assert {path for path in named if not path.startswith("/home/kernel/")} <= {
        "/dev/null",
        # Of a fixed size, and for this kernel alone: the signatures of its messages.
        "/memfd:snakekernel-seen (deleted)",
    }


def test_nothing_can_be_written_but_its_own_memory(snake: snakekernel.Client) -> None:
    said = run(
        snake,
        """
import os
result = []
for top in os.listdir("/"):
    if top in ("proc",):
        continue
    for folder, folders, names in os.walk("/" + top):
        if folder.count("/") > 4:
            folders.clear()
        try:
            os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
            result.append(folder)
            folders.clear()
        except OSError:
            pass
""",
    )
    allowed = ("/tmp", "/home/kernel", "/dev/shm")
    assert {"/tmp", "/home/kernel", "/dev/shm"} <= set(said)
    assert [path for path in said if not path.startswith(allowed)] == []
    # The folder of its sockets is in /tmp and is the host's.
    with pytest.raises(Raised, match="Read-only"):
        run(snake, "open(path + '/x', 'w')", path=str(Path(snake.manager.ip).parent))


def test_there_is_no_environment_and_no_other_process(snake: snakekernel.Client) -> None:
    said = run(
        snake,
        """
import os
result = {"variables": sorted(os.environ), "seen": [], "pids": [], "signalled": []}
for name in os.listdir("/proc"):
    if name.isdigit():
        result["pids"].append(int(name))
        for file in ("environ", "cmdline", "status"):
            try:
                result["seen"].append(open(f"/proc/{name}/{file}").read())
            except OSError as error:
                pass
try:
    os.kill(host, 0)
    result["signalled"].append(host)
except ProcessLookupError:
    pass
result["ids"] = [os.getpid(), os.getppid(), os.getuid(), os.getgid(), os.getgroups()]
result["host"] = os.uname().nodename
""",
        host=os.getpid(),
    )
    assert "CANARY" not in said["variables"]
    assert _CANARY not in str(said)
    assert sorted(said["pids"]) == [1, 2]
    assert said["signalled"] == []
    assert said["ids"][:4] == [2, 1, 1000, 1000]
    assert said["host"] == "sandbox"


def test_ways_out_are_refused(snake: snakekernel.Client) -> None:
    said = run(
        snake,
        """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
def code(value):
    return "done" if value >= 0 else errno.errorcode[ctypes.get_errno()]
calls = {
    "user namespace": lambda: libc.unshare(0x10000000),
    "child in one": lambda: libc.syscall(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0),
    "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    "root": lambda: libc.chroot(b"/tmp"),
    "keys": lambda: libc.syscall(250 if x86 else 219, 0, -3, 0, 0, 0),
    "ptrace": lambda: libc.ptrace(16, 1, None, None),
    "bpf": lambda: libc.syscall(321 if x86 else 280, 0, None, 0),
    "io_uring": lambda: libc.syscall(425, 8, None),
    "unbounded memory": lambda: libc.memfd_create(b"x", 0),
    "descriptors of others": lambda: libc.syscall(438, 0, 0, 0),
    "modules": lambda: libc.syscall(175 if x86 else 105, None, 0, b""),
    "superuser": lambda: libc.setuid(0),
    "more processes": lambda: libc.setrlimit(6, (ctypes.c_ulong * 2)(1 << 20, 1 << 20)),
    "name": lambda: libc.sethostname(b"free", 4),
}
result = {name: code(call()) for name, call in calls.items()}
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
result["rights"] = [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")]
result["flags"] = [status["NoNewPrivs"].strip(), status["Seccomp"].strip()]
""",
    )
    assert said.pop("rights") == [0, 0, 0]
    assert said.pop("flags") == ["1", "2"]
    assert said == dict.fromkeys(said, "EPERM")
    with pytest.raises(Raised, match=r"Permission|Read-only"):
        run(snake, "open('/proc/sys/kernel/hostname', 'w').write('free')")
    with pytest.raises(Raised, match=r"Permission|Operation"):
        run(
            snake,
            "open('/proc/1/mem', 'rb').read(1)"
            if os.geteuid() == 0
            else "open('/proc/1/mem', 'wb').write(b'')",
        )


# -- what it takes along ---------------------------------------------------------------------------


@pytest.mark.promise("attack-14")
def test_bombs_are_bounded_and_only_their_kernel_feels_them(
    neighbour: snakekernel.Client, record_property: Callable[[str, Any], None]
) -> None:
    with snakekernel.start(sandbox=_SETTINGS) as snake:
        namespace = namespace_of(snake)
        disk = run(
            snake,
            """
import os
result = {}
for folder in ("/tmp", "/home/kernel", "/dev/shm"):
    written = 0
    try:
        with open(folder + "/bomb", "wb", buffering=0) as file:
            while True:
                written += file.write(bytes(1 << 20))
    except OSError as error:
        result[folder] = [written, error.strerror]
    os.unlink(folder + "/bomb")
""",
        )
        for written, why in disk.values():
            assert written <= _ROOM
            assert why == "No space left on device"
        opened = run(
            snake,
            """
import os
kept = []
try:
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    result = [len(kept), error.strerror]
for one in kept:
    os.close(one)
""",
        )
        assert opened[0] < 256
        assert opened[1] == "Too many open files"
        with pytest.raises(Raised, match="MemoryError"):
            run(snake, "result = len([bytearray(1 << 26) for _ in range(1000)])")
        # Nobody waits for the children, and each makes more.
        forked = run(
            snake,
            """
import os, signal, time
result = 0
try:
    while result < 10_000:
        if os.fork() == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            os.setsid()
            while True:
                try:
                    os.fork()
                except OSError:
                    time.sleep(0.05)
        result += 1
except OSError as error:
    result = error.strerror
""",
        )
        assert forked == "Resource temporarily unavailable"
        most = len(members(namespace))
        assert most <= _PROCESSES + 1
        assert neighbour.call("math.sqrt", args=[16]) == 4
    took = until(lambda: not members(namespace))
    record_property(
        TOLD, f"A fork bomb in a sandbox: {most} processes, all gone {took:.2f} s after its kernel."
    )
    assert neighbour.call("math.sqrt", args=[16]) == 4


def test_nothing_is_left_of_a_sandbox_whose_program_was_killed() -> None:
    code = """
import os, sys, threading, snakekernel
opened = []
# Its starting thread has ended long before.
thread = threading.Thread(target=lambda: opened.append(snakekernel.start(sandbox=True)))
thread.start()
thread.join()
snake = opened[0]
assert snake.call("math.sqrt", args=[16]) == 4
snake.call("subprocess.Popen", args=[["sleep", "1000"]], kwargs={"start_new_session": True}, returns="none")
print(os.readlink(f"/proc/{snake.manager.provisioner._init_number}/ns/pid"), flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        namespace = process.stdout.readline().strip()
        assert len(members(namespace)) == 3
        process.kill()
    until(lambda: not members(namespace))


def test_its_death_is_told_as_that_of_any_kernel(neighbour: snakekernel.Client) -> None:
    with snakekernel.start(sandbox=True) as snake:
        namespace = namespace_of(snake)
        provisioner = snake.manager.provisioner
        snake.call(
            "subprocess.Popen", args=[["sleep", "1000"]], kwargs={"start_new_session": True}, returns="none"
        )
        with pytest.raises(KernelLost):
            snake.call("signal.raise_signal", args=[int(signal.SIGSEGV)])
        assert provisioner.process.wait(PATIENCE) == -signal.SIGSEGV
        until(lambda: not members(namespace))
        with pytest.raises(KernelLost):
            snake.call("math.sqrt", args=[16])
    assert neighbour.call("math.sqrt", args=[16]) == 4


def test_a_sandbox_that_an_ordinary_user_made_holds_as_well() -> None:
    """As this user where it is an ordinary one; the superuser becomes one in a namespace for that."""
    code = """
import os, pathlib, snakekernel
assert os.geteuid() != 0
with snakekernel.start(sandbox=True) as snake:
    for target, argument in (
        ("os.getuid", []),
        ("os.listdir", ["/dev/shm"]),
        ("pathlib.Path.read_text", [pathlib.Path("/proc/1/environ")]),
        ("os.getenv", ["CANARY"]),
        ("socket.if_nameindex", []),
    ):
        print(snake.call(target, args=argument, returns="value"))
    try:
        snake.call("os.chroot", args=["/"])
    except snakekernel.errors.Raised as error:
        print(error.ename)
"""
    become = [] if os.geteuid() else ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    done = subprocess.run(
        [*become, sys.executable, "-c", code],
        env={**os.environ, "CANARY": _CANARY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n") == ["1000", "[]", "", "None", "[(1, 'lo')]", "PermissionError", ""], (
        done.stderr
    )
