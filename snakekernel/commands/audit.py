"""The audit log: who asked for what, when, for how long, and how it ended.

Rules: one record for each request, made as its reply is packed, and one for each cell; what clients send by
themselves to keep what they hold has none. A record holds names
and figures, never values, arguments, code or what an error says; names are bounded and scrubbed of secrets. A
record that cannot be written is lost, and the request is answered all the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..objects.secret_names import MASK, is_secret_name
from ..objects.secrets import Secrets
from ..wire.model import Reply

if TYPE_CHECKING:
    from .dispatch import Run
    from .outcomes import Packed

_log: Final = logging.getLogger(__name__)

#: What clients send by themselves all the time; recorded where it fails.
_HOUSEKEEPING: Final = frozenset({"renew", "credit"})
#: Characters of a name, of the client's own object, and steps of a pipeline that a record tells.
_LONGEST: Final = 300
_CLIENT: Final = 1_000
_STEPS: Final = 100
#: Fields of requests that name what it is about, the first that there is.
_SUBJECTS: Final = ("target", "id", "program_id", "framework", "name")
#: Fields that name something else beside.
_BESIDE: Final = ("store_as", "to")
#: Stands for a part of a path that is a value, an index or a key.
_VALUE: Final = "[…]"


class Audit:
    """Makes the records of one kernel; on any thread.

    Args:
        write: takes a record as one line of JSON.
        clock: seconds since 1970. secrets: of the kernel.
        facts: what stands in every record, such as the process.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        clock: Callable[[], float],
        secrets: Secrets,
        facts: Mapping[str, Any],
    ) -> None:
        self._write = write
        self._clock = clock
        self._secrets = secrets
        self._facts = dict(facts)
        self._failed = False

    def request(self, run: Run, content: Reply | dict[str, Any], packed: Packed) -> None:
        """A request ended; never raises."""
        if run.op in _HOUSEKEEPING and isinstance(content, Reply):
            return
        try:
            self._record(self._of_request(run, content, packed))
        except Exception:  # whatever is wrong with a record, the reply goes out
            self._failure()

    def cell(self, header: Mapping[str, Any], began: float, reply: Mapping[str, Any] | None) -> None:
        """A cell ended, with its reply where there is one; never raises.

        Args:
            header: of its request. began: by ``monotonic``.
        """
        try:
            fields: dict[str, Any] = {"op": "execute_request", "door": "shell"}
            for name, key in (("msg_id", "msg_id"), ("username", "username"), ("session", "session")):
                fields[name] = self._name(header.get(key))
            fields["status"] = "error" if reply is None else str(reply.get("status"))
            fields["ename"] = None if reply is None else self._name(reply.get("ename"))
            self._record({**fields, "duration": round(monotonic() - began, 6)})
        except Exception:  # the cell has ended well or not, whatever is wrong with its record
            self._failure()

    def _record(self, fields: dict[str, Any]) -> None:
        shown = {name: value for name, value in fields.items() if value is not None}
        # ASCII alone: no character of a name can end the line, or turn its direction.
        self._write(json.dumps({"time": round(self._clock(), 6), **shown, **self._facts}))

    def _failure(self) -> None:
        if not self._failed:
            self._failed = True
            _log.exception(
                "A record of the audit log could not be written; later ones may be lost as silently"
            )

    def _of_request(self, run: Run, content: Reply | dict[str, Any], packed: Packed) -> dict[str, Any]:
        frame, asked, began = run.frame, run.asked, run.began
        is_error = isinstance(content, dict)
        status = "repeated" if run.is_repeated else "error" if is_error else "ok"
        session_id = asked.session_id if asked is not None else None
        received = len(frame.content) if isinstance(frame.content, bytes) else 0
        return {
            "op": self._name(run.op),
            **(self._names(asked) if asked is not None else {}),
            "session_id": self._name(session_id or getattr(content, "session_id", None)),
            "call_id": self._name(asked.call_id if asked is not None else None),
            "msg_id": self._name(frame.msg_id),
            "username": self._name(frame.username),
            "session": self._name(frame.session),
            "client": self._client(asked.client) if asked is not None else None,
            "door": run.door,
            "duration": None if began is None else round(monotonic() - began, 6),
            "status": status,
            "code": content.get("code") if isinstance(content, dict) else None,
            "bytes_in": received + sum(buffer.nbytes for buffer in frame.buffers),
            "bytes_out": packed.nbytes,
        }

    def _names(self, asked: Any) -> dict[str, Any]:
        """What a request is about, by name."""
        subject = next(
            (found for field in _SUBJECTS if (found := getattr(asked, field, None)) is not None), None
        )
        names: dict[str, Any] = {"target": self._target(subject)}
        for field in _BESIDE:
            names[field] = self._name(getattr(asked, field, None))
        steps = getattr(asked, "steps", None)
        if isinstance(steps, list):
            names["steps"] = [self._step(step) for step in steps[:_STEPS]]
            names["steps_in_all"] = len(steps)
        return names

    def _step(self, step: Mapping[str, Any]) -> str | None:
        subject = next((step[field] for field in _SUBJECTS if field in step), None)
        op = step.get("op", "call")
        target = self._target(subject)
        return target if op == "call" else self._name(f"{op} {target}" if target else op)

    def _target(self, raw: Any) -> str | None:
        """A target, or another name, in words; of a path its names alone."""
        if not isinstance(raw, list):
            return self._name(raw)
        return self._name(".".join(map(_part, raw)))

    def _name(self, name: Any) -> str | None:
        if not isinstance(name, str) or not name:
            return None
        # Scrubbed before it is cut, lest half a secret be left.
        shown = self._secrets.scrub_text(name)
        return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"

    def _client(self, client: dict[str, Any] | None) -> Any:
        if client is None:
            return None
        clean = self._cleaned(client)
        text = json.dumps(clean)
        return clean if len(text) <= _CLIENT else {"cut": text[:_CLIENT]}

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                self._secrets.scrub_text(key): MASK if is_secret_name(key) else self._cleaned(part)
                for key, part in value.items()
            }
        if isinstance(value, list):
            return [self._cleaned(part) for part in value]
        return self._secrets.scrub_text(value) if isinstance(value, str) else value


def _part(part: Any) -> str:
    if isinstance(part, dict) and isinstance(part.get("attr"), str):
        return str(part["attr"])
    return part if isinstance(part, str) else _VALUE
