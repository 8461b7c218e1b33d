"""``call``: call any target, or read it where it is not callable."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import msgspec

from ..inspection.genuine import class_dict, mro
from ..objects.secret_names import is_key_name
from ..objects.target import Target
from ..wire.errors import InvalidRequest, LimitExceeded, SnakeError
from ..wire.model import NewName, Returns, Seconds
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from ..wire.model import Target as RawTarget
from . import streaming
from .command import Command
from .results import REFERENCES, reference
from .scope import Scope
from .streaming import Stream


class Request(BaseRequest, frozen=True, kw_only=True):
    """Call ``target`` with data of the grammar; ``store_as`` keeps the result, ``returns`` says how it comes.

    string_refs: strings such as ``"stored.df"`` in the arguments mean that object.
    deadline: seconds from receipt, after which it is stopped.
    concurrent: where the result is to be awaited, the main shell serves others meanwhile.
    stream: iterate the result and send each item by itself; ``returns`` says how each comes.
    """

    target: RawTarget
    args: list[Any] = msgspec.field(default_factory=list)
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict)
    store_as: NewName | None = None
    returns: Returns = "auto"
    string_refs: bool = False
    deadline: Seconds | None = None
    concurrent: bool = False
    stream: Stream | None = None


class Reply(BaseReply, kw_only=True):
    """``result`` is a description with its value, a preview, or null for ``returns: "none"``.

    Of a stream, whose result is null: how many items went out before, and whether the caller closed it.
    """

    result: dict[str, Any] | None
    stored_as: str | None
    target: Any
    items: int | msgspec.UnsetType = msgspec.UNSET
    closed: bool | msgspec.UnsetType = msgspec.UNSET


async def run(request: Request, scope: Scope) -> Reply:
    """Resolve, decode, call, await, keep, describe: in this order, so that bad input calls nothing."""
    if request.deadline is not None or scope.account is not None:
        with _bounds(request, scope):
            return await run(msgspec.structs.replace(request, deadline=None), scope)
    target = scope.target(request.target)
    scope.label = request.target
    args, kwargs = request.args, request.kwargs
    if request.string_refs:
        depth = scope.runtime.limits.depth + 2
        args, kwargs = _with_string_refs(args, depth), _with_string_refs(kwargs, depth)
    if args:
        args = scope.decode_list(args, at="$.args")
    if kwargs:
        kwargs = scope.decode_fields(kwargs, at="$.kwargs")
    scope.check_all_buffers_used()
    for name, value in kwargs.items():
        if is_key_name(name):
            scope.runtime.secrets.add(value)
    if request.stream is not None:
        return await _streamed(request, request.stream, target, args, kwargs, scope)
    if scope.session is None or not scope.session.frameworks:
        result = _called(target, args, kwargs, scope)
        if _is_awaitable(result):
            result = await scope.wait(result, concurrent=request.concurrent)
    else:
        with scope.session_contexts():
            result = _called(target, args, kwargs, scope)
            if not request.concurrent and _is_awaitable(result):
                result = await scope.wait(result)
        if request.concurrent and _is_awaitable(result):
            # Not within the contexts that others would see meanwhile.
            result = await scope.wait(_in_contexts(result, scope), concurrent=True)
    scope.produced = result
    stored_as = request.store_as
    if stored_as is not None:
        try:
            scope.put(stored_as, result, at="$.store_as")
        except LimitExceeded as error:
            raise _not_kept(error, result, scope) from None
    if request.returns in REFERENCES:
        reply = reference(scope, result, request.returns, stored_as)
        if stored_as is None and type(reply["value"]) is dict:
            stored_as = reply["value"].get("$ref")
    else:
        reply = scope.result(result, request.returns, preview=stored_as is not None)
    return Reply(result=reply, stored_as=stored_as, target=request.target)


@contextmanager
def _bounds(request: Request, scope: Scope) -> Iterator[None]:
    """The bounds of a call, within which it has none: it is counted, and stopped at its deadline."""
    account, deadline = scope.account, request.deadline
    with (
        nullcontext() if account is None else account.call(),
        nullcontext() if deadline is None else scope.limited(deadline),
    ):
        if account is not None and request.store_as is not None:
            scope.runtime.store.check_room(scope.space, request.store_as, at="$.store_as")
        scope.account = None
        try:
            yield
        finally:
            scope.account = account


def _not_kept(error: LimitExceeded, result: Any, scope: Scope) -> LimitExceeded:
    """The error of a call that ran, and whose result found no room: it says so, and what the result was."""
    try:
        shown = scope.result(result, "preview")
    except SnakeError:  # the object's own code fails, or was stopped
        shown = scope.kind(result)
    message = f"The call ran, and its result was not kept. {error.message}"
    return LimitExceeded(message, at=error.at, reply={"result": shown})


async def _streamed(
    request: Request, stream: Stream, target: Target, args: list[Any], kwargs: dict[str, Any], scope: Scope
) -> Reply:
    for field, why in (
        ("store_as", "Its items are sent and gone; store the iterator by a call, then stream it."),
        ("call_id", "Its items cannot be sent again."),
    ):
        if getattr(request, field) is not None:
            raise InvalidRequest(f"A stream cannot have a {field}. {why}", at=f"$.{field}")
    if scope.steps_follow:
        raise InvalidRequest("A step of a pipeline cannot be a stream.", at="$.stream")
    concurrent = request.concurrent
    with scope.session_contexts():
        result = _called(target, args, kwargs, scope)
    if _is_awaitable(result):
        result = await scope.wait(_in_contexts(result, scope), concurrent=concurrent)
    is_made = scope.produced is not result
    items, closed = await streaming.run(
        stream, result, scope, request.returns, is_made=is_made, concurrent=concurrent
    )
    return Reply(result=None, stored_as=None, target=request.target, items=items, closed=closed)


async def _in_contexts(awaitable: Any, scope: Scope) -> Any:
    with scope.session_contexts():
        return await awaitable


#: Identities of built-in classes, which cannot change; hashing a class may run its metaclass.
_NEVER_AWAITED: Final = frozenset(
    map(id, (type(None), bool, int, float, str, bytes, list, tuple, dict, set, frozenset))
)


def _called(target: Target, args: list[Any], kwargs: dict[str, Any], scope: Scope) -> Any:
    path, runtime = target.dotted, scope.runtime
    framework = runtime.frameworks.get(path[0]) if path else None
    override = framework.takes_over(path[1:]) if framework is not None else None
    if override is not None:
        runtime.policy.check(target.text, "$.target")
        return scope.invoke(override, (scope, args, kwargs), trusted=True)
    function = scope.resolve(target)
    if callable(function):
        return scope.invoke(function, args, kwargs)
    if args or kwargs:
        raise InvalidRequest(
            f"{target} is a value of type {type(function).__name__!r}, which takes no arguments.",
            at="$.target",
        )
    # Found, not made.
    scope.produced = function
    return function


def _is_awaitable(obj: Any) -> bool:
    """As ``inspect.isawaitable``, which runs code of objects that lie about their class."""
    kind = type(obj)
    if id(kind) in _NEVER_AWAITED:
        return False
    if kind is types.GeneratorType:
        return bool(obj.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    return any("__await__" in class_dict(cls) for cls in mro(kind))


#: Tags whose payload is made of values, in which strings may refer too; other tags hold data of their own.
_CONTAINERS: Final = frozenset({"$tuple", "$set", "$frozenset", "$dict"})


def _with_string_refs(data: Any, depth: int) -> Any:
    """The design document's way to refer: a string ``"stored.<id>…"`` is that object.

    Deeper than ``depth`` nothing is looked at: the decoder refuses what is nested so.
    """
    if isinstance(data, str):
        if not data.startswith("stored."):
            return data
        parts = data.split(".")[1:]
        return {"$ref": parts} if all(parts) else data
    if depth > 0 and isinstance(data, list):
        return [_with_string_refs(item, depth - 1) for item in data]
    if depth > 0 and isinstance(data, dict):
        tag = next(iter(data)) if len(data) == 1 else ""
        if tag.startswith("$") and tag not in _CONTAINERS:
            return data
        return {key: _with_string_refs(value, depth - 1) for key, value in data.items()}
    return data


COMMAND = Command(
    op="call",
    request=Request,
    reply=Reply,
    run=run,
    summary="Call any Python function, class, method or object by name, or read a value.",
    creates_session=True,
)
