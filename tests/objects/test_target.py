"""From a path to an object: parsing, following, importing, assigning, and reading without running code."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.objects.policy import TargetPolicy
from snakekernel.objects.static import module_name, type_name
from snakekernel.objects.target import (
    Target,
    UserCodeRaised,
    assign,
    follow,
    follow_static,
    parse,
    resolve_import,
)
from snakekernel.wire.errors import Denied, InvalidRequest, SnakeError, Unresolvable
from snakekernel.wire.path import Attr, Item


class TestParse:
    @pytest.mark.parametrize(
        ("raw", "root", "name", "steps"),
        [
            ("stored.df", "stored", "df", ()),
            ("stored.df.a.b", "stored", "df", ("a", "b")),
            ("user.x.y", "user", "x", ("y",)),
            ("os.path.join", "import", "os.path.join", ()),
            ("len", "import", "len", ()),
            (["stored", "my.model", "fit"], "stored", "my.model", ("fit",)),
            (["stored", "a", 0, None, 1.5], "stored", "a", (0, None, 1.5)),
            (["stored", "a", {"attr": "x.y"}, {"item": "k"}], "stored", "a", (Attr("x.y"), Item("k"))),
            (["os", "environ", {"item": "HOME"}], "import", "os.environ", (Item("HOME"),)),
            (["os", "environ", "not a name"], "import", "os.environ", ("not a name",)),
        ],
    )
    def test_good(self, raw: Any, root: str, name: str, steps: tuple[Any, ...]) -> None:
        assert parse(raw) == Target(root, name, steps)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("raw", "at"),
        [
            ("", "$.target"),
            (".", "$.target"),
            ("a..b", "$.target"),
            ("a.b.", "$.target"),
            ("not a name", "$.target"),
            ("a.b-c", "$.target"),
            ("stored", "$.target"),
            ("user", "$.target"),
            ([], "$.target"),
            ([""], "$.target"),
            ([5, "a"], "$.target"),
            (["stored", ""], "$.target"),
            (["stored", 5], "$.target"),
            (["stored", "a", []], "$.target[2]"),
            (["stored", "a", {"attr": 5}], "$.target[2]"),
            (["stored", "a", {"attr": "x", "item": 1}], "$.target[2]"),
            (["stored", "a", {}], "$.target[2]"),
        ],
    )
    def test_bad(self, raw: Any, at: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            parse(raw)
        assert caught.value.at == at

    @given(st.text() | st.lists(st.text() | st.integers() | st.dictionaries(st.text(), st.integers())))
    def test_anything(self, raw: Any) -> None:
        try:
            target = parse(raw)
        except InvalidRequest:
            return
        assert target.name
        assert str(target)


class Holder:
    """Has an attribute, items and a mapping's ways, one at a time."""

    attribute = "attribute"

    def __getitem__(self, key: Any) -> Any:
        return {"item": "item", 0: "zero"}[key]


class TestFollow:
    @pytest.mark.parametrize(
        ("obj", "steps", "found"),
        [
            ({"keys": 1}, ("keys",), 1),  # a Mapping's key comes before its attribute
            ({}, (Attr("keys"), "__name__"), "keys"),
            ({"a": {"b": [1, 2]}}, ("a", "b", 1), 2),
            ([1, 2], (-1,), 2),
            (Holder(), ("attribute",), "attribute"),
            (Holder(), ("item",), "item"),  # no such attribute: an item
            (Holder(), (0,), "zero"),
            ({(1, 2): 3}, (Item((1, 2)),), 3),
            (1 + 2j, ("imag",), 2.0),
        ],
    )
    def test_found(self, obj: Any, steps: tuple[Any, ...], found: Any) -> None:
        assert follow(obj, steps, at="$") == found

    @pytest.mark.parametrize(
        ("obj", "steps"),
        [
            ({}, ("a",)),
            ([], (0,)),
            ([], ("a",)),
            (5, ("a",)),
            (5, (0,)),
            (Holder(), ("nothing",)),
            (Holder(), (Attr("item"),)),
            ({"a": 1}, (Attr("a"),)),
            ({}, (Item([]),)),
        ],
    )
    def test_not_found(self, obj: Any, steps: tuple[Any, ...]) -> None:
        with pytest.raises(Unresolvable) as caught:
            follow(obj, steps, at="$.here")
        assert caught.value.at == "$.here"
        assert "leads nowhere" in caught.value.message

    @pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
    def test_what_code_raises_is_told_apart(self, error: BaseException) -> None:
        class Trap:
            @property
            def prop(self) -> None:
                raise error

            def __getitem__(self, key: Any) -> None:
                raise error

        for steps in (("prop",), (0,)):
            with pytest.raises(UserCodeRaised) as caught:
                follow(Trap(), steps, at="$")
            assert caught.value.error is error

    def test_an_error_whose_text_fails(self) -> None:
        class Mute(AttributeError):
            def __str__(self) -> str:
                raise SystemExit

        class Trap:
            def __getattr__(self, name: str) -> None:
                raise Mute

        with pytest.raises(Unresolvable, match="Trap"):
            follow(Trap(), ("x",), at="$")


