"""User code runs for a bounded time on any thread, and leaves no timer, handler or thread behind."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from snakekernel.inspection import Describer, Outcome, TimedOut, attempt
from snakekernel.inspection.timed import hurry

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer"),
    pytest.mark.timeout(method="thread"),  # the default method uses the timer that is tested here
]


def endless() -> None:
    while True:
        pass


def stubborn() -> None:
    """Swallows the first exceptions, whatever they are."""
    swallowed = 0
    while True:
        try:
            while True:
                pass
        except BaseException:
            swallowed += 1
            if swallowed == 3:
                raise


def cautious() -> None:
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


@pytest.fixture(autouse=True)
def _left_as_found() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    threads = _thread._count()
    yield
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    until = time.monotonic() + 5
    while _thread._count() > threads:  # a thread that is through may still be ending
        assert time.monotonic() < until


def on_main(code: Callable[[], Any], seconds: float) -> Outcome[Any]:
    return attempt(code, seconds)


def on_thread(code: Callable[[], Any], seconds: float) -> Outcome[Any]:
    found: list[Outcome[Any]] = []
    thread = threading.Thread(target=lambda: found.append(attempt(code, seconds)))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("run", [on_main, on_thread])
@pytest.mark.parametrize("code", [endless, stubborn, cautious])
def test_endless_code_ends(run: Callable[..., Outcome[Any]], code: Callable[[], Any]) -> None:
    started = time.monotonic()
    outcome = run(code, 0.1)
    assert outcome.timed_out
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("run", [on_main, on_thread])
def test_results_and_errors_are_told(run: Callable[..., Outcome[Any]]) -> None:
    assert run(lambda: 3, 1) == Outcome(ok=True, value=3)
    assert run(lambda: [][0], 1) == Outcome(ok=False, error="IndexError: list index out of range")
    assert run(lambda: 3, 0).timed_out


def test_a_blocking_call_ends_on_the_main_thread() -> None:
    started = time.monotonic()
    assert attempt(lambda: time.sleep(10), 0.1).timed_out
    assert time.monotonic() - started < 9


def test_the_bound_races_with_the_end_of_the_code() -> None:
    """Whichever comes first, nothing strikes after the call has returned."""

    def busy() -> int:
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass
        return 3

    for run in (on_main, on_thread):
        for n in range(100):
            outcome = run(busy, 0.0015 + n * 1e-5)
            assert outcome.ok or outcome.timed_out


def test_an_inner_bound_does_not_end_the_outer_code() -> None:
    def outer() -> str:
        return "inner over" if attempt(endless, 0.05).timed_out else "?"

    assert on_main(outer, 5).value == "inner over"
    assert on_thread(outer, 5).value == "inner over"


def test_an_outer_bound_passes_through_the_inner() -> None:
    assert on_main(lambda: attempt(endless, 30), 0.1).timed_out
    assert on_thread(lambda: attempt(endless, 30), 0.1).timed_out


def test_a_users_handler_and_timer_are_put_back() -> None:
    rang = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: rang.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        assert attempt(endless, 0.05).timed_out
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < 0.15
        assert rang.wait(5)
        rang.clear()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert attempt(endless, 0.1).timed_out  # the user's timer fell due meanwhile
        assert rang.wait(5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Interrupted:
    """Its repr is interrupted from outside, as Ctrl-C does."""

    def __repr__(self) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass


class InterruptsAgain:
    def __repr__(self) -> str:
        try:
            return repr(Interrupted())
        except KeyboardInterrupt:
            raise KeyboardInterrupt("again") from None


# Made in the test: a report of its failure would describe an argument, without a bound.
@pytest.mark.parametrize("make", [Interrupted, InterruptsAgain, lambda: [Interrupted()]])
def test_a_real_interrupt_passes_through(make: Callable[[], Any]) -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    obj = make()
    for describe in (Describer().text, Describer().preview, Describer().inspect):
        with pytest.raises(KeyboardInterrupt):
            describe(obj)


def test_an_interrupt_by_a_handler_of_the_users_passes_through() -> None:
    def handler(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Describer().text(Interrupted())
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_exception_of_the_bound_is_no_ordinary_one() -> None:
    assert not issubclass(TimedOut, Exception)


def test_the_code_that_ran_is_not_kept_alive() -> None:
    import gc
    import weakref

    class Kept:
        def __repr__(self) -> str:
            raise ValueError("no")

    obj = Kept()
    gone = weakref.ref(obj)
    Describer().preview([obj])
    del obj
    gc.collect()
    assert gone() is None


def test_another_thread_ends_the_time_of_what_runs() -> None:
    begun, outcomes = threading.Event(), []

    def endless() -> None:
        begun.set()
        while True:
            pass

    def work() -> None:
        outcomes.append(attempt(lambda: attempt(endless, 60), 60))
        # What comes after it has its own time.
        outcomes.append(attempt(lambda: 5, 60))

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    assert thread.ident is not None
    hurry(thread.ident)
    thread.join(10)
    assert not thread.is_alive()
    assert outcomes[0].timed_out or outcomes[0].value.timed_out
    assert outcomes[1] == Outcome(ok=True, value=5)


def test_hurrying_races_with_the_end_of_the_code() -> None:
    """However it falls, nothing is raised after the end, and no watchdog is left."""
    over, results = threading.Event(), []

    def work() -> None:
        for _ in range(500):
            results.append(attempt(lambda: sum(range(200)), 60))
        over.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert thread.ident is not None
    while not over.is_set():
        hurry(thread.ident)
    thread.join(10)
    assert len(results) == 500
    assert all(one.ok or one.timed_out for one in results)
