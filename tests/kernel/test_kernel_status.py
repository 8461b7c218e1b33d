"""What a structured request shows on iopub: status by its length and output, and output parented to it."""

from __future__ import annotations

from typing import Any

import pytest
from stock_client import Stock

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", autouse=True)
def noisy(stock: Stock) -> None:
    """Functions that show something."""
    stock.cell(
        "import sys, threading, time, warnings, logging, asyncio\n"
        "warnings.simplefilter('always')\n"
        "from IPython.display import display, update_display, clear_output, HTML\n"
        "def hold(seconds):\n"
        "    end = time.monotonic() + seconds\n"
        "    while time.monotonic() < end: pass\n"
        "def show_all():\n"
        "    print('to stdout')\n"
        "    print('to stderr', file=sys.stderr)\n"
        "    display(HTML('<b>shown</b>'))\n"
        "    warnings.warn('careful', stacklevel=2)\n"
        "    return 'done'\n"
        "def from_a_thread():\n"
        "    thread = threading.Thread(target=print, args=('from a thread',))\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "async def later():\n"
        "    await asyncio.sleep(0)\n"
        "    print('later')\n"
        "def fail_loudly():\n"
        "    print('before it fails')\n"
        "    raise ValueError('now')\n"
        "class Loud:\n"
        "    def __repr__(self): print('in repr'); return 'loud'\n"
    )


@pytest.fixture(params=["shell", "subshell"])
def route(request: pytest.FixtureRequest) -> dict[str, Any]:
    """By the main shell, and by a subshell."""
    return {} if request.param == "shell" else {"subshell_id": request.getfixturevalue("subshell")}


def seen(stock: Stock, msg_id: str, **route: Any) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """Reply, statuses and outputs of a request."""
    reply = stock.only_reply(msg_id, **route)["content"]
    return reply, stock.statuses(msg_id), stock.outputs(msg_id)


def texts(outputs: list[dict[str, Any]], name: str = "stdout") -> str:
    """What was written to a stream."""
    return "".join(
        m["content"]["text"] for m in outputs if m["msg_type"] == "stream" and m["content"]["name"] == name
    )


@pytest.mark.parametrize(
    ("op", "content"),
    [
        ("call", {"target": "operator.add", "args": [1, 1]}),
        ("call", {"target": "builtins.no_such"}),
        ("ping", {}),
        ("nonsense", {}),
    ],
)
def test_short_and_silent_shows_no_status(
    stock: Stock, route: dict[str, Any], op: str, content: dict[str, Any]
) -> None:
    sent = [stock.send(op, content, **route) for _ in range(10)]
    shown = []
    for msg_id in sent:
        reply, statuses, outputs = seen(stock, msg_id, **route)
        assert (reply["output"], outputs) == (0, [])
        shown.append(statuses)
    # A machine that stalls makes a short one long; it does not do so ten times.
    assert [] in shown
    assert all(statuses in ([], ["busy", "idle"]) for statuses in shown)


def test_long_shows_busy_and_idle(stock: Stock, route: dict[str, Any]) -> None:
    msg_id = stock.send("call", {"target": "user.hold", "args": [0.4]}, **route)
    reply, statuses, outputs = seen(stock, msg_id, **route)
    assert statuses == ["busy", "idle"]
    assert (reply["output"], outputs) == (0, [])


def test_busy_comes_while_the_call_runs(stock: Stock) -> None:
    """The main thread holds the GIL in a loop; busy comes all the same."""
    stock.ok("store", {"id": "going", "value": [1]})
    stock.cell("def hold_until_told():\n    while stored['going']: pass")
    msg_id = stock.send("call", {"target": "user.hold_until_told"})
    stock.until(
        lambda: any(
            m["content"].get("execution_state") == "busy" and m["parent_header"]["msg_id"] == msg_id
            for m in stock.messages["iopub"]
        ),
        "busy",
    )
    assert not stock.replies(msg_id)
    stock.ok("rename_stored", {"id": "going", "to": "gone"}, channel="control")  # a KeyError ends the loop
    assert stock.only_reply(msg_id)["content"]["ename"] == "KeyError"
    assert stock.statuses(msg_id) == ["busy", "idle"]


