"""What code in a sandbox may not ask of the system: a filter of system calls, as a program for the kernel.

Rules: refused is what leads out of namespaces or around their limits (other address families, memory that no
limit counts, keys, new namespaces), and what notebooks never need and exploits do. A refusal is an error of
the call, never the end of the process. Only architectures whose numbers stand here have a filter.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import Final, NamedTuple

# Classic BPF, as of linux/filter.h; jumps count instructions forward.
_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_INSTRUCTION: Final = struct.Struct("=HBBI")

# Offsets in struct seccomp_data: the number, the architecture, and the low halves of three arguments.
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32

_ALLOW: Final = 0x7FFF0000
_ERROR: Final = 0x00050000

#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
_NAMESPACES: Final = 0x7E020000
#: Numbers of another calling convention of x86 begin here.
_X32: Final = 0x40000000
#: Writing what a terminal's user types, and the console's own commands.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
#: Questions about network interfaces; a connection from outside is a socket of the outer network.
_INTERFACES: Final = (0x8910, 0x8A00)
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
#: The part of netlink that tells about interfaces, of the sandbox's own network; ZeroMQ asks it.
_NETLINK_ROUTE: Final = 0

# The same on all architectures, from 424 on.
_COMMON: Final = {
    "io_uring": (425, 426, 427),
    "mounts": (428, 429, 430, 431, 432, 433, 442, 467),
    "descriptors of others": (438,),
    "memory no limit counts": (447,),
    "quotas": (443,),
}


class _Numbers(NamedTuple):
    """An architecture: how the kernel calls it, and its numbers."""

    audit: int
    clone: int
    ioctl: int
    socket: int
    refused: dict[str, tuple[int, ...]]


#: On every architecture; glibc does with ``clone`` then, whose flags can be seen here.
_CLONE3: Final = 435

_ARCHITECTURES: Final = {
    "x86_64": _Numbers(
        0xC000003E,
        56,
        16,
        41,
        {
            "ptrace, process_vm_*, kcmp": (101, 310, 311, 312),
            "keys": (248, 249, 250),
            "mounts, roots": (155, 161, 165, 166),
            "namespaces": (272, 308),
            "bpf, perf, userfaultfd": (298, 321, 323),
            "memfd_create, shmget, msgget, semget": (319, 29, 68, 64),
            "kexec, modules": (175, 176, 246, 313, 320),
            "file handles": (303, 304, 212),
            "quotactl, syslog, acct, swap, reboot, fanotify": (179, 103, 163, 167, 168, 169, 300),
            "modify_ldt, iopl, ioperm": (154, 172, 173),
        },
    ),
    "aarch64": _Numbers(
        0xC00000B7,
        220,
        29,
        198,
        {
            "ptrace, process_vm_*, kcmp": (117, 270, 271, 272),
            "keys": (217, 218, 219),
            "mounts, roots": (39, 40, 41, 51),
            "namespaces": (97, 268),
            "bpf, perf, userfaultfd": (241, 280, 282),
            "memfd_create, shmget, msgget, semget": (279, 194, 186, 190),
            "kexec, modules": (104, 105, 106, 273, 294),
            "file handles": (18, 264, 265),
            "quotactl, syslog, acct, swap, reboot, fanotify": (60, 116, 89, 224, 225, 142, 262),
        },
    ),
}


class _Program:
    """Instructions with jumps to names that are given later."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, str, int]] = []
        self._places: dict[str, int] = {}

    def add(self, code: int, value: int, then: str = "", otherwise: str = "") -> None:
        """One instruction; an empty name is the next one."""
        self._lines.append((code, then, otherwise, value))

    def here(self, name: str) -> None:
        """What is jumped to by this name."""
        self._places[name] = len(self._lines)

    def assembled(self) -> bytes:
        """As the kernel takes it."""

        def distance(name: str, line: int) -> int:
            return self._places[name] - line - 1 if name else 0

        return b"".join(
            _INSTRUCTION.pack(code, distance(then, line), distance(otherwise, line), value)
            for line, (code, then, otherwise, value) in enumerate(self._lines)
        )


def refusals(network: bool, machine: str | None = None) -> bytes | None:
    """The filter for this machine's processes, or None where its architecture is not known.

    Args:
        network: whether the sandbox shares the host's network and may ask about it.
    """
    numbers = _ARCHITECTURES.get(platform.machine() if machine is None else machine)
    if numbers is None:
        return None
    program = _Program()
    program.add(_LOAD, _ARCHITECTURE)
    program.add(_EQUAL, numbers.audit, otherwise="refused")
    program.add(_LOAD, _NUMBER)
    program.add(_AT_LEAST, _X32, then="refused")
    for group in (numbers.refused, _COMMON):
        for number in (number for members in group.values() for number in members):
            program.add(_EQUAL, number, then="refused")
    program.add(_EQUAL, _CLONE3, then="unknown")
    program.add(_EQUAL, numbers.clone, then="clone")
    program.add(_EQUAL, numbers.ioctl, then="ioctl")
    program.add(_EQUAL, numbers.socket, then="socket", otherwise="allowed")
    program.here("clone")
    program.add(_LOAD, _FIRST)
    program.add(_ANY_BIT, _NAMESPACES, then="refused", otherwise="allowed")
    program.here("ioctl")
    program.add(_LOAD, _SECOND)
    program.add(_EQUAL, _TIOCSTI, then="refused")
    program.add(_EQUAL, _TIOCLINUX, then="refused")
    if not network:
        program.add(_AT_LEAST, _INTERFACES[1], then="allowed")
        program.add(_AT_LEAST, _INTERFACES[0], then="refused")
    program.here("allowed")
    program.add(_RETURN, _ALLOW)
    program.here("socket")
    program.add(_LOAD, _FIRST)
    # Not among them: vsock, which reaches a virtual machine's host from any network namespace.
    for family in (_UNIX, _INET, _INET6):
        program.add(_EQUAL, family, then="family")
    program.add(_EQUAL, _NETLINK, otherwise="no family")
    program.add(_LOAD, _THIRD)
    program.add(_EQUAL, _NETLINK_ROUTE, then="family")
    program.here("no family")
    program.add(_RETURN, _ERROR | errno.EAFNOSUPPORT)
    program.here("family")
    program.add(_RETURN, _ALLOW)
    program.here("unknown")
    program.add(_RETURN, _ERROR | errno.ENOSYS)
    program.here("refused")
    program.add(_RETURN, _ERROR | errno.EPERM)
    return program.assembled()
