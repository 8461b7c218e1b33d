"""The panel as a widget, for any host of anywidget: JupyterLab without our extension, VS Code, Colab.

Rules: a message from the page is ``{"kind": "request", "view", "id", "op", "content", "channel"}`` and gets
one ``{"kind": "reply", "id", "content"}`` with buffers, a task's ``progress`` before it; what changes is
pushed as ``changed``. Requests for ``control`` are answered as they come, as the inspector's comm answers
them; those for ``shell`` take turns with cells. Each view is a sender of its own, so that a watch is its own;
with ``{"kind": "gone", "view"}`` it leaves, and nothing is pushed where none is left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import anywidget
import traitlets
from IPython import get_ipython

from ..kernel.inside import ask_in_turn
from ..kernel.kernel import SnakeKernel

_STATIC: Final = Path(__file__).parent / "labextension" / "static"


class PanelWidget(anywidget.AnyWidget):
    """The panel of the kernel in which it is made.

    Raises RuntimeError where this process is no snakekernel.
    """

    _esm = (_STATIC / "panel.js").read_text(encoding="utf-8")
    _css = (_STATIC / "panel.css").read_text(encoding="utf-8")
    height = traitlets.Unicode("420px", help="Of the widget, as in CSS.").tag(sync=True)

    #: None while it is not made: ipywidgets closes those too.
    _kernel: SnakeKernel | None = None

    def __init__(self, **kwargs: Any) -> None:
        kernel = getattr(get_ipython(), "kernel", None)
        if not isinstance(kernel, SnakeKernel):
            raise RuntimeError(
                "snakekernel.panel() shows the kernel that it runs in, and this is no snakekernel: choose "
                "“Python (snakekernel)” as the notebook's kernel."
            )
        self._kernel = kernel
        #: Views that asked something and have not gone.
        self._seen: set[str] = set()
        super().__init__(**kwargs)
        self.on_msg(self._asked)
        kernel.change_listeners.add(self._changed)

    def close(self) -> None:
        """Close the widget, as ipywidgets does."""
        if self._kernel is not None:
            self._kernel.change_listeners.discard(self._changed)
        super().close()

    def _changed(self, content: dict[str, Any]) -> None:
        if self._seen:
            self.send({"kind": "changed", "content": content})

    def _asked(self, widget: Any, message: Any, buffers: Any) -> None:
        kernel = self._kernel
        if kernel is None or not isinstance(message, dict):
            return
        name = str(message.get("view"))
        if message.get("kind") == "gone":
            self._seen.discard(name)
        elif message.get("kind") == "request":
            self._seen.add(name)
            self._serve(kernel, _View(self, name), message, buffers)

    def _serve(self, kernel: SnakeKernel, view: _View, message: dict[str, Any], buffers: Any) -> None:
        op, content, id = message.get("op"), message.get("content"), message.get("id")
        if message.get("channel") == "shell" and isinstance(op, str) and isinstance(content, dict):
            ask_in_turn(
                kernel,
                op,
                content,
                [memoryview(buffer) for buffer in buffers or ()],
                sender=view.comm_id,
                answer=lambda content, buffers: view.send({"id": id, "content": content}, buffers),
            )
        else:
            data = {"op": op, "content": content, "id": id}
            header = (kernel.get_parent("shell") or {}).get("header", {})
            kernel.door.answer(view, {"header": header, "content": {"data": data}, "buffers": buffers or []})


class _View:
    """One view of the widget, as the comm that the inspector's door answers."""

    def __init__(self, widget: PanelWidget, view: str) -> None:
        self.comm_id = f"{widget.model_id}/{view}"
        self._widget = widget

    def send(self, data: dict[str, Any], buffers: Any = None) -> None:
        """Send what the door sends a comm: an answer, or progress."""
        if "progress" in data:
            message = {"kind": "progress", "id": data["id"], "content": data["progress"]}
        else:
            message = {"kind": "reply", **data}
        self._widget.send(message, buffers=buffers)
