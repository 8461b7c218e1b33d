"""Functions of a client in the kernel, as a stock client lends them: what goes over the wire, and when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from stock_client import PATIENCE, Stock

import snakekernel

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

CODE = """
import asyncio, concurrent.futures, threading, time
def apply(f, *args, **kwargs): return f(*args, **kwargs)
def in_threads(f, n):
    with concurrent.futures.ThreadPoolExecutor(n) as pool: return list(pool.map(f, range(n)))
async def in_coroutine(f, *args): return f(*args)
async def awaited(f, *args): return await f(*args)
def caught(f, *args):
    try: f(*args)
    except Exception as error:
        return [type(error).__name__, [base.__name__ for base in type(error).__mro__], str(error)]
def looked_at(f):
    import inspect, typing
    told = str(inspect.signature(f)), inspect.iscoroutinefunction(f), str(typing.get_type_hints(f))
    return [f.__name__, f.__doc__, *told]
def pickled(f):
    import pickle, cloudpickle
    for module in (pickle, cloudpickle):
        try: module.dumps(f)
        except Exception: continue
        return module.__name__
same = lambda f, g: f is g
"""


@pytest.fixture(scope="module")
def lender(snake: snakekernel.Client) -> Iterator[Stock]:
    client = Stock(snake.manager.get_connection_info())
    client.cell(CODE)
    yield client
    client.close()


def _of(stock: Stock, msg_id: str, msg_type: str) -> list[dict[str, Any]]:
    return [
        m
        for channel in ("shell", "control")
        for m in stock.messages[channel]
        if m["msg_type"] == msg_type and m["parent_header"].get("msg_id") == msg_id
    ]


def _asked(stock: Stock, msg_id: str, count: int = 1) -> list[dict[str, Any]]:
    """The calls of functions that came for a request, once there are so many."""
    stock.until(lambda: len(_of(stock, msg_id, "snake_callback_request")) >= count, "a call of our function")
    return _of(stock, msg_id, "snake_callback_request")


def _answer(stock: Stock, asked: dict[str, Any], result: Any = None, **fields: Any) -> None:
    content = {"callback_call": asked["content"]["callback_call"], "status": "ok", "result": result, **fields}
    stock.send("snake_callback_reply", content, channel="control")


def _call(stock: Stock, target: str, *args: Any, **fields: Any) -> str:
    return stock.send("call", {"target": ["user", target], "args": list(args), **fields})


def _result(stock: Stock, msg_id: str) -> dict[str, Any]:
    stock.until(lambda: bool(_of(stock, msg_id, "snake_call_reply")), "the reply")
    replies = _of(stock, msg_id, "snake_call_reply")
    assert len(replies) == 1
    return dict(replies[0]["content"])


def _value(stock: Stock, msg_id: str) -> Any:
    reply = _result(stock, msg_id)
    assert reply["status"] == "ok", reply
    return reply["result"]["value"]


def _f(id: str = "f", **told: Any) -> dict[str, Any]:
    return {"$callback": {"id": id, **told} if told else id}


def _released(stock: Stock, msg_id: str, ids: list[str]) -> None:
    def told() -> list[str]:
        found = _of(stock, msg_id, "snake_callback_released")
        return sorted(id for m in found for id in m["content"]["ids"])

    stock.until(lambda: told() == sorted(ids), f"the release of {ids}, not {told()}")


class TestCalls:
    def test_a_function_is_called_and_released(self, lender: Stock) -> None:
        request = _call(lender, "apply", _f("sum"), 2, "x", [1.5], kwargs={"key": {"$tuple": [1]}})
        (asked,) = _asked(lender, request)
        assert asked["content"]["id"] == "sum"
        assert asked["content"]["args"] == [2, "x", [1.5]]
        assert asked["content"]["kwargs"] == {"key": {"$tuple": [1]}}
        _answer(lender, asked, {"$set": [5]})
        assert _value(lender, request) == {"$set": [5]}
        _released(lender, request, ["sum"])

    def test_wherever_it_stands_in_the_arguments(self, lender: Stock) -> None:
        request = lender.send(
            "call",
            {
                "target": "functools.reduce",
                "args": [{"$callback": "add"}, [1, 2]],
            },
        )
        (asked,) = _asked(lender, request)
        _answer(lender, asked, 3)
        assert _value(lender, request) == 3
        lender.ok("store", {"id": "tools", "value": {"deep": [{"$tuple": [_f("deep")]}]}})
        request = lender.send("call", {"target": ["stored", "tools", "deep", 0, 0], "args": [7]})
        (asked,) = _asked(lender, request)
        assert asked["content"]["id"] == "deep"
        _answer(lender, asked, "stored")
        assert _value(lender, request) == "stored"
        lender.ok("delete_stored", {"id": "tools"})

    def test_arrays_go_both_ways(self, lender: Stock) -> None:
        lender.cell("import numpy; doubled = lambda f: f(numpy.arange(3)) * 2")
        request = _call(lender, "doubled", _f())
        (asked,) = _asked(lender, request)
        (array,) = asked["content"]["args"]
        assert array["$ndarray"]["dtype"] == "<i8"
        assert bytes(asked["buffers"][0]) == bytes([0] * 8 + [1] + [0] * 7 + [2] + [0] * 7)
        content = {
            "callback_call": asked["content"]["callback_call"],
            "status": "ok",
            "result": {"$ndarray": {**array["$ndarray"], "buffer": 0}},
        }
        lender.send("snake_callback_reply", content, channel="control", buffers=[bytes(asked["buffers"][0])])
        assert "$ndarray" in _value(lender, request)

    def test_what_has_no_value_is_a_reference_held_by_the_client(self, lender: Stock) -> None:
        lender.cell("class Thing: colour = 'red'\nshow = lambda f: f(Thing(), [Thing()])")
        request = _call(lender, "show", _f())
        (asked,) = _asked(lender, request)
        first, second = asked["content"]["args"]
        assert asked["content"]["refs"][first["$ref"]]["type"] == "Thing"
        name = first["$ref"]
        _answer(lender, asked, {"$ref": [name, "colour"]})
        assert _value(lender, request) == "red"
        assert lender.call(["stored", name, "colour"]) == "red"
        lender.ok("renew", {"release": [name, second["$ref"]]}, channel="control")
        assert lender.fails("retrieve", {"id": name})["code"] == "not_found"

    def test_it_looks_as_in_the_client(self, lender: Stock) -> None:
        parameters = [
            {"name": "city", "kind": "positional_or_keyword", "annotation": "str"},
            {"name": "days", "kind": "keyword_only", "annotation": "list[int] | None", "default": None},
            {"name": "odd", "kind": "keyword_only", "annotation": "os.system('x')", "default": 1},
        ]
        told = {"name": "weather", "doc": "Says it.", "parameters": parameters, "returns": "float"}
        request = _call(lender, "looked_at", _f("w", **told))
        assert _value(lender, request) == [
            "weather",
            "Says it.",
            "(city: str, *, days: list[int] | None = None, odd=1) -> float",
            False,
            "{'city': <class 'str'>, 'days': list[int] | None, 'return': <class 'float'>}",
        ]
        request = _call(lender, "looked_at", {"$callback": {"id": "w", "async": True}})
        assert _value(lender, request)[3] is True

    def test_one_function_is_one_object(self, lender: Stock) -> None:
        request = _call(lender, "same", _f(), _f())
        assert _value(lender, request) is True
        _released(lender, request, ["f", "f"])
        assert _value(lender, _call(lender, "same", _f("f"), _f("g"))) is False

    def test_it_is_never_pickled(self, lender: Stock) -> None:
        assert _value(lender, _call(lender, "pickled", _f())) is None

    def test_malformed_functions_are_refused_with_their_path(self, lender: Stock) -> None:
        for payload, at in [
            (1, "$.args[0]['$callback']"),
            ({}, "$.args[0]['$callback']"),
            ({"id": ""}, "$.args[0]['$callback'].id"),
            ({"id": "f", "deadline": -1}, "$.args[0]['$callback'].deadline"),
            (
                {"id": "f", "parameters": [{"name": "x", "kind": "odd"}]},
                "$.args[0]['$callback'].parameters[0].kind",
            ),
            (
                {"id": "f", "parameters": [{"name": "1", "kind": "var_keyword"}]},
                "$.args[0]['$callback'].parameters[0]",
            ),
            ({"id": "f", "more": 1}, "$.args[0]['$callback'].more"),
        ]:
            reply = lender.fails("call", {"target": "builtins.callable", "args": [{"$callback": payload}]})
            assert (reply["code"], reply["at"]) == ("invalid_request", at)

    def test_a_function_in_a_refused_request_is_given_back(self, lender: Stock) -> None:
        for content in (
            {"target": "no.such", "args": [_f("x")]},
            {"target": "math.sqrt", "argz": [_f("x")]},
            {"target": "builtins.len", "args": [{"$nothing": 1}, _f("x")]},
            {"target": "builtins.len", "args": [_f("x"), {"$nothing": 1}]},
        ):
            request = lender.send("call", content)
            assert _result(lender, request)["status"] == "error"
            _released(lender, request, ["x"])
        steps = [{"target": "no.such", "args": [_f("x")]}, {"target": "math.sqrt", "args": [4]}]
        request = lender.send("pipeline", {"steps": steps, "stop_on_error": False})
        _released(lender, request, ["x"])

    def test_a_function_in_a_request_that_never_begins_is_given_back(
        self, lender: Stock, subshell: str
    ) -> None:
        content = {"target": ["user", "apply"], "args": [_f("early")]}
        for route, how in (({}, "cancel"), ({}, "deadline"), ({"subshell_id": subshell}, "cancel")):
            first = lender.send("call", {"target": ["user", "apply"], "args": [_f("first")]}, **route)
            (asked,) = _asked(lender, first)
            deadline = {"deadline": 0.1} if how == "deadline" else {}
            second = lender.send("call", {**content, **deadline}, **route)
            if how == "cancel":
                assert lender.ok("cancel", {"msg_id": second}, channel="control")["cancelled"]
            assert _result(lender, second)["status"] == "error"
            _released(lender, second, ["early"])
            _answer(lender, asked)
            assert _result(lender, first)["status"] == "ok"
        nowhere = lender.send("call", content, subshell_id="nowhere")
        _released(lender, nowhere, ["early"])


class TestThreadsAndCoroutines:
    def test_from_worker_threads_at_once(self, lender: Stock) -> None:
        request = _call(lender, "in_threads", _f(), 4)
        asked = _asked(lender, request, 4)
        for one in reversed(asked):
            _answer(lender, one, one["content"]["args"][0] * 10)
        assert _value(lender, request) == [0, 10, 20, 30]

    def test_in_a_coroutine_it_blocks_or_suspends(self, lender: Stock) -> None:
        request = _call(lender, "in_coroutine", _f(), 1)
        _answer(lender, *_asked(lender, request), "sync")
        assert _value(lender, request) == "sync"
        asynchronous = {"$callback": {"id": "a", "async": True}}
        request = _call(lender, "awaited", asynchronous, 1)
        _answer(lender, *_asked(lender, request), "async")
        assert _value(lender, request) == "async"
        lender.cell("async def both(f): return await asyncio.gather(f(1), f(2))")
        request = _call(lender, "both", asynchronous)
        first, second = _asked(lender, request, 2)
        _answer(lender, second, "b")
        _answer(lender, first, "a")
        assert _value(lender, request) == ["a", "b"]

    def test_on_a_subshell(self, lender: Stock, subshell: str) -> None:
        content = {"target": ["user", "apply"], "args": [_f(), 5]}
        request = lender.send("call", content, subshell_id=subshell)
        _answer(lender, *_asked(lender, request), 6)
        assert _value(lender, request) == 6

    def test_after_its_request(self, lender: Stock) -> None:
        lender.cell("def later(f): threading.Timer(0.1, lambda: out.append(f())).start()\nout = []")
        request = _call(lender, "later", _f("late"))
        assert _result(lender, request)["status"] == "ok"
        _answer(lender, *_asked(lender, request), "told")
        _released(lender, request, ["late"])
        assert lender.call("user.out") == ["told"]

    def test_from_a_cell_and_by_another_client(self, lender: Stock, stock: Stock) -> None:
        request = lender.send("store", {"id": "agent", "value": [_f("tool")]})
        lender.fence()
        other = stock.send("call", {"target": ["stored", "agent", 0], "args": ["by another"]})
        (asked,) = _asked(lender, request)
        assert asked["content"]["args"] == ["by another"]
        _answer(lender, asked, 1)
        stock.until(lambda: bool(_of(stock, other, "snake_call_reply")), "the other's reply")
        cell = lender.send("execute_request", {"code": "assert stored.agent[0]() == 2"})
        _answer(lender, _asked(lender, request, 2)[1], 2)
        assert lender.reply(cell)["content"]["status"] == "ok"
        lender.ok("delete_stored", {"id": "agent"})
        _released(lender, request, ["tool"])


class TestErrors:
    def test_the_clients_exception_is_raised_by_its_kind(self, lender: Stock) -> None:
        request = _call(lender, "caught", _f())
        fields = {
            "status": "error",
            "ename": "NoCity",
            "evalue": "'where?'",
            "traceback": ["line 1", "line 2"],
            "bases": ["KeyError", "LookupError", "Exception"],
        }
        _answer(lender, *_asked(lender, request), **fields)
        name, bases, text = _value(lender, request)
        assert (name, text) == ("NoCity", "'where?'")
        assert "KeyError" in bases
        request = _call(lender, "apply", _f())
        _answer(lender, *_asked(lender, request), **fields)
        reply = _result(lender, request)
        assert (reply["ename"], reply["evalue"], reply["code"]) == ("NoCity", "'where?'", "raised")
        assert "KeyError" in reply["bases"]
        told = "\n".join(reply["traceback"])
        assert "line 2" in told
        assert "in apply" in told

    def test_a_name_that_is_no_exception_is_one(self, lender: Stock) -> None:
        for ename in ("SystemExit", "StopIteration", "os", "", None, 3):
            request = _call(lender, "caught", _f())
            _answer(lender, *_asked(lender, request), status="error", ename=ename, bases=7, traceback="x")
            assert "Exception" in _value(lender, request)[1]

    def test_an_answer_that_is_none(self, lender: Stock) -> None:
        request = _call(lender, "caught", _f())
        (asked,) = _asked(lender, request)
        _answer(lender, asked, {"$nothing": 1})
        assert "InvalidRequest" in _value(lender, request)[0]
        request = _call(lender, "caught", _f())
        (asked,) = _asked(lender, request)
        call = asked["content"]["callback_call"]
        lender.send("snake_callback_reply", {"callback_call": call}, channel="control")
        assert "Exception" in _value(lender, request)[1]

    def test_answers_for_no_call_get_none(self, lender: Stock) -> None:
        for content in ({"callback_call": "none", "status": "ok", "result": 1}, {}, {"callback_call": 3}):
            answer = lender.send("snake_callback_reply", content, channel="control")
            lender.fence(channel="control")
            assert not lender.replies(answer, "control")

    def test_another_client_cannot_answer(self, lender: Stock, stock: Stock) -> None:
        request = _call(lender, "apply", _f())
        (asked,) = _asked(lender, request)
        _answer(stock, asked, "forged")
        stock.fence(channel="control")
        within = {"callback_call": asked["content"]["callback_call"]}
        assert stock.fails("ping", within, channel="control")["code"] == "not_found"
        _answer(lender, asked, "own")
        assert _value(lender, request) == "own"

    def test_its_deadline(self, lender: Stock) -> None:
        request = _call(lender, "caught", _f("slow", deadline=0.2))
        _asked(lender, request)
        name, _, text = _value(lender, request)
        assert name == "TimeoutError"
        assert "0.2 s" in text
        request = _call(lender, "awaited", {"$callback": {"id": "slow", "async": True, "deadline": 0.2}})
        assert _result(lender, request)["ename"] == "TimeoutError"

    def test_an_interrupt_ends_the_wait(self, lender: Stock) -> None:
        for target, told in (("apply", {"id": "f"}), ("awaited", {"id": "f", "async": True})):
            request = _call(lender, target, {"$callback": told})
            (asked,) = _asked(lender, request)
            lender.send("interrupt_request", channel="control")
            reply = _result(lender, request)
            assert reply["code"] == "interrupted", reply
            _answer(lender, asked, "too late")
            # Its coroutine was in a circle with what ended it: Python frees it when it next looks.
            lender.call("gc.collect")
            _released(lender, request, ["f"])

    @pytest.mark.parametrize("target", ["apply", "in_coroutine", "awaited"])
    @pytest.mark.parametrize("how", ["cancel", "deadline"])
    @pytest.mark.parametrize("on_subshell", [False, True])
    def test_a_call_that_waits_is_stopped(
        self, lender: Stock, subshell: str, target: str, how: str, on_subshell: bool
    ) -> None:
        content = {
            "target": ["user", target],
            "args": [{"$callback": {"id": "f", "async": target == "awaited"}}],
            "deadline": 0.5 if how == "deadline" else None,
        }
        request = lender.send("call", content, subshell_id=subshell if on_subshell else None)
        _asked(lender, request)
        if how == "cancel":
            assert lender.ok("cancel", {"msg_id": request}, channel="control")["cancelled"]
        assert _result(lender, request)["code"] == ("cancelled" if how == "cancel" else "deadline")
        lender.call("gc.collect")
        _released(lender, request, ["f"])


class TestWithin:
    """Requests that the client makes while the kernel waits for its function."""

    def _nested(self, stock: Stock, asked: dict[str, Any], op: str = "call", **content: Any) -> str:
        within = {"callback_call": asked["content"]["callback_call"]}
        return stock.send(op, {**content, **within}, channel="control")

    @pytest.mark.parametrize(
        ("target", "told"),
        [("apply", {}), ("in_coroutine", {}), ("awaited", {"async": True})],
    )
    def test_they_run_where_the_kernel_waits(self, lender: Stock, target: str, told: dict[str, Any]) -> None:
        lender.cell("async def slept(x): await asyncio.sleep(0.01); return x\nident = threading.get_ident")
        main = lender.call("user.ident")
        request = _call(lender, target, {"$callback": {"id": "f", **told}})
        (asked,) = _asked(lender, request)
        nested = self._nested(lender, asked, target="user.ident")
        assert lender.reply(nested, channel="control")["content"]["result"]["value"] == main
        nested = self._nested(lender, asked, target="user.slept", args=[3])
        assert lender.reply(nested, channel="control")["content"]["result"]["value"] == 3
        nested = self._nested(lender, asked, target="builtins.print", args=["within"])
        assert lender.reply(nested, channel="control")["content"]["status"] == "ok"
        _answer(lender, asked, "done")
        assert _value(lender, request) == "done"
        printed = [m["content"]["text"] for m in lender.published(nested) if m["msg_type"] == "stream"]
        assert printed == ["within\n"]
        assert lender.call("user.ident") == main

    @pytest.mark.parametrize("is_async", [False, True])
    def test_they_see_what_the_code_around_them_has_set(self, lender: Stock, is_async: bool) -> None:
        lender.cell(
            "import contextvars\nvariable = contextvars.ContextVar('variable', default='unset')\n"
            "async def setting(f):\n    variable.set('set')\n    answer = f()\n"
            "    return await answer if asyncio.iscoroutine(answer) else answer"
        )
        request = _call(lender, "setting", {"$callback": {"id": "f", "async": is_async}})
        (asked,) = _asked(lender, request)
        nested = self._nested(lender, asked, target="user.variable.get")
        assert lender_reply(lender, nested)["result"]["value"] == "set"
        _answer(lender, asked, "done")
        assert _value(lender, request) == "done"
        assert lender.call("user.variable.get") == "unset"

    def test_to_any_depth(self, lender: Stock) -> None:
        request = _call(lender, "apply", _f(), 0)
        stack = []
        (asked,) = _asked(lender, request)
        for depth in range(1, 10):
            nested = self._nested(lender, asked, target=["user", "apply"], args=[_f(), depth])
            stack.append((asked, nested))
            (asked,) = _asked(lender, nested)
            assert asked["content"]["args"] == [depth]
        result = 0
        for outer, nested in reversed(stack):
            _answer(lender, asked, result)
            result = lender_reply(lender, nested)["result"]["value"] + 1
            asked = outer
        _answer(lender, asked, result)
        assert _value(lender, request) == 9

    def test_what_is_printed_afterwards_is_the_outer_requests(self, lender: Stock) -> None:
        lender.cell("def around(f): print('before'); f(); print('after')")
        request = _call(lender, "around", _f())
        (asked,) = _asked(lender, request)
        lender_reply(lender, self._nested(lender, asked, target="builtins.print", args=["within"]))
        _answer(lender, asked)
        assert _result(lender, request)["status"] == "ok"
        text = "".join(m["content"]["text"] for m in lender.published(request) if m["msg_type"] == "stream")
        assert text == "before\nafter\n"

    def test_in_sessions_and_for_any_operation(self, lender: Stock) -> None:
        request = _call(lender, "apply", _f(), session_id="outer")
        (asked,) = _asked(lender, request)
        for op, content in [
            ("store", {"id": "x", "value": 1, "session_id": "inner"}),
            ("pipeline", {"steps": [{"target": "math.sqrt", "args": [4]}]}),
            ("ping", {}),
            ("close_session", {"session_id": "inner"}),
        ]:
            nested = self._nested(lender, asked, op, **content)
            reply = lender.reply(nested, channel="control")
            assert reply["msg_type"] == f"snake_{op}_reply"
            assert reply["content"]["status"] == "ok", reply["content"]
        _answer(lender, asked)
        assert _result(lender, request)["status"] == "ok"

    def test_the_call_must_be_under_way(self, lender: Stock) -> None:
        for channel in ("control", "shell"):
            reply = lender.fails("ping", {"callback_call": "none"}, channel=channel)
            assert (reply["code"], reply["at"]) == ("not_found", "$.callback_call")

    @pytest.mark.parametrize(("target", "told"), [("apply", {}), ("run_to_its_answer", {"async": True})])
    def test_one_that_the_call_leaves_behind_is_answered(
        self, lender: Stock, target: str, told: dict[str, Any]
    ) -> None:
        """The call's answer comes before a request within it, whose turn it is not yet."""
        lender.cell(
            "def run_to_its_answer(f):\n"
            "    with concurrent.futures.ThreadPoolExecutor(1) as pool:\n"
            "        return pool.submit(lambda: asyncio.run(awaited(f))).result()"
        )
        request = _call(lender, target, _f("left", **told))
        (asked,) = _asked(lender, request)
        within = {"callback_call": asked["content"]["callback_call"]}
        content = {"target": "time.sleep", "args": [0.3], **within}
        first = lender.send("call", content, channel="control")
        _answer(lender, asked, "done")
        second = lender.send("call", {"target": "operator.add", "args": [1, 1], **within}, channel="control")
        assert _value(lender, request) == "done"
        assert lender.only_reply(first, channel="control")["content"]["status"] in ("ok", "error")
        assert lender.only_reply(second, channel="control")["content"]["status"] in ("ok", "error")

    def test_an_interrupt_strikes_the_innermost(self, lender: Stock) -> None:
        request = _call(lender, "apply", _f())
        (asked,) = _asked(lender, request)
        nested = self._nested(
            lender, asked, target="builtins.exec", args=["print('runs', flush=True)\nwhile True: pass"]
        )
        lender.until_it_prints(nested)
        lender.send("interrupt_request", channel="control")
        assert lender_reply(lender, nested)["code"] == "interrupted"
        _answer(lender, asked, "goes on")
        assert _value(lender, request) == "goes on"


