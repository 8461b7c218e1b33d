"""The inspector's thread: tasks run here, so that they answer while a cell runs and hold up nothing else.

Rules: the thread begins with the first task. Tasks run one at a time, in the order they came. Each gets
exactly one reply: its own, or ``cancelled``, sent at once, also where the thread cannot leave it yet (native
code that runs on, user code that refuses to end); the next one begins when it does. Closing cancels all.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from .. import inspection
from ..commands.dispatch import Outcome, Run
from ..commands.outcomes import Packed
from ..wire.errors import Cancelled, Unsupported
from . import threads

_log: Final = logging.getLogger(__name__)
_CLOSING: Final = "The kernel is shutting down."

#: Sends the reply of a task; called once, on any thread.
Answer = Callable[[Packed], None]


class _Job:
    """A task and how it is answered. ``alias`` is another id that its sender knows it by."""

    __slots__ = ("alias", "answer", "is_over", "run")

    def __init__(self, run: Run, answer: Answer, alias: str | None) -> None:
        self.run = run
        self.answer = answer
        self.alias = alias
        self.is_over = False

    def is_called(self, id: str, sender: str) -> bool:
        frame = self.run.frame
        return id == frame.msg_id or (id == self.alias and sender == frame.session)


class Inspector:
    """The tasks of one kernel. Its methods may be called on any thread.

    Args:
        after: called when a task has come to its end and lets go of its session.
    """

    def __init__(self, after: Callable[[], None]) -> None:
        self._after = after
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._current: _Job | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def submit(self, run: Run, answer: Answer, *, alias: str | None = None) -> None:
        """Run a request, which is at the beginning of its task, after those before it."""
        job = _Job(run, answer, alias)
        ending: Exception = Cancelled(_CLOSING)
        with self._changed:
            if not self._is_closed:
                try:
                    if self._thread is None:
                        self._thread = threads.start(self._work, "inspector")
                    self._waiting.append(job)
                    self._changed.notify()
                    return
                except RuntimeError as error:  # no thread is to be had
                    ending = error
        self._end(job, _ended(job, ending))

    def cancel(self, id: str, sender: str) -> bool:
        """Answer a waiting or running task with ``cancelled``; False where there is none."""
        with self._changed:
            jobs = [*self._waiting] if self._current is None else [self._current, *self._waiting]
            job = next((job for job in jobs if job.is_called(id, sender) and not job.is_over), None)
            if job is None:
                return False
            begun = self._stop(job)
        try:
            return self._end(job, _cancelled(job, begun, "The request was cancelled."))
        finally:
            self._after()

    def close(self) -> None:
        """Answer all tasks with ``cancelled``, and have the thread end. Idempotent."""
        with self._changed:
            self._is_closed = True
            jobs = [*self._waiting] if self._current is None else [self._current, *self._waiting]
            stopped = [(job, self._stop(job)) for job in jobs]
            thread = self._thread
            self._changed.notify()
        for job, begun in stopped:
            self._end(job, _cancelled(job, begun, _CLOSING))
        if thread is not None:
            # Native code may hold it for longer; it is a daemon.
            thread.join(timeout=1)

    def _stop(self, job: _Job) -> bool:
        """Under the lock: have a task come to its end; tells whether it had begun."""
        if job.run.task is not None:
            job.run.task.cancel()
        if job is not self._current:
            self._waiting.remove(job)
            return False
        thread = self._thread
        if thread is not None and thread.ident is not None:
            inspection.hurry(thread.ident)
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                self._current = None
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    return
                job = self._current = self._waiting.popleft()
            self._end(job, self._outcome(job.run))
            # Its objects must not live on until the next task comes.
            del job
            self._after()

    def _outcome(self, run: Run) -> Outcome:
        step = run.resume()
        while not isinstance(step, Outcome):
            step = run.throw(Unsupported("This operation awaits; ask on the shell channel.", at="$"))
        return step

    def _end(self, job: _Job, outcome: Outcome) -> bool:
        """Answer a task, unless it is answered; tells whether it was done here."""
        with self._changed:
            if job.is_over:
                return False
            job.is_over = True
        try:
            try:
                job.answer(job.run.pack(outcome))
            except Exception as error:
                # A buffer of a plugin's that is none, say.
                job.answer(job.run.pack(job.run.fail(error)))
        except Exception:
            _log.exception("The reply of a task could not be sent")
        return True


def _cancelled(job: _Job, begun: bool, message: str) -> Outcome:
    """The outcome of a cancelled task."""
    error = Cancelled(message)
    return job.run.fail(error) if begun else _ended(job, error)


def _ended(job: _Job, error: Exception) -> Outcome:
    """The outcome of a task that comes to its end, by an error, before it begins."""
    step = job.run.throw(error)
    return step if isinstance(step, Outcome) else job.run.fail(error)
