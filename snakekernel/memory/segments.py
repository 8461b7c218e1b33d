"""Segments: anonymous sealed memory that a peer opens through /proc, and private mappings of it.

Rules: a segment is filled before anybody else knows of it and sealed then; nobody can shrink or grow it
afterwards, nor open or map it for writing. Its sender alone may keep a mapping, to fill it again when nobody
else has it (``warm``). A receiver's mapping is private: writes to it are copied page by page and seen by its
owner alone. What was never written to since is still the segment, and can be sent on without a copy. Only
files that carry the nonce the peer announced are opened. A forked child holds none of its parent's
descriptors. Linux alone has all of this.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import mmap
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .peers import create, open_of
from .pool import MOST_BYTES, Pool
from .warm import Warm

_PAGE: Final = mmap.PAGESIZE
_HUGE: Final = 2 << 20
#: Filled piece by piece, while the zeros of the fresh huge pages are still in the cache.
_PIECE: Final = 2 * _HUGE
#: Linux 6.1: put huge pages under a range now, whatever the system's policy for shared memory.
_MADV_COLLAPSE: Final = 25
# Not in Python's own modules.
_MAP_FIXED: Final = 0x10
_MAP_NORESERVE: Final = 0x4000
_F_SEAL_FUTURE_WRITE: Final = 0x10
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE
_FAILED: Final = ctypes.c_void_p(-1).value

# Bits 61 to 63 of a pagemap entry, in its top byte: a page of a file, swapped, present.
_FILE, _SWAPPED, _PRESENT = 0x20, 0x40, 0x80
#: Top bytes of pages that were never written to: absent, or still the file's.
_CLEAN: Final = bytes(top for top in range(256) if not top & _SWAPPED and (not top & _PRESENT or top & _FILE))
_TOP: Final = 7 if sys.byteorder == "little" else 0
_PAGEMAP_READ: Final = 1 << 20


class _Buffer(ctypes.Structure):
    # Py_buffer of the stable ABI; of it only the address is read.
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc


@functools.cache
def _most_descriptors() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4


def _address(view: memoryview) -> int:
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    address = buffer.buf
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return address or 0


#: What is held for segments, and mappings by theirs. Both belong to the process, as its address space does.
#: A finalizer may run at any moment, so no lock guards them: every use is one operation.
_held: set[_Descriptor] = set()
_mapped: dict[_Descriptor, Mapped] = {}
_pool: Final[Pool[Warm]] = Pool()


class _Descriptor:
    """A segment's descriptor in this process, shared by whoever may let go of it; -1 once it is closed."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = -1

    def close(self, held: set[_Descriptor] = _held, close: Callable[[int], None] = os.close) -> None:
        # The names are bound here because those of the module may be gone when Python ends.
        number, self.number = self.number, -1
        held.discard(self)
        if number >= 0:
            close(number)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A part of somebody's segment in our memory, ``low`` to ``high``, with a descriptor to lend it on."""

    descriptor: int
    name: str
    offset: int
    low: int
    high: int


def _let_go_of_parents() -> None:
    # A child of user code may live for long. Its mappings stay, for its code may use them.
    _mapped.clear()
    _pool.abandon()
    for descriptor in list(_held):
        descriptor.close()


os.register_at_fork(after_in_child=_let_go_of_parents)


class _Memory(mmap.mmap):
    """A reserved range of addresses; it is unmapped when nobody has a view of it any more."""

    #: The segment's, where it is kept to lend it on.
    descriptor: _Descriptor | None = None

    def __del__(self, mapped: dict[_Descriptor, Mapped] = _mapped) -> None:
        # Before it is unmapped, for another mapping may come to lie there at once.
        if self.descriptor is not None:
            mapped.pop(self.descriptor, None)
            self.descriptor.close()


