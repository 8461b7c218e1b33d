"""Natural use: proxies of stored objects and modules, descriptions that lead to what they describe."""

from __future__ import annotations

import pytest

from snakekernel import AsyncClient, Client, Description, ref
from snakekernel.errors import NotFound

pytestmark = pytest.mark.kernel


def test_modules_are_called_by_their_path(snake: Client) -> None:
    assert snake.modules.os.path.join("a", "b") == "a/b"
    assert snake.modules.builtins.sorted([2, 1], reverse=True) == [2, 1]
    assert snake.modules.datetime.date(2024, 2, 29).year == 2024
    assert repr(snake.modules.os.path) == "<module path os.path>"


def test_stored_objects_by_attribute_and_by_name(snake: Client) -> None:
    snake.call("pandas.DataFrame", args=[{"a": [1, 2, 3]}], store_as="df")
    described = snake.stored.df.describe()
    assert described.loc["mean", "a"] == 2.0
    assert snake.stored["df"].a.max() == 3
    assert snake.stored.df["a"].tolist() == [1, 2, 3]
    assert snake.stored.df.shape.fetch() == (3, 1)
    assert snake.stored.df.inspect()["shape"] == [3, 1]
    assert repr(snake.stored.df["a"]) == "<stored.df['a']>"


def test_names_may_hold_any_character(snake: Client) -> None:
    snake.stored["my.model (β)"] = {"x y": {"z.z": 5}}
    assert snake.stored["my.model (β)"]["x y"]["z.z"].fetch() == 5
    assert snake.call("builtins.len", args=[snake.stored["my.model (β)"]]) == 1


def test_items_and_attributes_are_set(snake: Client) -> None:
    snake.stored.d = {"k": 0}
    snake.stored.d["k"] = 1
    snake.stored.d[2, "t"] = [1.5]
    assert snake.stored.d.fetch() == {"k": 1, (2, "t"): [1.5]}
    snake.call("types.SimpleNamespace", kwargs={"a": 1}, store_as="space")
    snake.stored.space.b = {"nested": 2}
    assert snake.stored.space.b["nested"].fetch() == 2


def test_del_forgets_an_object_an_item_or_an_attribute(snake: Client) -> None:
    snake.stored.gone = 1
    del snake.stored.gone
    with pytest.raises(NotFound, match="gone"):
        snake.stored.gone.fetch()
    snake.stored["gone too"] = 1
    del snake.stored["gone too"]
    assert "gone too" not in snake.list_stored()
    snake.stored.items = {"a": 1, "b": [1, 2]}
    del snake.stored["items"]["a"]
    assert snake.stored["items"].fetch() == {"b": [1, 2]}
    del snake.stored["items"]["b"][0]
    assert snake.stored["items"].fetch() == {"b": [2]}
    snake.call("types.SimpleNamespace", kwargs={"a": 1, "b": 2}, store_as="space")
    del snake.stored.space.a
    with pytest.raises(AttributeError):
        snake.call("builtins.getattr", args=[ref("space"), "a"])


def test_proxies_are_references_in_arguments(snake: Client) -> None:
    snake.stored.numbers = [1, 2, 3]
    assert snake.call("builtins.sum", args=[snake.stored.numbers]) == 6
    assert snake.modules.operator.add(snake.stored.numbers[0], ref("numbers", 2)) == 4
    nested = snake.call("builtins.len", args=[{"deep": [snake.stored.numbers]}])
    assert nested == 1


def test_a_description_is_readable_and_leads_to_its_object(snake: Client) -> None:
    described = snake.call("collections.Counter", args=["hello"], store_as="counter")
    assert isinstance(described, Description)
    assert (described.type, described.module) == ("Counter", "collections")
    assert repr(described).startswith("<collections.Counter = stored.counter> Counter({'l': 2")
    assert described.proxy.most_common(1) == [("l", 2)]
    assert described.path == ("counter",)
    assert snake.call("builtins.len", args=[described]) == 4
    fetched = snake.retrieve("counter")
    assert isinstance(fetched, Description)
    assert fetched.proxy.total() == 5
    assert described["type"] == "Counter"


def test_a_part_of_a_stored_object_is_described_with_its_path(snake: Client) -> None:
    snake.call("types.SimpleNamespace", kwargs={"a": 1}, store_as="outer")
    snake.call("builtins.setattr", args=[ref("outer"), "inner", ref("outer")])
    part = snake.stored.outer.inner.fetch()
    assert isinstance(part, Description)
    assert part.path == ("outer", "inner")
    assert part.proxy.a.fetch() == 1


def test_what_a_session_made_is_found_in_that_session(snake: Client) -> None:
    described = snake.call("collections.Counter", args=["aab"], store_as="c", session_id="apart")
    assert described.proxy.most_common(1) == [("a", 2)]
    proxy = snake.call("collections.deque", args=[[1]], returns="ref", session_id="apart")
    proxy.append(2)
    assert snake.retrieve("c", session_id="apart").proxy.total() == 3
    (stored,) = snake.pipeline(
        [{"target": "collections.Counter", "args": ["b"], "store_as": "d"}], session_id="apart"
    )
    assert stored.proxy.total() == 1
    snake.close_session("apart")


def test_proxies_and_descriptions_are_targets(snake: Client) -> None:
    described = snake.call("collections.Counter", args=["aab"], store_as="counter")
    assert snake.inspect(snake.stored.counter)["length"] == 2
    assert snake.inspect(described)["length"] == 2
    assert snake.inspect(snake.modules.json.dumps)["callable"] is True
    assert snake.retrieve(target="stored.counter").path == ("counter",)
    assert snake.retrieve(target=snake.stored.counter).path == ("counter",)


def test_a_description_of_something_kept_nowhere_says_how_to_keep_it(snake: Client) -> None:
    described = snake.call("builtins.object")
    assert described.path is None
    with pytest.raises(LookupError, match="store_as"):
        described.proxy  # noqa: B018


def test_an_anonymous_object_is_a_proxy(snake: Client) -> None:
    proxy = snake.call("collections.deque", args=[[1, 2]], returns="ref")
    proxy.append(3)
    assert snake.call("builtins.list", args=[proxy]) == [1, 2, 3]


def test_proxies_are_no_containers(snake: Client) -> None:
    with pytest.raises(TypeError):
        iter(snake.stored)
    with pytest.raises(TypeError):
        "x" in snake.stored.df  # noqa: B015
    with pytest.raises(AttributeError):
        snake.stored.df._private  # noqa: B018


async def test_async_proxies_give_awaitables(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        await client.store("numbers", [3, 1])
        assert await client.stored.numbers.fetch() == [3, 1]
        assert await client.modules.builtins.sorted(client.stored.numbers) == [1, 3]
        for refused in (
            lambda: setattr(client.stored, "x", 1),
            lambda: client.stored.numbers.__setitem__(0, 1),
            lambda: delattr(client.stored, "numbers"),
            lambda: client.stored.numbers.__delitem__(0),
        ):
            with pytest.raises(TypeError, match="await"):
                refused()
