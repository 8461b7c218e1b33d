"""Big buffers between real kernels and clients: shared where that works, by the socket where not."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import pytest
from processes import MIB, attach, descriptors, eventually, is_shared, kernel_pid, segments
from stock_client import Stock

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.memory.peers import SUPPORTED

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not SUPPORTED, reason="segments need Linux")]

BIG = 3 * MIB


def numbers(nbytes: int = BIG, seed: int = 0) -> Any:
    return numpy.random.default_rng(seed).random(nbytes // 8)


@pytest.fixture
def client(snake: Client) -> Client:
    """The module's client, with its attachment open and nothing stored."""
    attach(snake)
    eventually(lambda: not held(snake))
    return snake


def held(client: Client) -> set[str]:
    """All segments that the kernel or this process holds."""
    return segments(kernel_pid(client)) | segments(os.getpid())


# -- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nbytes", [8, MIB - 8, MIB, MIB + 8, BIG])
def test_arrays_of_any_size_go_and_come_back(client: Client, nbytes: int) -> None:
    array = numbers(nbytes)
    client.store("x", array)
    back = client.retrieve("x", returns="value")
    assert numpy.array_equal(back, array)
    assert back.dtype == array.dtype
    assert is_shared(back) is (nbytes >= MIB)
    client.delete_stored("x")


@pytest.mark.parametrize(
    "value", [b"x" * BIG, bytearray(b"y" * BIG), numpy.asfortranarray(numbers().reshape(2, -1))]
)
def test_other_values_do_too(client: Client, value: Any) -> None:
    back = client.call("copy.copy", args=[value], returns="value")
    assert type(back) is type(value)
    assert numpy.array_equal(back, value)


def test_one_message_mixes_big_and_small(client: Client) -> None:
    value = {"big": numbers(BIG), "small": numbers(80), "more": [numbers(BIG, 1), b"bytes", numbers(BIG, 2)]}
    back = client.call("copy.copy", args=[value], returns="value")
    assert [is_shared(back["big"]), is_shared(back["small"])] == [True, False]
    for got, sent in ((back["big"], value["big"]), (back["small"], value["small"])):
        assert numpy.array_equal(got, sent)
    assert back["more"][1] == b"bytes"
    assert numpy.array_equal(back["more"][2], value["more"][2])


def test_tables_and_frames(client: Client) -> None:
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"a": range(200_000), "b": ["text"] * 200_000})
    client.store("t", table)
    assert client.retrieve("t", returns="value").equals(table)
    frame = pandas.DataFrame({"a": range(200_000), "b": 1.5})
    client.store("f", frame)
    pandas.testing.assert_frame_equal(client.retrieve("f", returns="value"), frame)
    client.delete_stored("t")
    client.delete_stored("f")


