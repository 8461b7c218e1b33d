"""Attack 9: ways around the target policy by attributes, aliases and functions that reach anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from snakekernel.commands.runtime import Runtime
from snakekernel.objects.policy import TargetPolicy
from snakekernel.testing.dispatch import ask, make_runtime

pytestmark = pytest.mark.promise("attack-9")

DENY = TargetPolicy(deny=["os.*", "subprocess.*"])
ALLOW = TargetPolicy(
    allow=["math.*", "json.*", "builtins.len", "builtins.str", "test_attack_policy.*", "operator.add"]
)


class Held:
    """What a notebook keeps."""

    def __init__(self) -> None:
        self.text = "held"
        self.run = os.system

    def __len__(self) -> int:
        return 3


@pytest.fixture(params=[DENY, ALLOW], ids=["deny", "allow"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """One with objects and variables that lead far, made before there was a policy."""
    mine = lambda: "mine"  # noqa: E731 - as a cell defines it
    mine.__module__ = "__main__"
    variables = {
        "os": os,
        "run": os.system,
        "held": Held(),
        "json": json,
        "mine": mine,
    }
    runtime = make_runtime(user_namespace=lambda: variables)
    now = runtime.clock()
    for name, obj in {"x": Held(), "run": os.system, "os": os, "names": {"a": 1}}.items():
        runtime.store.put(None, name, obj, writer="", now=now)
    runtime.policy = request.param
    return runtime


COMMAND = "touch escaped"
WAYS: list[tuple[Any, list[Any]]] = [
    ("os.system", [COMMAND]),
    (["os", "system"], [COMMAND]),
    (["os", {"attr": "system"}], [COMMAND]),
    ("os.system.__call__", [COMMAND]),
    ("posix.system", [COMMAND]),
    ("shutil.os.system", [COMMAND]),
    ("json.codecs.sys.modules", []),
    (["sys", "modules", "os", "system"], [COMMAND]),
    ("_posixsubprocess.fork_exec", []),
    ("asyncio.subprocess.subprocess.run", [COMMAND]),
    ("builtins.eval", ["1"]),
    ("builtins.exec", ["1"]),
    ("builtins.__import__", ["os"]),
    ("importlib.import_module", ["os"]),
    ("importlib.__import__", ["os"]),
    ("json.codecs.builtins.eval", ["1"]),
    ("json.decoder.scanner.re.functools.reduce.__self__", []),
    ("builtins.getattr", [{"$ref": "x"}, "run"]),
    ("builtins.setattr", [{"$ref": "x"}, "run", 1]),
    ("builtins.vars", [{"$ref": "x"}]),
    ("operator.attrgetter", ["run"]),
    ("_operator.attrgetter", ["run"]),
    ("operator.methodcaller", ["run", COMMAND]),
    ("functools.partial", [{"$ref": "run"}, COMMAND]),
    ("builtins.len", [{"$ref": ["x", "run"]}]),
    ("builtins.len", [{"$ref": ["x", {"attr": "__class__"}]}]),
    ("builtins.len", [{"$ref": ["x", "__init__", "__globals__"]}]),
    ("builtins.len", [{"a": [{"$tuple": [{"$ref": "run"}]}]}]),
    ("builtins.object.__subclasses__", []),
    ("builtins.object.__getattribute__", [{"$ref": "x"}, "run"]),
    ("math.__loader__.load_module", ["os"]),
    ("json.__builtins__", []),
    (["json", "dumps", "__globals__", "codecs"], []),
    ("stored.run", [COMMAND]),
    ("stored.os.system", [COMMAND]),
    ("stored.x.run", [COMMAND]),
    ("stored.x.__class__.__mro__", []),
    (["stored", "x", {"attr": "__reduce__"}], []),
    (["stored", "x", {"item": "__class__"}], []),
    ("stored.x.__len__.__self__", []),
    ("user.run", [COMMAND]),
    ("user.os.system", [COMMAND]),
    ("user.held.run", [COMMAND]),
    ("user.json.codecs.sys.modules", []),
    ("user.mine.__globals__", []),
    ("user.mine.__code__", []),
    ("string.Formatter", []),
    ("pickle.loads", [{"$ref": "names"}]),
    ("_pickle.loads", [{"$ref": "names"}]),
    ("ctypes.CDLL", ["libc.so.6"]),
    ("stored.x.text.format", [{"$ref": "x"}]),
    ("builtins.str.format", ["{0.__init__.__globals__}", {"$ref": "x"}]),
    ("typing.get_type_hints", [{"$ref": "x"}]),
    ("timeit.timeit", ["1"]),
    ("traitlets.utils.importstring.import_item", ["os.system"]),
    ("traitlets.import_item", ["os.system"]),
    ("tornado.util.import_object", ["os.system"]),
    ("rlcompleter.Completer", [{"a": 1}]),
    ("inspect.currentframe", []),
    ("sys._getframe", []),
    ("gc.get_objects", []),
    ("types.FunctionType", []),
]


@pytest.mark.parametrize(("target", "args"), WAYS, ids=lambda way: json.dumps(way)[:60])
def test_a_way_around_is_denied(
    runtime: Runtime, target: Any, args: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call = {"target": target, "args": args}
    reply = ask(runtime, "call", call)
    assert reply["code"] == "denied", reply
    assert reply["at"].startswith("$.")
    step = ask(runtime, "pipeline", {"steps": [call]})
    assert (step["code"], step["at"]) == ("denied", reply["at"].replace("$", "$.steps[0]", 1))
    assert ask(runtime, "call", {**call, "stream": {"credit": 1}})["code"] == "denied"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("op", "content"),
    [
        ("inspect", {"target": "os.environ"}),
        ("inspect", {"target": "stored.x.__dict__"}),
        ("table", {"target": ["stored", "x", "__class__"]}),
        ("retrieve", {"target": "user.held.__class__"}),
        ("retrieve", {"target": "stored.x.run"}),
        ("set", {"target": "stored.x.__class__", "value": 1}),
        ("set", {"target": "stored.x.__dict__.text", "value": 1}),
        ("set", {"target": ["user", "os", "system"], "value": 1}),
        ("set", {"target": "stored.x.text", "value": {"$ref": ["x", "__class__"]}}),
        ("store", {"id": "y", "value": {"$ref": ["x", "__init__"]}}),
        ("store", {"id": "y", "value": {"$enum": {"class": "subprocess:Popen", "name": "x"}}}),
        ("pull", {"target": "stored.x.__len__.__self__"}),
        ("configure", {"framework": "os"}),
    ],
)
def test_no_other_operation_goes_around(runtime: Runtime, op: str, content: dict[str, Any]) -> None:
    reply = ask(runtime, op, content)
    if reply["code"] == "invalid_request":
        pytest.fail(f"the test asks wrongly: {reply}")
    assert reply["code"] == "denied", reply


def test_methods_of_values_from_the_wire_need_a_pattern(tmp_path: Path) -> None:
    runtime = make_runtime(policy=ALLOW)
    path = tmp_path / "file"
    path.touch()
    assert ask(runtime, "store", {"id": "p", "value": {"$path": str(path)}})["status"] == "ok"
    reply = ask(runtime, "call", {"target": "stored.p.unlink"})
    assert (reply["code"], path.exists()) == ("denied", True)
    runtime.policy = TargetPolicy(allow=[*ALLOW.allow, "pathlib.*"])
    assert ask(runtime, "call", {"target": "stored.p.exists"})["result"]["value"] is True


def test_the_notebooks_variables_can_be_denied_as_a_whole() -> None:
    runtime = make_runtime(user_namespace=lambda: {"x": 1}, policy=TargetPolicy(deny=["user.*"]))
    for op, more in (("call", {}), ("set", {"value": 1}), ("inspect", {}), ("retrieve", {})):
        assert ask(runtime, op, {"target": "user.x", **more})["code"] == "denied"


def test_results_of_steps_are_judged(runtime: Runtime) -> None:
    steps = [
        {"op": "retrieve", "id": "x"},
        {"target": [{"$step": 0}, "run"], "args": [COMMAND]},
    ]
    reply = ask(runtime, "pipeline", {"steps": steps})
    assert (reply["code"], reply["at"]) == ("denied", "$.steps[1].target")
    steps = [{"op": "retrieve", "id": "run"}, {"target": "builtins.len", "args": [{"$step": 0}]}]
    reply = ask(runtime, "pipeline", {"steps": steps})
    assert (reply["code"], reply["at"]) == ("denied", "$.steps[1].args[0]")


@pytest.mark.parametrize("door", ["shell", "subshell", "control", "comm"])
def test_at_every_door(runtime: Runtime, door: Any) -> None:
    assert ask(runtime, "inspect", {"target": "stored.x.__class__"}, door=door)["code"] == "denied"
    assert ask(runtime, "inspect", {"target": "os.environ"}, door=door)["code"] == "denied"


def test_what_is_allowed_goes_on(runtime: Runtime) -> None:
    for target, args in (
        ("math.sqrt", [4]),
        ("math.pi", []),
        ("json.dumps", [1]),
        ("builtins.len", [{"$ref": "x"}]),
        ("operator.add", [1, 2]),
        ("stored.x.__len__", []),
        ("stored.x.text", []),
        ("stored.x.text.upper", []),
        ("stored.names.a", []),
        (["user", "held", "text"], []),
        ("user.mine", []),
        ("user.json.dumps", [1]),
    ):
        reply = ask(runtime, "call", {"target": target, "args": args})
        assert reply["status"] == "ok", reply
    assert ask(runtime, "set", {"target": "stored.x.text", "value": 1})["status"] == "ok"


def test_what_an_allow_pattern_names_exactly_is_allowed() -> None:
    runtime = make_runtime(policy=TargetPolicy(allow=["*", "builtins.getattr", "json.dumps.__module__"]))
    runtime.store.put(None, "x", Held(), writer="", now=runtime.clock())
    reply = ask(runtime, "call", {"target": "builtins.getattr", "args": [{"$ref": "x"}, "text"]})
    assert reply["result"]["value"] == "held"
    assert ask(runtime, "call", {"target": "builtins.eval", "args": ["1"]})["code"] == "denied"


def test_without_a_policy_nothing_is_denied() -> None:
    runtime = make_runtime()
    assert ask(runtime, "call", {"target": "builtins.eval", "args": ["1 + 1"]})["result"]["value"] == 2


def test_the_documentation_says_that_it_is_no_sandbox() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "security.md"
    assert "The target policy is a guard rail, not a sandbox" in guide.read_text()
