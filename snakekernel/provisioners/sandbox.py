"""``snakekernel-sandbox``: kernels on this machine that see next to nothing of it, by way of bubblewrap.

Rules: the kernel has its own users, processes, network, shared memory and file system; of this host it sees
its interpreter, the system's programs, and what it was told to show. Nothing of the host is writable unless
asked for: its sockets are made out here and listen already, and what it prints comes through a pipe. To a
kernel manager it is Jupyter's own local provisioner; its process is bwrap's, which ends with the kernel, and
the kernel with it. A manager that would listen on TCP is told to use ipc, for no network leads inside.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import weakref
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.session import Session
from traitlets import Bool, Dict, Integer, List, Unicode

from ..errors import Unsupported
from ..kernel.confined import VARIABLE
from ..kernel.seen import bytes_of
from .bubblewrap import (
    HOME,
    TOLD,
    USER,
    View,
    check_bwrap,
    checked,
    find_bwrap,
    in_memory,
    init_of,
    of_size,
    zero_ended,
)
from .confining import (
    Confined,
    allowed,
    ids,
    listening,
    read_object,
    second,
    started,
    users_running,
)
from .pump import piped
from .syscalls import refusals

_PORTS: Final = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
#: As systemd's own for services that are users for the time they run.
_FREE_USERS: Final = range(61184, 65520)
_LIMITS: Final = "SNAKEKERNEL_LIMITS"
#: What a kernel may do unless told otherwise; ``core`` is a file of the host's.
_USUAL_LIMITS: Final = {"as": 8 << 30, "nproc": 512, "nofile": 4096, "core": 0, "msgqueue": 0}
_DURABLE: Final = "SNAKEKERNEL_DURABLE"
_GIVEN: Final = ("LANG", "LC_ALL", "TZ", "JPY_SESSION_NAME")


class SandboxProvisioner(LocalProvisioner):
    """Starts the kernel inside bubblewrap; everything else is LocalProvisioner's."""

    read_only: Any = List(
        Unicode(), help="Files and folders of this host that the kernel may read, at the same place."
    ).tag(config=True)
    writable: Any = List(
        Unicode(), help="Files and folders of this host that the kernel may read and write."
    ).tag(config=True)
    network: Any = Bool(
        False, help="Whether the kernel uses this host's network, services on localhost included."
    ).tag(config=True)
    env: Any = List(
        Unicode(),
        help="Names of environment variables that the kernel is given; those that the kernelspec sets are "
        "given in any case.",
    ).tag(config=True)
    home_bytes: Any = Integer(
        1 << 30, min=1 << 20, help="How much the kernel's home holds, in memory, until it ends."
    ).tag(config=True)
    tmp_bytes: Any = Integer(
        1 << 30, min=1 << 20, help="How much /tmp holds, and /dev/shm, in memory, until the kernel ends."
    ).tag(config=True)
    output_bytes: Any = Integer(
        64 << 20, min=0, help="How much the process may write to its standard output and error."
    ).tag(config=True)
    limits: Any = Dict(
        key_trait=Unicode(),
        value_trait=Integer(min=0),
        help="Resource limits of its processes, each by its name of setrlimit(2), over those that hold here: "
        + ", ".join(f"{name} {value}" for name, value in _USUAL_LIMITS.items()),
    ).tag(config=True)
    run_as: Any = Integer(
        None,
        allow_none=True,
        min=1,
        help="Where the superuser starts it: the id of the user that it is to this host; a free one unless "
        "given.",
    ).tag(config=True)

    #: Where its sockets are, while there are any, and what removes them.
    _folder: str | None = None
    _remove: Any = None
    #: Of its first process, whose end is that of all others in the sandbox.
    _init: int = -1
    _init_number: int = 0
    #: The file of signatures that its processes took, one after the other; replays end at it.
    _signatures: int = -1

    # -- its start ---------------------------------------------------------------------------------------

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """As stock, on sockets in a folder of this kernel alone. Raises Unsupported where it cannot work."""
        if kwargs.get("independent"):
            raise Unsupported(
                "A kernel in a sandbox ends with the program that started it: no independent=True."
            )
        if kwargs.get("env", os.environ).get(_DURABLE) and _DURABLE not in self.env:
            raise Unsupported(
                f"What a kernel in a sandbox keeps in a file would go with it. Show it a folder of its own: "
                f"`writable`, and {_DURABLE} and {_DURABLE}_FOLDER among the names of `env`."
            )
        find_bwrap()
        manager: Any = self.parent
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="snakekernel-")
            self._remove = weakref.finalize(self, _remove, self._folder, os.getpid())
            # Whatever was chosen for another folder or transport: a port of ipc is any number.
            for place, name in enumerate(_PORTS, 1):
                setattr(manager, name, place)
        manager.cache_ports = False
        manager.transport, manager.ip = "ipc", f"{self._folder}/channel"
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Make the sandbox, with the kernel in it."""
        env = dict(kwargs.get("env") or os.environ)
        streams = {name: kwargs.get(name) for name in ("stdout", "stderr")}
        command = self._command(cmd)
        start = started(lambda: self._start(command, env, kwargs.get("cwd"), streams))
        await asyncio.wrap_future(start)
        return self.connection_info

    def _command(self, cmd: list[str]) -> list[str]:
        python = shutil.which(os.path.expanduser(cmd[0]))
        if python is None or cmd[1:3] != ["-m", "snakekernel"]:
            raise Unsupported("A sandbox runs kernelspecs of snakekernel alone: `python -m snakekernel`.")
        # A venv's interpreter is known by the name that it is called by.
        return [os.path.abspath(python), *cmd[1:]]

    def _start(
        self, command: list[str], env: dict[str, str], folder: Any, streams: dict[str, int | IO[Any] | None]
    ) -> Confined:
        manager: Any = self.parent
        bwrap = find_bwrap()
        check_bwrap(bwrap)
        # Whoever is no superuser is one user, inside as outside.
        user = self._user() if os.geteuid() == 0 and ids(_FREE_USERS) else None
        with ExitStack() as ours:

            def closing(descriptor: int) -> int:
                ours.callback(os.close, descriptor)
                return descriptor

            given = {}
            for name in _PORTS:
                port = getattr(manager, name)
                given[port] = ours.enter_context(listening(f"{manager.ip}-{port}", user)).fileno()
            if user is not None:
                os.chown(str(self._folder), user, user)
            if self._signatures < 0:
                self._signatures = of_size(bytes_of(Session.digest_history_size.default_value // 2))
            said, info = os.pipe()
            closing(info)
            files, inside = self._told(manager.connection_file)
            view = View(
                python=command[0],
                sockets=str(self._folder),
                read_only=checked(self.read_only),
                writable=checked(self.writable),
                files={path: closing(in_memory(text)) for path, text in files.items()},
                network=self.network,
                home_bytes=self.home_bytes,
                tmp_bytes=self.tmp_bytes,
                variables=self._variables(command[0], env, given, user),
                descriptors={"--info-fd": info},
                is_root=user is not None,
            )
            if folder and _is_shown(str(folder), [*view.read_only, *view.writable]):
                view.folder = os.path.abspath(folder)
            refused = refusals(self.network)
            if refused is None:
                self.log.warning("No filter of system calls is known for this architecture.")
            else:
                view.descriptors["--seccomp"] = closing(in_memory(refused))
            release = -1
            if user is not None:
                held, release = os.pipe()
                closing(held)
                view.descriptors["--userns-block-fd"] = held
            told = closing(in_memory(zero_ended(view.arguments())))
            argv = [inside if word == manager.connection_file else word for word in command]
            with piped(streams, self.output_bytes) as theirs, ExitStack() as sources:
                sources.callback(os.close, said)
                if release >= 0:
                    sources.callback(os.close, release)
                passed = [
                    told,
                    self._signatures,
                    *given.values(),
                    *view.files.values(),
                    *view.descriptors.values(),
                ]
                process = Confined(
                    [bwrap, "--args", str(told), "--", *argv],
                    stdin=subprocess.DEVNULL,
                    # Seen inside as that of the first process: nothing of ours may be in it.
                    env={},
                    pass_fds=passed,
                    start_new_session=True,
                    **theirs,
                )
                self.process, self.pid, self.pgid = process, process.pid, process.pid
                self.cwd = Path(view.folder)
                ours.close()
                self._let_in(process, said, release, user)
                return process

    def _let_in(self, process: Confined, said: int, release: int, user: int | None) -> None:
        """Hear which process is the sandbox's first, and say who it may be, if that is ours to say."""
        init = init_of(read_object(said))
        if init is None:
            # bwrap has written why; the kernel's manager sees that it has ended.
            return
        self._close_init()
        with suppress(OSError):
            self._init, self._init_number = os.pidfd_open(init), init
        if user is not None:
            try:
                # Root within is root without, but without a capability there; the kernel gives it up at once.
                for kind in ("uid", "gid"):
                    Path(f"/proc/{init}/{kind}_map").write_text(f"0 0 1\n{USER} {user} 1\n")
                os.write(release, b"1")
            except OSError as error:
                # It must not go on as anybody else.
                process.kill()
                process.wait()
                raise Unsupported(f"The sandbox cannot have a user of its own ({user}): {error}") from None

    def _user(self) -> int:
        if self.run_as is not None:
            return int(self.run_as)
        # One of its own for each kernel: limits and files of one are not another's.
        free = ids(_FREE_USERS) - {entry.pw_uid for entry in pwd.getpwall()} - users_running()
        if not free:
            raise Unsupported("No user id is free for the sandbox; name one by run_as.")
        # By chance, for another kernel may be starting.
        return random.choice(sorted(free))

    def _told(self, connection_file: str) -> tuple[dict[str, bytes], str]:
        """What stands in files inside, and where the connection file is there."""
        inside = f"{TOLD}/{Path(connection_file).name}"
        return {
            inside: Path(connection_file).read_bytes(),
            "/etc/passwd": f"kernel:x:{USER}:{USER}::{HOME}:/bin/sh\nroot:x:0:0::/:/bin/sh\n".encode(),
            "/etc/group": f"kernel:x:{USER}:\nroot:x:0:\n".encode(),
        }, inside

    def _variables(
        self, python: str, env: dict[str, str], given: dict[int, int], user: int | None
    ) -> dict[str, str]:
        folder = os.path.dirname(python)
        variables = {
            "PATH": os.pathsep.join(dict.fromkeys([folder, "/usr/local/bin", "/usr/bin", "/bin"])),
            "HOME": HOME,
            "USER": "kernel",
            "LOGNAME": "kernel",
            "SHELL": "/bin/sh",
            "TMPDIR": "/tmp",
            "LANG": "C.UTF-8",
            # What is imported lies where nothing can be written.
            "PYTHONDONTWRITEBYTECODE": "1",
            # The sandbox's first process, with which the kernel ends: there is nothing to look out for.
            "JPY_PARENT_PID": "1",
        }
        named = [*_GIVEN, *self.env, *self.kernel_spec.env]
        variables.update({name: env[name] for name in named if name in env and name != _LIMITS})
        usual = {name: allowed(name, value) for name, value in _USUAL_LIMITS.items()}
        variables[_LIMITS] = json.dumps({**usual, **json.loads(env.get(_LIMITS, "{}")), **self.limits})
        variables[VARIABLE] = json.dumps(
            {"sockets": given, "signatures": self._signatures, "user": None if user is None else USER}
        )
        return variables

    # -- its life and end --------------------------------------------------------------------------------

    async def send_signal(self, signum: int) -> None:
        """To the kernel's own process; SIGKILL to all of the sandbox."""
        if self.process is None or self.process.poll() is not None:
            return
        if signum == signal.SIGKILL:
            # Its first process takes all others along, and bwrap tells when none is left.
            with suppress(OSError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
                return
            await super().send_signal(signum)
        elif signum == 0:
            return
        else:
            kernel = second(self._init_number)
            if kernel is not None:
                with suppress(ProcessLookupError):
                    os.kill(kernel, signum)

    async def wait(self) -> int | None:
        """As stock."""
        code = await super().wait()
        self._close_init()
        return code

    async def cleanup(self, restart: bool = False) -> None:
        """As stock; the folder of the sockets goes too."""
        await super().cleanup(restart=restart)
        if not restart:
            self._close_init()
            self._close_signatures()
            if self._folder is not None:
                self._remove()
                self._folder = None

    def _close_init(self) -> None:
        descriptor, self._init = self._init, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _close_signatures(self) -> None:
        descriptor, self._signatures = self._signatures, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        # Of a manager that nobody shut down.
        self._close_init()
        self._close_signatures()


def _remove(folder: str, pid: int) -> None:
    # A forked child that ends must not take its parent's files along.
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _is_shown(folder: str, paths: list[str]) -> bool:
    folder = os.path.abspath(folder)
    return any(folder == path or folder.startswith(path + "/") for path in paths)
