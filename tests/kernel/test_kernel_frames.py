"""Exactly one reply to every frame of ours whose signature and header are good; none to the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from stock_client import Stock, check_error

pytestmark = pytest.mark.kernel

ABYSS = b"[" * 100_000 + b"]" * 100_000
ABYSS_OF_OBJECTS = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


@pytest.fixture(autouse=True)
def goes_on(stock: Stock) -> Iterator[None]:
    """After whatever a test sends, the same kernel serves shell and control."""
    yield
    assert stock.call("operator.add", 1, 2) == 3
    assert stock.ok("ping", channel="control")["status"] == "ok"


def only(stock: Stock, msg_type: str, channel: str, **parts: Any) -> dict[str, Any]:
    """Send a message with parts of our own; the content of its one reply."""
    msg_id, frames = stock.frames(msg_type, **parts)
    stock.send_frames(frames, channel=channel)
    reply = stock.only_reply(msg_id, channel=channel)
    assert reply["msg_type"] == msg_type.removesuffix("_request") + "_reply"
    return dict(reply["content"])


@pytest.mark.parametrize("channel", ["shell", "control"])
class TestContent:
    @pytest.mark.parametrize(
        "content",
        [
            b"[]",
            b"null",
            b"5",
            b'"text"',
            b"",
            b"{",
            b'{"a" 1}',
            b"\xff\xfe",
            b"{}{}",
            b'{"a": NaN}',
            b"nonsense",
        ],
    )
    def test_that_is_no_json_object(self, stock: Stock, channel: str, content: bytes) -> None:
        reply = only(stock, "snake_list_stored_request", channel, content=content)
        check_error(reply)
        assert (reply["code"], reply["fault"]) == ("invalid_request", "caller")
        assert reply["at"] is not None

    @pytest.mark.parametrize(
        "content",
        [
            ABYSS,
            ABYSS_OF_OBJECTS,
            b'{"target": ' + ABYSS + b"}",
            b'{"client": {"a": ' + ABYSS + b"}}",
            b'{"unknown": ' + ABYSS_OF_OBJECTS + b"}",
        ],
        ids=["list", "object", "target", "client", "unknown"],
    )
    def test_too_deep(self, stock: Stock, channel: str, content: bytes) -> None:
        reply = only(stock, "snake_inspect_request", channel, content=content)
        check_error(reply)
        assert (reply["code"], reply["fault"]) in (("limit", "caller"), ("invalid_request", "caller"))

    @pytest.mark.parametrize(
        "metadata", [b"[]", b"null", b"{", b"", b"nonsense", b"\xff", ABYSS, b'{"a":' + ABYSS + b"}"]
    )
    def test_bad_metadata(self, stock: Stock, channel: str, metadata: bytes) -> None:
        reply = only(stock, "snake_list_stored_request", channel, metadata=metadata)
        check_error(reply)
        assert reply["at"] == "$metadata"

    @pytest.mark.parametrize("parent", [b"[]", b"null", b"{", b"", ABYSS])
    def test_the_parent_header_does_not_matter(self, stock: Stock, channel: str, parent: bytes) -> None:
        assert only(stock, "snake_list_stored_request", channel, parent=parent)["status"] == "ok"


@pytest.mark.parametrize("content", [b'{"target": "builtins.len", "args": [%b]}' % ABYSS])
def test_deep_arguments(stock: Stock, content: bytes) -> None:
    reply = only(stock, "snake_call_request", "shell", content=content)
    assert (reply["code"], reply["fault"]) == ("limit", "caller")


def test_deep_arguments_within_json(stock: Stock) -> None:
    """Too deep for the data grammar, though not for JSON."""
    deep = b"[" * 500 + b"]" * 500
    reply = only(
        stock, "snake_call_request", "shell", content=b'{"target": "builtins.len", "args": [%b]}' % deep
    )
    assert reply["code"] == "limit"
    assert reply["at"].startswith("$.args[0]")


class TestHeaders:
    def test_a_name_of_ours_elsewhere_in_the_header_means_nothing(self, stock: Stock) -> None:
        msg_id, frames = stock.frames(
            "kernel_info_request", header={"username": "snake_charmer_request", "session": "snake_"}
        )
        stock.send_frames(frames)
        assert stock.only_reply(msg_id)["msg_type"] == "kernel_info_reply"

    def test_fields_we_do_not_know(self, stock: Stock) -> None:
        msg_id, frames = stock.frames(
            "snake_ping_request", header={"more": [1], "date": "yesterday", "version": "9"}
        )
        stock.send_frames(frames)
        assert stock.only_reply(msg_id)["content"]["status"] == "ok"

    def test_the_parent_of_the_reply_is_the_request(self, stock: Stock) -> None:
        msg_id, frames = stock.frames("snake_ping_request", header={"more": ["é", 1.0]})
        stock.send_frames(frames)
        sent = json.loads(frames[2])
        received = stock.only_reply(msg_id)["parent_header"]
        assert {name: received[name] for name in ("msg_id", "msg_type", "session", "more")} == {
            name: sent[name] for name in ("msg_id", "msg_type", "session", "more")
        }

    @pytest.mark.parametrize("subshell_id", ["", 5, 1.5, True, [], {}, {"a": 1}, "é" * 1_000])
    def test_a_subshell_id_that_is_none(self, stock: Stock, subshell_id: Any) -> None:
        reply = stock.only_reply(stock.send("ping", subshell_id=subshell_id))["content"]
        check_error(reply)
        assert (reply["code"], reply["at"]) in (
            ("not_found", "$header.subshell_id"),
            ("invalid_request", "$header.subshell_id"),
        )

    def test_an_unknown_subshell(self, stock: Stock) -> None:
        for op in ("ping", "call", "nonsense"):
            msg_id = stock.send(op, subshell_id="no-such-subshell")
            reply = stock.only_reply(msg_id)
            assert reply["msg_type"] == f"snake_{op}_reply"
            check_error(reply["content"])
            assert (reply["content"]["code"], reply["content"]["at"]) == ("not_found", "$header.subshell_id")


@pytest.mark.parametrize("channel", ["shell", "control"])
class TestFramesThatAreDropped:
    def drop(self, stock: Stock, channel: str, msg_id: str, frames: list[bytes]) -> None:
        """Send frames that must get no reply, and be counted."""
        before = stock.ok("ping", channel=channel)["frames_dropped"]
        sofar = len(stock.replies(msg_id, channel))
        stock.send_frames(frames, channel=channel)
        assert stock.ok("ping", channel=channel)["frames_dropped"] == before + 1
        assert len(stock.replies(msg_id, channel)) == sofar

    @pytest.mark.promise("attack-1")
    def test_bad_signature(self, stock: Stock, channel: str) -> None:
        msg_id, frames = stock.frames("snake_list_stored_request")
        self.drop(stock, channel, msg_id, [frames[0], b"0" * 64, *frames[2:]])

    @pytest.mark.promise("attack-1")
    def test_no_signature(self, stock: Stock, channel: str) -> None:
        msg_id, frames = stock.frames("snake_list_stored_request")
        self.drop(stock, channel, msg_id, [frames[0], b"", *frames[2:]])

    @pytest.mark.parametrize("part", [2, 3, 4, 5])
    def test_altered_part(self, stock: Stock, channel: str, part: int) -> None:
        msg_id, frames = stock.frames("snake_list_stored_request")
        frames[part] = frames[part].replace(b"}", b" }")
        self.drop(stock, channel, msg_id, frames)

    @pytest.mark.promise("attack-2")
    def test_replay(self, stock: Stock, channel: str) -> None:
        msg_id, frames = stock.frames("snake_store_request", content=b'{"id": "replayed", "value": 1}')
        stock.send_frames(frames, channel=channel)
        stock.only_reply(msg_id, channel=channel)
        self.drop(stock, channel, msg_id, frames)

    def test_a_header_without_an_id(self, stock: Stock, channel: str) -> None:
        _, frames = stock.frames("snake_ping_request", header={"msg_id": 5})
        stock.send_frames(frames, channel=channel)
        assert stock.ok("ping", channel=channel)["status"] == "ok"

    def test_too_few_parts(self, stock: Stock, channel: str) -> None:
        _, frames = stock.frames("snake_ping_request")
        for count in range(1, 6):
            stock.send_frames(frames[:count], channel=channel)
        assert stock.ok("ping", channel=channel)["status"] == "ok"


def bound(*buffers: bytes) -> dict[str, Any]:
    """Metadata that binds buffers."""
    return {"snake_buffers": [{"length": len(b), "sha256": hashlib.sha256(b).hexdigest()} for b in buffers]}


CALL: dict[str, Any] = {"target": "builtins.bytes", "args": [{"$bytes": 0}]}


@pytest.mark.promise("attack-4")
class TestBuffers:
    def test_bytes_both_ways(self, stock: Stock) -> None:
        msg_id = stock.send("call", CALL, buffers=[b"abc\0"], metadata=bound(b"abc\0"))
        reply = stock.only_reply(msg_id)
        assert reply["content"]["result"]["value"] == {"$bytes": 0}
        assert [bytes(b) for b in reply["buffers"]] == [b"abc\0"]

    def test_arrays_both_ways(self, stock: Stock) -> None:
        array = numpy.arange(6, dtype="<f8").reshape(2, 3)
        form = {"$ndarray": {"buffer": 0, "dtype": "<f8", "shape": [2, 3], "order": "C"}}
        content = {"target": "numpy.transpose", "args": [form]}
        reply = stock.only_reply(stock.send("call", content, buffers=[array.tobytes()]))
        value = reply["content"]["result"]["value"]["$ndarray"]
        assert (value["shape"], value["dtype"]) == ([3, 2], "<f8")
        got = numpy.frombuffer(reply["buffers"][value["buffer"]], value["dtype"])
        assert (got.reshape(value["shape"], order=value["order"]) == array.T).all()

    @pytest.mark.parametrize(
        ("buffers", "metadata", "at"),
        [
            ([], bound(b"abc"), "$metadata.snake_buffers"),  # missing
            ([b"abc", b"d"], bound(b"abc"), "$metadata.snake_buffers"),  # extra
            ([b"abd"], bound(b"abc"), "$metadata.snake_buffers[0]"),  # altered
            ([b"abcd"], bound(b"abc"), "$metadata.snake_buffers[0]"),  # of another length
            ([b"b", b"a"], bound(b"a", b"b"), "$metadata.snake_buffers[0]"),  # swapped
            ([b"abc"], {"snake_buffers": 5}, "$metadata.snake_buffers"),
            ([b"abc"], {"snake_buffers": [None]}, "$metadata.snake_buffers[0]"),
            ([b"abc"], {"snake_buffers": [{"length": 3, "sha256": 5}]}, "$metadata.snake_buffers[0]"),
            ([b"abc"], {"snake_buffers": [{"length": 3, "sha256": "é"}]}, "$metadata.snake_buffers[0]"),
            ([], {}, "$.args[0]['$bytes']"),  # named and not there
            ([b"abc", b"d"], {}, "$buffers"),  # there and not named
        ],
    )
    def test_not_what_was_signed(
        self, stock: Stock, buffers: list[bytes], metadata: dict[str, Any], at: str
    ) -> None:
        reply = stock.fails("call", CALL, buffers=buffers, metadata=metadata)
        assert (reply["code"], reply["at"], reply["fault"]) == ("invalid_request", at, "caller")

    def test_a_buffer_used_twice(self, stock: Stock) -> None:
        content = {"target": "builtins.len", "args": [[{"$bytes": 0}, {"$bytes": 0}]]}
        assert stock.fails("call", content, buffers=[b"a"])["code"] == "invalid_request"

    def test_pipeline_steps_use_different_buffers(self, stock: Stock) -> None:
        steps = [
            {"target": "builtins.len", "args": ["no buffer"]},
            {"target": "builtins.bytes", "args": [{"$bytes": 1}]},
            {"target": "builtins.len", "args": [{"$bytes": 0}]},
        ]
        msg_id = stock.send("pipeline", {"steps": steps}, buffers=[b"abc", b"de"])
        reply = stock.only_reply(msg_id)
        assert [one["result"]["value"] for one in reply["content"]["pipeline_results"]] == [
            9,
            {"$bytes": 0},
            3,
        ]
        assert [bytes(b) for b in reply["buffers"]] == [b"de"]

    def test_buffers_of_completed_steps_come_with_the_error(self, stock: Stock) -> None:
        steps = [{"target": "builtins.bytes", "args": [{"$bytes": 0}]}, {"target": "builtins.no_such"}]
        reply = stock.only_reply(stock.send("pipeline", {"steps": steps}, buffers=[b"abc"]))
        assert reply["content"]["step"] == 1
        assert reply["content"]["completed_steps"][0]["result"]["value"] == {"$bytes": 0}
        assert [bytes(b) for b in reply["buffers"]] == [b"abc"]

    def test_a_buffer_no_step_uses(self, stock: Stock) -> None:
        steps = [{"target": "builtins.len", "args": ["no buffer"]}]
        assert stock.fails("pipeline", {"steps": steps}, buffers=[b"abc"])["at"] == "$buffers"


def test_a_flood_gets_a_reply_each(stock: Stock) -> None:
    sent = [
        stock.send(op, content, channel=channel)
        for _ in range(100)
        for op, content, channel in [
            ("call", {"target": "operator.add", "args": [1, 1]}, "shell"),
            ("nonsense", {}, "shell"),
            ("list_stored", {"limit": 1}, "control"),
        ]
    ]
    stock.fence()
    stock.fence(channel="control")
    for index, msg_id in enumerate(sent):
        channel = "control" if index % 3 == 2 else "shell"
        assert len(stock.replies(msg_id, channel)) == 1
