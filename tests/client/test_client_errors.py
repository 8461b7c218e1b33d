"""Remote errors as typed exceptions: caught by their kind, with all that is known of them."""

from __future__ import annotations

import pickle

import pytest

from snakekernel import AsyncClient, Client, errors, ref
from snakekernel.errors import RemoteError

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("kind", "target", "args"),
    [
        (ValueError, "math.sqrt", [-1]),
        (KeyError, "operator.getitem", [{"a": 1}, "b"]),
        (IndexError, "operator.getitem", [[1], 5]),
        (ZeroDivisionError, "operator.truediv", [1, 0]),
        (TypeError, "builtins.len", [3]),
        (AttributeError, "builtins.getattr", [3, "nope"]),
        (FileNotFoundError, "builtins.open", ["/no/such/file"]),
        (OverflowError, "math.exp", [1e6]),
        (ArithmeticError, "operator.truediv", [1, 0]),
        (LookupError, "operator.getitem", [[1], 5]),
        (OSError, "os.listdir", ["/no/such/folder"]),
    ],
)
def test_built_in_kinds_are_caught_as_themselves(
    snake: Client, kind: type[Exception], target: str, args: list[object]
) -> None:
    with pytest.raises(kind) as caught:
        snake.call(target, args=args)
    error = caught.value
    assert isinstance(error, RemoteError)
    assert error.code == "raised"
    assert error.fault == "target"
    assert issubclass(getattr(__import__("builtins"), error.ename), kind)
    assert error.evalue
    assert error.ename in str(error) or error.evalue in str(error)


def test_the_remote_traceback_is_in_the_notes(snake: Client) -> None:
    with pytest.raises(ValueError) as caught:
        snake.call("json.loads", args=["{"])
    error = caught.value
    assert isinstance(error, RemoteError)
    text = "\n".join(error.traceback)
    assert "decoder.py" in text
    assert "Remote traceback:" in "\n".join(error.__notes__)
    assert "decoder.py" in "\n".join(error.__notes__)
    assert "snakekernel/commands" not in text


def test_kinds_of_others_are_remote_errors(snake: Client) -> None:
    with pytest.raises(RemoteError) as caught:
        snake.call("zlib.decompress", args=[b"nothing compressed"])
    assert type(caught.value) is RemoteError
    assert caught.value.ename == "error"
    with pytest.raises(ArithmeticError) as nearest:
        snake.call("decimal.Decimal", args=["no number"])
    assert nearest.value.ename == "InvalidOperation"  # type: ignore[attr-defined]
    with pytest.raises(RemoteError) as caught:
        snake.call("subprocess.run", args=[["false"]], kwargs={"check": True})
    assert caught.value.ename == "CalledProcessError"


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_what_would_end_a_process_ends_nothing(snake: Client, name: str) -> None:
    with pytest.raises(RemoteError) as caught:
        snake.call("builtins.exec", args=[f"raise {name}('{name} of the call')"])
    assert caught.value.ename == name
    assert not isinstance(caught.value, (SystemExit, KeyboardInterrupt, GeneratorExit))
    assert snake.call("math.sqrt", args=[4]) == 2.0


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        (errors.NotFound, lambda s: s.retrieve("no such thing")),
        (errors.NotFound, lambda s: s.call("builtins.len", args=[ref("no such thing")])),
        (errors.NotFound, lambda s: s.retrieve("x", session_id="no such session")),
        (errors.Unresolvable, lambda s: s.call("no_such_module.f")),
        (errors.Unresolvable, lambda s: s.call("math.no_such_function")),
        (errors.InvalidRequest, lambda s: s.call("math.pi", args=[1])),
        (errors.InvalidRequest, lambda s: s.call("")),
        (errors.InvalidRequest, lambda s: s.execute("call", {"target": "math.pi", "nope": 1})),
        (errors.UnknownOperation, lambda s: s.execute("no_such_operation")),
        (errors.Unserializable, lambda s: s.call("builtins.object", returns="value")),
        (errors.Unsupported, lambda s: s.execute("store", {"id": "x", "value": 1, "durable": True})),
        (errors.OutcomeUnknown, lambda s: s.execute("ping", {"epoch": "another"})),
    ],
)
def test_each_code_has_its_class(snake: Client, kind: type[errors.SnakeError], ask: object) -> None:
    with pytest.raises(kind) as caught:
        ask(snake)  # type: ignore[operator]
    assert caught.value.code == kind.code
    assert caught.value.fault in ("caller", "target", "kernel")
    assert not isinstance(caught.value, RemoteError)


async def test_async_errors_are_the_same(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        with pytest.raises(ValueError) as caught:
            await client.call("math.sqrt", args=[-1])
        assert isinstance(caught.value, RemoteError)
        with pytest.raises(errors.NotFound):
            await client.retrieve("no such thing")
        assert await client.call("math.sqrt", args=[4]) == 2.0


def test_they_cross_to_other_processes_as_they_are() -> None:
    end = errors.End(cause="signal", signal="SIGSEGV", stderr="last words")
    lost = pickle.loads(pickle.dumps(errors.WorkerLost.unsent("gone", end)))
    assert (type(lost), lost.end, lost.signal, lost.sent) == (errors.WorkerLost, end, "SIGSEGV", False)
    hung = pickle.loads(pickle.dumps(errors.KernelHung("hangs", control=True, is_killed=True)))
    assert (hung.control, hung.is_killed, str(hung)) == (True, True, "hangs")
