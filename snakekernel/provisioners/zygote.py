"""``snakekernel-zygote``: kernels on this machine, forked from a process that has imported them already.

Rules: to a kernel manager it is Jupyter's own local provisioner, with another process object in it. Where a
fork is unfit, the kernel is started as usual and the log says why, once for each reason.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import IO, Any, Final

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Float, List, Unicode

from ..kernel.seen import clean_up
from .forked import ForkedProcess
from .forking import (
    Kind,
    Unfit,
    ZygoteLost,
    can_fork,
    exclude,
    forget,
    fork_kernel,
    is_excluded,
    zygote_of,
)

#: What a kernel manager passes that means nothing to the process.
_IGNORED: Final = ("extra_arguments", "kernel_id")
_STREAMS: Final = ("stdin", "stdout", "stderr")
_told: Final[set[str]] = set()


class ZygoteProvisioner(LocalProvisioner):
    """Forks the kernel instead of starting it; everything else is LocalProvisioner's."""

    preload: Any = List(
        Unicode(), help="Libraries to import before the fork, shared by all kernels, such as numpy."
    ).tag(config=True)
    idle_timeout: Any = Float(300.0, help="Seconds that a zygote stays after its last kernel.").tag(
        config=True
    )
    start_timeout: Any = Float(
        60.0, help="Seconds for the zygote to import everything and fork; then the kernel starts plainly."
    ).tag(config=True)
    own_variables: Any = List(
        Unicode(),
        ["JPY_*", "KERNEL_*", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST"],
        help="Shell patterns of environment variables that no import looks at: kernels that differ in these "
        "alone share a zygote. Any other difference makes another one.",
    ).tag(config=True)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel, or start it as LocalProvisioner does where it cannot be forked."""
        given = dict(kwargs)
        try:
            process = await self._fork(cmd, given)
        except Unfit as unfit:
            self._tell(f"The kernel is started, not forked: {unfit}.")
            return await super().launch_kernel(cmd, **kwargs)
        self.process: Any = process
        self.pid: Any = process.pid
        # It leads its own session.
        self.pgid: Any = process.pid
        self.cwd: Any = kwargs.get("cwd", pathlib.Path.cwd())
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        """As stock; what belongs to the connection file goes too, which the manager has removed."""
        await super().cleanup(restart=restart)
        manager: Any = self.parent
        if not restart and manager.connection_file:
            clean_up(manager.connection_file)

    async def _fork(self, cmd: list[str], given: dict[str, Any]) -> ForkedProcess:
        for name in _IGNORED:
            given.pop(name, None)
        env: dict[str, str] = given.pop("env", None) or dict(os.environ)
        cwd = given.pop("cwd", None)
        streams = [given.pop(name, None) for name in _STREAMS]
        argv = [os.path.expanduser(word) for word in cmd]
        interpreter = _interpreter(argv, env)
        if given.pop("independent", False):
            raise Unfit("it shall outlive this process, and forked kernels do not")
        if given:
            raise Unfit(f"only a new process can be given {', '.join(sorted(given))}")
        # As stock: what ipykernel, and code in it, know their host by.
        env["JPY_PARENT_PID"] = str(os.getpid())
        is_second = False
        with ExitStack() as stack:
            folder = os.open(cwd or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            numbers, readers = stack.enter_context(_opened(streams))
            while True:
                preload = tuple(name for name in self.preload if not is_excluded(interpreter, name))
                kind = Kind(interpreter, self._shared(env), preload, self.idle_timeout)
                zygote = zygote_of(kind)
                try:
                    process = await fork_kernel(zygote, argv, env, folder, numbers, self.start_timeout)
                    process.stdout, process.stderr = readers
                    return process
                except ZygoteLost:
                    # It may have ended for want of work as we asked. Twice is no accident.
                    forget(kind, zygote)
                    if is_second:
                        raise Unfit("its zygote ended; its standard error says why") from None
                    is_second = True
                except Unfit as unfit:
                    if unfit.library not in preload:
                        raise
                    forget(kind, zygote)
                    exclude(interpreter, unfit.library)
                    self._tell(f"{unfit.library} is not preloaded: {unfit}.")

    def _shared(self, env: dict[str, str]) -> frozenset[tuple[str, str]]:
        return frozenset(
            (name, value)
            for name, value in env.items()
            if not any(fnmatchcase(name, pattern) for pattern in self.own_variables)
        )

    def _tell(self, message: str) -> None:
        if message not in _told:
            _told.add(message)
            self.log.warning("%s", message)


def _interpreter(argv: list[str], env: dict[str, str]) -> tuple[str, ...]:
    """The command line up to our kernel's module. Raises Unfit where it is another kernel's."""
    reason = can_fork()
    if reason:
        raise Unfit(reason)
    for place, word in enumerate(argv):
        if word == "-m" and argv[place + 1 : place + 2] == ["snakekernel"]:
            break
    else:
        raise Unfit("its kernelspec does not run `python -m snakekernel`")
    paths = env.get("PYTHONPATH", "").split(os.pathsep)
    if any(path and not os.path.isabs(path) for path in paths):
        raise Unfit("PYTHONPATH has a relative path, which means another folder in each kernel")
    return tuple(argv[:place])


@contextmanager
def _opened(streams: list[int | IO[Any] | None]) -> Iterator[tuple[list[int], list[IO[bytes] | None]]]:
    """Descriptors for the child's streams, as Popen reads its arguments, and our ends of pipes."""
    numbers: list[int] = []
    readers: list[IO[bytes] | None] = []
    with ExitStack() as ours, ExitStack() as theirs:

        def null() -> int:
            number = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            theirs.callback(os.close, number)
            return number

        for number, stream in enumerate(streams):
            if stream == subprocess.DEVNULL or (number == 0 and stream in (None, subprocess.PIPE)):
                # A kernel has no use for our stdin, which stock gives it closed.
                numbers.append(null())
            elif stream is None:
                numbers.append(number)
            elif stream == subprocess.STDOUT:
                numbers.append(numbers[1])
            elif stream == subprocess.PIPE:
                reader, writer = os.pipe2(os.O_CLOEXEC)
                theirs.callback(os.close, writer)
                readers.append(ours.enter_context(open(reader, "rb", buffering=0)))
                numbers.append(writer)
            else:
                numbers.append(stream if isinstance(stream, int) else stream.fileno())
            if number and len(readers) < number:
                readers.append(None)
        yield numbers, readers
        ours.pop_all()
