"""Log records of the kernel process without registered secrets.

Rules: installed once, as the record factory, so that every logger and handler of the process is covered;
while no secret is registered, records are left as they are.
"""

from __future__ import annotations

import logging
from typing import Any

from ..objects.secrets import Secrets


def keep_secrets_out(secrets: Secrets) -> None:
    """Scrub messages and tracebacks of all log records made from now on."""
    make = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if secrets:
            try:
                record.msg, record.args = secrets.scrub_text(record.getMessage()), None
            except Exception:  # arguments that do not fit the message: the handler says so, as ever
                return record
            if record.exc_info:
                # A formatter takes the text that is there over making its own.
                record.exc_text = secrets.scrub_text(formatter.formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(factory)