def test_output_shows_status_around_it_and_is_counted(stock: Stock, route: dict[str, Any]) -> None:
    msg_id = stock.send("call", {"target": "user.show_all"}, **route)
    reply, statuses, outputs = seen(stock, msg_id, **route)
    assert reply["result"]["value"] == "done"
    assert statuses == ["busy", "idle"]
    assert reply["output"] == len(outputs) > 0
    assert texts(outputs) == "to stdout\n"
    assert "to stderr" in texts(outputs, "stderr")
    assert "careful" in texts(outputs, "stderr")
    (shown,) = [m for m in outputs if m["msg_type"] == "display_data"]
    assert shown["content"]["data"]["text/html"] == "<b>shown</b>"
    everything = stock.published(msg_id)
    assert everything[0]["content"].get("execution_state") == "busy"
    assert everything[-1]["content"].get("execution_state") == "idle"


@pytest.mark.parametrize("target", ["user.from_a_thread", "user.later"])
def test_output_from_threads_and_coroutines(stock: Stock, target: str) -> None:
    reply, statuses, outputs = seen(stock, stock.send("call", {"target": target}))
    assert texts(outputs) in ("from a thread\n", "later\n")
    assert reply["output"] == len(outputs)
    assert statuses == ["busy", "idle"]


def test_output_before_a_failure(stock: Stock, route: dict[str, Any]) -> None:
    msg_id = stock.send("call", {"target": "user.fail_loudly"}, **route)
    reply, statuses, outputs = seen(stock, msg_id, **route)
    assert reply["code"] == "raised"
    assert texts(outputs) == "before it fails\n"
    assert [m["msg_type"] for m in outputs] == ["stream"]  # no error message: the reply tells it
    assert reply["output"] == 1
    assert statuses == ["busy", "idle"]


def test_output_of_a_repr(stock: Stock) -> None:
    reply, statuses, outputs = seen(stock, stock.send("call", {"target": "user.Loud"}))
    assert reply["result"]["string_repr"] == "loud"
    assert texts(outputs) == "in repr\n"
    assert reply["output"] == len(outputs)
    assert statuses == ["busy", "idle"]


def test_output_of_calls_in_a_row_is_told_apart(stock: Stock) -> None:
    sent = [stock.send("call", {"target": "builtins.print", "args": [f"number {n}"]}) for n in range(20)]
    stock.fence()
    for number, msg_id in enumerate(sent):
        outputs = stock.outputs(msg_id)
        assert texts(outputs) == f"number {number}\n"
        assert stock.replies(msg_id)[0]["content"]["output"] == len(outputs)


def test_output_of_a_call_and_a_cell_is_told_apart(stock: Stock) -> None:
    cell = stock.send("execute_request", {"code": "print('from the cell')"})
    call = stock.send("call", {"target": "builtins.print", "args": ["from the call"]})
    stock.fence()
    stock.reply(cell)
    assert texts(stock.outputs(cell)) == "from the cell\n"
    assert texts(stock.outputs(call)) == "from the call\n"


def test_output_while_a_subshell_prints_too(stock: Stock, subshell: str) -> None:
    stock.cell(
        "barrier = threading.Barrier(2, timeout=30)\n"
        "def together(text):\n"
        "    for _ in range(10):\n"
        "        barrier.wait()\n"
        "        print(text)\n"
    )
    one = stock.send("call", {"target": "user.together", "args": ["main"]})
    two = stock.send("call", {"target": "user.together", "args": ["sub"]}, subshell_id=subshell)
    assert stock.only_reply(one)["content"]["status"] == "ok"
    assert stock.only_reply(two, subshell_id=subshell)["content"]["status"] == "ok"
    for msg_id, text in ((one, "main"), (two, "sub")):
        outputs = stock.outputs(msg_id)
        assert texts(outputs) == f"{text}\n" * 10
        assert stock.replies(msg_id)[0]["content"]["output"] == len(outputs)


def test_a_figure_belongs_to_its_call(stock: Stock) -> None:
    """The inline backend's way to show what was drawn, with something else to show than a figure."""
    stock.cell(
        "import types\n"
        "backend = types.ModuleType('matplotlib_inline.backend_inline')\n"
        "figures = []\n"
        "def flush_figures():\n"
        "    while figures: display(figures.pop())\n"
        "backend.flush_figures = flush_figures\n"
        "kept = sys.modules.get(backend.__name__)\n"
        "sys.modules[backend.__name__] = backend\n"
    )
    reply, _, outputs = seen(stock, stock.send("call", {"target": "user.figures.append", "args": ["drawn"]}))
    assert [m["content"]["data"]["text/plain"] for m in outputs] == ["'drawn'"]
    assert reply["output"] == 1
    stock.cell("sys.modules.pop(backend.__name__)")
