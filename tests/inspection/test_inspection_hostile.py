"""Hostile objects: none can make a description fail, hang, lie about its type, or run its properties."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snakekernel.inspection import Budget, Describer, estimate
from snakekernel.testing.inspection import verify_description, verify_inspection
from snakekernel.values import Encoder

pytestmark = pytest.mark.promise("attack-12")

#: What user code ran that must not have run.
RAN: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> Iterator[None]:
    RAN.clear()
    yield
    assert RAN == []


def forbidden(name: str) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        RAN.append(name)
        raise RuntimeError(name)

    return run


def raising(error: BaseException) -> type:
    def text(self: Any) -> str:
        raise error

    return type("Raising", (), {"__repr__": text})


class Huge:
    def __repr__(self) -> str:
        return "x" * 10**8


class NoText:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class StrangeText:
    class Text(str):
        __slots__ = ()
        __len__ = __getitem__ = __iter__ = encode = __str__ = __eq__ = forbidden("text")  # type: ignore[assignment]
        __hash__ = str.__hash__

    def __repr__(self) -> str:
        return StrangeText.Text("strange")


class Surrogates:
    def __init__(self) -> None:
        self.__dict__["\ud800"] = "\udfff"

    def __repr__(self) -> str:
        return "\ud800"


class Recursive:
    def __repr__(self) -> str:
        return repr(self)


class RaisesHostileError:
    class Error(Exception):
        __str__ = __repr__ = forbidden("error text")

    def __repr__(self) -> str:
        raise RaisesHostileError.Error(object(), "why")


class Closed:
    """Everything that an inspector might look up raises."""

    __getattr__ = forbidden("__getattr__")
    __dir__ = forbidden("__dir__")
    __eq__ = forbidden("__eq__")
    __bool__ = forbidden("__bool__")
    __hash__ = forbidden("__hash__")
    __iter__ = forbidden("__iter__")
    __getitem__ = forbidden("__getitem__")
    __sizeof__ = forbidden("__sizeof__")
    __reduce_ex__ = forbidden("__reduce_ex__")
    __instancecheck__ = forbidden("__instancecheck__")
    __signature__ = property(forbidden("__signature__"))
    __doc__ = property(forbidden("__doc__"))  # type: ignore[assignment]
    shape = property(forbidden("shape"))
    dtype = property(forbidden("dtype"))
    value = property(forbidden("value"))

    def __getattribute__(self, name: str) -> Any:
        RAN.append(f"__getattribute__ {name}")
        raise RuntimeError(name)

    def __init__(self) -> None:
        object.__getattribute__(self, "__dict__")["mine"] = 1

    def __call__(self, a: int, b: int = 2) -> None: ...


class Liar:
    @property
    def __class__(self) -> type:  # type: ignore[override]
        RAN.append("__class__")
        return dict

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        RAN.append("__dict__")
        return {"a lie": 1}


class Meta(type):
    __getattribute__ = forbidden("meta __getattribute__")  # type: ignore[assignment]
    __getattr__ = forbidden("meta __getattr__")
    __instancecheck__ = forbidden("meta __instancecheck__")  # type: ignore[assignment]
    __subclasscheck__ = forbidden("meta __subclasscheck__")  # type: ignore[assignment]
    __eq__ = forbidden("meta __eq__")  # type: ignore[assignment]
    __hash__ = forbidden("meta __hash__")  # type: ignore[assignment]
    __name__ = property(forbidden("meta __name__"))  # type: ignore[assignment]
    __mro__ = property(forbidden("meta __mro__"))  # type: ignore[assignment]

    def __repr__(cls) -> str:
        raise SystemExit(3)


WithMeta = Meta("WithMeta", (), {"x": 1, "__module__": 3, "__init__": lambda self: None})


_SPACE: dict[str, Any] = {}
exec("NoModule = type('NoModule', (), {})", _SPACE)  # made where no module has a name


class Measured:
    def __init__(self, length: Any) -> None:
        self.length = length

    def __len__(self) -> int:
        if isinstance(self.length, BaseException):
            raise self.length
        return self.length  # type: ignore[no-any-return]


class HostileDict(dict):  # type: ignore[type-arg]
    items = keys = values = __iter__ = __len__ = __getitem__ = forbidden("dict")  # type: ignore[assignment]


class HostileList(list):  # type: ignore[type-arg]
    __iter__ = __len__ = __getitem__ = forbidden("list")  # type: ignore[assignment]


class HostileAttributes:
    def __init__(self) -> None:
        space = HostileDict(a=1)
        dict.__setitem__(space, 3, "no name")
        self.__dict__ = space


class FakeFrame:
    __module__ = "pandas"
    shape = property(forbidden("fake shape"))
    columns = property(forbidden("fake columns"))


FakeFrame.__name__ = FakeFrame.__qualname__ = "DataFrame"


class HostileArray(np.ndarray):  # type: ignore[type-arg]
    shape = property(forbidden("shape"))  # type: ignore[assignment]
    dtype = property(forbidden("dtype"))  # type: ignore[assignment]
    nbytes = property(forbidden("nbytes"))  # type: ignore[assignment]
    __len__ = __getitem__ = __iter__ = forbidden("array")  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "HostileArray"


class Key:
    def __init__(self) -> None:
        self.armed = False

    def __hash__(self) -> int:
        return forbidden("key")() if self.armed else 1  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return forbidden("key")() if self.armed else self is other  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        raise KeyError("no")


def _keyed() -> dict[Key, int]:
    key = Key()
    found = {key: 1}
    key.armed = True
    return found


def _objects(obj: Any) -> Any:
    found = np.empty(2, dtype=object)
    found[0] = obj
    return found


def _deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


HOSTILE: dict[str, Any] = {
    "raises": raising(ValueError("no"))(),
    "exits": raising(SystemExit(3))(),
    "interrupts": raising(KeyboardInterrupt())(),
    "generator exit": raising(GeneratorExit())(),
    "stops": raising(StopIteration())(),
    "base": raising(BaseException())(),
    "memory": raising(MemoryError())(),
    "huge": Huge(),
    "no text": NoText(),
    "strange text": StrangeText(),
    "surrogates": Surrogates(),
    "recursive": Recursive(),
    "hostile error": RaisesHostileError(),
    "closed": Closed(),
    "closed class": Closed,
    "liar": Liar(),
    "metaclass": WithMeta,
    "instance of metaclass": WithMeta(),
    "list of them": [Closed(), Liar(), WithMeta, raising(SystemExit())()],
    "dict of them": {"a": Closed(), "b": {"c": WithMeta()}},
    "raising length": Measured(SystemExit()),
    "negative length": Measured(-1),
    "huge length": Measured(2**62),
    "overflowing length": Measured(2**70),
    "no length": Measured("x"),
    "no module": _SPACE["NoModule"](),
    "dict subclass": HostileDict(a=1),
    "list subclass": HostileList([1]),
    "attributes": HostileAttributes(),
    "fake frame": FakeFrame(),
    "array": np.arange(4).view(HostileArray),
    "object array": _objects(Liar()),
    "object series": pd.Series(_objects(Key())),
    "key": _keyed(),
    "deep": _deep(),
    "long name": type("x" * 10**6, (), {})(),
    "long attribute": type("Long", (), {"y" * 10**6: 1}),
}


@pytest.mark.parametrize("static", [False, True], ids=["asking", "static"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_objects_are_described(name: str, static: bool) -> None:
    obj = HOSTILE[name]
    # A name of a million characters is cut, so the kit's "type is the true name" cannot hold for it.
    check = name != "long name"
    describer = Describer(static=static)
    preview = describer.preview(obj)
    inspection = describer.inspect(obj)
    valued = describer.value_or_preview(obj, Encoder())
    if check:
        verify_description(obj, preview)
        verify_description(obj, valued)
        verify_inspection(obj, inspection)
    assert len(inspection["type"]) <= 500
    assert estimate(obj) >= 0


@pytest.mark.parametrize("name", HOSTILE)
def test_the_static_describer_works_on_other_threads(name: str) -> None:
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.append(Describer(static=True).inspect(HOSTILE[name])))
    thread.start()
    thread.join()
    assert found
    assert found[0]["string_repr"]


def test_the_text_says_what_went_wrong() -> None:
    describer = Describer()
    assert describer.text(HOSTILE["raises"]) == ("<Raising object; its repr raised ValueError: no>", True)
    assert describer.text(HOSTILE["exits"]) == ("<Raising object; its repr raised SystemExit>", True)
    assert describer.text(HOSTILE["interrupts"]) == (
        "<Raising object; its repr raised KeyboardInterrupt>",
        True,
    )
    assert describer.text(NoText())[0].startswith("<NoText object; its repr raised TypeError")
    assert describer.text(RaisesHostileError()) == (
        "<RaisesHostileError object; its repr raised Error: why>",
        True,
    )
    text, truncated = describer.text(Huge())
    assert truncated
    assert len(text) == Budget().text
    assert describer.text(StrangeText()) == ("strange", False)
    assert describer.text(Surrogates()) == ("\\ud800", False)


def test_the_static_text_asks_nothing() -> None:
    describer = Describer(static=True)
    assert describer.text(Closed()) == ("<Closed object>", False)
    assert describer.text([1, Liar(), {"a": Huge()}]) == ("[1, <Liar object>, {'a': <Huge object>}]", False)
    assert describer.text(pd.DataFrame({"a": [1]})) == ("<DataFrame 1x1>", False)


def test_true_types_and_attributes_are_told() -> None:
    describer = Describer()
    liar = describer.preview(Liar())
    assert (liar["type"], liar["attributes"]) == ("Liar", {})
    closed = describer.preview(Closed())
    assert closed["attributes"] == {"mine": {"type": "int", "module": "builtins", "value": 1}}
    assert describer.inspect(Closed())["attributes"] == ["mine", "shape", "dtype", "value"]
    assert describer.inspect(Closed())["signature"] == "(a: 'int', b: 'int' = 2) -> 'None'"
    assert describer.preview(WithMeta())["module"] == "?"
    assert describer.inspect(HostileDict(a=1))["children"][0]["key"] == "a"


@pytest.mark.parametrize("length", [-1, 2**62, 2**70, "x", SystemExit()])
def test_an_impossible_length_is_unknown(length: Any) -> None:
    assert Describer().inspect(Measured(length))["length"] is None
    assert Describer().inspect(Measured(3))["length"] == 3
    assert Describer(static=True).inspect(Measured(3))["length"] is None


def test_an_infinite_generator_is_not_consumed() -> None:
    def numbers() -> Iterator[int]:
        yield from itertools.count()

    endless, counter = numbers(), itertools.count()
    for static in (False, True):
        for obj in (endless, counter, [endless, counter]):
            verify_inspection(obj, Describer(static=static).inspect(obj))
            verify_description(obj, Describer(static=static).preview(obj))
    assert (next(endless), next(counter)) == (0, 0)


def test_many_slow_parts_cost_one_budget() -> None:
    class Slow:
        def __repr__(self) -> str:
            time.sleep(10)
            return "slow"

    obj = [Slow() for _ in range(30)]
    started = time.monotonic()
    found = Describer(budget=Budget(seconds=0.2)).preview(obj)
    assert time.monotonic() - started < 9  # less than one of them alone
    assert "took too long" in found["string_repr"]
    assert found["truncated"]
    verify_description(obj, found)


def test_a_dict_that_changes_meanwhile_is_described() -> None:
    shared: dict[int, int] = {}
    done = threading.Event()

    def change() -> None:
        for n in itertools.count():
            shared[n % 997] = n
            shared.pop((n * 7) % 997, None)
            if done.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        describer = Describer(static=True)
        for _ in range(40):
            describer.preview(shared)
            describer.inspect(shared)
            estimate(shared)
    finally:
        done.set()
        thread.join()


def test_a_plugin_adds_fields_and_its_failure_is_told() -> None:
    class Good:
        def describe(self, obj: Any, describer: Describer) -> dict[str, Any]:
            return {"module": "nice", "extra": describer.text(obj)[0]}

        def inspect(self, obj: Any, describer: Describer) -> None:
            return None

    class Bad(Good):
        def describe(self, obj: Any, describer: Describer) -> dict[str, Any]:
            raise SystemExit("bad plugin")

    obj = Measured(1)
    good = Describer(plugin_for=lambda cls: Good() if cls is Measured else None)
    assert good.preview(obj)["module"] == "nice"
    assert good.preview(obj)["extra"].startswith("<")
    assert "extra" not in good.preview([obj])
    assert Describer(plugin_for=lambda cls: Bad()).preview(obj)["plugin_error"] == "SystemExit: bad plugin"
    assert "extra" not in Describer(plugin_for=lambda cls: Good(), static=True).preview(obj)
