"""Durable objects follow their names: what the kernel holds no more, the disk holds no more."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakekernel.commands.runtime import Runtime
from snakekernel.durable.kept import Durable
from snakekernel.durable.opening import PATIENCE
from snakekernel.durable.places import Places
from snakekernel.objects.store import Store
from snakekernel.testing.dispatch import ask, make_runtime


def _runtime(folder: Path, **fields: Any) -> Runtime:
    durable = Durable(Places(folder, "own"))
    return make_runtime(durable=durable, store=Store(on_change=durable.changed, max_objects=50), **fields)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Makes runtimes that share a folder, one as after the other's crash."""
    made: list[Runtime] = []

    def make(**fields: Any) -> Runtime:
        made.append(_runtime(tmp_path, **fields))
        return made[-1]

    yield make
    for runtime in made:
        runtime.durable.close()


@pytest.fixture
def runtime(make: Callable[..., Runtime]) -> Runtime:
    runtime = make()
    for name in ("x", "y"):
        ok(runtime, "store", id=name, value=[name], durable=True)
    return runtime


def ok(runtime: Runtime, op: str, **content: Any) -> dict[str, Any]:
    reply = ask(runtime, op, content)
    assert reply["status"] == "ok", reply
    return reply


def held(runtime: Runtime) -> set[tuple[str | None, str]]:
    """What the file of durable objects holds."""
    return {(row["session_id"], row["id"]) for row in ok(runtime, "list_checkpoint")["objects"]}


def test_it_is_on_the_disk_and_comes_back(runtime: Runtime, make: Callable[..., Runtime]) -> None:
    later = make()
    reply = ok(later, "restore")
    assert (reply["restored"], reply["failed"]) == (["x", "y"], [])
    assert later.store.get(None, "x", now=0).obj == ["x"]
    # And is durable again.
    ok(later, "delete_stored", id="x")
    assert held(runtime) == {(None, "y")}


def test_what_goes_from_the_kernel_goes_from_the_disk(runtime: Runtime) -> None:
    ok(runtime, "delete_stored", id="x")
    assert held(runtime) == {(None, "y")}
    ok(runtime, "store", id="y", value="another, that is not durable")
    assert held(runtime) == set()


def test_renaming_renames_it(runtime: Runtime, make: Callable[..., Runtime]) -> None:
    ok(runtime, "rename_stored", id="x", to="z")
    assert ask(runtime, "rename_stored", {"id": "z", "to": "y"})["code"] == "invalid_request"
    assert held(runtime) == {(None, "z"), (None, "y")}
    assert ok(make(), "restore")["restored"] == ["z", "y"]
    ok(runtime, "delete_stored", id="z")
    assert held(runtime) == {(None, "y")}


def test_sessions_and_times_to_live(make: Callable[..., Runtime]) -> None:
    now = 1_000.0
    runtime = make(clock=lambda: now)
    ok(runtime, "store", id="brief", value=1, ttl=5, durable=True)
    ok(runtime, "store", id="x", value=2, session_id="s", durable=True)
    ok(runtime, "store", id="x", value=3, session_id="t", durable=True)
    ok(runtime, "close_session", session_id="s")
    assert held(runtime) == {(None, "brief"), ("t", "x")}
    now += 6
    later = make(clock=lambda: now)
    reply = ok(later, "restore")
    assert reply["restored"] == []
    assert [(failure["id"], failure["error"]) for failure in reply["failed"]] == [("brief", "InvalidRequest")]
    assert ok(later, "restore", session_id="t")["restored"] == ["x"]
    runtime.expire(now)
    assert held(runtime) == {("t", "x")}


def test_a_session_opened_anew_keeps_its_own(make: Callable[..., Runtime]) -> None:
    runtime = make()
    ok(runtime, "store", id="x", value=1, session_id="s", durable=True)
    # A call still holds the session when it is closed, and lets it go after another took its name.
    old = runtime.sessions.lease("s", now=runtime.clock(), create=False)
    runtime.sessions.close("s")
    ok(runtime, "store", id="x", value=2, session_id="s", durable=True)
    runtime.release(old)
    assert held(runtime) == {("s", "x")}
    assert ok(make(), "restore", session_id="s")["restored"] == ["x"]


