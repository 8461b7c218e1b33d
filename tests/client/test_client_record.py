"""Records: what is done with objects of the kernel, noted and sent as one message."""

from __future__ import annotations

from concurrent.futures import InvalidStateError
from typing import Any

import pytest

from snakekernel import AsyncClient, Client, RemoteObject
from snakekernel.errors import SnakeError, Unserializable

pytestmark = pytest.mark.kernel


def handled(snake: Client) -> int:
    return int(snake.ping()["requests_handled"])


def test_ten_dependent_steps_are_one_message(snake: Client) -> None:
    before = handled(snake)
    with snake.record() as r:
        value = r.modules.builtins.int("1")
        for n in range(9):
            value = value * 2 + n
    # 19 steps, and the ping itself.
    assert handled(snake) == before + 2
    expected = 1
    for n in range(9):
        expected = expected * 2 + n
    assert value.result() == value.fetch() == expected


def test_a_chain_as_pandas_users_write_it(snake: Client) -> None:
    with snake.record() as r:
        frame = r.modules.pandas.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        mean = frame.groupby("k").mean()["v"]
        frame["w"] = frame["v"] * 2
        total = mean.sum().item()
        big = frame[frame["w"] > 2]
    assert total.result() == 4.0
    assert isinstance(frame.result(), RemoteObject)
    assert frame.fetch()["w"].tolist() == [2, 4, 6]
    assert big.fetch()["k"].tolist() == ["b", "a"]
    assert mean.fetch().to_dict() == {"a": 2.0, "b": 2.0}


def test_what_nobody_can_ask_for_is_not_sent_back(snake: Client) -> None:
    before = set(snake.list_stored("~"))
    with snake.record() as r:
        last = r.modules.builtins.list([[1], [2]]).copy()[0].copy()
    name = last.result()._held.name
    assert set(snake.list_stored("~")) - before == {name}
    assert last.fetch() == [1]


def test_all_that_may_be_done_with_an_object_is_recorded(snake: Client) -> None:
    snake.store("kept", {"n": 1})
    with snake.record() as r:
        items = r.modules.builtins.list([3, 1, 2])
        items[0] = 9
        items += [4]
        del items[1]
        space = r.modules.types.SimpleNamespace(a=1, gone=2)
        space.b = items[0] + space.a
        del space.gone
        names = r.modules.builtins.sorted(r.modules.builtins.vars(space))
        iterator = r.modules.builtins.iter(items)
        first = next(iterator)
        picked = r.call("operator.getitem", args=[{"x": [items]}, "x"])
        kept = r.stored.kept.get("n")
        is_more = items[0] > 5
        reflected = 100 - items[0]
    assert items.fetch() == [9, 2, 4]
    assert (space.fetch is not None, names.fetch()) == (True, ["a", "b"])
    assert space.b.result().fetch() == 10
    assert (first.result(), kept.result(), is_more.result(), reflected.result()) == (9, 1, True, 91)
    assert picked.fetch() == [[9, 2, 4]]


def test_remote_objects_there_are_already(snake: Client) -> None:
    numbers = snake.call("builtins.list", args=[[1, 2]], returns="ref")
    before = handled(snake)
    with snake.record() as r:
        here = r.use(numbers)
        here.append(3)
        here[0] = 5
        doubled = here * 2
        total = r.modules.builtins.sum(numbers)
    assert handled(snake) == before + 2
    assert (doubled.fetch(), total.result(), numbers.fetch()) == ([5, 2, 3] * 2, 10, [5, 2, 3])


def test_it_stops_at_the_first_failure_as_the_program_would(snake: Client) -> None:
    effects = snake.call("builtins.list", returns="ref")
    with pytest.raises(ZeroDivisionError) as caught, snake.record() as r:
        one = r.modules.operator.add(0, 1)
        zero = r.modules.builtins.int(0)
        quotient = one / zero
        r.use(effects).append("never")
    assert isinstance(caught.value, SnakeError)
    assert caught.value.at == "$.steps[2]"
    assert one.result() == 1
    with pytest.raises(ZeroDivisionError):
        quotient.result()
    assert effects.fetch() == []


def test_nothing_is_sent_where_the_block_fails(snake: Client) -> None:
    before = handled(snake)
    with pytest.raises(KeyError), snake.record() as r:
        made = r.modules.builtins.list()
        raise KeyError
    assert handled(snake) == before + 1
    with pytest.raises(InvalidStateError):
        made.result()


def test_what_is_not_known_yet_is_refused(snake: Client) -> None:
    with snake.record() as r:
        made = r.modules.builtins.list([1])
        for use in (len, bool, int, list):
            with pytest.raises(TypeError, match="before the record's block ends"):
                use(made)
        with pytest.raises(InvalidStateError):
            made.result()
        assert repr(made) == str(made) == "<recorded <step 0 of a batch, not sent>>"
    with pytest.raises(Unserializable, match="record"):
        snake.call("builtins.len", args=[made])
    with pytest.raises(Unserializable, match="another batch"), snake.record() as other:
        other.modules.builtins.len(made)


def test_arrays_and_functions_of_a_step(snake: Client) -> None:
    numpy = pytest.importorskip("numpy")
    values: Any = numpy.arange(1_000.0)
    with snake.record() as r:
        array = r.modules.numpy.asarray(values)
        values[:] = 0
        total = array.sum().item()
        ends = array[[0, -1]].tolist()
    assert total.result() == 499_500.0
    assert ends.fetch() == [0.0, 999.0]


async def test_the_async_clients_record() -> None:
    async with AsyncClient.start() as snake:
        async with snake.record() as r:
            numbers = r.modules.builtins.list([1, 2, 3])
            numbers[0] = 5
            total = r.modules.builtins.sum(numbers)
        assert total.result() == await total.fetch() == 10
        assert await numbers.fetch() == [5, 2, 3]
        assert await numbers.result().pop() == 3


def test_a_record_in_a_session(snake: Client) -> None:
    with snake.session("recorded") as apart:
        with apart.record() as r:
            made = r.call("builtins.list", args=[[1]], store_as="mine")
            made.append(2)
        assert apart.stored.mine.fetch() == [1, 2]
        assert "mine" not in snake.list_stored()
