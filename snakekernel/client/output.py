"""What a call prints and shows, as whoever listens to it gets it.

Rules: made of Jupyter's standard messages; what is none of these, such as a widget's, is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..wire.frame import unpack_object

#: What each type of message is called here.
_KINDS: Final = {
    "stream": "stdout",
    "display_data": "display",
    "update_display_data": "update",
    "execute_result": "result",
    "clear_output": "clear",
    "error": "error",
}


@dataclass(frozen=True, slots=True)
class Output:
    """One thing that a call put out.

    Attributes:
        kind: ``"stdout"`` or ``"stderr"`` (text that was written), ``"display"`` (a figure, a table),
            ``"update"`` (of the display of the same ``id``), ``"clear"``, ``"result"`` or ``"error"``.
        text: what was written; the plain text of what is shown.
        data: what is shown, by MIME type; binary data as base64 text, as in notebooks.
        metadata: what goes with it, by MIME type. id: of a display that may be updated, else None.
    """

    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


def output_of(msg_type: str, packed: bytes) -> Output | None:
    """The output that a message on iopub is, or None where it is none."""
    kind = _KINDS.get(msg_type)
    if kind is None:
        return None
    content = unpack_object(packed)
    if msg_type == "stream":
        return Output(str(content.get("name", kind)), str(content.get("text", "")))
    if msg_type == "error":
        return Output(kind, "\n".join(map(str, content.get("traceback") or ())))
    data = content.get("data") or {}
    text = data.get("text/plain", "")
    return Output(
        kind,
        "".join(text) if isinstance(text, list) else str(text),
        data,
        content.get("metadata") or {},
        (content.get("transient") or {}).get("display_id"),
    )


def show(output: Output) -> None:
    """Put an output out here, as if it were made here: text on stdout or stderr, displays in a notebook."""
    if output.kind in ("stdout", "stderr"):
        stream = sys.stdout if output.kind == "stdout" else sys.stderr
        stream.write(output.text)
        stream.flush()
    elif sys.modules.get("IPython") is not None and sys.modules["IPython"].get_ipython() is not None:
        _display(output)
    elif output.text:
        print(output.text, file=sys.stderr if output.kind == "error" else sys.stdout)


def _display(output: Output) -> None:
    from IPython.display import clear_output, publish_display_data

    if output.kind == "clear":
        clear_output(wait=True)
        return
    data = output.data or {"text/plain": output.text}
    transient = {"display_id": output.id} if output.id is not None else None
    publish_display_data(
        dict(data), dict(output.metadata), transient=transient, update=output.kind == "update"
    )