def test_what_cannot_be_written_is_not_stored(runtime: Runtime) -> None:
    ok(runtime, "call", target="threading.Lock", store_as="lock")
    reply = ask(runtime, "store", {"id": "x", "value": {"$ref": "lock"}, "durable": True})
    assert (reply["code"], reply["ename"], reply["at"]) == ("raised", "TypeError", "$.value")
    assert runtime.store.get(None, "x", now=0).obj == ["x"]
    runtime.secrets.add("sk-canary-of-no-worth")
    reply = ask(runtime, "store", {"id": "x", "value": "sk-canary-of-no-worth", "durable": True})
    assert (reply["code"], reply["at"]) == ("unserializable", "$.value")
    for number in range(47):
        ok(runtime, "store", id=f"n{number}", value=number)
    reply = ask(runtime, "store", {"id": "one more", "value": 1, "durable": True})
    assert reply["code"] == "limit"
    assert held(runtime) == {(None, "x"), (None, "y")}


def test_without_a_file_it_says_so(tmp_path: Path) -> None:
    runtime = make_runtime(durable=Durable(Places(tmp_path)))
    reply = ask(runtime, "store", {"id": "x", "value": 1, "durable": True})
    assert (reply["code"], reply["at"]) == ("unsupported", "$.durable")
    for op in ("checkpoint", "restore"):
        assert ask(runtime, op, {})["code"] == "unsupported"


def test_a_file_that_was_deleted_is_made_anew(runtime: Runtime) -> None:
    path = runtime.durable.path("$")
    for file in path.parent.glob("own.db*"):
        file.unlink()
    ok(runtime, "store", id="new", value=1, durable=True)
    assert held(runtime) == {(None, "new")}
    ok(runtime, "delete_stored", id="x")
    assert held(runtime) == {(None, "new")}


def test_deleting_does_not_wait_for_a_long_write(runtime: Runtime) -> None:
    with runtime.durable._writing():
        thread = threading.Thread(target=ok, args=(runtime, "delete_stored"), kwargs={"id": "x"})
        thread.start()
        thread.join()
        assert held(runtime) == {(None, "x"), (None, "y")}
    assert held(runtime) == {(None, "y")}


