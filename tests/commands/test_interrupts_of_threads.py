"""Stops of requests on other threads: they strike while user code runs, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from snakekernel.commands.interrupts import ThreadInterrupts, entered

PATIENCE = 60.0


def on_thread(work: Callable[[], None]) -> None:
    """Do something on a thread of its own; what it raises is raised here."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    if raised:
        # Raised as it is, a KeyboardInterrupt would end all tests.
        raise AssertionError("raised on the thread") from raised[0]


def spin(until: Callable[[], object]) -> None:
    """User code."""
    while not until():
        pass


def test_a_storm_strikes_user_code_only() -> None:
    """Blocks of user code are entered and left while another thread asks all the time."""
    over = threading.Event()
    struck = 0

    def requests() -> None:
        nonlocal struck
        interrupts = ThreadInterrupts()

        def storm() -> None:
            while not over.is_set():
                interrupts.request("cancelled")

        asking = threading.Thread(target=storm)
        asking.start()
        try:
            for _ in range(2_000):
                try:
                    try:
                        with interrupts:
                            sum(range(100))
                    except KeyboardInterrupt:
                        interrupts.disarm()
                        struck += 1
                except KeyboardInterrupt:
                    # Another struck while user code was being left; as in dispatch, it ends one layer out.
                    interrupts.disarm()
                    struck += 1
                # Our own lines: an exception here ends the test.
                kept = list(range(100))
                assert len(kept) == 100
        finally:
            over.set()
            asking.join(PATIENCE)
        interrupts.disarm()

    on_thread(requests)
    assert struck
    assert not entered


def test_one_that_came_too_late_is_remembered() -> None:
    def work() -> None:
        interrupts = ThreadInterrupts()
        interrupts.request("deadline")
        assert interrupts.reason == "deadline"
        with pytest.raises(KeyboardInterrupt), interrupts:
            raise AssertionError("user code ran")
        with interrupts:
            pass

    on_thread(work)


def test_one_that_user_code_swallowed_is_over() -> None:
    def work() -> None:
        interrupts, begun, swallowed = ThreadInterrupts(), threading.Event(), []

        def ask() -> None:
            begun.wait(PATIENCE)
            interrupts.request("cancelled")

        asking = threading.Thread(target=ask)
        asking.start()
        with interrupts:
            begun.set()
            try:
                spin(lambda: False)
            except KeyboardInterrupt as error:
                swallowed.append(type(error).__name__)
        asking.join(PATIENCE)
        assert swallowed == ["KeyboardInterrupt"]
        with interrupts:
            pass

    on_thread(work)


def test_held_back_within_user_code() -> None:
    """Our own lines there are not struck; what came meanwhile strikes after them."""

    def work() -> None:
        interrupts, through = ThreadInterrupts(), []
        with pytest.raises(KeyboardInterrupt), interrupts, interrupts.held():
            interrupts.request("cancelled")
            through.append(1)
        assert through

    on_thread(work)


def test_it_cancels_what_is_awaited() -> None:
    def work() -> None:
        interrupts = ThreadInterrupts()
        cancelled: list[Any] = []
        interrupts.cancel = lambda: cancelled.append(1)
        interrupts.request("cancelled")
        assert cancelled
        with interrupts:
            pass

    on_thread(work)


def test_a_wait_of_ours_is_woken() -> None:
    def work() -> None:
        interrupts, woken = ThreadInterrupts(), threading.Event()
        interrupts.wake = woken.set
        ask = threading.Timer(0.0, interrupts.request, ["cancelled"])
        with pytest.raises(KeyboardInterrupt), interrupts:
            assert entered[threading.get_ident()] is interrupts
            ask.start()
            assert woken.wait(PATIENCE)
            spin(lambda: False)
        ask.join(PATIENCE)

    on_thread(work)
