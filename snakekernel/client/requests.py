"""How an operation becomes a request, and its reply a result; the operations themselves stand on this.

Rules: nothing here waits. What has a lossless value is returned as that Python value, what has not as a
Description.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from ..errors import from_reply
from ..values import Decoder
from ..wire.errors import InvalidRequest, Unsupported
from ..wire.frame import pack_json
from ..wire.path import Attr, Item
from .description import Description
from .message import Channel
from .payload import Finish, RequestEncoder, Target, encode_request, plain, published, stored_path, whole
from .proxy import StoredProxy
from .remote import Held, RemoteObject, anonymous

if TYPE_CHECKING:
    from .hearing import Outputs

#: Served on control, where they answer while the kernel is busy and give the same answer as on shell.
_ON_CONTROL: Final = frozenset({"ping", "list_stored", "list_sessions", "list_variables", "watch", "cancel"})
#: JSON that is a value as it stands.
_LEAVES: Final = frozenset({str, int, float, bool, type(None)})


def _keeping(
    finish: Finish, named: Sequence[object], content: dict[str, Any], buffers: Sequence[memoryview]
) -> Any:
    return finish(content, buffers)


class Requests(ABC):
    """Sends requests and makes results of replies."""

    _session_id: str | None = None
    #: The connection; the async client has none before it is opened.
    _link: Any = None
    #: Keeps what this client holds in the kernel, over all its sessions; made with the connection.
    _keeper: Any = None
    #: Whether results are awaitables.
    _is_async = False
    #: Whether what is sent through this view may run again in another kernel.
    _is_idempotent = False
    #: How objects of some types go into requests, before every codec.
    _extra: Mapping[type, Callable[[Any, Any], Any]] | None = None

    @abstractmethod
    def _submit(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        *,
        channel: Channel,
        timeout: float | None,
    ) -> Any:
        """Send a request; the result is what ``finish`` makes of the reply."""

    @abstractmethod
    def _begin(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        outputs: Outputs | None = None,
    ) -> Any:
        """Send a request on shell, with what it puts out heard; returns a future of its result."""

    @abstractmethod
    def _listened(
        self,
        op: str,
        content: bytes,
        buffers: Sequence[memoryview],
        finish: Finish,
        outputs: Outputs,
        timeout: float | None,
    ) -> Any:
        """As ``_submit`` on shell, with what the request puts out heard."""

    @abstractmethod
    def _proxy(self, path: tuple[Any, ...]) -> StoredProxy:
        """The stored object at a path."""

    def _send(
        self,
        op: str,
        fields: Mapping[str, Any],
        finish: Finish,
        session_id: str | None,
        timeout: float | None,
        *,
        channel: Channel | None = None,
        keep_none: tuple[str, ...] = (),
    ) -> Any:
        """Send a request of these fields; None among them is left out, but in those to be kept."""
        content, buffers, finish = self._encoded(op, fields, finish, session_id, keep_none)
        channel = channel or ("control" if op in _ON_CONTROL else "shell")
        deadline = fields.get("deadline")
        if deadline is None:
            return self._submit(op, content, buffers, finish, channel=channel, timeout=timeout)
        return self._by_deadline(
            lambda seconds: self._submit(op, content, buffers, finish, channel=channel, timeout=seconds),
            deadline,
            timeout,
        )

    @abstractmethod
    def _by_deadline(
        self, submit: Callable[[float | None], Any], deadline: float, timeout: float | None
    ) -> Any:
        """Send a request that has a deadline by ``submit(timeout)``, and be told where it hangs."""

    def _encoded(
        self,
        op: str,
        fields: Mapping[str, Any],
        finish: Finish,
        session_id: str | None,
        keep_none: tuple[str, ...] = (),
    ) -> tuple[bytes, list[memoryview], Finish]:
        """A request's content, its buffers, and what makes a result of its reply.

        That one keeps the remote objects that the request names: the kernel must not be told to let them go
        before it has run.
        """
        session = session_id or self._session_id
        encoder = RequestEncoder(self._link, session, self._extra)
        try:
            content, buffers = encode_request(op, fields, encoder, keep_none)
            if encoder.named:
                finish = partial(_keeping, finish, encoder.named)
            return self._packed(content, session), buffers, finish
        except BaseException:
            encoder.take_back()
            raise

    def _packed(self, content: dict[str, Any], session_id: str | None) -> bytes:
        if session_id is not None:
            content.setdefault("session_id", session_id)
        link = self._link
        epoch = None if link is None else link.epoch
        if "call_id" in content and "epoch" not in content and link is not None:
            epoch = self._epoch_of(content["call_id"])
        if epoch is not None:
            content.setdefault("epoch", epoch)
        functions = None if link is None else link.functions
        if functions is not None and functions.any and (call := functions.within()) is not None:
            content.setdefault("callback_call", call)
        return pack_json(content)

    def _epoch_of(self, call_id: Any) -> str | None:
        """The kernel process that a call of this id must run in, or None for any."""
        link = self._link
        if not isinstance(call_id, str):
            # The kernel says what is wrong with it.
            return None
        if self._is_idempotent:
            link.epochs.forget(call_id)
        # A repetition must not run in a kernel that was started since.
        first: str | None = link.epochs.first(call_id, link.epoch if self._is_idempotent else link.last_epoch)
        return first

    # -- results -----------------------------------------------------------------------------------

    def _decoder(self, buffers: Sequence[memoryview]) -> Decoder:
        return Decoder(buffers, resolve_ref=lambda ref: self._proxy((ref.id, *ref.steps)))

    def _in_session(self, session_id: str | None) -> Self:
        """This client in another session: what it stores, and its proxies, are that session's."""
        if session_id is None or session_id == self._session_id:
            return self
        view = copy(self)
        view._session_id = session_id
        return view

    def _called(self, content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
        stored_as = content.get("stored_as")
        return self._result(content["result"], buffers, None if stored_as is None else (stored_as,))

    def _retrieved(self, session_id: str | None, id: str | None, target: Target | None) -> Finish:
        owner = self._in_session(session_id)
        path = (id,) if id is not None else stored_path(target)
        return lambda content, buffers: owner._result(content["object"], buffers, path)

    def _result(self, raw: Any, buffers: Sequence[memoryview], path: tuple[Any, ...] | None) -> Any:
        if raw is None:
            return None
        if "value" in raw:
            value = raw["value"]
            if type(value) in _LEAVES:
                return value
            if type(value) is dict and (name := anonymous(value)) is not None:
                return self._remote(name, raw)
            try:
                return self._decoder(buffers).decode(value)
            except (InvalidRequest, Unsupported) as error:
                # An enum's class or a library that this side does not have: nothing is imported because
                # a message says so. What came is still shown.
                raw = {**raw, "string_repr": f"{raw['value']!r:.500} (not decoded here: {error})"}
        return Description(raw, None if path is None else self._proxy(path))

    def _outputs(self, content: dict[str, Any], buffers: Sequence[memoryview]) -> dict[str, Any]:
        decoder = self._decoder(buffers)
        return {name: decoder.decode(value) for name, value in content["outputs"].items()}

    def _page(self, content: dict[str, Any], buffers: Sequence[memoryview]) -> dict[str, Any]:
        decoder = self._decoder(buffers)
        decoded = {name: decoder.decode(content[name]) for name in ("columns", "index", "data")}
        return {**plain(content), **decoded}

    def _summaries(self, content: dict[str, Any], buffers: Sequence[memoryview]) -> dict[str, Any]:
        return {**plain(content), "summaries": self._decoder(buffers).decode(content["summaries"])}

    def _step_result(self, sent: Mapping[str, Any], content: dict[str, Any], buffers: Any) -> Any:
        if content.get("status") == "error":
            return from_reply(content)
        op = sent.get("op", "call")
        if op == "call":
            return self._called(content, buffers)
        if op == "retrieve":
            return self._retrieved(None, sent.get("id"), sent.get("target"))(content, buffers)
        if op == "table":
            return self._page(content, buffers)
        if op == "summarize":
            return self._summaries(content, buffers)
        if op == "publish":
            return published(content, buffers)
        return self._outputs(content, buffers) if op == "execute_program" else plain(content)

    def _remote(self, name: str, raw: Mapping[str, Any]) -> RemoteObject:
        link = self._link
        kind = f"{raw.get('module')}.{raw.get('type')}"
        epoch = link.epoch or link.last_epoch
        # A call that is repeated by its id names the same object again: it goes when the last one here does.
        objects = self._keeper.objects
        held = objects.get((epoch, name))
        if held is None:
            held = objects[epoch, name] = Held(self._keeper, name, epoch, kind)
        return RemoteObject(self, (held, ()))

    # -- assignment through proxies ----------------------------------------------------------------

    def _assign(self, path: tuple[Any, ...], value: Any) -> None:
        """Assignment through a proxy."""
        if len(path) == 2:
            self._send("store", {"id": path[1], "value": value}, whole, None, None)
        else:
            self._send("set", {"target": list(path), "value": value}, whole, None, None)

    def _delete(self, path: tuple[Any, ...]) -> None:
        """``del`` through a proxy."""
        if len(path) == 2:
            self._send("delete_stored", {"id": path[1]}, whole, None, None)
            return
        owner, last = self._proxy(path[1:-1]), path[-1]
        name = last.name if isinstance(last, Attr) else last
        fields: dict[str, Any] = {"target": "builtins.delattr", "args": [owner, name], "returns": "none"}
        if isinstance(last, Item):
            fields.update(target="operator.delitem", args=[owner, last.key])
        self._send("call", fields, whole, None, None)
