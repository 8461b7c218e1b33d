"""Who writes where the notebook's own code stores something: a cell, a call, or neither."""

from __future__ import annotations

from typing import Any

from ..objects.provenance import Maker
from ..wire.names import is_ours, op_of


class Notebook:
    """Answers for the code that runs now, on the thread that asks.

    Args:
        kernel: ipykernel's, which knows the request that runs. shell: the kernel's own IPython shell.
    """

    def __init__(self, kernel: Any, shell: Any) -> None:
        self._kernel = kernel
        self._shell = shell

    def writer(self) -> str:
        """The id of the request that runs, or ``notebook``."""
        msg_id = (self._kernel.get_parent("shell") or {}).get("msg_id")
        return msg_id if isinstance(msg_id, str) else "notebook"

    def maker(self) -> Maker:
        """The cell or call that runs, or None."""
        header = (self._kernel.get_parent("shell") or {}).get("header") or {}
        msg_type = str(header.get("msg_type"))
        if is_ours(msg_type):
            return op_of(msg_type), None, str(header.get("username", ""))
        # Not execution_count, which some versions of IPython raise before the cell and some after it.
        inputs = self._shell.history_manager.input_hist_parsed
        return len(inputs) - 1 if msg_type == "execute_request" else None