class Lease:
    """What a sender keeps until the receiver has opened the segment: it itself, or a view of memory whose
    segment is kept with it. It ends with its last reference at the latest."""

    __slots__ = ("_kept",)

    def __init__(self, kept: _Descriptor | Warm | memoryview) -> None:
        self._kept: _Descriptor | Warm | memoryview | None = kept

    def end(self) -> None:
        """Let go. Idempotent."""
        kept, self._kept = self._kept, None
        if kept is not None and not isinstance(kept, memoryview):
            kept.close()

    def taken(self) -> None:
        """As ``end``: the receiver has opened the segment, and nobody will open it any more that has not."""
        if isinstance(self._kept, Warm):
            kept, self._kept = self._kept, None
            _pool.give(kept)
        self.end()

    def __del__(self) -> None:
        self.end()


@dataclass(frozen=True, slots=True)
class Placed:
    """Bytes in a segment: where the receiver finds them, and the lease that keeps them there."""

    descriptor: int
    name: str
    offset: int
    length: int
    lease: Lease


def place(view: memoryview, *, keep: bool = False) -> Placed:
    """Put flat bytes where a peer can open them; copied once, or not at all where they came so.

    ``keep`` has the lease alone decide how long they can be opened; else memory that they came in may, too.
    Raises OSError where no memory or no descriptor is left.
    """
    address, length = _address(view), view.nbytes
    for mapped in list(_mapped.values()):
        if mapped.low <= address and address + length <= mapped.high:
            if not _is_clean(address, length):
                break
            offset = mapped.offset + address - mapped.low
            if keep:
                again = _again(mapped.descriptor)
                return Placed(again.number, mapped.name, offset, length, Lease(again))
            return Placed(mapped.descriptor, mapped.name, offset, length, Lease(view))
    warm = _pool.take(length)
    if warm is not None:
        ctypes.memmove(warm.address, address, length)
        ctypes.memset(warm.address + length, 0, warm.size - length)
        return Placed(warm.descriptor, warm.name, 0, length, Lease(warm))
    if len(_held) >= _most_descriptors():
        raise OSError(errno.EMFILE, "enough descriptors are held for segments")
    descriptor = _Descriptor()
    try:
        descriptor.number, name = create()
        _held.add(descriptor)
        os.ftruncate(descriptor.number, length)
        mapped_at = _fill(descriptor.number, view, address)
        fcntl.fcntl(descriptor.number, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
        if mapped_at is not None and length <= MOST_BYTES:
            warm = _keep(descriptor, name, *mapped_at, length)
        if warm is not None:
            return Placed(warm.descriptor, name, 0, length, Lease(warm))
        return Placed(descriptor.number, name, 0, length, Lease(descriptor))
    except BaseException:  # an interrupt too: nothing is kept of what was not sent
        descriptor.close()
        raise


def _again(descriptor: int) -> _Descriptor:
    """The same open file under a number of its own."""
    if len(_held) >= _most_descriptors():
        raise OSError(errno.EMFILE, "enough descriptors are held for segments")
    ours = _Descriptor()
    try:
        ours.number = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
        _held.add(ours)
    except BaseException:  # an interrupt too
        ours.close()
        raise
    return ours


def _keep(writable: _Descriptor, name: str, memory: _Memory, at: int, size: int) -> Warm | None:
    """A segment to be filled again; None where the system cannot tell who else has it."""
    readable = _Descriptor()
    try:
        readable.number = os.open(f"/proc/self/fd/{writable.number}", os.O_RDONLY | os.O_CLOEXEC)
        _held.add(readable)
        memory.descriptor = readable
        warm = Warm(readable.number, readable.close, name, memory, at, size)
        if not warm.is_alone:
            warm.close()
            return None
        _pool.add(warm)
        # The mapping is enough to write, and peers open what can be read.
        writable.close()
        return warm
    except OSError:
        readable.close()
        return None
    except BaseException:  # an interrupt too
        readable.close()
        raise


def _fill(descriptor: int, view: memoryview, address: int) -> tuple[_Memory, int] | None:
    """Fill a segment; gives where all of it is mapped, if it is big enough for that."""
    done, length = 0, view.nbytes
    whole = length - length % _HUGE
    mapped = None
    if whole:
        mapped = _, at = _map(descriptor, 0, length + -length % _PAGE, mmap.MAP_SHARED)
        while done < whole:
            size = min(_PIECE, whole - done)
            if not _make_huge(descriptor, at + done, done, size):
                break
            ctypes.memmove(at + done, address + done, size)
            done += size
    while done < length:
        # Page by page this is faster than through a mapping, and says so where memory ends.
        written = os.pwrite(descriptor, view[done : done + (1 << 30)], done)
        if not written:
            raise OSError(errno.EIO, "nothing could be written to the segment")
        done += written
    return mapped


def _make_huge(descriptor: int, at: int, offset: int, size: int) -> bool:
    # A range that holds no page yet is refused, so each huge page gets a first byte; it is written by a
    # call that can fail, where a fault could only kill.
    for start in range(offset, offset + size, _HUGE):
        os.pwrite(descriptor, b"\0", start)
    done: bool = _libc().madvise(at, size, _MADV_COLLAPSE) == 0
    return done


def _map(descriptor: int, offset: int, size: int, kind: int) -> tuple[_Memory, int]:
    """Map ``size`` bytes of a segment from a page's ``offset``; the memory, which unmaps itself, and the
    address in it. Addresses and offsets agree modulo 2 MiB, so that huge pages are mapped as such."""
    spare = _HUGE if size >= _HUGE else 0
    reserved = _Memory(-1, size + spare, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    low = _address(memoryview(reserved))
    at = low + (offset - low) % _HUGE if spare else low
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    if _libc().mmap(at, size, protection, kind | _MAP_FIXED, descriptor, offset) != at:
        number = ctypes.get_errno()
        reserved.close()
        raise OSError(number, os.strerror(number))
    return reserved, at


def open_segment(pid: int, descriptor: int, name: str, offset: int, length: int) -> memoryview:
    """Bytes that process ``pid`` placed, as flat writable memory of our own; nothing is copied.

    Raises OSError where there is no such segment, it is smaller, or it may still change.
    """
    ours = _Descriptor()
    try:
        ours.number = open_of(pid, descriptor, name, os.O_RDONLY)
        if fcntl.fcntl(ours.number, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise OSError(errno.EPERM, "the segment is not sealed")
        if offset + length > os.fstat(ours.number).st_size:
            raise OSError(errno.EINVAL, "the segment is smaller than that")
        first = offset - offset % _PAGE
        span = offset + length - first
        size = span + -span % _PAGE
        memory, at = _map(ours.number, first, size, mmap.MAP_PRIVATE)
        start = at - _address(memoryview(memory)) + offset - first
        if len(_held) < _most_descriptors():
            _held.add(ours)
            # First, for an entry that its memory knows nothing of would stay for ever.
            memory.descriptor = ours
            _mapped[ours] = Mapped(ours.number, name, first, at, at + size)
        else:
            # Held by its mapping; it can be read, but not lent on.
            ours.close()
        return memoryview(memory)[start : start + length]
    except BaseException:  # an interrupt too
        _mapped.pop(ours, None)
        ours.close()
        raise


def equal(one: memoryview, other: memoryview) -> bool:
    """Whether flat views hold the same bytes."""
    # Python compares views item by item.
    return one.nbytes == other.nbytes and _libc().memcmp(_address(one), _address(other), one.nbytes) == 0


def _is_clean(address: int, length: int) -> bool:
    """Whether no page of a private mapping was written to since it was mapped."""
    first, end = address // _PAGE * 8, -(-(address + length) // _PAGE) * 8
    try:
        pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        while first < end:
            entries = os.pread(pagemap, min(end - first, _PAGEMAP_READ), first)
            if not entries or entries[_TOP::8].translate(None, _CLEAN):
                return False
            first += len(entries)
    except OSError:
        return False
    finally:
        os.close(pagemap)
    return True
