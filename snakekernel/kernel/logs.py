"""Log records of the kernel process without secrets: registered ones, and what has the looks of one.

Rules: installed once, as the record factory, so that every logger and handler of the process is covered. A
record in which there is none is left as it is.
"""

from __future__ import annotations

import logging
from typing import Any

from ..objects.secret_names import scrubbed
from ..objects.secrets import Secrets


def keep_secrets_out(secrets: Secrets) -> None:
    """Scrub messages and tracebacks of all log records made from now on."""
    make = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def clean(text: str) -> str:
        return scrubbed(secrets.scrub_text(text) if secrets else text)

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            said = record.getMessage()
        except Exception:  # arguments that do not fit the message: the handler says so, as ever
            return record
        text = clean(said)
        if text != said:
            record.msg, record.args = text, None
        if record.exc_info:
            # A formatter takes the text that is there over making its own.
            record.exc_text = clean(formatter.formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(factory)
