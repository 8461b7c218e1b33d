"""Where the audit log goes: through Python's logging, to the logger ``snakekernel.audit``.

Rules: it is on where ``SnakeKernel.audit_log`` names a file, or the application's ``logging_config`` gives
the logger a handler; else nothing is made. A file is for its owner alone, is opened anew where a log rotation
has moved it, and takes each record in one write, so that the processes of a pool may share one.
"""

from __future__ import annotations

import json
import logging
import os
import time
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from traitlets import TraitError

from ..commands.audit import Audit
from ..objects.secrets import Secrets

if TYPE_CHECKING:
    from .kernel import SnakeKernel

_logger: Final = logging.getLogger("snakekernel.audit")
_log: Final = logging.getLogger(__name__)


class AuditFile(logging.Handler):
    """Appends records to a file. What cannot be written is counted, and told when writing works again."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._lost = 0
        #: Whether the file ends within a line.
        self._is_torn = False
        self._fd = self._opened()

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; never raises."""
        line = f"{self.format(record)}\n"
        if self._lost:
            told = json.dumps({"time": round(time.time(), 6), "op": "audit", "lost": self._lost})
            line = f"{told}\n{line}"
        data = (f"\n{line}" if self._is_torn else line).encode("utf-8", "backslashreplace")
        try:
            self._follow()
            written = os.write(self._fd, data)
        except OSError as error:
            self._failed(error)
            return
        if written < len(data):
            # The disk is full now.
            self._is_torn = True
            self._failed(OSError(f"{written} of {len(data)} bytes were written"))
        else:
            self._lost, self._is_torn = 0, False

    def _follow(self) -> None:
        """Open the file anew where another stands in its place, or none."""
        try:
            is_there = os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            is_there = False
        if not is_there:
            fd = self._opened()
            os.close(self._fd)
            self._fd, self._is_torn = fd, False

    def _failed(self, error: OSError) -> None:
        self._lost += 1
        if self._lost == 1:
            _log.error("The audit log %r cannot be written; records are lost: %s", self._path, error)

    def close(self) -> None:
        """Close the file. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        super().close()


def audit_of(path: str, secrets: Secrets, epoch: str) -> Audit | None:
    """The audit of this process; None where nobody asks for one. Raises TraitError.

    Args:
        path: of a file, or empty.
    """
    if path:
        try:
            _logger.addHandler(AuditFile(path))
        except OSError as error:
            raise TraitError(f"The audit log cannot be opened: {error}") from None
        _logger.propagate = False
        _logger.setLevel(logging.INFO)
    elif not _logger.handlers or not _logger.isEnabledFor(logging.INFO):
        return None
    return Audit(_logger.info, time.time, secrets, {"pid": os.getpid(), "epoch": epoch})


def audit_cells(kernel: SnakeKernel, audit: Audit) -> None:
    """Have each cell recorded as well: that it ran, for how long and how it ended, not its code."""
    execute = kernel.do_execute

    async def do_execute(*args: Any, **kwargs: Any) -> Any:
        began, reply = monotonic(), None
        try:
            reply = await execute(*args, **kwargs)
            return reply
        finally:
            audit.cell(kernel.get_parent("shell").get("header", {}), began, reply)

    kernel.do_execute = do_execute
