"""One request's view of the kernel: what a command's ``run`` works with.

Rules: user code runs only through ``invoke`` and ``wait``, so that what it raises is told apart from our
own failures; a command suspends only through ``wait``. Where no user code may run (``static``: control),
the scope resolves and describes without running any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any, TypeVar

from .. import inspection
from ..inspection.task import Task
from ..objects.entries import Entry, Space
from ..objects.provenance import Maker
from ..objects.sessions import Session
from ..objects.static import module_name, type_name
from ..objects.target import Target, parse
from ..values import PLAIN, Callback, Decoder, Published
from ..values.published import opened
from ..wire.errors import (
    InvalidRequest,
    SessionExpired,
    SnakeError,
    UnknownOperation,
    Unsupported,
)
from ..wire.model import Reply
from ..wire.names import Door
from ..wire.path import Ref, Step
from .calling import caller
from .failures import from_user_code
from .interrupts import Interrupts, stopped
from .reading import to_request
from .requester import Requester
from .resolving import owner_of, resolve, step_result
from .results import result
from .runtime import Runtime
from .suspending import Failed, suspend

T = TypeVar("T")


class Scope:
    """What one request may touch.

    Attributes:
        runtime: what outlives the request. door: where it came in. session: its session, or None.
        writer: who to name as the writer of what it stores. sender: the Jupyter session that asks.
        produced: the object the last command made, for pipelines and translations.
        results: the objects of a pipeline's earlier steps. steps_follow: whether more steps may come.
        buffers: the reply's buffers. static: whether no user code may run, as on control.
        op, client: the operation, and the user name of who asks. label: what is called, where something is.
        is_task: whether it runs on the inspector's thread.
        lease: seconds for which the caller wants what it holds kept; None where it did not say.
        lossy: whether the reply leaves out what looks like a secret.
        requester: sends messages beside the reply, or None where none can be sent, as through the comm.
    """

    __slots__ = (
        "_at",
        "_decoder",
        "_received",
        "_run",
        "_task",
        "account",
        "buffers",
        "client",
        "door",
        "has_functions",
        "interrupts",
        "is_task",
        "label",
        "lease",
        "lossy",
        "op",
        "produced",
        "requester",
        "results",
        "runtime",
        "sender",
        "session",
        "static",
        "steps_follow",
        "writer",
    )

    def __init__(
        self,
        runtime: Runtime,
        *,
        door: Door,
        session: Session | None = None,
        writer: str = "",
        sender: str = "",
        received: Sequence[memoryview] = (),
        interrupts: Interrupts | None = None,
        op: str = "",
        client: str = "",
        requester: Requester | None = None,
        lease: float | None = None,
    ) -> None:
        self.runtime = runtime
        self.lossy = False
        self.requester = requester
        self.lease = lease
        self.door = door
        self.op = op
        self.client = client
        self.label: Any = None
        self.is_task = False
        self._task: Task | None = None
        self.static = door == "control"
        self.session = session
        #: What is counted against a quota; None where there is none.
        self.account = runtime.account if session is None else session.account
        self.writer = writer
        self.sender = sender
        self.interrupts = interrupts or Interrupts()
        self.produced: Any = None
        self.results: list[Any] = []
        self.steps_follow = False
        self.buffers: list[memoryview] = []
        self._received = received
        #: Made when the first value comes that is not plain; its limits count over the whole request.
        self._decoder: Decoder | None = None
        self._at = "$"
        #: Whether the request brought functions of its client's.
        self.has_functions = False
        #: Calls user code; made when the first is called.
        self._run: Callable[..., Any] | None = None

    def end(self) -> None:
        """The request is over: what refers back to this scope goes, so that it ends with its last user."""
        self._decoder = None

    def become(self, task: Task) -> None:
        """Go on as a task: on a thread of its own user code may run, in bounded time."""
        self._task, self.is_task, self.static = task, True, False

    @property
    def task(self) -> Task:
        """Whether to go on, and whom to tell; neutral where the request runs at its turn on shell."""
        if self._task is None:
            self._task = Task()
        return self._task

    # -- facts -------------------------------------------------------------------------------------

    @property
    def space(self) -> Space:
        """The namespace that writes go to: the session's, or None for the kernel-wide one."""
        return self.session.space if self.session is not None else None

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.runtime.clock()

    @property
    def maker(self) -> Maker:
        """Who to name as the maker of what it stores."""
        return self.op, self.label, self.client

    # -- names and objects -------------------------------------------------------------------------

    def put(self, name: str, obj: Any, *, ttl: float | None = None, at: str = "$.id") -> Entry:
        """Store an object in this request's namespace.

        Raises SessionExpired where that was closed, and LimitExceeded where it has no room.
        """
        self.check_open()
        return self.runtime.store.put(
            self.space, name, obj, writer=self.writer, now=self.now, ttl=ttl, by=self.maker, at=at
        )

    def put_anonymous(self, obj: Any, *, at: str = "$.returns") -> Entry:
        """Store an object under a fresh anonymous name."""
        self.check_open()
        return self.runtime.store.put_anonymous(
            self.space, obj, writer=self.writer, now=self.now, by=self.maker, at=at
        )

    def check_open(self) -> None:
        """Raise SessionExpired where this request's session was closed."""
        if self.session is not None and self.session.closed:
            raise SessionExpired(
                f"The session {self.session.id!r} was closed while this request ran.", at="$.session_id"
            )

    def hold(self, key: Hashable, release: Callable[[], object]) -> None:
        """Have the caller hold something until it drops it or its lease runs out; see ``Leases.hold``."""
        self.runtime.leases.hold(self.sender, key, release, self.lease)

    def entry(self, name: str, *, at: str = "$.id") -> Entry:
        """The entry a name means here: the session's own, else the kernel-wide one."""
        if self.static or self.is_task:
            # Looking is no use, of which lists tell the last.
            found = self.runtime.store.look(self.space, name, now=self.now)
            if found is not None:
                return found[0]
        return self.runtime.store.get(self.space, name, now=self.now, at=at)

    def target(self, raw: Any, *, at: str = "$.target") -> Target:
        """Parse a target; items in its list form may be any data of the grammar."""
        if isinstance(raw, list):
            raw = [
                self._path_part(part, f"{at}[{index}]") if index else part for index, part in enumerate(raw)
            ]
        return parse(raw, at=at)

    def _path_part(self, part: Any, at: str) -> Any:
        if not isinstance(part, dict) or "attr" in part:
            return part
        if "item" in part:
            return {"item": self.decode(part["item"], at=f"{at}.item")}
        return {"item": self.decode(part, at=at)}

    def resolve(self, target: Target, *, at: str = "$.target") -> Any:
        """The object a target names; see ``resolving``."""
        return resolve(self, target, at=at)

    def owner_of(self, target: Target, *, at: str = "$.target") -> Any:
        """The object whose attribute or item the target's last step names."""
        return owner_of(self, target, at=at)

    # -- values ------------------------------------------------------------------------------------

    def decode(self, data: Any, *, at: str) -> Any:
        """Data of the grammar as objects; references resolve to what they name."""
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = Decoder(
                self._received,
                limits=self.runtime.limits,
                resolve_ref=self._referenced,
                resolve_step=self._referenced_step,
                resolve_name=self._named,
                resolve_callback=self._function,
                resolve_published=self._opened,
            )
        self._at = at
        return decoder.decode(data, at)

    def decode_list(self, data: list[Any], *, at: str) -> list[Any]:
        """Each element decoded; plain data, which stands for itself, is passed over in one test."""
        if PLAIN.issuperset(map(type, data)):
            return data
        return [
            value if type(value) in PLAIN else self.decode(value, at=f"{at}[{index}]")
            for index, value in enumerate(data)
        ]

    def decode_fields(self, data: dict[str, Any], *, at: str) -> dict[str, Any]:
        """Each value decoded; plain data, which stands for itself, is passed over in one test."""
        if PLAIN.issuperset(map(type, data.values())):
            return data
        return {
            name: value if type(value) in PLAIN else self.decode(value, at=f"{at}.{name}")
            for name, value in data.items()
        }

    def check_all_buffers_used(self) -> None:
        """Raise InvalidRequest where a buffer came that no value refers to, if all values are decoded."""
        if self.steps_follow or not self._received:
            return
        used = self._decoder.used if self._decoder is not None else set()
        extra = set(range(len(self._received))) - used
        if extra:
            raise InvalidRequest(f"No value refers to buffer {min(extra)}.", at="$buffers")

    def _referenced(self, ref: Ref) -> Any:
        return self.resolve(Target("stored", ref.id, ref.steps), at=self._at)

    def _referenced_step(self, step: Step) -> Any:
        if not step.steps and not self.runtime.policy.is_set:
            return step_result(self, step.index, self._at)
        return self.resolve(Target("step", str(step.index), step.steps), at=self._at)

    def _function(self, callback: Callback) -> Callable[..., Any]:
        callbacks = self.runtime.callbacks
        if callbacks is None or self.requester is None:
            raise Unsupported("Nobody can be called back through this door.", at=self._at)
        self.has_functions = True
        return callbacks.function(callback, self)

    def _opened(self, published: Published) -> Any:
        return opened(published, self.runtime.limits, self._named)

    def _named(self, name: str) -> Any:
        return self.resolve(parse(name.replace(":", "."), at=self._at), at=self._at)

    def describer(self, budget: inspection.Budget | None = None) -> inspection.Describer:
        """A describer that knows this kernel's plugins and runs no user code on control."""
        find = self.runtime.frameworks.for_type
        return inspection.Describer(
            plugin_for=find, static=self.static, budget=budget, task=self._task, on_masked=self._masked
        )

    def _masked(self) -> None:
        self.lossy = True

    @staticmethod
    def kind(obj: Any) -> dict[str, Any]:
        """Type and module of an object, read without running its code."""
        return {"type": type_name(obj), "module": module_name(obj)}

    def result(self, obj: Any, returns: str, *, preview: bool = False, at: str = "$.returns") -> Any:
        """An object as a reply gives it; see ``results.result``."""
        return result(self, obj, returns, preview=preview, at=at)

    # -- running code ------------------------------------------------------------------------------

    def invoke(
        self,
        function: Callable[..., T],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        at: str | None = None,
        trusted: bool = False,
    ) -> T:
        """Call user code; whatever it raises, SystemExit included, becomes an error reply.

        ``trusted`` functions (a plugin's, ours) may raise errors of the protocol themselves; from other
        code even those are just what the called code raised.
        """
        run = self._run
        if run is None:
            run = self._run = caller(self.runtime.user_namespace())
        try:
            with self.interrupts:
                result: T = run(function, args, kwargs or {})
                return result
        except BaseException as error:  # user code may raise anything; the kernel goes on
            self.interrupts.disarm()
            if trusted and isinstance(error, SnakeError):
                raise
            raise from_user_code(error, at=at, reason=self.interrupts.reason) from None

    async def wait(
        self,
        awaitable: Awaitable[T],
        *,
        at: str | None = None,
        trusted: bool = False,
        concurrent: bool = False,
    ) -> T:
        """Await user code on the kernel's loop; ``trusted`` as for ``invoke``.

        Where it is ``concurrent`` the main shell serves others meanwhile; a subshell does not.
        """
        result: T | Failed = await suspend(awaitable, concurrent)
        if isinstance(result, Failed):
            if trusted and isinstance(result.error, SnakeError):
                raise result.error
            raise from_user_code(result.error, at=at, reason=self.interrupts.reason)
        return result

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Have what runs here stopped at its deadline, so many seconds after the request came.

        Raises DeadlineExceeded where that is over already.
        """
        came = self.interrupts.came
        left = seconds if came is None else seconds - (monotonic() - came)
        if left <= 0:
            raise stopped("deadline")
        call_off = self.runtime.stop_after(self.interrupts, left)
        try:
            yield
        finally:
            call_off()

    def session_contexts(self) -> ExitStack:
        """The contexts of what this session configured for itself; enter it around user code."""
        with ExitStack() as stack:
            for name, state in (self.session.frameworks if self.session is not None else {}).items():
                framework = self.runtime.frameworks.get(name)
                if framework is not None:
                    stack.enter_context(framework.session_context(state))
            return stack.pop_all()

    async def perform(self, op: str, content: Mapping[str, Any], *, at: str = "$") -> Reply:
        """Run another command within this request: a pipeline's step, a translation's target.

        ``at`` is where the content stands in the request, for the paths of errors.
        """
        command = self.runtime.table.get(op)
        if command is None:
            raise UnknownOperation(f"There is no operation {op!r} here.", at=at)
        request = to_request(content, command.request)
        self.op, self.label = op, None
        return await command.run(request, self)
