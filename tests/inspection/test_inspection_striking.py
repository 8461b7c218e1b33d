"""Exceptions strike the thread they are meant for, whatever it does, and none that it starts."""

from __future__ import annotations

import _thread
import threading
import time
from queue import Queue

import pytest

from snakekernel.inspection import attempt, striking
from snakekernel.inspection.timed import hurry


class Struck(BaseException):
    pass


def start_one(begun: Queue[int], number: int) -> None:
    # In Python: a thread that runs C code alone meets no exception.
    _thread.start_new_thread(lambda: begun.put(number), ())


def test_threads_that_are_about_to_begin_are_not_struck() -> None:
    striking.prepare()
    begun: Queue[int] = Queue()
    started: list[int] = []
    strikes: list[int] = []
    is_over = False

    def start_all() -> None:
        nonlocal is_over
        try:
            while len(started) < 2000:
                start_one(begun, len(started))
                started.append(len(started))
                time.sleep(0)  # its turn
                sum(range(5000))
            is_over = True
        except Struck:
            strikes.append(len(started))

    def work() -> None:
        while not is_over:
            try:
                start_all()
            except Struck:  # while it noted the one before
                continue

    thread = threading.Thread(target=work)
    thread.start()
    assert thread.ident is not None
    # What is set then is raised well before the last of them.
    while len(started) < 1950:
        striking.strike(thread.ident, Struck)
        time.sleep(0)  # the other's turn
    thread.join(30)
    assert not thread.is_alive()
    assert strikes
    # One may have begun whose start was struck afterwards, and begun once more.
    missing = set(range(2000))
    while missing:
        missing.discard(begun.get(timeout=30))


def test_bounds_that_run_out_within_bounds() -> None:
    """Each begins a thread that watches it, which the one around it must not strike."""
    outcomes: list[bool] = []

    def endless() -> None:
        while True:
            pass

    def work() -> None:
        for n in range(100):
            outcomes.append(attempt(lambda: attempt(endless, 0.001), 0.0005 + n * 1e-5).ok)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        hurry(threads[0].ident or 0)
        time.sleep(0)  # the others' turn
    assert len(outcomes) == 300


def test_a_thread_gets_its_arguments() -> None:
    striking.prepare()
    got: list[object] = []
    found = threading.Event()

    def work(*args: object, **kwargs: object) -> None:
        got.append((args, kwargs))
        found.set()

    _thread.start_new_thread(work, (1, 2), {"three": 3})
    assert found.wait(10)
    assert got == [((1, 2), {"three": 3})]
    with pytest.raises(TypeError, match="callable"):
        _thread.start_new_thread(5, ())  # type: ignore[call-overload]
