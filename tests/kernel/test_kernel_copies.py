"""Big buffers of replies through the socket: each is sent as it was when the reply was made."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import zmq
from stock_client import PATIENCE

from snakekernel.kernel.copies import copied
from snakekernel.memory import pool

MIB = 1 << 20


@pytest.mark.kernel
def test_replies_under_way_are_not_overwritten_by_those_after(fresh_kernel: Callable[..., Any]) -> None:
    owner, _ = fresh_kernel()
    with type(owner).connect(owner.connection_file, shared_memory=None) as snake:
        snake.call("numpy.zeros", args=[5 * MIB], store_as="x")
        got = []
        for number in range(1, 6):
            snake.submit("stored.x.fill", args=[number])
            got.append(snake.submit("stored.x.view", returns="value"))
        for number, future in enumerate(got, 1):
            assert numpy.unique(future.result()).tolist() == [number]


def _place(frame: zmq.Frame) -> int:
    place: int = numpy.frombuffer(frame.buffer, "u1").ctypes.data
    return place


def test_memory_is_used_again_only_when_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LOOK", 0.05)
    monkeypatch.setattr(pool, "IDLE", 600.0)
    data = [memoryview(bytes([value]) * (33 * MIB)) for value in b"12"]
    frames = [copied(each) for each in data]
    places = {_place(frame) for frame in frames}
    assert len(places) == 2
    with zmq.Context() as context, context.socket(zmq.PAIR) as sender, context.socket(zmq.PAIR) as receiver:
        port = sender.bind_to_random_port("tcp://127.0.0.1")
        receiver.connect(f"tcp://127.0.0.1:{port}")
        sender.send_multipart(frames, copy=False)
        del frames
        # Nobody has read: they are still on their way.
        assert _place(copied(data[0])) not in places
        assert [frame.buffer for frame in receiver.recv_multipart(copy=False)] == data
    # zmq tells from another thread what it has let go of.
    deadline = time.monotonic() + PATIENCE
    while _place(copied(data[0])) not in places:
        gc.collect()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    monkeypatch.setattr(pool, "IDLE", 0.0)
