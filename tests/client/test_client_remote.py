"""Remote objects: used here as if they were here, kept there for as long as they are."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from stock_client import Stock

import snakekernel
from snakekernel import AsyncClient, Client, Description, RemoteObject
from snakekernel.errors import NotFound, SnakeError, Unresolvable, Unserializable

pytestmark = pytest.mark.kernel


def remote(snake: Client, expression: str) -> Any:
    return snake.call("builtins.eval", args=[expression], returns="ref")


def names_held(snake: Client) -> set[str]:
    return set(snake.list_stored("~", limit=10_000))


def settled(snake: Client, done: Callable[[], bool]) -> bool:
    """Whether it comes to this while the keeper tells what was let go; waits by asking the kernel."""
    for _ in range(200):
        if done():
            return True
        snake.call("time.sleep", args=[0.1])
    return done()


def test_attributes_and_items_cost_no_message_until_they_are_used(snake: Client) -> None:
    space = remote(snake, "__import__('types').SimpleNamespace(a=[{'k': 5}])")
    before = snake.ping()["requests_handled"]
    deep = space.a[0]["k"]
    assert isinstance(deep, RemoteObject)
    assert snake.ping()["requests_handled"] == before + 1
    assert deep.fetch() == 5
    with pytest.raises(Unresolvable):
        space.nothing.there.fetch()
    # An attribute is never taken for an item.
    assert remote(snake, "{'keys': 1}").keys().__class__ is RemoteObject


def test_calls_give_small_scalars_and_else_remote_objects(snake: Client) -> None:
    text = remote(snake, "['b', 'a']")
    assert text.index("a") == 1
    assert text.append("c") is None
    made = text.copy()
    assert isinstance(made, RemoteObject)
    assert made.fetch() == ["b", "a", "c"]
    frame = snake.call("pandas.DataFrame", args=[{"k": ["x", "y", "x"], "v": [1.0, 2.0, 4.0]}], returns="ref")
    assert frame.groupby("k")["v"].sum()["x"].item() == 5.0
    assert frame[frame["v"] > 1]["k"].tolist().fetch() == ["y", "x"]
    assert frame.iloc[1:, 0].tolist().fetch() == ["y", "x"]


def test_values_operators_and_their_reflections(snake: Client) -> None:
    n = remote(snake, "__import__('fractions').Fraction(7, 2)")
    assert (n + 1).__class__ is RemoteObject
    assert float(n + 1) == 4.5
    assert float(1 - n) == -2.5
    assert float(2**n) == pytest.approx(2**3.5)
    assert (n // 1, 8 // n, n % 2) == (3, 2, remote(snake, "__import__('fractions').Fraction(3, 2)"))
    assert divmod(n, 2).fetch()[0] == 1
    assert float(-n) == -3.5
    assert abs(-n) == n
    assert (n == 3.5) is True
    assert (n != n) is False
    assert (3 < n < 4) is True
    assert round(n) == 4
    assert (int(n), bool(n), f"{n}") == (3, True, "7/2")
    assert f"{remote(snake, '[3.5]')[0]:.2f}" == "3.50"
    flags = remote(snake, "{1, 2}")
    assert (flags & {2, 3}).fetch() == {2}
    assert ({2, 3} | flags).fetch() == {1, 2, 3}
    assert [10, 20, 30][remote(snake, "[1]")[0]] == 20


def test_numpy_leaves_the_operator_to_it(snake: Client) -> None:
    numpy = pytest.importorskip("numpy")
    there = snake.call("numpy.arange", args=[3], returns="ref")
    added = numpy.array([10, 20, 30]) + there
    assert isinstance(added, RemoteObject)
    assert added.fetch().tolist() == [10, 21, 32]


def test_in_place_operators_change_what_is_there(snake: Client) -> None:
    numbers = remote(snake, "[1]")
    same = numbers
    numbers += [2]
    assert same.fetch() == [1, 2]
    assert numbers.fetch() == [1, 2]
    space = remote(snake, "__import__('types').SimpleNamespace(n=1, items={'k': [1]})")
    space.n += 1
    space.items["k"] += [2]
    assert (space.n.fetch(), space.items.fetch()) == (2, {"k": [1, 2]})


def test_containers(snake: Client) -> None:
    numbers = remote(snake, "list(range(1000))")
    assert len(numbers) == 1000
    assert 999 in numbers
    assert 1000 not in numbers
    assert list(numbers) == list(range(1000))
    assert list(reversed(numbers))[:2] == [999, 998]
    assert sum(1 for _ in remote(snake, "(object() for _ in range(600))")) == 600
    nested = remote(snake, "[[1], [2]]")
    assert [inner.pop() for inner in nested] == [1, 2]
    iterator = remote(snake, "iter([1])")
    assert next(iterator) == 1
    with pytest.raises(StopIteration):
        next(iterator)
    numbers[0], numbers[-1:] = 5, []
    del numbers[1]
    assert (len(numbers), numbers[0].fetch()) == (998, 5)
    assert not remote(snake, "[]")


def test_an_iteration_serves_other_calls_and_ends_where_the_iterator_fails(snake: Client) -> None:
    snake.call(
        "builtins.exec",
        args=["def some():\n  yield 1\n  yield 2\n  raise KeyError('broken')", snake_globals(snake)],
    )
    seen = []
    with pytest.raises(KeyError, match="broken"):
        for item in snake.call("user.some", returns="ref"):
            seen.append(item + snake.call("operator.add", args=[0, 0]))
    assert seen == [1, 2]


def snake_globals(snake: Client) -> Any:
    return snake.call("builtins.globals", returns="ref")


def test_attributes_are_set_and_deleted(snake: Client) -> None:
    space = remote(snake, "__import__('types').SimpleNamespace()")
    space.a = {"x": [1.5]}
    space.a["y"] = (1, 2)
    assert space.a.fetch() == {"x": [1.5], "y": (1, 2)}
    del space.a["x"]
    assert space.a.fetch() == {"y": (1, 2)}
    del space.a
    with pytest.raises(Unresolvable):
        space.a.fetch()


def test_contexts_are_entered_and_left_there(snake: Client) -> None:
    with snake.call("tempfile.TemporaryDirectory", returns="ref") as folder:
        assert snake.call("os.path.isdir", args=[folder])
    assert not snake.call("os.path.isdir", args=[folder])
    with snake.call(
        "contextlib.suppress",
        args=[snake.call("builtins.eval", args=["KeyError"], returns="ref")],
        returns="ref",
    ):
        raise KeyError("ends here")
    stack = snake.call("contextlib.ExitStack", returns="ref")
    with pytest.raises(ValueError, match="goes on"), stack:
        raise ValueError("goes on")
    lock = snake.call("threading.Lock", returns="ref")
    with lock as entered:
        assert entered is True
        assert lock.locked() is True
    assert lock.locked() is False
    with snake.call("asyncio.Lock", returns="ref"):
        pass


def test_it_is_an_argument_also_nested_and_as_a_part(snake: Client) -> None:
    numbers = remote(snake, "[3, 1, 2]")
    assert snake.call("builtins.max", args=[numbers]) == 3
    assert snake.call("operator.add", args=[numbers[0], 1]) == 4
    same = snake.call("builtins.dict", kwargs={"deep": [numbers, {"n": numbers}]}, returns="ref")
    assert snake.call("operator.is_", args=[same["deep"][0], same["deep"][1]["n"]]) is True
    holder = remote(snake, "[]")
    holder.append(numbers)
    assert holder[0].fetch() == [3, 1, 2]


def test_another_kernels_and_another_sessions_are_refused(
    snake: Client, fresh_kernel: Callable[..., tuple[Client, Stock]]
) -> None:
    other, _ = fresh_kernel()
    theirs = remote(other, "[1]")
    with pytest.raises(Unserializable, match="another kernel"):
        snake.call("builtins.len", args=[theirs])
    with snake.session() as apart:
        inner = apart.call("builtins.list", args=[[1]], returns="ref")
        assert inner.pop() == 1
        with pytest.raises(Unserializable, match="session"):
            snake.call("builtins.len", args=[[inner]])


def test_it_is_shown_as_it_is_there(snake: Client) -> None:
    numbers = remote(snake, "[1, 2, 3]")
    assert repr(numbers) == "<remote builtins.list> [1, 2, 3]"
    assert repr(numbers[0]) == "<remote builtins.int> 1"
    assert str(numbers) == "[1, 2, 3]"
    assert len(repr(remote(snake, "list(range(100_000))"))) < 3_000
    frame = snake.call("pandas.DataFrame", args=[{"a": [1]}], returns="ref")
    assert repr(frame).startswith("<remote pandas.DataFrame>\n")
    bundle = frame._repr_mimebundle_()
    assert {"text/plain", "text/html"} <= set(bundle)
    assert {"append", "pop", "fetch", "inspect"} <= set(dir(numbers))
    assert numbers.inspect()["length"] == 3
    assert repr(numbers.nothing).startswith("<remote object ~")
    assert isinstance(remote(snake, "object()").fetch(), Description)


def test_a_failing_repr_and_a_lost_kernel_raise_nothing(
    fresh_kernel: Callable[..., tuple[Client, Stock]],
) -> None:
    other, _ = fresh_kernel()
    bad = remote(other, "type('Bad', (), {'__repr__': lambda self: 1 / 0})()")
    assert repr(bad).startswith("<remote ")
    numbers = remote(other, "[1]")
    other.close()
    assert repr(numbers).startswith("<remote builtins.list ~")
    assert numbers._repr_mimebundle_()["text/plain"] == repr(numbers)
    assert "fetch" in dir(numbers)


def test_copies_and_pickles_are_refused(snake: Client) -> None:
    numbers = remote(snake, "[1]")
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="fetch"):
            take(numbers)


def test_it_is_hashed_by_what_is_held(snake: Client) -> None:
    first, second = remote(snake, "[1]"), remote(snake, "[1]")
    known = {first: "first", second: "second"}
    assert (known[first], known[second]) == ("first", "second")
    with pytest.raises(AttributeError, match="such names"):
        first._private  # noqa: B018


def test_it_lives_as_long_as_anything_leads_to_it(snake: Client) -> None:
    gc.collect()
    owner = remote(snake, "[[1], [2]]")
    name = owner._held.name
    part = owner[1]
    described = remote(snake, "{'a': object()}").fetch()
    del owner
    assert settled(snake, lambda: snake._keeper._released.__len__() == 0)
    assert part.fetch() == [2]
    assert snake.call("builtins.len", args=[described.proxy]) == 1
    del part
    assert settled(snake, lambda: name not in names_held(snake))


def test_what_a_submitted_call_names_is_kept_until_it_ran(snake: Client) -> None:
    numbers = remote(snake, "[1, 2]")
    held = snake.submit("time.sleep", args=[2.5])
    queued = snake.submit("builtins.sum", args=[numbers])
    name = numbers._held.name
    del numbers
    held.result()
    assert queued.result() == 3
    del queued
    assert settled(snake, lambda: name not in names_held(snake))


def test_two_clients_at_once(snake: Client) -> None:
    """Each holds its own; what one lets go, or its end, takes nothing from the other."""
    numbers = remote(snake, "[1, 2]")
    snake.store("numbers", numbers)
    with snakekernel.connect(snake.connection_file) as other:
        theirs = [remote(other, f"[{n}]") for n in range(50)]
        held = {one._held.name for one in theirs}
        with ThreadPoolExecutor(2) as pool:
            ours = pool.submit(lambda: [numbers[0] + n for n in range(50)])
            sums = pool.submit(lambda: [one[0] + 1 for one in theirs])
            assert ours.result() == sums.result() == list(range(1, 51))
        assert held <= names_held(snake)
        other.stored.numbers.append(3)
    assert numbers.fetch() == [1, 2, 3]
    snake.delete_stored("numbers")
    assert numbers.fetch() == [1, 2, 3]
    assert settled(snake, lambda: not held & names_held(snake))
    assert numbers.fetch() == [1, 2, 3]


def test_dropped_references_are_told_of_in_batches(snake: Client) -> None:
    before = len(names_held(snake))
    handled = snake.ping()["requests_handled"]
    for _ in range(3_000):
        remote(snake, "[]")
    # Told of when many wait, so that neither side gathers them.
    assert len(names_held(snake)) < before + 3_000
    assert snake.ping()["requests_handled"] < handled + 3_000 + 100
    assert settled(snake, lambda: len(names_held(snake)) <= before)


def test_the_keepers_thread_ends_with_what_is_held(
    fresh_kernel: Callable[..., tuple[Client, Stock]],
) -> None:
    other, _ = fresh_kernel()

    def keepers() -> list[threading.Thread]:
        return [other._keeper._thread] if other._keeper._thread is not None else []

    assert not keepers()
    numbers = remote(other, "[1]")
    assert keepers()
    del numbers
    assert settled(other, lambda: not keepers())
    again = remote(other, "[1]")
    assert keepers()
    other.close()
    assert not any(thread.is_alive() for thread in keepers())
    del again


async def test_held_for_longer_than_a_lease_while_nobody_asks(snake: Client) -> None:
    kept = remote(snake, "[1]")
    async with AsyncClient.connect(snake.connection_file) as apart:
        theirs = await apart.call("builtins.list", args=[[2]], returns="ref")
        # Longer than a lease: that they are kept is what is tested, and nobody uses the clients meanwhile.
        await asyncio.sleep(6.5)
        assert await theirs.pop() == 2
    assert kept.pop() == 1


async def test_the_async_clients_are_awaited() -> None:
    async with AsyncClient.start() as snake:
        numbers = await snake.call("builtins.list", args=[[3, 1, 2]], returns="ref")
        assert isinstance(numbers, RemoteObject)
        assert await numbers.pop() == 2
        assert await (await (numbers * 2)).fetch() == [3, 1, 3, 1]
        assert await (numbers == [3, 1]) is True
        assert await numbers[0].fetch() == 3
        assert [item async for item in numbers] == [3, 1]
        assert repr(numbers).startswith("<remote builtins.list ~")
        assert str(numbers) == repr(numbers)
        for use in (len, bool, list, int):
            with pytest.raises(TypeError, match="async"):
                use(numbers)
        with pytest.raises(TypeError, match="async"):
            numbers += [1]
        with pytest.raises(TypeError, match=r"snake\.set"):
            numbers[0] = 1
        await snake.set(numbers[0], 9)
        assert await numbers.fetch() == [9, 1]
        lock = await snake.call("asyncio.Lock", returns="ref")
        async with lock:
            assert await lock.locked() is True
        assert await lock.locked() is False
        async with await snake.call("tempfile.TemporaryDirectory", returns="ref") as folder:
            assert await snake.call("os.path.isdir", args=[folder])
        tasks = await snake.call(
            "builtins.eval", args=["[__import__('asyncio').get_event_loop().create_future()]"], returns="ref"
        )
        await tasks[0].set_result(7)
        assert await tasks[0] == 7
        name = numbers._held.name
        del numbers
        gc.collect()
        for _ in range(200):
            if name not in await snake.list_stored("~"):
                break
            await snake.call("asyncio.sleep", args=[0.1])
        else:
            pytest.fail("it was not let go")


def test_references_come_by_every_way_a_result_comes(snake: Client) -> None:
    (first,) = snake.pipeline([{"target": "builtins.list", "args": [[1]], "returns": "ref"}])
    assert first.pop() == 1
    with snake.batch() as batch:
        item = batch.call("builtins.list", args=[[2]], returns="proxy")
        plain = batch.call("builtins.len", args=[item], returns="proxy")
    assert item.result().pop() == 2
    assert plain.result() == 1
    streamed = [one.pop() for one in snake.stream("builtins.iter", args=[[[1], [2]]], returns="proxy")]
    assert streamed == [1, 2]
    assert snake.submit("builtins.list", args=[[3]], returns="ref").result().pop() == 3
    taken = snake.retrieve(target=["stored", *first._path], returns="ref")
    assert taken.fetch() == []
    with pytest.raises(NotFound):
        snake.retrieve("~0")
    snake.store("named", first)
    del first, taken
    assert snake.stored.named.fetch() == []
    with pytest.raises(SnakeError):
        snake.retrieve("named", returns="nothing of the kind")


def test_the_class_is_public() -> None:
    assert snakekernel.RemoteObject is RemoteObject


def test_a_repeated_call_gives_the_same_object(snake: Client) -> None:
    first, again = (
        snake.call("builtins.list", args=[[1]], returns="ref", call_id="twice the same") for _ in range(2)
    )
    again.append(2)
    del again
    # What is let go is told with this one.
    snake._keeper._tell()
    assert first.fetch() == [1, 2]
