"""A kernel with a memory limit: what does not fit is an error of the call that wanted it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

import snakekernel
from snakekernel import Client
from snakekernel.errors import Raised

pytestmark = [pytest.mark.kernel, pytest.mark.promise("fault-3")]

LIMIT = 2 << 30
#: Takes all there is, down to the last small block, and keeps it.
FILL = """
import builtins
builtins.kept = []
size = 1 << 28
while size >= 64:
    try:
        while True:
            builtins.kept.append(bytes(size))
    except MemoryError:
        size //= 2
raise MemoryError("nothing is left")
"""


@pytest.fixture(scope="module")
def limited() -> Iterator[Client]:
    with snakekernel.start(env={**os.environ, "SNAKEKERNEL_LIMITS": json.dumps({"as": LIMIT})}) as client:
        yield client


def test_too_large_a_block_is_an_error_of_the_call(limited: Client) -> None:
    pid = limited.call("os.getpid")
    with pytest.raises(MemoryError) as caught:
        limited.call("builtins.bytearray", args=[2 * LIMIT])
    assert isinstance(caught.value, Raised)
    assert limited.call("os.getpid") == pid


def test_a_kernel_without_any_memory_left_still_answers(limited: Client) -> None:
    pid = limited.call("os.getpid")
    with pytest.raises(MemoryError):
        limited.call("builtins.exec", args=[FILL])
    # It serves what fits, and frees the rest when told to.
    limited.call("builtins.exec", args=["import builtins; builtins.kept.clear()"])
    assert limited.call("os.getpid") == pid
