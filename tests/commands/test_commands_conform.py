"""Every command of the table passes the conformance kit that ships for commands of others."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from snakekernel.commands.command import Command
from snakekernel.commands.runtime import Runtime
from snakekernel.commands.table import BUILTINS, by_op
from snakekernel.durable.kept import Durable
from snakekernel.durable.places import Places
from snakekernel.testing.commands import CommandTests
from snakekernel.testing.dispatch import ask
from snakekernel.testing.protocol import own_commands
from snakekernel.wire.model import Reply, Request

GOOD: dict[str, list[dict[str, Any]]] = {
    "call": [
        {"target": "operator.add", "args": [1, 2]},
        {"target": "stored.x", "store_as": "y", "returns": "preview"},
        {"target": ["stored", "x", "a", 0], "returns": "value"},
        {"target": "builtins.dict", "kwargs": {"x": "stored.x"}, "string_refs": True, "session_id": "s"},
    ],
    "cancel": [{"msg_id": "m"}, {"call_id": "c"}],
    "credit": [{"msg_id": "m"}, {"msg_id": "m", "credit": 5}, {"msg_id": "m", "close": True}],
    "pull": [
        {"target": "stored.rows_left"},
        {"target": "stored.rows_left", "count": 1, "returns": "preview", "budget": 1},
    ],
    "store": [{"id": "y", "value": {"$tuple": [1]}}, {"id": "y", "value": None, "ttl": 5, "session_id": "s"}],
    "checkpoint": [{"name": "c"}, {"name": "c", "ids": ["x", "gone"]}, {"name": "c", "session_id": "s"}],
    "restore": [{"name": "saved", "overwrite": True}, {"name": "saved", "ids": ["x"], "session_id": "s"}],
    "list_checkpoint": [{}, {"name": "saved"}],
    "retrieve": [{"id": "x"}, {"target": "stored.x.a"}, {"id": "x", "returns": "ref"}],
    "publish": [{"id": "x"}, {"target": "stored.x.a"}, {"id": "x", "session_id": "s"}],
    "unpublish": [{}],
    "list_stored": [{}, {"prefix": "x", "offset": 0, "limit": 1}],
    "list_variables": [{}, {"prefix": "a", "search": "b", "offset": 0, "limit": 1, "modules": True}],
    "watch": [
        {},
        {"stored": [[None, "x"], ["s", "y"]], "variables": ["a"], "lease": 5},
        {"variables": []},
        {"lease": 0},
    ],
    "delete_stored": [{"id": "x"}],
    "rename_stored": [{"id": "x", "to": "z"}],
    "share": [{"id": "x", "to": None}, {"id": "x", "to": "s"}],
    "set": [{"target": "stored.x.b", "value": 1}, {"target": "user.v", "value": {"$ref": "x"}}],
    "table": [
        {"target": "stored.rows"},
        {"target": "stored.rows", "rows": [0, 1], "columns": [0, 1]},
        {"target": "stored.rows", "sort": [{"column": 0, "descending": True}], "search": "1", "fresh": True},
        {"target": "stored.rows", "filter": [{"column": 0, "op": "in", "value": [1, 2]}]},
    ],
    "summarize": [{"target": "stored.rows"}, {"target": "stored.rows", "columns": [0, 1], "bins": 3}],
    "pipeline": [
        {"steps": []},
        {"steps": [{"target": "stored.x"}, {"op": "store", "id": "y", "value": {"$step": [0, "a"]}}]},
    ],
    "inspect": [
        {"target": "json.dumps", "run_code": True},
        {"target": "stored.x", "offset": 0, "limit": 1, "budget": 0.1},
    ],
    "preview": [{"target": "stored.x"}, {"target": "stored.x", "width": 100, "height": 50, "budget": 1}],
    "ping": [{}],
    "renew": [{}, {"release": ["~1"], "lease": 5}],
    "attach": [{"pid": 1, "descriptor": 0, "name": "0" * 32}],
    "create_session": [{"session_id": "new"}, {"ttl": 5}, {"quota": {"objects": 5}}],
    "close_session": [{"session_id": "s"}],
    "close_subshells": [{"subshells": []}, {"subshells": ["gone"]}],
    "list_sessions": [{}, {"session_id": "s"}],
    "list_programs": [{}],
    "clear_session": [{}],
}

BAD: dict[str, list[tuple[dict[str, Any], str]]] = {
    "call": [
        ({"target": "a..b"}, "$.target"),
        ({"target": "builtins.len", "args": [{"$x": 1}]}, "$.args[0]"),
    ],
    "credit": [({}, "$"), ({"msg_id": "m", "credit": -1}, "$.credit")],
    "pull": [
        ({"target": "stored.x"}, "$.target"),
        ({"target": "stored.rows_left", "count": 0}, "$.count"),
        ({"target": "stored.rows_left", "budget": 0}, "$.budget"),
    ],
    "store": [({"id": "", "value": 1}, "$.id"), ({"id": "y", "value": 1, "ttl": 0}, "$.ttl")],
    "checkpoint": [
        ({"name": "../x"}, "$.name"),
        ({"name": "c", "path": "/tmp/c"}, "$.path"),
        ({"ids": "x"}, "$.ids"),
    ],
    "restore": [
        ({"name": ".x"}, "$.name"),
        ({"path": ""}, "$.path"),
        ({"name": "c", "overwrite": 1}, "$.overwrite"),
    ],
    "list_checkpoint": [({"name": "a/b"}, "$.name")],
    "retrieve": [
        ({}, "$"),
        ({"id": "x", "target": "stored.x"}, "$"),
        ({"id": "x", "returns": 1}, "$.returns"),
    ],
    "publish": [({}, "$"), ({"id": "x", "target": "stored.x"}, "$"), ({"target": "os.path"}, "$.target")],
    "unpublish": [({"id": "x"}, "$.id"), ({"id": 5}, "$.id")],
    "list_stored": [({"limit": -1}, "$.limit"), ({"offset": "0"}, "$.offset")],
    "list_variables": [({"limit": -1}, "$.limit"), ({"modules": 1}, "$.modules")],
    "watch": [
        ({"stored": ["x"]}, "$.stored[0]"),
        ({"lease": -1}, "$.lease"),
        ({"variables": 5}, "$.variables"),
    ],
    "delete_stored": [({}, "$"), ({"id": 5}, "$.id")],
    "rename_stored": [({"id": "x"}, "$"), ({"id": "x", "to": "rows"}, "$.to")],
    "share": [({"id": "x"}, "$"), ({"id": "x", "to": 5}, "$.to")],
    "set": [({"target": "stored.x"}, "$"), ({"target": "sys.path", "value": 1}, "$.target")],
    "table": [
        ({"target": "stored.rows", "rows": [1]}, "$.rows"),
        ({"target": []}, "$.target"),
        ({"target": "stored.rows", "sort": [{"column": 99}]}, "$.sort[0].column"),
        ({"target": "stored.rows", "filter": [{"column": 0, "op": "contains"}]}, "$.filter[0].value"),
    ],
    "summarize": [({"target": "stored.rows", "top": -1}, "$.top")],
    "pipeline": [({"steps": [{"target": 5}]}, "$.steps[0].target"), ({"steps": 5}, "$.steps")],
    "preview": [({"target": "stored.x", "width": 0}, "$.width"), ({}, "$")],
    "inspect": [({"target": "json.dumps", "limit": 10_000}, "$.limit"), ({}, "$")],
    "configure": [({"framework": "x", "config": []}, "$.config"), ({}, "$")],
    "renew": [({"release": [""]}, "$.release[0]"), ({"lease": -1}, "$.lease")],
    "create_session": [
        ({"ttl": -1}, "$.ttl"),
        ({"session_id": "s"}, "$.session_id"),
        ({"quota": {"objets": 1}}, "$.quota.objets"),
    ],
    "close_session": [({}, "$.session_id")],
    "cancel": [({}, "$"), ({"msg_id": "a", "call_id": "b"}, "$"), ({"msg_id": 1}, "$.msg_id")],
    "outcome": [({}, "$.call_id"), ({"call_id": "c", "timeout": 61}, "$.timeout")],
    "open_subshells": [({"count": 0}, "$.count"), ({"count": 65}, "$.count"), ({"reuse": [1]}, "$.reuse[0]")],
    "close_subshells": [({}, "$"), ({"subshells": "x"}, "$.subshells")],
}


#: In a folder of these tests' own, which goes with them.
_FOLDER = tempfile.TemporaryDirectory(prefix="tests-")
DURABLE = Durable(Places(Path(_FOLDER.name)))


def conformance(subject: Command) -> type[CommandTests]:
    """The kit for one command of ours."""

    class Conforms(CommandTests):
        command: ClassVar[Command] = subject

        def good(self) -> Iterable[Mapping[str, Any]]:
            return GOOD.get(subject.op, [])

        def bad(self) -> Iterable[tuple[Mapping[str, Any], str]]:
            return BAD.get(subject.op, [])

        def prepare(self, runtime: Runtime) -> None:
            """A stored object, rows of a table, a session ``s``, and what was saved."""
            runtime.durable = DURABLE
            ask(runtime, "store", {"id": "x", "value": {"a": [1, 2]}})
            ask(runtime, "store", {"id": "rows", "value": [{"a": 1}, {"a": 2}]})
            ask(runtime, "call", {"target": "builtins.iter", "args": [[1, 2]], "store_as": "rows_left"})
            for made in ("new", "s"):
                ask(runtime, "close_session", {"session_id": made})
            ask(runtime, "create_session", {"session_id": "s"})
            ask(runtime, "delete_stored", {"id": "z"})
            if subject.op in ("restore", "list_checkpoint"):
                ask(runtime, "checkpoint", {"name": "saved", "ids": ["x"]})

    return Conforms


for _op, _command in own_commands().items():
    globals()[f"Test_{_op}"] = conformance(_command)


def test_every_builtin_is_exercised() -> None:
    """A command that joins the table brings samples; these need more than a runtime to go well."""
    assert set(BUILTINS) - set(GOOD) == {"configure", "open_subshells", "outcome"}


def test_the_table_refuses_two_commands_of_one_name() -> None:
    with pytest.raises(ValueError, match="'ping'"):
        by_op([BUILTINS["ping"], BUILTINS["ping"]])


class TestTheKitFindsFaults:
    """Each rule of the kit fails for a command that breaks it."""

    def broken(self, **changes: Any) -> CommandTests:
        """The kit for a command with a fault."""

        class FaultyRequest(Request, frozen=True, kw_only=True):
            """A request."""

        class FaultyReply(Reply, kw_only=True):
            """A reply."""

            number: int

        async def run(request: Any, scope: Any) -> Any:
            """Answer with what the reply's type does not allow."""
            return FaultyReply(number="no number")  # type: ignore[arg-type]

        fields = {
            "op": "faulty",
            "request": FaultyRequest,
            "reply": FaultyReply,
            "run": run,
            "summary": "It is.",
        }
        kit = conformance(Command(**{**fields, **changes}))()
        return kit

    def runtime(self, kit: CommandTests) -> Runtime:
        """What the kit's own fixture makes."""
        from snakekernel.testing.dispatch import make_runtime

        runtime = make_runtime()
        runtime.table = {**BUILTINS, "faulty": kit.command}
        return runtime

    def test_a_reply_of_another_type(self) -> None:
        kit = self.broken()
        with pytest.raises(AssertionError, match=r"is no .*FaultyReply"):
            ask(self.runtime(kit), "faulty")

    def test_no_documentation(self) -> None:
        with pytest.raises(AssertionError, match="sentence"):
            self.broken(summary="no sentence").test_it_is_documented()

    def test_a_request_that_takes_anything(self) -> None:
        class Lax(Request, frozen=True, kw_only=True, forbid_unknown_fields=False):
            """Lax."""

        with pytest.raises(AssertionError, match="unknown fields"):
            self.broken(request=Lax).test_its_types_are_of_the_protocol()

    def test_a_bad_name(self) -> None:
        with pytest.raises(AssertionError):
            self.broken(op="Bad-Name").test_its_name_names_messages()

    def test_flags_that_contradict(self) -> None:
        with pytest.raises(AssertionError):
            self.broken(names_session=True, creates_session=True).test_its_flags_agree()
