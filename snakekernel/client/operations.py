"""The operations, once for both clients and for batches: each says what it sends and what its reply becomes.

Rules: the blocking client returns results, the async client awaitables of the same, a batch its items;
nothing here waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from .calling import call_fields, lease_of
from .cancelling import Cancelling
from .fetching import Fetching
from .function import Lending
from .hearing import OnOutput, OnProgress, Outputs, outputs_of
from .inspecting import Inspecting
from .payload import Finish, Target, field, whole
from .programs import Programs
from .proxy import ModuleProxy, StoredObjects, StoredProxy
from .published import Publishing
from .retrying import retried, retried_later
from .saving import Saving
from .streaming import Streaming


class Operations(Cancelling, Fetching, Inspecting, Lending, Programs, Publishing, Saving, Streaming):
    """Every operation of the protocol as a method. The blocking client returns the result, the async one
    an awaitable of it."""

    # -- the dynamic operations --------------------------------------------------------------------

    def call(
        self,
        target: Target,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        store_as: str | None = None,
        session_id: str | None = None,
        returns: str = "auto",
        string_refs: bool = False,
        call_id: str | None = None,
        concurrent: bool | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
        idempotent: bool = False,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Call a target in the kernel, or read it where it is not callable.

        Args:
            target: ``"pandas.read_csv"``, ``"stored.df.describe"``, ``"user.x"``, or a list of steps.
            args, kwargs: any values with a lossless form, references (``ref("df")``) and proxies.
            store_as: keep the result under this name; what comes back is then a Description.
            session_id: the session whose namespace is used.
            returns: ``"auto"``, ``"value"``, ``"preview"``, ``"none"``, ``"ref"`` for a RemoteObject, or
                ``"proxy"`` for one where it is no small scalar.
            string_refs: strings such as ``"stored.df"`` in the arguments mean that object.
            call_id: the same id again within one kernel process gives the first outcome and runs nothing.
            concurrent: whether the kernel serves others while this awaits, where the target is a coroutine
                function; if not given, the async client says so, and the blocking one does not.
            deadline: seconds from when the kernel has it, after which it is stopped there.
            timeout: seconds to wait for the reply, then it is cancelled; None waits as long as the kernel
                lives.
            idempotent: it may run twice. Where its kernel is lost it is sent again, to that one or the next
                behind this client, three times at most and within ``timeout``.
            on_output: gets each ``Output`` of the call, what it prints, logs or shows, while it runs.
            on_progress: gets ``(done, total, text)`` of its progress; a total of 0 is not known. True for
                either shows it here: as text, as a notebook's display, as a bar.

        Raises:
            Cancelled, DeadlineExceeded, Interrupted: it was stopped.
            KernelHung: it did not stop at its deadline; told within two seconds of it.
            RemoteError: the called code raised (also caught as the built-in it stands for).
            SnakeError: its other subclasses, see the protocol reference.
        """
        concurrent = self._overlaps if concurrent is None else concurrent
        fields = call_fields(
            target, args, kwargs, store_as, returns, string_refs, call_id, concurrent, deadline
        )
        if idempotent:
            return self._retried("call", fields, session_id, timeout, on_output, on_progress)
        finish: Finish = self._in_session(session_id)._called
        if on_output is None and on_progress is None:
            return self._send("call", fields, finish, session_id, timeout)
        content, buffers, finish = self._encoded("call", fields, finish, session_id)
        outputs = Outputs(on_output, on_progress)
        if deadline is None:
            return self._listened("call", content, buffers, finish, outputs, timeout)
        return self._by_deadline(
            lambda seconds: self._listened("call", content, buffers, finish, outputs, seconds),
            deadline,
            timeout,
        )

    def _retried(
        self,
        op: str,
        fields: Mapping[str, Any],
        session_id: str | None,
        timeout: float | None,
        on_output: OnOutput | None,
        on_progress: OnProgress | None,
    ) -> Any:
        owner = self._in_session(session_id)
        view = copy(owner)
        view._is_idempotent = True

        def send(left: float | None) -> Any:
            # Encoded anew each time: what an encoded request lends or names ends with it.
            content, buffers, finish = view._encoded(op, fields, owner._called, session_id)
            outputs = outputs_of(on_output, on_progress)
            if outputs is None:
                return view._submit(op, content, buffers, finish, channel="shell", timeout=left)
            return view._listened(op, content, buffers, finish, outputs, left)

        def is_final() -> bool:
            return view._link is None or view._link.is_over

        retry = retried_later if self._is_async else retried
        return retry(send, timeout, is_final)

    def submit(
        self,
        target: Target,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        store_as: str | None = None,
        session_id: str | None = None,
        returns: str = "auto",
        string_refs: bool = False,
        call_id: str | None = None,
        deadline: float | None = None,
        concurrent: bool = False,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """As ``call``, without waiting for the result: returns a ``Future`` of it, the async client a task.

        Many calls may be under way at once; the kernel runs them in the order they were submitted, each to
        its end but for those that are ``concurrent``.
        What listens to a ``Future``'s call is called by whoever asks for its result.
        """
        fields = call_fields(
            target, args, kwargs, store_as, returns, string_refs, call_id, concurrent, deadline
        )
        finish: Finish = self._in_session(session_id)._called
        content, buffers, finish = self._encoded("call", fields, finish, session_id)
        return self._begin("call", content, buffers, finish, outputs_of(on_output, on_progress))

    def store(
        self,
        id: str,
        value: Any,
        *,
        ttl: float | None = None,
        durable: bool = False,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Keep a value under a name, for ``ttl`` seconds or for ever; returns how many names there are.

        ``durable``: it is also on the disk before this returns, where the kernel keeps a file of them.
        """
        fields = {"id": id, "value": value, "ttl": ttl, "durable": durable or None}
        return self._send("store", fields, field("stored_objects"), session_id, timeout)

    def retrieve(
        self,
        id: str | None = None,
        *,
        target: Target | None = None,
        returns: str = "auto",
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """A stored object's value, or its Description where it has no lossless one."""
        fields = {"id": id, "target": target, "returns": returns, "lease": lease_of(returns)}
        return self._send("retrieve", fields, self._retrieved(session_id, id, target), session_id, timeout)

    def list_stored(
        self,
        prefix: str = "",
        *,
        search: str | None = None,
        offset: int = 0,
        limit: int = 1_000,
        details: bool = False,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Names of stored objects, or with ``details`` the whole reply: names, count, version, objects."""
        fields = {"prefix": prefix, "search": search, "offset": offset, "limit": limit}
        finish = whole if details else field("stored_objects")
        return self._send("list_stored", fields, finish, session_id, timeout)

    def delete_stored(self, id: str, *, session_id: str | None = None, timeout: float | None = None) -> Any:
        """Forget a stored object."""
        return self._send("delete_stored", {"id": id}, field("message"), session_id, timeout)

    def rename_stored(
        self, id: str, to: str, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """Give a stored object another name."""
        return self._send("rename_stored", {"id": id, "to": to}, field("message"), session_id, timeout)

    def share(
        self, id: str, to: str | None = None, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """Let a session, or with None all, reach a stored object."""
        fields = {"id": id, "to": to}
        return self._send("share", fields, field("message"), session_id, timeout, keep_none=("to",))

    def set(
        self, target: Target, value: Any, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """Assign an attribute, an item, or a variable of the notebook."""
        fields = {"target": target, "value": value}
        return self._send("set", fields, field("message"), session_id, timeout)

    def pipeline(
        self,
        steps: Sequence[Mapping[str, Any]],
        *,
        stop_on_error: bool = True,
        deadline: float | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Run several operations in one round trip; returns one result per step.

        Each step is a mapping with the fields of a ``call``, or of the operation that its ``"op"`` names;
        ``step(0)`` in its arguments is the result of an earlier one. On a failing step the exception's
        ``reply`` holds ``step`` and ``completed_steps``; with ``stop_on_error=False`` the exception stands
        in the step's place. ``deadline`` is in seconds, for all of it.
        """
        requests = [dict(step) for step in steps]
        fields: dict[str, Any] = {"steps": requests, "stop_on_error": stop_on_error, "deadline": deadline}
        lease = next(filter(None, (lease_of(step.get("returns")) for step in requests)), None)
        if lease is not None:
            fields["lease"] = lease
        owner = self._in_session(session_id)

        def finish(content: dict[str, Any], buffers: Sequence[memoryview]) -> list[Any]:
            done = zip(requests, content["pipeline_results"], strict=True)
            return [owner._step_result(sent, one, buffers) for sent, one in done]

        return self._send("pipeline", fields, finish, session_id, timeout)

    def ping(self, *, timeout: float | None = None) -> Any:
        """Whether the kernel answers, and what it can do; answers while the kernel is busy."""
        return self._send("ping", {}, whole, None, timeout)

    def info(self, *, timeout: float | None = None) -> Any:
        """The design's name for ``ping``."""
        return self.ping(timeout=timeout)

    def configure(
        self,
        framework: str,
        config: Mapping[str, Any],
        *,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Configure a framework, for the process or, with a session, for that session's calls alone."""
        fields = {"framework": framework, "config": dict(config)}
        return self._send("configure", fields, field("message"), session_id, timeout)

    # -- sessions ----------------------------------------------------------------------------------

    def create_session(
        self,
        session_id: str | None = None,
        *,
        ttl: float | None = None,
        quota: Mapping[str, int] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Open a session and return its id.

        Args:
            ttl: in seconds, renewed by every use.
            quota: what it may use: ``objects``, ``bytes``, ``calls``, ``concurrent``.
        """
        fields = {"session_id": session_id, "ttl": ttl, "quota": quota}
        return self._send("create_session", fields, field("session_id"), None, timeout)

    def close_session(self, session_id: str, *, timeout: float | None = None) -> Any:
        """End a session and forget its objects."""
        return self._send("close_session", {"session_id": session_id}, field("message"), None, timeout)

    def list_sessions(self, *, timeout: float | None = None) -> Any:
        """The sessions there are, as dictionaries."""
        return self._send("list_sessions", {}, field("sessions"), None, timeout)

    # -- natural use -------------------------------------------------------------------------------

    @property
    def stored(self) -> StoredObjects:
        """The stored objects, as attributes or items."""
        return StoredObjects(self)

    @property
    def modules(self) -> ModuleProxy:
        """The kernel's importable modules, as attributes."""
        return ModuleProxy(self)

    def _proxy(self, path: tuple[Any, ...]) -> StoredProxy:
        return StoredProxy(self, path)
