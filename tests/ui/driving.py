"""A page of JupyterLab or Notebook 7 in the browser, driven by Lab's commands; what it sends is noted.

Rules: a page that wrote an error to the console, or asked another machine for anything, fails its test.
"""

from __future__ import annotations

import json
import re
import struct
import urllib.error
import uuid
from collections.abc import Callable
from itertools import pairwise
from math import ceil, floor
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, WebSocket, expect
from serving import Jupyter

FrontEnd = Literal["lab", "notebook"]

#: Anything that is not on this machine.
ELSEWHERE: Final = re.compile(r"^(?!data:|blob:|about:)\w+://(?!127\.0\.0\.1[:/]|localhost[:/])")
PATIENCE_MS: Final = 60_000
#: The side panel's id.
PANEL: Final = "snakekernel-objects"

#: What the front-ends themselves write, with our extension and without: Notebook 7.6 when a notebook opens,
#: Lab when a kernel restarts.
_NOT_OURS: Final = re.compile(
    r"Cannot read properties of undefined \(reading 'schema'\)"
    r"|Command 'filebrowser:open-path' not registered"
    r"|Could not restore the debugger state: Canceled future"
)

#: Holds the interpreter until the file is gone.
BUSY: Final = """import os
open("go", "w").close()
print("on", flush=True)
while os.path.exists("go"): sum(range(1000))"""

_RUN: Final = """async ([code, wait]) => {
  const { commands, shell } = window.jupyterapp;
  const panel = shell.currentWidget;
  const notebook = panel.content;
  await panel.sessionContext.ready;
  let cell = notebook.activeCell;
  if (cell.model.type !== "code" || cell.model.sharedModel.getSource() !== "") {
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await commands.execute("notebook:insert-cell-below");
    cell = notebook.activeCell;
  }
  cell.model.sharedModel.setSource(code);
  const ran = commands.execute("notebook:run-cell");
  if (wait) await ran;
  return cell.model.id;
}"""


#: Without the questions that closing asks; what a dialog asks is left unanswered.
_CLEAR: Final = """() => {
  const { shell } = window.jupyterapp;
  for (const area of ["main", "down"]) for (const widget of [...shell.widgets(area)]) widget.dispose();
  for (const dialog of document.querySelectorAll(".jp-Dialog")) dialog.remove();
  shell.collapseRight();
  shell.expandLeft();
  localStorage.clear();
}"""

#: Lab opens a launcher where nothing else is.
_ALONE: Final = """() => {
  const { shell } = window.jupyterapp;
  for (const widget of [...shell.widgets("main")]) if (widget !== shell.currentWidget) widget.dispose();
}"""


class Sent:
    """The Jupyter messages that a page sent to kernels, in order."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, dict[str, Any]]] = []

    def note(self, payload: str | bytes) -> None:
        """One websocket frame."""
        header, content = _unpacked(payload)
        self._messages.append((header["msg_type"], content))

    def ours(self, op: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Those of the snake protocol: (op, content) each; of one op only where it is named."""
        found = []
        for msg_type, content in self._messages:
            if named := re.fullmatch(r"snake_(\w+)_request", msg_type):
                found.append((named[1], content))
        return [one for one in found if op is None or one[0] == op]

    def types(self) -> list[str]:
        """The types of all messages."""
        return [msg_type for msg_type, _ in self._messages]

    def clear(self) -> None:
        """Forget what was sent so far."""
        self._messages.clear()


