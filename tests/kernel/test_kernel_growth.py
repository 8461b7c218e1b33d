"""Many small requests leave a kernel and its client as they were."""

from __future__ import annotations

import gc
import time

import pytest
from stock_client import PATIENCE

import snakekernel

pytestmark = pytest.mark.kernel

_COUNT = "(__import__('gc').collect(), len(__import__('gc').get_objects()))[1]"


def _many(snake: snakekernel.Client, number: int) -> tuple[int, int]:
    """Make requests of each kind; returns how many objects the kernel and this process have then."""
    for turn in range(number):
        assert snake.call("operator.add", args=[2, turn]) == turn + 2
        if turn % 20 == 0:
            snake.store("x", {"turn": turn})
            snake.call("stored.x.get", args=["turn"], returns="ref")
            snake.delete_stored("x")
            with pytest.raises(ZeroDivisionError):
                snake.call("operator.truediv", args=[1, 0])
            with snake.session() as inner:
                inner.store("y", turn)
    kernel: int = snake.call("builtins.eval", args=[_COUNT])
    gc.collect()
    return kernel, len(gc.get_objects())


def test_small_requests_leave_nothing_behind(snake: snakekernel.Client) -> None:
    _many(snake, 200)
    kernel, client = _many(snake, 200)
    kernel_after, client_after = _many(snake, 1_000)
    assert kernel_after - kernel < 300
    assert client_after - client < 300
    deadline = time.monotonic() + PATIENCE
    # The renewal of a lease may be under way; its reply is read by whoever looks at the sockets next.
    while snake._link._slots:
        assert time.monotonic() < deadline, "requests are left"
        time.sleep(0.01)
        snake._link.pump()
    assert len(snake.list_stored()) == 0