class TestImport:
    def test_attributes_win_over_submodules(self) -> None:
        import os

        assert resolve_import("os.path.join", at="$") is os.path.join
        assert resolve_import("builtins.str.upper", at="$") is str.upper

    def test_submodules_are_imported(self) -> None:
        sys.modules.pop("xml.sax.saxutils", None)
        assert resolve_import("xml.sax.saxutils.escape", at="$")("<") == "&lt;"

    @pytest.mark.parametrize(
        "dotted", ["no_such_module_here", "os.no_such", "os.path.join.no_such", "json.no_such_module.x"]
    )
    def test_not_found(self, dotted: str) -> None:
        with pytest.raises(Unresolvable):
            resolve_import(dotted, at="$")

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("raise SystemExit", SystemExit),
            ("1/0", ZeroDivisionError),
            ("import not_there_either", ModuleNotFoundError),
            ("raise ImportError('no')", ImportError),
        ],
    )
    def test_a_module_that_fails(
        self, code: str, kind: type, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "failing_module_here.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(UserCodeRaised) as caught:
            resolve_import("failing_module_here.f", at="$")
        assert isinstance(caught.value.error, kind)

    def test_static_imports_nothing(self) -> None:
        sys.modules.pop("xml.dom.pulldom", None)
        with pytest.raises(Unresolvable, match="shell"):
            resolve_import("xml.dom.pulldom.parse", at="$", static=True)
        assert "xml.dom.pulldom" not in sys.modules
        import json

        assert resolve_import("json.dumps", at="$", static=True) is json.dumps


RAN: list[str] = []


def _tells(name: str) -> Any:
    def method(*args: Any, **kwargs: Any) -> Any:
        RAN.append(name)
        return name

    return method


class _Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        RAN.append(f"meta {name}")
        return type.__getattribute__(cls, name)


class Watched(metaclass=_Meta):
    """Nothing of its code may run."""

    __slots__ = ("__dict__", "empty", "slot")

    plain = 1
    prop = property(_tells("prop"))
    shadowed = property(_tells("shadowed"))

    def __init__(self) -> None:
        self.slot = "slot"
        vars(self).update(own=2, shadowed=3)

    def method(self) -> None:
        RAN.append("method")

    @staticmethod
    def static() -> None:
        RAN.append("static")

    __getattr__ = _tells("getattr")
    __getitem__ = _tells("getitem")
    __eq__ = _tells("eq")
    __hash__ = None  # type: ignore[assignment]


class SubDict(dict[str, Any]):
    """A dict with code of its own."""

    def __getitem__(self, key: str) -> Any:
        RAN.append("getitem")
        return None


class TestStatic:
    @pytest.fixture(autouse=True)
    def nothing_runs(self) -> Any:
        """Fails where code of an object ran."""
        watched = Watched()
        RAN.clear()
        self.watched = watched
        yield
        assert RAN == []

    @pytest.mark.parametrize(
        ("step", "found"), [("own", 2), ("plain", 1), ("slot", "slot"), (Attr("own"), 2)]
    )
    def test_what_is_there(self, step: Any, found: Any) -> None:
        assert follow_static(self.watched, (step,), at="$") == found

    def test_methods_as_functions(self) -> None:
        assert follow_static(self.watched, ("method",), at="$").__name__ == "method"
        assert follow_static(self.watched, ("static",), at="$").__name__ == "static"

    @pytest.mark.parametrize("step", ["prop", "shadowed", "empty", "missing", 0, Item("own"), None])
    def test_what_needs_code(self, step: Any) -> None:
        with pytest.raises(Unresolvable, match="shell"):
            follow_static(self.watched, (step,), at="$")

    def test_exact_containers(self) -> None:
        nested = {"a": [1, ({"b": self.watched},)]}
        assert follow_static(nested, ("a", 1, 0, "b", "own"), at="$") == 2
        with pytest.raises(Unresolvable):
            follow_static(SubDict(a=1), ("a",), at="$")

    def test_classes_and_modules(self) -> None:
        assert follow_static(types, ("ModuleType",), at="$") is types.ModuleType
        assert follow_static(int, ("from_bytes",), at="$")
        with pytest.raises(Unresolvable):
            follow_static(Watched, ("prop",), at="$")

    def test_names_of_classes(self) -> None:
        assert type_name(self.watched) == "Watched"
        assert module_name(self.watched) == __name__


class TestAssign:
    def test_by_the_rule_of_reading(self) -> None:
        mapping: dict[str, Any] = {}
        assign(mapping, "keys", 1, at="$")
        assert mapping == {"keys": 1}
        items = [1, 2]
        assign(items, 0, 5, at="$")
        assert items == [5, 2]
        space = types.SimpleNamespace()
        assign(space, "x", 1, at="$")
        assert space.x == 1
        assign(space, Attr("y"), 2, at="$")
        assert space.y == 2
        assign(mapping, Item((1,)), 3, at="$")  # type: ignore[arg-type]
        assert mapping[(1,)] == 3  # type: ignore[index]

    @pytest.mark.parametrize(
        ("obj", "step"), [((1,), 0), (5, "x"), (object(), "x"), ([], 0), ([], "x"), ({}, Item([]))]
    )
    def test_what_cannot_be_set(self, obj: Any, step: Any) -> None:
        with pytest.raises(Unresolvable) as caught:
            assign(obj, step, 1, at="$.here")
        assert caught.value.at == "$.here"

    def test_code_that_fails(self) -> None:
        class Trap:
            def __setattr__(self, name: str, value: Any) -> None:
                raise SystemExit

        with pytest.raises(UserCodeRaised):
            assign(Trap(), "x", 1, at="$")


class TestPolicy:
    @pytest.mark.parametrize(
        ("allow", "deny", "name", "allowed"),
        [
            (("*",), (), "os.system", True),
            (("*",), ("os.*",), "os.system", False),
            (("*",), ("os.*",), "osmnx.graph", True),
            (("pandas.*", "numpy.*"), (), "pandas.read_csv", True),
            (("pandas.*",), (), "os.system", False),
            (("pandas.*",), ("*.eval",), "pandas.eval", False),
            ((), (), "builtins.len", False),
        ],
    )
    def test_patterns(self, allow: tuple[str, ...], deny: tuple[str, ...], name: str, allowed: bool) -> None:
        policy = TargetPolicy(allow=allow, deny=deny)
        if allowed:
            policy.check(name, "$.target")
        else:
            with pytest.raises(Denied) as caught:
                policy.check(name, "$.target")
            assert isinstance(caught.value, SnakeError)
            assert caught.value.at == "$.target"

    def test_every_refusal_says_where(self) -> None:
        policy = TargetPolicy(deny=["os.*"])
        for at in ("$.target", "$.steps[1].target"):
            with pytest.raises(Denied) as caught:
                policy.check("os.system", at)
            assert caught.value.at == at

    def test_patterns_are_read_when_it_is_made(self) -> None:
        deny: list[str] = []
        policy = TargetPolicy(deny=deny)
        deny.append("*")
        policy.check("os.system", "$.target")