def _unpacked(payload: str | bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(payload, str):
        message = json.loads(payload)
        return message["header"], message["content"]
    # Jupyter's v1 websocket protocol: a count, offsets; channel, header, parent, metadata, content, buffers.
    (count,) = struct.unpack_from("<Q", payload)
    offsets = struct.unpack_from(f"<{count}Q", payload, 8)
    parts = [payload[a:b] for a, b in pairwise(offsets)]
    return json.loads(parts[1]), json.loads(parts[4])


class Front:
    """One page of a front-end.

    Attributes:
        page: Playwright's. sent: the messages that it sent. notebook: the current one's name.
    """

    def __init__(self, context: BrowserContext, server: Jupyter, kind: FrontEnd) -> None:
        self.server = server
        self.kind = kind
        self.notebook = ""
        self.sent = Sent()
        self.problems: list[str] = []
        self.is_loaded = False
        self.is_cleared = False
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._note("exception", str(error), error.stack or ""))
        self.page.on("websocket", self._listen)
        self.page.route(ELSEWHERE, self._refuse)

    # -- notebooks ---------------------------------------------------------------------------------

    def open(self, notebook: str) -> None:
        """Open a notebook and wait until its kernel is connected."""
        if self.is_loaded:
            self.another(notebook)
            self.is_cleared = False
            self.page.evaluate(_ALONE)
            return
        if self.kind == "lab":
            where = f"lab/workspaces/{uuid.uuid4().hex[:8]}/tree/{notebook}"
        else:
            where = f"notebooks/{notebook}"
        self.notebook = notebook
        self.page.goto(f"{self.server.url}{where}?token={self.server.token}")
        self.page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext")
        self.is_loaded = self.kind == "lab"
        self.kernel_is_ready()

    def fold_left(self) -> None:
        """Fold the area with the files, in Lab."""
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def another(self, notebook: str) -> None:
        """Open one more notebook, in Lab."""
        self.page.evaluate(
            """async (path) => {
              const panel = await window.jupyterapp.commands.execute("docmanager:open", { path });
              window.jupyterapp.shell.activateById(panel.id);
              await panel.sessionContext.ready;
            }""",
            notebook,
        )
        self._is_current(notebook)
        self.kernel_is_ready()

    def activate(self, notebook: str) -> None:
        """Bring an open notebook to the front, in Lab."""
        self.page.evaluate(
            """(path) => {
              const { shell } = window.jupyterapp;
              shell.activateById([...shell.widgets("main")].find((w) => w.context?.path === path).id);
            }""",
            notebook,
        )
        self._is_current(notebook)

    def _is_current(self, notebook: str) -> None:
        # Lab goes by the focus, which comes after the command.
        self.page.wait_for_function(
            "(path) => window.jupyterapp.shell.currentWidget?.context?.path === path", arg=notebook
        )
        self.notebook = notebook

    def restart(self) -> None:
        """Restart the current notebook's kernel."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
        self.kernel_is_ready()

    def dismiss(self) -> None:
        """Close a dialog that the front-end opened."""
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def kernel_is_ready(self) -> None:
        """Wait until the current notebook's kernel is connected and answered."""
        self.page.evaluate(
            """async () => {
              const { sessionContext } = window.jupyterapp.shell.currentWidget;
              await sessionContext.ready;
              await sessionContext.session?.kernel?.info;
            }"""
        )

    def run(self, code: str, *, wait: bool = True) -> str:
        """Run code in a cell of the current notebook, to its end unless told not to wait; the cell's id."""
        cell: str = self.page.evaluate(_RUN, [code, wait])
        return cell

    def run_next(self) -> None:
        """Run the active cell to its end, and go to the next."""
        self.command("notebook:run-cell-and-select-next")

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Execute one of the front-end's commands."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments or {}],
        )

    def source(self) -> str:
        """The text of the active cell."""
        text: str = self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
        )
        return text

    def cell_types(self) -> list[str]:
        """The types of the current notebook's cells, in order."""
        types: list[str] = self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.type)"
        )
        return types

    def output(self, cell: str) -> str:
        """The text outputs of a cell, joined."""
        text: str = self.page.evaluate(
            """(id) => {
              const { widgets } = window.jupyterapp.shell.currentWidget.content;
              const { outputs } = widgets.find((w) => w.model.id === id).model;
              return outputs.toJSON().map((o) => o.text ?? o.evalue ?? o.data["text/plain"]).flat().join("");
            }""",
            cell,
        )
        return text

    def execution_count(self, cell: str) -> int:
        """The number beside a cell."""
        number: int = self.page.evaluate(
            """(id) => window.jupyterapp.shell.currentWidget.content.widgets
              .find((w) => w.model.id === id).model.executionCount""",
            cell,
        )
        return number

    def layout_is_saved(self) -> None:
        """Wait until Lab saved that the panel is shown, which it does a while after it was."""
        workspace = self.page.url.split("/workspaces/")[1].split("/")[0].split("?")[0]

        def saved() -> bool:
            try:
                data = self.server.ask("GET", f"lab/api/workspaces/{workspace}")["data"]
            except urllib.error.HTTPError:
                return False
            side = data.get("layout-restorer:data", {}).get("right") or {}
            return PANEL in str(side.get("current")) and not side.get("collapsed")

        self.until(saved, "a saved layout")

    # -- the panel ---------------------------------------------------------------------------------

    def show_panel(self) -> Locator:
        """Show the side panel; the shown session's part of it."""
        self.command("snakekernel:open-panel")
        expect(self.page.locator("#snakekernel-objects")).to_be_visible()
        return self.panel

    def hide_panel(self) -> None:
        """Hide the side panel."""
        self.command("snakekernel:toggle-panel")
        expect(self.page.locator("#snakekernel-objects")).to_be_hidden()

    @property
    def panel(self) -> Locator:
        """The side panel's part that belongs to the current session."""
        return self.page.locator("#snakekernel-objects .snk-host-session:not([hidden])")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds, as the browser goes on."""
        waited = 0
        while not holds():
            assert waited < PATIENCE_MS, f"never came: {what}"
            self.page.wait_for_timeout(20)
            waited += 20

    def screenshot(self, path: Path, of: Locator | None = None, *, height: int | None = None) -> None:
        """A picture of the page, or of the whole pixels of a part of it, from its top down to a height."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if of is None:
            self.page.screenshot(path=path)
            return
        box = of.bounding_box()
        assert box is not None
        left, top = ceil(box["x"]), ceil(box["y"])
        width, whole = floor(box["x"] + box["width"]) - left, floor(box["y"] + box["height"]) - top
        self.page.screenshot(
            path=path, clip={"x": left, "y": top, "width": width, "height": min(whole, height or whole)}
        )

    def clear(self) -> bool:
        """Make Lab's page as it was when it was loaded; whether that can be done."""
        if not self.is_loaded:
            return False
        self.is_cleared = True
        self.page.context.clear_permissions()
        self.page.mouse.move(0, 0)
        self.page.evaluate(_CLEAR)
        self.sent.clear()
        return True

    def _heard(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self._note("console", said.text, said.location["url"])

    def _note(self, kind: str, text: str, where: str) -> None:
        # Lab does not take it well that its notebooks are taken away.
        told = not self.is_cleared or "snakekernel" in where
        if told and not _NOT_OURS.search(text):
            self.problems.append(f"{kind}: {text}")

    def _listen(self, socket: WebSocket) -> None:
        if "/channels" in socket.url:
            socket.on("framesent", self.sent.note)

    def _refuse(self, route: Any) -> None:
        self.problems.append(f"asked another machine: {route.request.url}")
        route.abort()
