"""Jupyter's Session with three things added: admission of our frames, scrubbing, and counting of output.

Rules: an existing session is adopted in place, for the app and the streams hold it already. Messages that
are not ours go the stock way; all that is packed passes the secrets filter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any

from jupyter_client.session import Session

from ..objects.secrets import Secrets
from ..wire.frame import DELIMITER, BadFrame, bind_buffers, pack_json
from .activity import Activities


class KernelSession(Session):
    """A Session whose every outgoing part is free of registered secrets."""

    _activities: Activities
    _secrets: Secrets

    @classmethod
    def adopt(cls, session: Session, activities: Activities, secrets: Secrets) -> KernelSession:
        """Turn a stock session into this class, in place."""
        session.__class__ = cls
        assert isinstance(session, cls)
        session._activities = activities
        session._secrets = secrets
        session.pack = _scrubbing(session.pack, secrets)
        return session

    def clone(self) -> KernelSession:
        """As stock: for one more connection to the same kernel."""
        copy = super().clone()
        assert isinstance(copy, KernelSession)
        # ``pack`` came along with the traits, scrubbing already.
        copy._activities, copy._secrets = self._activities, self._secrets
        return copy

    def admit(self, parts: list[bytes]) -> dict[str, Any]:
        """Verify the five parts after the delimiter and unpack the header.

        Raises BadFrame on a wrong or replayed signature or an unreadable header.
        """
        try:
            signature = parts[0]
            if self.auth is not None:
                if not signature or not compare_digest(self.sign(parts[1:5]), signature):
                    raise BadFrame("signature")
                if signature in self.digest_history:
                    raise BadFrame("replayed signature")
                self._add_digest(signature)
            header = self.unpack(parts[1])
            if not isinstance(header, dict) or not isinstance(header.get("msg_id"), str):
                raise BadFrame("header")
            return header
        except Exception as error:
            raise BadFrame(str(error)) from None

    def reply_parts(
        self,
        idents: Sequence[bytes],
        msg_type: str,
        parent_header: bytes,
        content: bytes,
        buffers: Sequence[memoryview],
        *,
        bind: bool,
    ) -> list[Any]:
        """A reply of ours as frames; the request's header bytes are its parent as they came."""
        header = {
            "msg_id": self.msg_id,
            "msg_type": msg_type,
            "username": self.username,
            "session": self.session,
            "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "version": "5.4",
        }
        metadata = bind_buffers(buffers) if bind and buffers else {}
        signed = [pack_json(header), parent_header, pack_json(metadata), content]
        return [*idents, DELIMITER, self.sign(signed), *signed, *buffers]

    def send(  # the rest is passed on, by position or name, as it came
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """As stock; a message on iopub is credited to the structured request that it belongs to."""
        if self._activities.any:
            if isinstance(msg_or_type, dict):
                msg_type, header = msg_or_type.get("msg_type"), msg_or_type.get("parent_header")
            else:
                msg_type, header = msg_or_type, (parent or {}).get("header", parent)
            if msg_type != "status" and header:
                activity = self._activities.find(header)
                if activity is not None:
                    activity.count_output()
        return super().send(stream, msg_or_type, content, parent, *args, **kwargs)


def _scrubbing(pack: Callable[[Any], bytes], secrets: Secrets) -> Callable[[Any], bytes]:
    def packed(obj: Any) -> bytes:
        data = pack(obj)
        return secrets.scrub(data) if secrets else data

    return packed
