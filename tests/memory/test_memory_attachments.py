"""Both ends of an attachment in one process: whose leases end when, whatever goes wrong between."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator

import pytest

from snakekernel.memory.peers import LEDGER_SIZE, SUPPORTED

if not SUPPORTED:
    pytest.skip("segments need Linux", allow_module_level=True)

from snakekernel.memory.attachment import Attachment
from snakekernel.memory.attachments import Attachments
from snakekernel.memory.exchange import SEGMENTS, Sent

SESSION = "session"


class Pair:
    """A kernel's end and a client's. ``later`` holds what the kernel's timer is to run."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        self.timer_works = True
        self.kernel = Attachments(0, self._call_later)
        self.client = Attachment(0)
        self.attach()

    def _call_later(self, delay: float, function: Callable[[], None]) -> None:
        if not self.timer_works:
            raise RuntimeError("the loop is closed")
        self.later.append(function)

    def attach(self) -> None:
        offer = self.client.offer()
        assert offer is not None
        self.client.accept({"pid": os.getpid(), "descriptor": self.kernel.attach(SESSION, **offer)})

    def reply(self, data: bytes) -> Sent:
        sent = self.kernel.send(SESSION, [memoryview(data)])
        assert sent is not None
        return sent

    def read(self, sent: Sent) -> bytes:
        (buffer,) = self.client.receive({SEGMENTS: sent.entries}, sent.frames)
        return bytes(buffer)

    def look(self) -> None:
        """Run the kernel's timer once."""
        due, self.later = self.later, []
        for function in due:
            function()


@pytest.fixture
def pair() -> Iterator[Pair]:
    # What earlier tests left to the collector is not to go in between.
    gc.collect()
    opened = Pair()
    yield opened
    opened.client.detach()
    opened.kernel.close()


def test_a_lease_ends_when_it_was_taken(pair: Pair) -> None:
    sent = pair.reply(b"data")
    pair.look()
    assert pair.read(sent) == b"data"
    pair.look()
    assert not pair.later
    with pytest.raises(Exception, match="could not be opened"):
        pair.read(sent)


def test_a_reply_read_after_attaching_again_ends_no_lease_of_the_new_attachment(pair: Pair) -> None:
    old = pair.reply(b"old")
    pair.attach()
    new = pair.reply(b"new")
    assert old.entries[0] is not None
    assert new.entries[0] is not None
    assert old.entries[0]["lease"] == new.entries[0]["lease"]
    with pytest.raises(Exception, match="could not be opened"):
        pair.read(old)
    pair.look()
    assert pair.read(new) == b"new"


def test_what_could_not_be_lent_is_not_kept(pair: Pair) -> None:
    before = os.listdir("/proc/self/fd")
    pair.timer_works = False
    for _ in range(LEDGER_SIZE):
        with pytest.raises(RuntimeError, match="the loop is closed"):
            pair.reply(b"data")
    assert os.listdir("/proc/self/fd") == before
    pair.timer_works = True
    assert pair.read(pair.reply(b"data")) == b"data"
    assert pair.later


def test_an_empty_buffer_goes_in_its_frame(pair: Pair) -> None:
    assert pair.kernel.send(SESSION, [memoryview(b"")]) is None
    assert pair.client.send(1, [memoryview(b"")]) is None
    sent = pair.client.send(2, [memoryview(b""), memoryview(b"x")])
    assert sent is not None
    assert [entry is None for entry in sent.entries] == [True, False]
    pair.client.answered(2)
