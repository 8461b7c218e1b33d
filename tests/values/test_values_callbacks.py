"""``$callback``: what is told of a function comes out as its name, doc and signature; nothing else is run."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.values import Callback, Decoder, Encoder, NotLossless
from snakekernel.values.callbacks import described
from snakekernel.wire.errors import InvalidRequest, Unsupported


def decoded(function: Callable[..., Any], **options: Any) -> Callback:
    data = {"$callback": {"id": "f", **described(function, Encoder()), **options}}
    (found,) = Decoder(resolve_callback=lambda callback: callback).decode([data])
    assert type(found) is Callback
    return found


def test_a_bare_id_is_a_function() -> None:
    assert Decoder(resolve_callback=lambda found: found).decode({"$callback": "x"}) == Callback("x")


def test_without_a_resolver_it_is_refused() -> None:
    with pytest.raises(Unsupported) as caught:
        Decoder().decode([{"$callback": "f"}])
    assert caught.value.at == "$[0]['$callback']"


def test_functions_are_sent_by_clients_only() -> None:
    with pytest.raises(NotLossless):
        Encoder().encode(lambda: 0)


def test_signatures_come_out_as_they_went_in() -> None:
    def function(
        a: int,
        /,
        b: str = "x",
        *rest: float,
        c: list[int] | None = None,
        d: dict[str, typing.Any],
        **more: bool,
    ) -> tuple[int, ...]:
        """Says something.

        And more.
        """
        raise AssertionError((a, b, rest, c, d, more))

    found = decoded(function)
    assert found.name == "function"
    assert found.doc == "Says something.\n\nAnd more."
    assert found.signature is not None
    plain = inspect.signature(function, eval_str=True)
    assert str(found.signature).replace("typing.", "") == str(plain).replace("typing.", "")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("int", int),
        ("None", None),
        ("int | str", int | str),
        ("Optional[int]", typing.Optional[int]),  # noqa: UP045
        ("Literal['a', 1]", typing.Literal["a", 1]),
        ("dict[str, list[Any]]", dict[str, list[typing.Any]]),
    ],
)
def test_annotations_of_known_names_are_types(text: str, known: Any) -> None:
    def function(x) -> None:  # type: ignore[no-untyped-def]
        raise AssertionError(x)

    function.__annotations__ = {"x": text}
    signature = decoded(function).signature
    assert signature is not None
    assert signature.parameters["x"].annotation == known


@given(
    st.one_of(
        st.text(max_size=40), st.sampled_from(["__import__('os')", "int.mro()", "Any[", "(1).x", "int[3]"])
    )
)
def test_any_other_annotation_is_none(text: str) -> None:
    data = {"id": "f", "parameters": [{"name": "x", "kind": "keyword_only", "annotation": text}]}
    found = Decoder(resolve_callback=lambda callback: callback).decode({"$callback": data})
    assert isinstance(found.signature, inspect.Signature)


json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
names = st.sampled_from(["id", "name", "doc", "async", "deadline", "parameters", "returns", "kind"])


@given(st.dictionaries(names, json, max_size=5))
def test_any_payload_is_a_function_or_refused(payload: dict[str, Any]) -> None:
    decoder = Decoder(resolve_callback=lambda callback: callback)
    with suppress(InvalidRequest):
        assert isinstance(decoder.decode({"$callback": payload}), Callback)


def test_defaults_that_have_no_value_are_told_as_none() -> None:
    thing = object()

    def function(a: Any = thing, b: bytes = b"x", c: tuple[int, int] = (1, 2)) -> None:
        raise AssertionError((a, b, c))

    signature = decoded(function).signature
    assert signature is not None
    assert [one.default for one in signature.parameters.values()] == [None, None, (1, 2)]


def test_what_does_not_tell_is_a_function_all_the_same() -> None:
    class Odd:
        def __call__(self) -> None: ...

        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    assert decoded(Odd()).name == "Odd"
    assert decoded(dict.get).name == "get"
