"""What the kernel remembers between requests never shows: each request meets the present state of things."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
import types
import weakref
from pathlib import Path
from typing import Any

import pytest

from snakekernel.commands.command import Command
from snakekernel.commands.runtime import Runtime
from snakekernel.objects.policy import TargetPolicy
from snakekernel.objects.secret_names import MASK
from snakekernel.testing.dispatch import ask, make_runtime
from snakekernel.values import Limits
from snakekernel.wire.model import Reply, Request


@pytest.fixture
def runtime() -> Runtime:
    """A kernel's runtime."""
    return make_runtime()


def value(runtime: Runtime, target: Any, *args: Any, **fields: Any) -> Any:
    """The value that a call gives; fails where it gives an error."""
    reply = ask(runtime, "call", {"target": target, "args": list(args), **fields})
    assert reply["status"] == "ok", reply
    return reply["result"]["value"]


class TestTargets:
    def test_a_replaced_attribute(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        module = types.ModuleType("made_by_hand")
        monkeypatch.setitem(sys.modules, "made_by_hand", module)
        for number in range(3):
            setattr(module, "f", lambda number=number: number)  # noqa: B010
            assert value(runtime, "made_by_hand.f") == number
        del module.f
        assert ask(runtime, "call", {"target": "made_by_hand.f"})["code"] == "unresolvable"

    def test_a_reloaded_module(
        self, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        source = tmp_path / "reloaded_here.py"
        source.write_text("def f(): return 'first'")
        assert value(runtime, "reloaded_here.f") == "first"
        source.write_text("def f(): return 'second'")
        importlib.invalidate_caches()
        importlib.reload(sys.modules["reloaded_here"])
        assert value(runtime, "reloaded_here.f") == "second"
        source.write_text("def f(): return 'third'")
        del sys.modules["reloaded_here"]
        assert value(runtime, "reloaded_here.f") == "third"
        del sys.modules["reloaded_here"]

    def test_a_module_put_in_anothers_place(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(2):
            module = types.ModuleType("swapped_here")
            module.f = lambda number=number: number  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, "swapped_here", module)
            assert value(runtime, "swapped_here.f") == number

    def test_a_module_that_another_thread_is_importing_is_waited_for(
        self, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        gate = types.ModuleType("gate_here")
        gate.begun, gate.go_on = begun, go_on  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "gate_here", gate)
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "slow_here.py").write_text(
            "import gate_here\ngate_here.begun.set()\ngate_here.go_on.wait(30)\ndef f(): return 'there'\n"
        )
        importer = threading.Thread(target=importlib.import_module, args=("slow_here",))
        importer.start()
        assert begun.wait(30)
        answers: list[Any] = []
        caller = threading.Thread(target=lambda: answers.append(value(runtime, "slow_here.f")))
        caller.start()
        # The caller finds a module without f; it must wait for the rest of it.
        caller.join(0.05)
        assert answers == []
        go_on.set()
        for thread in (importer, caller):
            thread.join(30)
        assert answers == ["there"]
        del sys.modules["slow_here"]

    def test_the_policy_in_force(self, runtime: Runtime) -> None:
        assert value(runtime, "operator.add", 1, 2) == 3
        runtime.policy = TargetPolicy(deny=["operator.*"])
        for _ in range(2):
            assert ask(runtime, "call", {"target": "operator.add", "args": [1, 2]})["code"] == "denied"
        runtime.policy = TargetPolicy()
        assert value(runtime, "operator.add", 1, 2) == 3

    def test_where_a_bad_target_stands_is_told_each_time(self, runtime: Runtime) -> None:
        step = {"target": "a..b"}
        for _ in range(2):
            assert ask(runtime, "call", step)["at"] == "$.target"
            assert ask(runtime, "pipeline", {"steps": [step]})["at"] == "$.steps[0].target"

    def test_objects_stored_anew_and_deleted(self, runtime: Runtime) -> None:
        for number in range(2):
            ask(runtime, "store", {"id": "x", "value": [number]})
            assert value(runtime, "stored.x.copy") == [number]
        ask(runtime, "delete_stored", {"id": "x"})
        assert ask(runtime, "call", {"target": "stored.x.copy"})["code"] == "not_found"


class TestTheNotebook:
    def test_its_variables_are_the_globals_of_what_is_called(self) -> None:
        spaces: list[dict[str, Any]] = [{"x": 1}, {"x": 2}]
        current = spaces[0]
        runtime = make_runtime(user_namespace=lambda: current)
        assert value(runtime, "builtins.eval", "x") == 1
        current = spaces[1]
        assert value(runtime, "builtins.eval", "x") == 2
        assert value(runtime, "user.x") == 2
        ask(runtime, "call", {"target": "builtins.exec", "args": ["global y; y = x + 1"]})
        assert spaces[1]["y"] == 3
        assert "y" not in spaces[0]


class Kept:
    """Something whose end can be watched."""


class TestWhatARequestHeld:
    def test_ends_with_it(self, runtime: Runtime) -> None:
        """Not when the garbage collector comes round: large objects must not pile up until then."""
        made: list[weakref.ref[Kept]] = []

        def make() -> Kept:
            made.append(weakref.ref(kept := Kept()))
            return kept

        runtime.user_namespace = lambda: {"make": make}
        steps = [
            {"target": "user.make", "returns": "none"},
            {"target": "builtins.id", "args": [{"$step": 0}]},
            {"target": "builtins.len", "args": [{"$tuple": [{"$step": 0}]}]},
        ]
        gc.collect()
        gc.disable()
        try:
            reply = ask(runtime, "pipeline", {"steps": steps})
            assert (reply["steps_completed"], made[0]()) == (3, None)
            ask(runtime, "pipeline", {"steps": [*steps, {"target": "builtins.len", "args": [{"$step": 9}]}]})
            assert made[1]() is None
        finally:
            gc.enable()

    def test_limits_count_over_all_its_values_and_no_further(self) -> None:
        runtime = make_runtime(limits=Limits(items=10))
        step = {"target": "builtins.len", "args": [[0] * 4]}
        for _ in range(3):
            assert ask(runtime, "pipeline", {"steps": [step] * 2})["status"] == "ok"
        reply = ask(runtime, "pipeline", {"steps": [step] * 3})
        assert (reply["code"], reply["at"]) == ("limit", "$.steps[2].args[0]")

    def test_a_buffer_is_used_once_in_it(self, runtime: Runtime) -> None:
        used = {"target": "builtins.len", "args": [{"$bytes": 0}]}
        buffers = [memoryview(b"abc")]
        assert ask(runtime, "call", used, buffers=buffers)["result"]["value"] == 3
        reply = ask(runtime, "pipeline", {"steps": [used, used]}, buffers=buffers)
        assert (reply["code"], reply["at"]) == ("invalid_request", "$.steps[1].args[0]['$bytes']")


class TestReplies:
    def test_a_secret_in_a_result_makes_the_reply_lossy(self, runtime: Runtime) -> None:
        runtime.secrets.add("sk-very-secret")
        steps = [{"target": "builtins.str", "args": ["sk-very-" + "secret"]}, {"target": "builtins.int"}]
        for op, content in (("call", steps[0]), ("pipeline", {"steps": steps})):
            reply = ask(runtime, op, content)
            assert reply["lossy"] is True
            assert MASK in str(reply)
            assert "sk-very-secret" not in str(reply)
        assert ask(runtime, "call", steps[1])["lossy"] is False

    def test_text_that_json_cannot_carry(self, runtime: Runtime) -> None:
        """A lone surrogate in a name is shown as its escape; in a value it has a form of its own."""
        name = "n\ud800"
        runtime.user_namespace = lambda: {name: 1}
        reply = ask(runtime, "pipeline", {"steps": [{"target": ["user", {"attr": "x"}]}]})
        assert reply["code"] == "invalid_request"

        class Odd:
            """Its text is no Unicode text."""

            def __repr__(self) -> str:
                return name

        runtime.user_namespace = lambda: {"odd": Odd(), "text": name}
        assert ask(runtime, "call", {"target": "user.odd"})["result"]["string_repr"] == "n\\ud800"
        assert value(runtime, "user.text") == {"$str": [ord("n"), 0xD800]}

    @pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "no reply"])
    def test_a_command_of_others_that_gives_what_is_no_reply(self, frozen: bool) -> None:
        class AskNothing(Request, frozen=True, kw_only=True):
            """Nothing."""

        class Fixed(Reply, frozen=True, kw_only=True):  # type: ignore[misc]
            """Cannot be filled in."""

        async def run(request: Any, scope: Any) -> Any:
            """Give it."""
            return Fixed() if frozen else {"status": "ok"}

        odd = Command(op="odd", request=AskNothing, reply=Fixed, run=run, summary="Odd.")
        runtime = make_runtime()
        runtime.table = {**{op: runtime.table[op] for op in runtime.table}, "odd": odd}
        for op, content in (("odd", {}), ("pipeline", {"steps": [{"op": "odd"}]})):
            reply = ask(runtime, op, content)
            assert (reply["status"], reply["fault"]) == ("error", "kernel")
        assert ask(runtime, "ping")["status"] == "ok"
