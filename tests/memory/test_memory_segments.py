"""Segments by themselves: sealed, private to read, lent on while nobody has written to them."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy
import pytest

from snakekernel.memory.peers import SUPPORTED

if not SUPPORTED:
    pytest.skip("segments need Linux", allow_module_level=True)

from hypothesis import given, settings
from hypothesis import strategies as st

from snakekernel.memory import segments
from snakekernel.memory.peers import create, open_of
from snakekernel.memory.segments import Placed, open_segment, place

PAGE = 4096
HUGE = 2 << 20


def data(nbytes: int) -> memoryview:
    return memoryview(numpy.random.default_rng(nbytes).integers(0, 256, nbytes, "u1"))


def opened(placed: Placed) -> memoryview:
    return open_segment(os.getpid(), placed.descriptor, placed.name, placed.offset, placed.length)


@given(st.integers(1, 3 * HUGE) | st.sampled_from([PAGE, HUGE - 1, HUGE, HUGE + 1, 5 * HUGE + PAGE]))
@settings(max_examples=25, deadline=None)
def test_any_size_comes_as_it_went(nbytes: int) -> None:
    view = data(nbytes)
    placed = place(view)
    got = opened(placed)
    assert (got.format, got.ndim, got.readonly) == ("B", 1, False)
    assert got == view
    placed.lease.end()


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_part_of_what_was_received_is_lent_on(draw: st.DataObject) -> None:
    whole = data(2 * HUGE + 5)
    first = place(whole)
    got = opened(first)
    first.lease.end()
    low = draw.draw(st.integers(0, got.nbytes - 1))
    part = got[low : draw.draw(st.integers(low + 1, got.nbytes))]
    lent = place(part)
    assert lent.name == first.name
    assert opened(lent) == part
    lent.lease.end()


def test_who_writes_to_what_was_received_changes_nobody_elses() -> None:
    original = data(HUGE + PAGE)
    placed = place(original)
    mine, yours = opened(placed), opened(placed)
    mine[PAGE] ^= 255
    assert mine[PAGE] != original[PAGE]
    assert yours == original
    assert opened(placed) == original
    placed.lease.end()


def test_what_was_written_to_is_copied_and_the_rest_still_lent() -> None:
    placed = place(data(2 * HUGE))
    got = opened(placed)
    placed.lease.end()
    got[5 * PAGE + 1] ^= 255
    written, clean = place(got), place(got[6 * PAGE :])
    assert written.name != placed.name
    assert opened(written) == got
    assert clean.name == placed.name
    assert opened(clean) == got[6 * PAGE :]
    written.lease.end()
    clean.lease.end()


def test_later_changes_of_the_original_are_not_seen() -> None:
    array = numpy.zeros(HUGE, "u1")
    placed = place(memoryview(array))
    got = opened(placed)
    array[:] = 1
    assert not any(got[::PAGE])
    placed.lease.end()


def test_nobody_can_write_shrink_or_grow_a_segment() -> None:
    placed = place(data(PAGE))
    for change in (
        lambda: os.pwrite(placed.descriptor, b"x", 0),
        lambda: os.ftruncate(placed.descriptor, 0),
        lambda: os.ftruncate(placed.descriptor, 2 * PAGE),
    ):
        with pytest.raises(PermissionError):
            change()
    placed.lease.end()


def test_only_what_is_sealed_large_enough_and_rightly_named_is_opened() -> None:
    placed, pid = place(data(PAGE)), os.getpid()
    with pytest.raises(OSError, match="no segment of that name"):
        open_segment(pid, placed.descriptor, "0" * 32, 0, PAGE)
    with pytest.raises(OSError, match="no segment of that name"):
        open_segment(pid, 0, placed.name, 0, PAGE)
    with pytest.raises(OSError, match="smaller"):
        open_segment(pid, placed.descriptor, placed.name, 1, PAGE)
    descriptor, name = create()
    os.ftruncate(descriptor, PAGE)
    with pytest.raises(OSError, match="not sealed"):
        open_segment(pid, descriptor, name, 0, PAGE)
    os.close(descriptor)
    placed.lease.end()
    with pytest.raises(OSError):
        open_segment(pid, placed.descriptor, placed.name, 0, PAGE)


def links() -> list[str]:
    """What the descriptors of this process lead to, as far as it is ours."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    return [link for link in found if "memfd:snakekernel-" in link]


def mine() -> list[str]:
    """All descriptors and mappings of segments in this process."""
    with open("/proc/self/maps") as maps:
        return [*links(), *(line for line in maps if "memfd:snakekernel-" in line)]