class TestCheckpoint:
    def test_it_lists_what_could_not_be_saved(self, runtime: Runtime, make: Callable[..., Runtime]) -> None:
        ok(runtime, "call", target="threading.Lock", store_as="lock")
        reply = ok(runtime, "checkpoint", name="c")
        assert reply["saved"] == ["x", "y"]
        (failure,) = reply["failed"]
        assert (failure["id"], failure["type"], failure["error"]) == ("lock", "_thread.lock", "TypeError")
        assert "pickle" in failure["reason"]
        reply = ok(make(), "restore", name="c", ids=["y", "nothing"])
        assert reply["restored"] == ["y"]
        assert [failure["id"] for failure in reply["failed"]] == ["nothing"]

    def test_ids_are_beside_what_is_there(self, runtime: Runtime) -> None:
        ok(runtime, "store", id="in", value=1, session_id="s")
        ok(runtime, "checkpoint", name="c", session_id="s")
        ok(runtime, "checkpoint", name="c", ids=["x"])
        reply = ok(runtime, "checkpoint", name="c", ids=["y", "gone"])
        assert (reply["saved"], reply["count"]) == (["y"], 3)
        assert [failure["error"] for failure in reply["failed"]] == ["NotFound"]
        ok(runtime, "delete_stored", id="x")
        # All of a namespace takes the place of all that the file holds of it, and of nothing else.
        assert ok(runtime, "checkpoint", name="c")["count"] == 2
        objects = ok(runtime, "list_checkpoint", name="c")["objects"]
        assert {(row["session_id"], row["id"]) for row in objects} == {(None, "y"), ("s", "in")}

    def test_an_earlier_object_stays_where_the_new_one_fails(self, runtime: Runtime) -> None:
        ok(runtime, "checkpoint", name="c")
        ok(runtime, "call", target="threading.Lock", store_as="x")
        reply = ok(runtime, "checkpoint", name="c")
        assert [(failure["id"], failure["kept"]) for failure in reply["failed"]] == [("x", True)]
        assert reply["count"] == 2
        assert ok(runtime, "restore", name="c", overwrite=True)["restored"] == ["x", "y"]
        assert runtime.store.get(None, "x", now=0).obj == ["x"]

    def test_what_is_there_stays_unless_it_is_asked_for(self, runtime: Runtime) -> None:
        ok(runtime, "checkpoint", name="c")
        ok(runtime, "store", id="x", value="newer")
        reply = ok(runtime, "restore", name="c")
        assert [failure["id"] for failure in reply["failed"]] == ["x", "y"]
        assert runtime.store.get(None, "x", now=0).obj == "newer"

    def test_into_the_file_of_durable_objects(self, runtime: Runtime) -> None:
        ok(runtime, "store", id="plain", value=1)
        assert ok(runtime, "checkpoint")["saved"] == ["x", "y", "plain"]
        ok(runtime, "delete_stored", id="plain")
        assert held(runtime) == {(None, "x"), (None, "y")}

    def test_what_is_deleted_while_the_file_is_written(self, runtime: Runtime) -> None:
        """Nobody waits for the checkpoint, and the disk holds it no longer than that."""

        class Deleting:
            def __reduce__(self) -> tuple[type, tuple[()]]:
                began = time.monotonic()
                runtime.store.delete(None, "x", writer="test")
                took.append(time.monotonic() - began)
                return (dict, ())

        took: list[float] = []
        runtime.store.put(None, "z", Deleting(), writer="test", now=runtime.clock())
        assert ok(runtime, "checkpoint", ids=["z"])["saved"] == ["z"]
        assert took[0] < PATIENCE / 2
        assert held(runtime) == {(None, "y"), (None, "z")}

    def test_secrets_only_where_they_are_allowed(self, runtime: Runtime) -> None:
        runtime.secrets.add("sk-canary-of-no-worth")
        ok(runtime, "store", id="x", value={"key": "sk-canary-of-no-worth"})
        reply = ok(runtime, "checkpoint", name="c")
        assert [(failure["id"], failure["error"]) for failure in reply["failed"]] == [("x", "Unserializable")]
        path = Path(reply["path"])
        assert b"sk-canary" not in path.read_bytes()
        assert ok(runtime, "checkpoint", name="c", allow_secrets=True)["saved"] == ["x", "y"]
        assert b"sk-canary" in path.read_bytes()
        assert "sk-canary" not in str(ok(runtime, "list_checkpoint", name="c"))

    def test_keys_that_are_restored_are_registered(
        self, runtime: Runtime, make: Callable[..., Runtime]
    ) -> None:
        model = types.SimpleNamespace(kwargs={"api_key": "sk-of-a-model-1"}, password="production")
        runtime.store.put(None, "z", [(model,), "x"], writer="test", now=runtime.clock())
        assert ok(runtime, "checkpoint", name="c", ids=["z"], allow_secrets=True)["saved"] == ["z"]
        later = make()
        assert ok(later, "restore", name="c")["restored"] == ["z"]
        assert later.secrets.scrub_text("sk-of-a-model-1 in production") == "[secret] in production"

    def test_a_name_that_is_a_secret_is_not_written(self, runtime: Runtime) -> None:
        runtime.secrets.add("sk-canary-of-no-worth")
        ok(runtime, "store", id="a sk-canary-of-no-worth", value=1)
        assert ask(runtime, "store", {"id": "sk-canary-of-no-worth", "value": 1, "durable": True})[
            "code"
        ] == ("unserializable")
        reply = ok(runtime, "checkpoint", name="c")
        assert [failure["reason"] for failure in reply["failed"]] == [
            "Its name holds a secret, which is not written to disk."
        ]
        assert b"sk-canary" not in Path(reply["path"]).read_bytes()

    def test_names_of_files_are_no_paths(self, runtime: Runtime) -> None:
        for name in ("../x", "/tmp/x", ".x", "-x", "a\n", "a b", "x" * 101, "$HOME", "{0}"):
            reply = ask(runtime, "checkpoint", {"name": name})
            assert (reply["code"], reply["at"]) == ("invalid_request", "$.name"), name
        # Sessions are values in the file and never part of a path.
        ok(runtime, "store", id="x", value=1, session_id="../'; DROP TABLE entries; --")
        ok(runtime, "checkpoint", name="c", session_id="../'; DROP TABLE entries; --")
        assert ok(runtime, "list_checkpoint", name="c")["objects"][0]["session_id"].startswith("../'")
