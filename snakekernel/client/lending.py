"""Functions that this client lends to the kernel: the table of them, and how one is called.

Rules: a function is lent as often as it is mentioned in what was sent, and forgotten when the kernel has
given each mention back. While any is lent the keeper renews the lease. What a function asks of the kernel
while the kernel waits for it goes on control and names the call (``within``): shell would queue behind it.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from ..commands.failures import content_of, from_user_code
from ..errors import KernelLost, SnakeError
from ..values import PLAIN, Callback, Decoder, is_own_data
from ..wire.errors import NotFound
from ..wire.frame import check_buffers, pack_json, unpack_object
from ..wire.names import CALLBACK, CALLBACK_RELEASED, CALLBACK_REPLY
from .events import events_of
from .function import Function
from .link import Link
from .message import Received
from .remote import RemoteObject
from .shield import Shield

if TYPE_CHECKING:
    from .operations import Operations

#: The slot by which the table is told of a lost kernel: no request has this number.
_NEVER: Final = -1


class _Lent:
    __slots__ = ("description", "function", "key", "mentions", "session_id")

    def __init__(self, key: Any, function: Any, description: dict[str, Any]) -> None:
        self.key = key
        self.function = function
        self.description = description
        #: How often it was mentioned to the kernel and not given back.
        self.mentions = 0
        #: Of the request that mentioned it last: what its arguments and result refer to.
        self.session_id: str | None = None


class Within:
    """A call of one of our functions, while it runs."""

    __slots__ = ("id", "is_over", "link")

    def __init__(self, link: Link, id: str) -> None:
        self.link = link
        self.id = id
        self.is_over = False


_within: ContextVar[Within | None] = ContextVar("within", default=None)


class Called:
    """A call that came from the kernel, read where it is run."""

    __slots__ = (
        "_functions",
        "_received",
        "args",
        "error",
        "function",
        "id",
        "is_async",
        "kwargs",
        "session_id",
    )

    def __init__(self, functions: Functions, received: Received) -> None:
        self._functions = functions
        self._received = received
        self.id = ""
        self.is_async = False
        self.session_id: str | None = None
        self.error: BaseException | None = None

    def read(self) -> None:
        """Read it; where it cannot be run, ``error`` says why."""
        try:
            self._read()
        except Exception as error:
            self.error = error

    def _read(self) -> None:
        functions, received = self._functions, self._received
        content = unpack_object(received.content)
        self.id = str(content.get("callback_call"))
        lent = functions.find(content.get("id"))
        if lent is None:
            raise NotFound(f"This client has no function {content.get('id')!r} any more.")
        self.function, self.session_id = lent.function, lent.session_id
        self.is_async = bool(lent.description.get("async"))
        if received.metadata != b"{}":
            check_buffers(unpack_object(received.metadata), received.buffers, required=False)
        args, kwargs = content["args"], content["kwargs"]
        if not kwargs and not received.buffers and PLAIN.issuperset(map(type, args)):
            self.args, self.kwargs = args, kwargs
            return
        decoder = functions.decoder(received.buffers, lent.session_id, content.get("refs") or {})
        self.args = [decoder.decode(value) for value in args]
        self.kwargs = {name: decoder.decode(value) for name, value in kwargs.items()}

    def run(self) -> BaseException | None:
        """Run it here and answer; returns what it raised that is no Exception."""
        result, error = None, self.error
        if error is None:
            within = Within(self._functions.link, self.id)
            token = _within.set(within)
            try:
                result = self.function(*self.args, **self.kwargs)
                if inspect.isawaitable(result) and not isinstance(result, RemoteObject):
                    result = asyncio.run(_awaited(result))
            except BaseException as raised:  # told to the kernel, then dealt with by the caller
                error = raised
            finally:
                within.is_over = True
                _within.reset(token)
        self.answer(result, error)
        return None if isinstance(error, Exception) else error

    async def arun(self) -> None:
        """Run a coroutine function on this loop, in a task of its own, and answer."""
        result, error = None, self.error
        if error is None:
            within = Within(self._functions.link, self.id)
            _within.set(within)
            try:
                result = await self.function(*self.args, **self.kwargs)
            except BaseException as raised:  # told to the kernel; nobody else asks for it
                error = raised
            finally:
                within.is_over = True
        self.answer(result, error)

    def answer(self, result: Any, error: BaseException | None) -> None:
        """Tell the kernel how it ended; a kernel that is gone hears of nothing."""
        content: dict[str, Any] = {"callback_call": self.id, "status": "ok"}
        buffers: list[memoryview] = []
        if error is None and is_own_data(result):
            content["result"] = result
        elif error is None:
            encoder = self._functions.encoder(self.session_id)
            try:
                content["result"] = encoder.encode(result)
                buffers = encoder.buffers
            except Exception as refused:
                encoder.take_back()
                error = TypeError(f"The function's result has no lossless form: {refused}")
        if error is not None:
            content = {"callback_call": self.id, "status": "error", **_told(error)}
        self._functions.post(pack_json(content), buffers)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _told(error: BaseException) -> dict[str, Any]:
    told = content_of(from_user_code(error))
    if isinstance(error, SnakeError):
        # It came from the kernel, where it is known by this name.
        told.update(ename=error.ename, evalue=error.evalue, bases=error.reply.get("bases") or told["bases"])
    return {name: told[name] for name in ("ename", "evalue", "traceback", "bases")}


class Functions(ABC):
    """The functions that one connection lends.

    Attributes:
        link: the connection. any: whether any function is lent.
    """

    def __init__(self, client: Operations, link: Link) -> None:
        self._client = client
        self.link = link
        self._lock = threading.RLock()
        self._by_key: dict[Any, str] = {}
        self._lent: dict[str, _Lent] = {}
        self._count = 0
        self.any = False
        self._given_back: deque[Received] = deque()

    # -- lending -----------------------------------------------------------------------------------

    def lend(self, function: Any, session_id: str | None) -> dict[str, Any]:
        """What is told of a function, its id too; one more mention of it goes to the kernel."""
        self.tidy()
        key = _key(function)
        options = function if isinstance(function, Function) else Function(function)
        # Outside of the lock: code of its class may run.
        description = None if key in self._by_key else options.described()
        with Shield(), self._lock:
            lent = self._lent.get(self._by_key.get(key, ""))
            is_first, self.any = not self.any, True
            if lent is None:
                self._count += 1
                id = f"{self._count}"
                # The key is an identity: what it is the identity of stays.
                described = {"id": id, **(description or options.described())}
                lent = _Lent((key, function), options.function, described)
                self._by_key[key] = id
                self._lent[id] = lent
            lent.mentions += 1
            lent.session_id = session_id
        if is_first:
            self._client._keeper.hold()
            self._begin()
        return lent.description

    def take_back(self, ids: list[str]) -> None:
        """These mentions were not sent, or have been given back."""
        gone = []
        with Shield(), self._lock:
            for id in ids:
                lent = self._lent.get(id)
                if lent is not None:
                    lent.mentions -= 1
                    if lent.mentions <= 0:
                        gone.append(self._forget(id))
            is_last = self.any and not self._lent
            if is_last:
                self.any = False
        if is_last:
            self._client._keeper.let_go()

    def _forget(self, id: str) -> _Lent:
        lent = self._lent.pop(id)
        self._by_key.pop(lent.key[0], None)
        return lent

    def tidy(self) -> None:
        """Forget what the kernel has given back."""
        while self._given_back:
            try:
                received = self._given_back.popleft()
            except IndexError:
                # Another thread was quicker.
                return
            ids = unpack_object(received.content).get("ids")
            self.take_back([id for id in ids if isinstance(id, str)] if isinstance(ids, list) else [])

    def clear(self) -> None:
        """The kernel is gone, and with it whatever it had of ours."""
        with Shield(), self._lock:
            gone, self._lent, self._by_key = self._lent, {}, {}
            self.any = False
        self._given_back.clear()
        if gone:
            self._client._keeper.let_go()

    def find(self, id: Any) -> _Lent | None:
        return self._lent.get(id) if isinstance(id, str) else None

    @abstractmethod
    def _begin(self) -> None:
        """Functions are lent from now on: see to it that their calls are heard."""

    def _listen(self, told: Callable[[Any], None]) -> None:
        """Have calls handed over, and the loss of the kernel told."""
        events_of(self.link).callbacks = self._came
        with Shield(), self.link.lock:
            self.link._slots[_NEVER] = told

    # -- being called ------------------------------------------------------------------------------

    def _came(self, msg_type: str, number: int, received: Received) -> None:
        # Under the link's lock.
        if msg_type == CALLBACK:
            self._called(Called(self, received), number)
        elif msg_type == CALLBACK_RELEASED:
            self._given_back.append(received)

    @abstractmethod
    def _called(self, called: Called, number: int) -> None:
        """Take note of a call, which is a child of the request of that number; under the link's lock."""

    def within(self) -> str | None:
        """The call of one of these functions that this very code runs in, or None."""
        within = _within.get()
        return within.id if within is not None and within.link is self.link and not within.is_over else None

    def decoder(self, buffers: Any, session_id: str | None, kinds: dict[str, Any]) -> Decoder:
        """Decodes what the kernel sends to functions.

        Args:
            kinds: type and module of the objects that came by reference only, by name.
        """
        view = self._client._in_session(session_id)
        decoder = view._decoder(buffers)
        remote = {name: view._remote(name, kind) for name, kind in kinds.items()}

        decoder.resolve_ref = lambda ref: (
            remote[ref.id] if ref.id in remote else view._proxy((ref.id, *ref.steps))
        )
        decoder.resolve_callback = self._own
        return decoder

    def _own(self, callback: Callback) -> Any:
        lent = self.find(callback.id)
        if lent is None:
            raise NotFound(f"This client has no function {callback.id!r} any more.")
        return lent.function

    def encoder(self, session_id: str | None) -> Any:
        """Encodes what functions return."""
        from .payload import RequestEncoder

        return RequestEncoder(self.link, session_id)

    def post(self, content: bytes, buffers: list[memoryview]) -> None:
        """Answer a call."""
        try:
            message = self.link.message(CALLBACK_REPLY, content, buffers, "control", shared=False)
            with Shield():
                self.link.send(message, _ignored)
            self.link.forget(message.number)
        except KernelLost:
            # Nobody waits for it.
            return


def _ignored(answer: Any) -> None:
    """A message that gets no reply."""


def _key(function: Any) -> Any:
    """The same for the same function: methods are made anew each time they are asked for."""
    if type(function) is MethodType:
        return id(function.__self__), id(function.__func__)
    return id(function)