def test_everything_goes_with_its_last_holder() -> None:
    gc.collect()
    before = mine()
    placed = place(data(HUGE))
    got = opened(placed)
    placed.lease.end()
    placed.lease.end()
    array = numpy.frombuffer(got, "u1")[7:]
    del got
    assert len(mine()) > len(before)
    assert array[0] == data(HUGE)[7]
    del array
    gc.collect()
    assert mine() == before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_keeps_its_views_and_takes_nothing_from_its_parent() -> None:
    placed = place(data(HUGE))
    got = opened(placed)
    placed.lease.end()
    expected = bytes(got[:100])
    child = os.fork()
    if not child:
        code = 1
        try:
            code = bytes(got[:100]) != expected
            got[0] ^= 255
            del got
            gc.collect()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(got[:100]) == expected
    lent = place(got)
    assert lent.name == placed.name
    lent.lease.end()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_keeps_no_descriptor_of_its_parent() -> None:
    others = links()
    # Too small to be filled again, so that it takes one descriptor only.
    lent = place(data(HUGE - PAGE))
    got = opened(lent)
    expected = bytes(got)
    child = os.fork()
    if not child:
        code = 1
        try:
            kept = set(links()) - set(others)
            while (number := os.open(os.devnull, os.O_RDONLY)) < lent.descriptor:
                continue
            os.close(number)
            # Its own gets the number that the parent's had, and stays open when that one is let go of.
            own = place(got)
            reused = own.descriptor == lent.descriptor
            del lent
            code = not (not kept and reused and bytes(opened(own)) == bytes(got) == expected)
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(opened(lent)) == expected
    assert place(got).name == lent.name


def test_a_lease_that_nobody_holds_is_over() -> None:
    before = mine()
    place(data(HUGE))
    assert mine() == before


def interrupted_at(line: int, work: Callable[[], object], names: set[str]) -> bool:
    """Run with an interrupt before that line, counted over the functions of those names; whether it came."""
    left, files = line, ("memory/segments.py", "memory/warm.py")

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_name not in names or not frame.f_code.co_filename.endswith(files):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(former)
    return False


def interrupt_at_any_line(descriptors: int | None) -> None:
    """What the test below runs in a process of its own."""
    view, placed = data(HUGE + PAGE), place(data(HUGE))
    if descriptors is not None:
        segments._most_descriptors = lambda: descriptors
    before, mapped = mine(), set(segments._mapped)
    gc.collect()
    # What the tests before have left alive is not looked through again at each line.
    gc.freeze()
    try:
        for work, names in (
            (lambda: opened(placed), {"open_segment", "_map"}),
            (
                lambda: descriptors is None and place(view),
                {"place", "_fill", "_keep", "__init__", "is_alone"},
            ),
        ):
            line = 1
            while interrupted_at(line, work, names):
                gc.collect()
                assert mine() == before, f"{names}, line {line}"
                line += 1
                assert line < 500, "its lines do not end"
    finally:
        gc.unfreeze()
    assert set(segments._mapped) == mapped
    placed.lease.end()


@pytest.mark.parametrize("descriptors", [None, 0])
def test_an_interrupt_at_any_line_leaves_nothing(descriptors: int | None) -> None:
    # In a process of its own: it traces lines and raises from there, which is no good company.
    code = f"import {__name__} as tests; tests.interrupt_at_any_line({descriptors})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=True)


def test_a_view_of_other_items_than_bytes_is_refused_not_written_for_ever() -> None:
    before = mine()
    with pytest.raises(OSError, match="nothing could be written"):
        place(memoryview(numpy.ones((HUGE + PAGE) // 8)))
    assert mine() == before


def test_another_process_opens_it_by_its_name_alone() -> None:
    view = data(HUGE + 3)
    placed = place(view)
    code = (
        "import sys, hashlib; from snakekernel.memory.segments import open_segment;"
        "pid, fd, name, length = sys.argv[1:];"
        "print(hashlib.sha256(open_segment(int(pid), int(fd), name, 0, int(length))).hexdigest())"
    )
    arguments = [str(os.getpid()), str(placed.descriptor), placed.name, str(placed.length)]
    got = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert got.stdout.strip() == hashlib.sha256(view).hexdigest()
    placed.lease.end()


def test_a_name_is_looked_at_before_anything_is_opened() -> None:
    pipe = os.pipe()
    with pytest.raises(OSError, match="no segment of that name"):
        open_of(os.getpid(), pipe[0], "0" * 32, os.O_RDONLY)
    for end in pipe:
        os.close(end)