# -- nothing is copied, nothing is shared by mistake --------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "table"])
def test_what_was_stored_comes_back_without_a_copy(client: Client, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    client.store("x", numbers() if kind == "array" else pyarrow.table({"a": numbers()}))
    (only,) = segments(kernel_pid(client))
    first, second = (client.retrieve("x", returns="value") for _ in range(2))
    assert first is not second
    assert held(client) == {only}
    client.delete_stored("x")


def test_a_part_of_what_was_stored_comes_without_a_copy(client: Client) -> None:
    array = numbers(4 * BIG)
    client.store("x", array)
    (only,) = segments(kernel_pid(client))
    part = client.call("operator.getitem", args=[snakekernel.ref("x"), slice(1000, -1000)], returns="value")
    assert numpy.array_equal(part, array[1000:-1000])
    assert held(client) == {only}
    client.delete_stored("x")


def test_what_came_from_one_kernel_goes_to_another_without_a_copy(client: Client) -> None:
    with snakekernel.start() as other:
        attach(other)
        got = client.call("numpy.ones", args=[BIG // 8], returns="value")
        (only,) = segments(os.getpid())
        other.store("x", got)
        eventually(lambda: segments(kernel_pid(other)) == {only})


def test_changes_in_the_kernel_are_not_seen_in_earlier_views(client: Client) -> None:
    array = numbers()
    client.store("x", array)
    before = client.retrieve("x", returns="value")
    client.call("operator.setitem", args=[snakekernel.ref("x"), 0, 7.0], returns="none")
    after = client.retrieve("x", returns="value")
    assert numpy.array_equal(before, array)
    assert after[0] == 7.0
    assert numpy.array_equal(after[1:], array[1:])
    client.delete_stored("x")


def test_changes_in_the_client_are_its_own(client: Client) -> None:
    array = numbers()
    client.store("x", array)
    array[:] = 0
    mine = client.retrieve("x", returns="value")
    mine[0] = 7.0
    again = client.retrieve("x", returns="value")
    assert numpy.array_equal(again, numbers())
    client.store("y", mine)
    assert client.call("operator.getitem", args=[snakekernel.ref("y"), 0]) == 7.0
    assert client.call("operator.getitem", args=[snakekernel.ref("x"), 0]) == again[0]
    for name in "xy":
        client.delete_stored(name)


def test_two_clients_share_what_is_stored(client: Client) -> None:
    with snakekernel.connect(client.connection_file) as other:
        attach(other)
        other.store("x", numbers())
        mine, theirs = client.retrieve("x", returns="value"), other.retrieve("x", returns="value")
        mine[0] = 7.0
        assert numpy.array_equal(theirs, numbers())
        client.delete_stored("x")
    assert numpy.array_equal(theirs, numbers())


# -- nothing is kept --------------------------------------------------------------------------------------


def test_deleting_leaves_the_clients_view_and_then_nothing(client: Client) -> None:
    client.store("x", numbers())
    view = client.retrieve("x", returns="value")
    client.delete_stored("x")
    eventually(lambda: not segments(kernel_pid(client)))
    assert numpy.array_equal(view, numbers())
    del view
    eventually(lambda: not held(client))


def test_a_session_takes_its_segments_along(client: Client) -> None:
    with client.session() as session:
        session.store("x", numbers())
        assert segments(kernel_pid(client))
    eventually(lambda: not held(client))


def test_a_thousand_round_trips_leave_nothing(client: Client) -> None:
    array = numbers(MIB)

    def trip() -> None:
        client.store("x", array)
        client.call("numpy.ones", args=[MIB // 8], returns="value")
        client.retrieve("x", returns="value")

    trip()
    client.delete_stored("x")
    eventually(lambda: not held(client))
    before = descriptors(kernel_pid(client)), descriptors(os.getpid())
    for _ in range(350):
        trip()
    client.delete_stored("x")
    eventually(lambda: not held(client))
    assert (descriptors(kernel_pid(client)), descriptors(os.getpid())) == before


def test_a_result_nobody_waits_for_any_more_is_not_kept(client: Client) -> None:
    future = client.submit("numpy.ones", args=[BIG // 8], returns="value")
    # As a timeout does where the kernel cannot be stopped in time.
    client._link.forget(future._number)
    client.call("operator.add", args=[1, 2])
    del future
    eventually(lambda: client.ping() and not held(client))


def test_a_refused_request_takes_nothing_with_it(client: Client) -> None:
    with pytest.raises(snakekernel.errors.Unresolvable):
        client.call("no.such.target", args=[numbers()])
    eventually(lambda: not held(client))


def test_closed_clients_leave_no_descriptor_in_the_kernel(client: Client) -> None:
    def visit() -> int:
        with snakekernel.connect(client.connection_file) as other:
            attach(other)
            return descriptors(kernel_pid(client))

    first = visit()
    assert all(visit() <= first for _ in range(5))


# -- many at once -------------------------------------------------------------------------------------------


def test_many_threads(client: Client) -> None:
    def work(seed: int) -> bool:
        array = numbers(MIB + 8 * seed, seed)
        return numpy.array_equal(client.call("copy.copy", args=[array], returns="value"), array)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))
    eventually(lambda: not held(client))


async def test_the_async_client(client: Client) -> None:
    async with AsyncClient.connect(client.connection_file) as other:
        while not is_shared(await other.call("numpy.ones", args=[MIB // 8], returns="value")):
            await asyncio.sleep(0.01)
        arrays = [numbers(BIG, seed) for seed in range(8)]
        backs = await asyncio.gather(*(other.call("copy.copy", args=[a], returns="value") for a in arrays))
        assert all(is_shared(back) for back in backs)
        assert all(numpy.array_equal(back, array) for back, array in zip(backs, arrays, strict=True))


# -- where it does not work ----------------------------------------------------------------------------------


def test_a_client_may_do_without(client: Client) -> None:
    with snakekernel.connect(client.connection_file, shared_memory=None) as other:
        other.store("x", numbers())
        back = other.retrieve("x", returns="value")
    assert numpy.array_equal(back, numbers())
    assert not is_shared(back)
    client.delete_stored("x")


def test_a_client_chooses_the_size(client: Client) -> None:
    with snakekernel.connect(client.connection_file, shared_memory=8) as other:
        attach(other)
        other.store("x", numbers(80))
        assert segments(kernel_pid(client))
    client.delete_stored("x")
    eventually(lambda: not held(client))


def test_a_client_may_share_all_but_empty_buffers(client: Client) -> None:
    with snakekernel.connect(client.connection_file, shared_memory=0) as other:
        attach(other)
        other.store("x", numpy.ones(1))
        assert segments(kernel_pid(client))
        assert other.call("builtins.len", args=[b""]) == 0
        assert other.call("copy.copy", args=[numpy.zeros((0, 3))], returns="value").shape == (0, 3)
    client.delete_stored("x")
    eventually(lambda: not held(client))


def test_a_reply_goes_by_the_socket_where_sharing_fails(fresh_kernel: Callable[..., Any]) -> None:
    snake, _ = fresh_kernel()
    attach(snake)
    # User code may break whatever the kernel imports.
    code = "import sys; sys.modules['snakekernel.memory.segments'] = None"
    snake.call("builtins.exec", args=[code, {}], returns="none")
    back = snake.call("numpy.ones", args=[BIG // 8], returns="value")
    assert back.sum() == BIG // 8
    assert not is_shared(back)


def test_a_kernel_may_do_without(fresh_kernel: Callable[..., Any], tmp_path: Path) -> None:
    profile = tmp_path / "profile_default"
    profile.mkdir()
    (profile / "snakekernel_kernel_config.py").write_text("c.SnakeKernel.shared_memory_from = None\n")
    snake, _ = fresh_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    for _ in range(3):
        assert not is_shared(snake.call("copy.copy", args=[numbers()], returns="value"))
    assert not segments(kernel_pid(snake))


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_another_process_table_uses_the_socket(client: Client) -> None:
    code = (
        "import sys, numpy, snakekernel\n"
        "with snakekernel.connect(sys.argv[1]) as snake:\n"
        "    for _ in range(3):\n"
        "        back = snake.call('copy.copy', args=[numpy.ones(1 << 18)], returns='value')\n"
        "        print(float(back.sum()), 'memfd' in open('/proc/self/maps').read())\n"
    )
    command = ["unshare", "-Urpf", "--mount-proc"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody unshare")
    got = subprocess.run(
        [*command, sys.executable, "-c", code, client.connection_file],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert got.stdout.split() == ["262144.0", "False"] * 3, got.stderr


def test_no_descriptors_left_means_the_socket(fresh_kernel: Callable[..., Any]) -> None:
    snake, _ = fresh_kernel()
    attach(snake)
    snake.call("resource.setrlimit", args=[7, (128, 128)], returns="none")
    snake.call("snakekernel.memory.segments._most_descriptors.cache_clear", returns="none")
    held = [snake.call("numpy.ones", args=[MIB // 8], returns="value") for _ in range(40)]
    assert all(array.sum() == MIB // 8 for array in held)
    for number, array in enumerate(held):
        snake.store(f"x{number}", array)
    backs = [snake.retrieve(f"x{number}", returns="value") for number in range(40)]
    assert all(array.sum() == MIB // 8 for array in backs)


def test_a_stock_client_sees_nothing_of_it(client: Client, stock: Stock) -> None:
    client.store("x", numbers())
    reply = stock.only_reply(stock.send("retrieve", {"id": "x", "returns": "value"}))
    assert bytes(reply["buffers"][0]) == numbers().tobytes()
    assert "snake_segments" not in reply["metadata"]
    client.delete_stored("x")
