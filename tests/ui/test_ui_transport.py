"""Requests over Lab's own connection: answers, errors, busy kernels, changes, restarts, other kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import BUSY, Front
from serving import STOCK, Jupyter

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

#: Makes a transport of the test's own over the current notebook's session.
_TRANSPORT = """() => {
  const where = document.querySelector('link[href*="snakekernel"]').href.replace("panel.css", "panel.js");
  return import(where).then(({ LabTransport }) => {
    const { sessionContext } = window.jupyterapp.shell.currentWidget;
    const createMessage = ({ msgType, channel, username, session, content }) => ({
      header: { msg_id: crypto.randomUUID(), msg_type: msgType, username, session, version: "5.3",
                date: new Date().toISOString() },
      parent_header: {}, metadata: {}, channel, content, buffers: [],
    });
    window.snk = new LabTransport(sessionContext, { createMessage });
    window.snkStates = [];
    window.snkChanges = [];
    window.snk.onStatus((state) => window.snkStates.push(state));
    window.snk.onChanged((content) => window.snkChanges.push(...content.changes));
  });
}"""

_ASK = """([op, content, channel]) => window.snk.request(op, content, { channel }).then(
  ({ content, buffers }) => ({ ...content, buffers: buffers.map((b) => b.byteLength) }),
  ({ name, code, message, ename, at }) => ({ name, code, message, ename, at }),
)"""

#: What was told last; at the beginning that is told at once.
_STATE = "() => window.snkStates[window.snkStates.length - 1]"


def _ask(front: Front, op: str, content: dict[str, Any] | None = None, channel: str = "control") -> Any:
    return front.page.evaluate(_ASK, [op, content or {}, channel])


@pytest.fixture
def asking(lab: Front) -> Front:
    """Lab with a transport of the test's own."""
    lab.page.evaluate(_TRANSPORT)
    return lab


def test_replies_errors_and_buffers_arrive(asking: Front) -> None:
    asking.run("import numpy as np\nstored.x = np.arange(1000.0)")
    listed = _ask(asking, "list_stored")
    assert listed["stored_objects"] == ["x"]
    assert listed["status"] == "ok"
    got = _ask(asking, "retrieve", {"id": "x", "returns": "value"}, "shell")
    assert got["buffers"] == [8000]
    failed = _ask(asking, "inspect", {"target": "stored.nothing"})
    assert failed["name"] == "PanelError"
    assert (failed["code"], failed["at"]) == ("not_found", "$.target")
    raised = _ask(asking, "call", {"target": "operator.truediv", "args": [1, 0]}, "shell")
    assert (raised["code"], raised["ename"]) == ("raised", "ZeroDivisionError")


def test_nothing_of_ours_counts_as_a_cell(asking: Front) -> None:
    first = asking.run("1")
    assert _ask(asking, "ping")["status"] == "ok"
    assert _ask(asking, "call", {"target": "operator.add", "args": [1, 2]}, "shell")["status"] == "ok"
    second = asking.run("2")
    assert asking.execution_count(second) == asking.execution_count(first) + 1


def test_answers_come_while_a_cell_holds_the_interpreter(asking: Front) -> None:
    asking.run(
        "import numpy as np, pandas as pd\nstored.df = pd.DataFrame(np.zeros((100_000, 12)))\n"
        "for n in range(100): stored[f'k{n}'] = [n]"
    )
    cell = asking.run(BUSY, wait=False)
    asking.until(lambda: asking.output(cell) == "on\n", "a running cell")
    # The cell ends when this test lets it: an answer that waited for it would never come.
    for op, content in (
        ("list_stored", {"limit": 100}),
        ("inspect", {"target": "stored.k5"}),
        ("table", {"target": "stored.df", "rows": [50_000, 50_050], "columns": [0, 12]}),
    ):
        assert _ask(asking, op, content)["status"] == "ok"
    assert asking.page.evaluate(_STATE)["busy"]
    (asking.server.root / "go").unlink()
    asking.until(lambda: not asking.page.evaluate(_STATE)["busy"], "an idle kernel")


def test_changes_of_a_cell_and_of_another_client_are_pushed(asking: Front) -> None:
    asking.run("stored.a = 1")
    seen = "() => window.snkChanges.map(({ action, name }) => `${action} ${name}`)"
    asking.until(lambda: "stored a" in asking.page.evaluate(seen), "the change of a cell")
    notebook = asking.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    with snakekernel.connect(asking.server.connection_file(notebook)) as other:
        other.store("b", 2)
        asking.until(lambda: "stored b" in asking.page.evaluate(seen), "the change of another client")


def test_a_restart_is_told_once_and_what_waited_ends(asking: Front) -> None:
    first = _ask(asking, "ping")["epoch"]
    asking.page.evaluate(
        """() => {
          const { sessionContext } = window.jupyterapp.shell.currentWidget;
          const call = { target: "time.sleep", args: [1e6] };
          const sent = window.snk.request("call", call, { channel: "shell" });
          window.snkEnded = sent.catch((error) => error.code);
          return sessionContext.restartKernel();
        }"""
    )
    assert asking.page.evaluate("() => window.snkEnded") == "disconnected"
    asking.kernel_is_ready()
    asking.until(lambda: asking.page.evaluate(_STATE)["connected"], "the new kernel")
    assert _ask(asking, "ping")["epoch"] != first
    assert asking.page.evaluate("() => window.snkStates.filter((s) => s.restarted).length") == 1


def test_a_kernel_of_another_type_gets_nothing(front: Callable[..., Front], server: Jupyter) -> None:
    page = front("lab")
    page.open(server.notebook(kernel=STOCK))
    page.show_panel()
    page.page.evaluate(_TRANSPORT)
    page.run("1")
    page.until(lambda: page.page.evaluate(_STATE)["connected"], "the kernel's info")
    assert page.page.evaluate(_STATE)["supported"] is False
    assert _ask(page, "ping")["code"] == "unsupported_kernel"
    assert page.sent.ours() == []
