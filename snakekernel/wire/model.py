"""Types shared by every message of the protocol.

Rules: requests are frozen, refuse unknown fields and are decoded once; the free object ``client`` is the
only place for anything else. Replies carry the common fields first; new optional reply fields may appear
without a new protocol version.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

#: A name of a stored object or session: any characters, 1 to 1,024 of them.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]

#: A name to store under; those that begin with ``~`` are the kernel's own, of anonymous objects.
NewName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern="^[^~]")]

#: A target: dotted text, or a list of steps where names may hold any character.
Target = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    | Annotated[list[Any], msgspec.Meta(min_length=1, max_length=256)]
)

#: How a result comes back; ``proxy`` is a small scalar's value, and a reference to anything else.
Returns = Literal["auto", "value", "preview", "ref", "proxy", "none"]

#: A time to live in seconds.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000_000)]

#: Half-open range ``[from, to]`` of rows or columns.
Range = Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=2, max_length=2)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields that any request may have.

    session_id: the object namespace. call_id: idempotency key. epoch: the kernel process the caller
    believes it talks to. client: anything, kept for the audit log. lease: seconds for which what this request
    leaves with the caller (a stream, its functions, references) is kept after the caller was last heard of.
    callback_call: the call of the caller's function that this request is made within.
    """

    session_id: Name | None = None
    call_id: Name | None = None
    epoch: str | None = None
    client: dict[str, Any] | None = None
    lease: Seconds | None = None
    callback_call: Name | None = None


class Reply(msgspec.Struct, kw_only=True):
    """Fields of every reply; the dispatcher fills them in.

    timestamp: seconds since 1970. epoch: id of this kernel process. output: how many iopub messages,
    status apart, this request produced. lossy: a secret was left out of this reply.
    """

    status: Literal["ok"] = "ok"
    timestamp: float = 0.0
    epoch: str = ""
    output: int = 0
    lossy: bool = False


class ErrorReply(msgspec.Struct, kw_only=True):
    """What every failing request gets, whatever its operation.

    bases: with code ``raised``, the built-in classes of the exception, its own first if it is one.
    """

    status: Literal["error"] = "error"
    timestamp: float
    epoch: str
    output: int = 0
    lossy: bool = False
    ename: str
    evalue: str
    traceback: list[str]
    code: str
    error: str
    at: str | None
    fault: Literal["caller", "target", "kernel"]
    bases: list[str] = msgspec.field(default_factory=list)


#: Any data of the grammar of section 3; kept apart in the types so that the schema can say so.
Data = Any


class Changed(msgspec.Struct, kw_only=True):
    """Content of ``snake_changed`` on iopub: names that changed since the version before.

    A client that sees ``since`` differ from the version it knows has missed some: list again. A change in
    place (``action`` ``changed``) is told while somebody watches the name, and raises no version.

    variables: ``action`` (``stored``, ``deleted``, ``changed``) and ``name``, while somebody watches them.
    sessions: ``action`` (``opened``, ``closed``) and ``session_id``. Both are absent when empty.
    """

    since: int
    version: int
    changes: list[dict[str, Any]]
    variables: list[dict[str, Any]] = msgspec.field(default_factory=list)
    sessions: list[dict[str, Any]] = msgspec.field(default_factory=list)


class Progress(msgspec.Struct, kw_only=True):
    """Content of ``snake_progress`` on iopub: how far the task is whose request is the parent.

    At most ten a second; ``text`` says in a word or two what is done, ``total`` is in units of its own.
    """

    done: int
    total: int
    text: str


class Item(msgspec.Struct, kw_only=True):
    """Content of ``snake_item``: one item of a stream, described as the result of a ``call``.

    seq: 0 for the first, then without a gap. lossy: a registered secret was scrubbed from it; else absent.
    """

    seq: int
    item: dict[str, Any] | None
    lossy: bool | msgspec.UnsetType = msgspec.UNSET


class CallbackRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Content of ``snake_callback_request``: a call of a function that lives in the client.

    id: the function. callback_call: the call, to be named in its answer and in requests made within it.
    args, kwargs: data. refs: type and module of the objects that the arguments give by reference only, by
    name; the client holds them by its lease.
    """

    id: str
    callback_call: str
    args: list[Any]
    kwargs: dict[str, Any]
    refs: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


class CallbackReply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Content of ``snake_callback_reply``, which the client sends on control: the answer to a call.

    result: data, with status ``ok``. ename, evalue, traceback, bases: as of an error reply, with ``error``.
    """

    callback_call: str
    status: Literal["ok", "error"]
    result: Any = None
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = msgspec.field(default_factory=list)
    bases: list[str] = msgspec.field(default_factory=list)


class CallbackReleased(msgspec.Struct, kw_only=True):
    """Content of ``snake_callback_released``: functions that the kernel has let go, or has not taken.

    ids: each as often as it was mentioned in requests, over all such messages.
    """

    ids: list[str]