def lender_reply(stock: Stock, msg_id: str) -> dict[str, Any]:
    """The content of the reply to a call made within."""
    stock.until(lambda: bool(_of(stock, msg_id, "snake_call_reply")), "a nested reply")
    return dict(_of(stock, msg_id, "snake_call_reply")[0]["content"])


class TestLoss:
    def test_a_silent_client_is_lost(self, fresh_kernel: Callable[..., Any]) -> None:
        snake, stock = fresh_kernel()
        stock.cell(CODE)
        request = _call(stock, "caught", _f(), lease=0.5)
        (asked,) = _asked(stock, request)
        name, bases, _ = _value(stock, request)
        assert name == "CallbackLost"
        assert "ConnectionError" in bases
        _answer(stock, asked, "too late")
        stock.ok("store", {"id": "tool", "value": _f("g"), "lease": 0.5})
        deadline = time.monotonic() + PATIENCE
        while stock.ok("renew", {}, channel="control")["held"] and time.monotonic() < deadline:
            snake.call("time.sleep", args=[0.6])
        assert stock.fails("call", {"target": "stored.tool"})["ename"] == "CallbackLost"

    def test_a_call_whose_loop_is_closed_keeps_nothing_else(self, fresh_kernel: Callable[..., Any]) -> None:
        snake, stock = fresh_kernel()
        stock.cell(
            CODE + "\nleft = []\n"
            "def leave(f):\n"
            "    loop = asyncio.new_event_loop()\n"
            "    left.append(loop.create_task(f()))\n"
            "    loop.run_until_complete(asyncio.sleep(0.1))\n"
            "    loop.close()\n"
            "def in_thread(f):\n"
            "    thread = threading.Thread(target=leave, args=(f,))\n"
            "    thread.start(); thread.join()"
        )
        request = _call(stock, "in_thread", {"$callback": {"id": "a", "async": True}}, lease=0.5)
        _result(stock, request)
        stock.ok("store", {"id": "tool", "value": _f("g"), "lease": 0.5})
        reference = stock.ok("call", {"target": "builtins.object", "returns": "ref", "lease": 0.5})
        name = reference["result"]["value"]["$ref"]
        # An answer that nobody can take breaks nothing either.
        _answer(stock, *_asked(stock, request))
        deadline = time.monotonic() + PATIENCE
        while snake.list_stored(prefix=name) and time.monotonic() < deadline:
            pass
        assert not snake.list_stored(prefix=name)
        assert stock.fails("call", {"target": "stored.tool"})["ename"] == "CallbackLost"

    def test_a_kernel_that_is_shut_down_waits_for_nobody(self, fresh_kernel: Callable[..., Any]) -> None:
        snake, stock = fresh_kernel()
        process = psutil.Process(snake.manager.provisioner.pid)
        (subshell,) = stock.ok("open_subshells", {"lease": 60}, channel="control")["subshells"]
        stock.cell(CODE)
        for route in ({}, {"subshell_id": subshell}):
            content = {"target": ["user", "apply"], "args": [_f()], "lease": 60}
            _asked(stock, stock.send("call", content, **route))
        stock.send("shutdown_request", {"restart": False}, channel="control")
        process.wait(PATIENCE)

    def test_a_renewed_lease_keeps_a_long_call(self, fresh_kernel: Callable[..., Any]) -> None:
        _, stock = fresh_kernel()
        stock.cell(CODE)
        request = _call(stock, "apply", _f(), lease=1.0)
        (asked,) = _asked(stock, request)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert stock.ok("renew", {}, channel="control")["held"] == 1
            stock.poll(lambda: False, 0.2)
        _answer(stock, asked, "kept")
        assert _value(stock, request) == "kept"

    def test_a_killed_client_in_the_middle_of_a_call(self, fresh_kernel: Callable[..., Any]) -> None:
        snake, stock = fresh_kernel()
        stock.cell(CODE + "\nended = []\ndef noted(f):\n    try: f()\n    finally: ended.append(1)")
        code = (
            "import os, sys, time, snakekernel\n"
            "def function():\n    print('called', flush=True)\n    time.sleep(600)\n"
            "with snakekernel.connect(sys.argv[1]) as snake: snake.call('user.noted', args=[function])\n"
        )
        command = [sys.executable, "-c", code, snake.connection_file]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ}) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"called\n"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        # The main thread waits for the dead; control answers, and then so does shell.
        snake.ping()
        assert snake.call("user.ended", timeout=30) == [1]
