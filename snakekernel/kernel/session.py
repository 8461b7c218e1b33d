"""Jupyter's Session with three things added: admission of our frames, scrubbing, and counting of output.

Rules: an existing session is adopted in place, for the app and the streams hold it already. Messages that
are not ours go the stock way; all that is packed passes the secrets filter.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from logging import Logger
from pathlib import Path
from time import time
from typing import Any, Final

from jupyter_client.session import Session

from ..objects.secrets import Secrets
from ..wire.frame import DELIMITER, BadFrame, Headers, Signer, bind_buffers, flat, pack_json
from . import confined
from .activity import Activities
from .copies import copied
from .digests import Digests
from .seen import SeenFile

#: Calls a function with interrupts held back until its end.
After = Callable[..., Any]

#: Bytes from which on malloc takes fresh memory every time.
_HUGE: Final = 32 << 20


class KernelSession(Session):
    """A Session whose every outgoing part is free of registered secrets."""

    _activities: Activities
    _after: After
    _secrets: Secrets
    #: Told of each message that cannot be trusted or read.
    on_drop: Callable[[], object]
    #: Of our replies; their message ids must not be those that stock counts.
    _headers: Headers
    _signer: Signer

    @classmethod
    def adopt(cls, session: Session, activities: Activities, secrets: Secrets, after: After) -> KernelSession:
        """Turn a stock session into this class, in place; ``after`` holds interrupts back."""
        session.__class__ = cls
        assert isinstance(session, cls)
        session._activities, session._after, session.on_drop = activities, after, _nobody
        session._secrets = secrets
        session.pack = _scrubbing(session.pack, secrets, after)
        session._headers = Headers(session.session, session.username, f"{session.session}_{os.getpid()}_r")
        session._signer = Signer(session.key, session.signature_scheme)
        session.digest_history = Digests(session.digest_history_size)
        return session

    def outlive(self, connection_file: str | None, log: Logger) -> None:
        """Know the messages that earlier processes with this connection file took; tell the next of ours."""
        history = self.digest_history
        assert isinstance(history, Digests)
        if connection_file is None or self.auth is None or self.digest_history_size == 0:
            return
        try:
            given = confined.signatures
            history.outlive(SeenFile(Path(connection_file), self.key, history.generation, given))
        except OSError as error:
            log.warning("Messages that were seen are not known after a restart: %s.", error)

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> dict[str, Any]:
        """As stock, which remembers signatures before it looks at them: wrong ones would push out others."""
        try:
            if self.auth is not None and content:
                parts = [bytes(part if copy else part.bytes) for part in msg_list[:5]]
                if not self._signer.check(parts[0], parts[1:]):
                    raise ValueError("The signature is wrong.")
            message: dict[str, Any] = super().deserialize(msg_list, content, copy)
        except Exception:
            # Whoever called logs it, and drops the message.
            self.on_drop()
            raise
        return message

    def clone(self) -> KernelSession:
        """As stock: for one more connection to the same kernel."""
        copy = super().clone()
        assert isinstance(copy, KernelSession)
        # ``pack`` came along with the traits, scrubbing already.
        copy._activities, copy._after, copy._secrets = self._activities, self._after, self._secrets
        copy._headers, copy._signer, copy.on_drop = self._headers, self._signer, self.on_drop
        # Stock put a plain set there.
        copy.digest_history = Digests(copy.digest_history_size)
        copy.digest_history.update(self.digest_history)
        return copy

    def admit(self, signed: Sequence[bytes]) -> None:
        """Verify the five parts after the delimiter, the signature first.

        Raises BadFrame on a wrong or a replayed signature.
        """
        if self.auth is None:
            return
        signature = signed[0]
        if not self._signer.check(signature, signed[1:]):
            raise BadFrame("signature")
        if self.digest_history_size and not self.digest_history.take(signature):  # type: ignore[attr-defined]
            raise BadFrame("replayed signature")

    def reply_parts(
        self,
        idents: Sequence[bytes],
        msg_type: str,
        parent_header: bytes,
        content: bytes,
        buffers: Sequence[memoryview],
        metadata: dict[str, Any],
        *,
        bind: bool,
    ) -> list[Any]:
        """A reply of ours as frames; the request's header bytes are its parent as they came."""
        _, header = self._headers.next(msg_type, time())
        if bind and buffers:
            metadata = {**metadata, **bind_buffers(buffers)}
        signed = [header, parent_header, pack_json(metadata) if metadata else b"{}", content]
        return [*idents, DELIMITER, self._signer.sign(signed), *signed, *map(_as_sent, buffers)]

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
        if not self._activities.any:
            return super().send(stream, msg_or_type, content, parent, *args, **kwargs)
        # Counted and sent, or neither: an interrupt strikes before or after it.
        return self._after(self._credited, stream, msg_or_type, content, parent, args, kwargs)

    def _credited(
        self, stream: Any, msg_or_type: Any, content: Any, parent: Any, args: Any, kwargs: Any
    ) -> Any:
        if isinstance(msg_or_type, dict):
            msg_type, header = msg_or_type.get("msg_type"), msg_or_type.get("parent_header")
        else:
            msg_type, header = msg_or_type, (parent or {}).get("header", parent)
        if msg_type != "status" and header:
            activity = self._activities.find(header)
            if activity is not None:
                activity.count_output()
        return super().send(stream, msg_or_type, content, parent, *args, **kwargs)


def _nobody() -> None:
    """Nobody counts."""


def _as_sent(buffer: memoryview) -> Any:
    """A buffer as it is now, whatever happens to the object that it shows."""
    # Flat, or an error now: a part that zmq refuses would leave half a message on the socket.
    plain = flat(buffer)
    # Smaller ones zmq copies itself.
    return copied(plain) if plain.nbytes >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE") else plain


def _scrubbing(pack: Callable[[Any], bytes], secrets: Secrets, after: After) -> Callable[[Any], bytes]:
    def packed(obj: Any) -> bytes:
        # orjson does not survive an exception of a signal handler's.
        data = after(pack, obj)
        return secrets.scrub(data) if secrets else data

    return packed
