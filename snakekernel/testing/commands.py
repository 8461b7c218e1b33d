"""Conformance kit for commands: subclass ``CommandTests`` in your test suite, one class per command.

Rules: the command is tested through the dispatcher, as a kernel serves it. What holds for every command is
checked without samples: documentation, types, refusal of what nobody sent; samples of good requests and what
they need stored show that its replies are of its own type.

Example::

    class TestTally(CommandTests):
        command = tally.COMMAND

        def good(self):
            return [{"words": ["a", "b"]}]

        def bad(self):
            return [({"words": 5}, "$.words")]
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import msgspec
import pytest

from snakekernel.commands.command import Command
from snakekernel.commands.runtime import Runtime
from snakekernel.wire.frame import Frame
from snakekernel.wire.model import Reply, Request
from snakekernel.wire.names import Door, request_type

from .dispatch import ask, dispatch, make_runtime, verify_reply

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_DOORS: Final[tuple[Door, ...]] = ("shell", "subshell", "control", "comm")
#: Contents that no command takes for a request of its own.
_JUNK: Final = (b"", b"null", b"[]", b"5", b'"text"', b"{", b"\xff", b"[" * 100_000)
_COMMON_REPLY_FIELDS: Final = frozenset(Reply.__struct_fields__)
_COMMON_REQUEST_FIELDS: Final = frozenset(Request.__struct_fields__)


class CommandTests:
    """What every command keeps. Override ``command``, and ``good``, ``bad`` and ``prepare`` as they apply.

    Attributes:
        command: the command under test.
    """

    command: ClassVar[Command]

    def good(self) -> Iterable[Mapping[str, Any]]:
        """Contents of requests that go well in a runtime that ``prepare`` has seen."""
        return []

    def bad(self) -> Iterable[tuple[Mapping[str, Any], str]]:
        """Contents that are refused as ``invalid_request``, and the path of the offending part."""
        return []

    def prepare(self, runtime: Runtime) -> None:
        """Store what the good requests need."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        """A runtime that serves this command, too, and holds what its requests need."""
        runtime = make_runtime()
        runtime.table = {**{op: runtime.table[op] for op in runtime.table}, self.command.op: self.command}
        self.prepare(runtime)
        return runtime

    def test_it_is_documented(self) -> None:
        command = self.command
        assert command.summary.endswith("."), "the summary is a sentence"
        assert "\n" not in command.summary, "the summary is one line"
        for name, part in (("request", command.request), ("reply", command.reply), ("run", command.run)):
            assert inspect.getdoc(part), f"{command.op}: the {name} says what it is"
            assert part.__doc__ not in (Request.__doc__, Reply.__doc__), (
                f"{command.op}: {name} says so itself"
            )

    def test_its_name_names_messages(self) -> None:
        assert _NAME.fullmatch(self.command.op), "lower case letters, digits and underscores"
        assert not self.command.op.endswith(("_request", "_reply")), "the dispatcher adds these"

    def test_its_types_are_of_the_protocol(self) -> None:
        request, reply = self.command.request, self.command.reply
        assert issubclass(request, Request)
        assert issubclass(reply, Reply)
        assert request.__struct_config__.frozen, "requests are frozen"
        assert not reply.__struct_config__.frozen, "the dispatcher fills the common fields of replies in"
        assert request.__struct_config__.forbid_unknown_fields, "requests refuse unknown fields"
        assert set(request.__struct_fields__) >= _COMMON_REQUEST_FIELDS
        assert set(reply.__struct_fields__) >= _COMMON_REPLY_FIELDS
        required = {f.name for f in msgspec.structs.fields(request) if f.required}
        assert not required & _COMMON_REQUEST_FIELDS, "the common fields are optional"
        # The protocol reference is generated from these.
        msgspec.json.schema_components((request, reply))

    def test_its_flags_agree(self) -> None:
        assert not (self.command.names_session and self.command.creates_session), "it takes no lease"
        assert inspect.iscoroutinefunction(self.command.run)

    def test_it_refuses_unknown_fields(self, runtime: Runtime) -> None:
        for content in [{}, *self.good()]:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({**content, "no_such_field": 1}, self.command.request)
        for content in self.good():
            reply = ask(runtime, self.command.op, {**content, "no_such_field": 1})
            assert (reply.get("code"), reply.get("at")) == ("invalid_request", "$.no_such_field")

    def test_it_refuses_mistyped_common_fields(self, runtime: Runtime) -> None:
        for name in sorted(_COMMON_REQUEST_FIELDS):
            for content in [{}, *self.good()]:
                reply = ask(runtime, self.command.op, {**content, name: [5]})
                assert reply.get("code") == "invalid_request", name
                assert not content or reply["at"] == f"$.{name}"

    @pytest.mark.parametrize("content", _JUNK, ids=range(len(_JUNK)))
    @pytest.mark.parametrize("door", _DOORS)
    def test_junk_gets_one_error_reply(self, runtime: Runtime, content: bytes, door: Door) -> None:
        frame = Frame(request_type(self.command.op), "junk", content)
        reply = verify_reply(dispatch(frame, runtime, door), runtime, self.command.op)
        assert reply["code"] in ("invalid_request", "limit", "unknown_operation")

    def test_good_requests_go_well(self, runtime: Runtime) -> None:
        for content in self.good():
            reply = ask(runtime, self.command.op, content)
            assert reply["status"] == "ok", reply
            assert set(reply) <= set(self.command.reply.__struct_fields__)
            self.prepare(runtime)

    def test_good_requests_may_say_who_asks(self, runtime: Runtime) -> None:
        for content in self.good():
            extra = {"client": {"name": "a test", "any": [None]}, "epoch": runtime.epoch}
            reply = ask(runtime, self.command.op, {**content, **extra})
            assert reply["status"] == "ok", reply
            self.prepare(runtime)

    def test_another_epoch_runs_nothing(self, runtime: Runtime) -> None:
        for content in self.good():
            version = runtime.store.version
            reply = ask(runtime, self.command.op, {**content, "epoch": "another process"})
            assert reply["code"] == "outcome_unknown"
            assert runtime.store.version == version

    def test_a_call_id_runs_once(self, runtime: Runtime) -> None:
        for number, content in enumerate(self.good()):
            if not self.command.idempotent:
                continue
            identified = {**content, "call_id": f"call {number}"}
            first = ask(runtime, self.command.op, identified)
            version = runtime.store.version
            assert ask(runtime, self.command.op, identified) == first
            assert runtime.store.version == version
            self.prepare(runtime)

    def test_bad_requests_are_refused(self, runtime: Runtime) -> None:
        for content, at in self.bad():
            version = runtime.store.version
            reply = ask(runtime, self.command.op, content)
            assert (reply.get("code"), reply.get("at")) == ("invalid_request", at), reply
            assert reply["fault"] == "caller"
            assert runtime.store.version == version, "a refused request stores nothing"

    def test_only_its_doors_are_open(self, runtime: Runtime) -> None:
        command = self.command
        served = {"control": command.control, "comm": command.control or command.comm}
        for door in _DOORS:
            for content in [{}, *self.good()]:
                reply = ask(runtime, command.op, content, door=door)
                if not served.get(door, True):
                    assert reply.get("code") == "unknown_operation", door
                    assert "shell" in reply["error"], "the error names the channel that serves it"
                elif content:
                    assert reply.get("code") != "unknown_operation", door
                self.prepare(runtime)
