"""The sidecar's own process: an engine's driver or client, which places owners and renews their leases.

Rules: everything runs on one loop; only the channel is read by a thread. A renewal carries until when the
kernel may run, in its owner's own time: as late as the lease after it was *sent*, however long it travels.
So a kernel is certainly dead once that and a margin have passed since the last renewal was sent. Renewals
stop with the first one that is not answered in time, and go on when the owner answers a beat that renews
nothing. A start says until when, too: one that comes late is refused. The process ends with its host, first
ends its kernels, and waits for no library: one that cannot run for half a minute is ended by the system.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import os
import signal
import sys
import threading
import uuid
from multiprocessing.connection import Connection
from typing import Any, Final

from ..kernel.fence import Deadline, clock
from .actors import Actor, Driver, DriverError, OwnerLost
from .channel import DECODER, ENCODER, FENCED, MARGIN, NOT_STARTED, Answer, Ask, News

#: Seconds for what an owner does at once: signals, the end of its kernel.
AT_ONCE: Final = 10.0
#: Seconds for which some library may keep this process from running.
_STUCK: Final = 30.0
ENGINES: Final = {"ray": "on_ray:RayDriver", "dask": "on_dask:DaskDriver"}


class Kept:
    """A kernel and the beats that keep it."""

    def __init__(self, name: str, actor: Actor, lease: float, tell: Any) -> None:
        self.name = name
        self.actor = actor
        self.lease = lease
        self._tell = tell
        self._is_reachable = True
        self._is_doomed = False
        self._stamp = self._stamped = self._sent = 0.0
        self._task: asyncio.Task[None] | None = None

    async def until(self) -> float:
        """For its start: the end of a lease from now on, in its owner's time."""
        self._stamp, _ = await asyncio.wait_for(self.actor.call("beat", 0.0, 0.0), AT_ONCE)
        self._stamped = self._sent = clock()
        return self._stamp + self.lease

    def begin(self) -> None:
        """The kernel runs."""
        self._is_reachable, self._is_doomed = True, False
        self._task = asyncio.create_task(self._keep())

    def lapse(self) -> None:
        """Nobody knows whether it was started."""
        self._task = asyncio.create_task(self._lapse())

    def doom(self) -> None:
        """Renew no more: it is to end."""
        self._is_doomed = True

    @property
    def is_over(self) -> bool:
        """Whether no kernel of it may run."""
        return self._task is None or self._task.done()

    @property
    def is_fenced(self) -> bool:
        """Whether its lease has ended it, while its owner did not answer: nobody need be waited for."""
        return self.is_over and not self._is_reachable

    def end(self, code: int) -> None:
        """Its owner has ended it."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._tell(News(self.name, True, code))

    async def _lapse(self) -> None:
        await asyncio.sleep(self._sent + self.lease + MARGIN - clock())
        self._tell(News(self.name, False, FENCED, True))

    async def _keep(self) -> None:
        pause, patience = self.lease / 4, self.lease / 2
        while True:
            now, until = clock(), 0.0
            if self._is_reachable and not self._is_doomed:
                until, self._sent = self._stamp + (now - self._stamped) + self.lease, now
            wait = pause if self._is_reachable else 0.0
            try:
                beat = self.actor.call("beat", until, wait)
                stamp, code = await asyncio.wait_for(beat, wait + patience)
            except Exception:  # whatever the engine says: the owner has not answered
                self._report(False)
                if clock() > self._sent + self.lease + MARGIN:
                    self._tell(News(self.name, False, FENCED, True))
                    return
                await asyncio.sleep(min(1.0, self.lease / 8))
                continue
            self._stamp, self._stamped = stamp, clock()
            if code is not None:
                self._tell(News(self.name, True, code))
                return
            self._report(True)

    def _report(self, is_reachable: bool) -> None:
        if is_reachable is not self._is_reachable:
            self._is_reachable = is_reachable
            self._tell(News(self.name, is_reachable))


class Service:
    """Does what the host asks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._driver: Driver | None = None
        self._kernels: dict[str, Kept] = {}
        #: By token: what the engine keeps, whose it was, and who was given it.
        self._parcels: dict[str, tuple[Any, str, set[str]]] = {}
        self._placing: dict[str, asyncio.Task[Actor]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()

    def tell(self, message: Answer | News) -> None:
        """Say something to the host."""
        try:
            with self._sending:
                self._connection.send_bytes(ENCODER.encode(message))
        except OSError:
            self.ended.set()

    def hear(self, ask: Ask) -> None:
        """Begin what is asked."""
        if ask.method == "close":
            self.ended.set()
            return
        task = asyncio.get_running_loop().create_task(self._answer(ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, ask: Ask) -> None:
        try:
            value = await getattr(self, f"do_{ask.method}")(**ask.arguments)
        except DriverError as error:
            self.tell(Answer(ask.number, kind=error.kind, error=str(error)))
        except (OwnerLost, TimeoutError) as error:
            self.tell(Answer(ask.number, kind="lost", error=f"The kernel's owner does not answer. {error}"))
        except Exception as error:  # every request gets its answer
            self.tell(Answer(ask.number, kind="failed", error=f"{type(error).__name__}: {error}"))
        else:
            self.tell(Answer(ask.number, value))

    def _kernel(self, kernel: str) -> Kept:
        try:
            return self._kernels[kernel]
        except KeyError:
            raise DriverError("not_found", "The kernel is not there any more.") from None

    async def do_open(self, engine: str, options: dict[str, Any]) -> None:
        """Connect to the engine."""
        module, _, name = ENGINES[engine].partition(":")
        kind = getattr(importlib.import_module(f".{module}", __package__), name)
        driver: Driver = kind()
        try:
            await driver.open(options)
        except BaseException:  # without an engine there is nothing to do here
            asyncio.get_running_loop().call_soon(self.ended.set)
            raise
        self._driver = driver

    async def do_place(self, kernel: str, wants: dict[str, Any], lease: float, timeout: float) -> None:
        """Make an owner; none is left where there is no room in time."""
        if self._driver is None:
            raise DriverError("lost", "There is no connection to the engine.")
        placing = self._placing[kernel] = asyncio.ensure_future(self._driver.place(kernel, wants))
        try:
            actor = await asyncio.wait_for(placing, timeout)
        except TimeoutError:
            raise DriverError(
                "limit",
                f"No place for a kernel within {timeout:g} s: nothing in the cluster could give "
                f"{_told(wants)}. Ask for less, wait longer (start_timeout), or add to the cluster.",
            ) from None
        except asyncio.CancelledError:
            raise DriverError("lost", "The kernel was released before it had a place.") from None
        finally:
            del self._placing[kernel]
        self._kernels[kernel] = Kept(kernel, actor, lease, self.tell)

    async def do_start(self, kernel: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Start a kernel at its owner."""
        kept = self._kernel(kernel)
        if not kept.is_over:
            raise DriverError("invalid", "The kernel runs already.")
        try:
            until, names = await kept.until(), ("argv", "env", "cwd", "python")
            words = [arguments[name] for name in names]
            call = kept.actor.call("start", *words, until, arguments["keep_ports"])
            started: dict[str, Any] = await asyncio.wait_for(call, AT_ONCE)
        except DriverError:
            self.tell(News(kernel, True, NOT_STARTED))
            raise
        except BaseException:  # it may run, or come late
            kept.lapse()
            raise
        kept.begin()
        try:
            call = kept.actor.call("listens", timeout)
            started["connection"] = await asyncio.wait_for(call, timeout + AT_ONCE)
        except BaseException:  # nobody will use it
            kept.doom()
            raise
        return started

    async def do_signal(self, kernel: str, number: int) -> None:
        await asyncio.wait_for(self._kernel(kernel).actor.call("send_signal", number), AT_ONCE)

    async def do_kill(self, kernel: str) -> None:
        """End a kernel now, or as soon as its lease has lapsed."""
        kept = self._kernel(kernel)
        kept.doom()
        await asyncio.wait_for(kept.actor.call("send_signal", int(signal.SIGKILL)), AT_ONCE)

    async def do_release(self, kernel: str) -> None:
        """End a kernel and its owner; goes on in the background where the owner does not answer."""
        if kernel in self._placing:
            self._placing[kernel].cancel()
        kept = self._kernels.pop(kernel, None)
        if kept is None:
            return
        kept.doom()
        for token in [token for token, (_, owner, _) in self._parcels.items() if owner == kernel]:
            await self.do_drop(token)
        closing = asyncio.create_task(self._close(kept))
        self._tasks.add(closing)
        closing.add_done_callback(self._tasks.discard)
        if not kept.is_fenced:
            await asyncio.shield(closing)

    async def _close(self, kept: Kept) -> None:
        try:
            code = await asyncio.wait_for(kept.actor.call("close"), AT_ONCE)
            if code is not None:
                kept.end(code)
        except Exception:  # out of reach: its lease ends its kernel
            pass
        await kept.actor.remove()

    async def do_memory(self, kernel: str) -> int:
        found: int = await asyncio.wait_for(self._kernel(kernel).actor.call("memory"), AT_ONCE)
        return found

    async def do_tail(self, kernel: str) -> list[str]:
        lines: list[str] = await asyncio.wait_for(self._kernel(kernel).actor.call("stderr_tail"), AT_ONCE)
        return lines

    async def do_take(self, kernel: str, segments: list[dict[str, Any]]) -> str:
        """Put a kernel's segments into the engine's store; the token for it."""
        token = uuid.uuid4().hex
        self._parcels[token] = (await self._kernel(kernel).actor.take(segments), kernel, set())
        return token

    async def do_give(self, kernel: str, token: str) -> list[dict[str, Any]]:
        if token not in self._parcels:
            raise DriverError("not_found", "Nothing is kept under that token.")
        handle, _, receivers = self._parcels[token]
        receivers.add(kernel)
        return await self._kernel(kernel).actor.give(token, handle)

    async def do_drop(self, token: str) -> None:
        _, _, receivers = self._parcels.pop(token, (None, "", set()))
        for kept in [self._kernels[name] for name in receivers & self._kernels.keys()]:
            try:
                await asyncio.wait_for(kept.actor.call("drop", token), AT_ONCE)
            except (OwnerLost, TimeoutError):
                # It goes with its owner.
                pass

    async def close(self) -> None:
        """End all kernels and disconnect."""
        releases = (self.do_release(name) for name in list(self._kernels))
        # Their leases end what could not be told to end.
        await asyncio.gather(*releases, return_exceptions=True)
        if self._driver is not None:
            await self._driver.close()


def _told(wants: dict[str, Any]) -> str:
    # A runtime environment may hold secrets.
    shown = {**wants, "runtime_env": ", ".join(wants.get("runtime_env", ()))}
    said = [f"{name} {value}" for name, value in shown.items() if value]
    return ", ".join(said) or "a worker"


def _read(connection: Connection, loop: asyncio.AbstractEventLoop, service: Service) -> None:
    deadline = Deadline()
    try:
        while True:
            deadline.set(clock() + _STUCK)
            if connection.poll(_STUCK / 6):
                ask = DECODER.decode(connection.recv_bytes())
                loop.call_soon_threadsafe(service.hear, ask)
    except (EOFError, OSError):
        loop.call_soon_threadsafe(service.ended.set)
        deadline.set(clock() + 2 * AT_ONCE)


async def _serve(connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    service = Service(connection)
    loop.add_signal_handler(signal.SIGTERM, service.ended.set)
    threading.Thread(target=_read, args=(connection, loop, service), daemon=True).start()
    await service.ended.wait()
    try:
        await asyncio.wait_for(service.close(), AT_ONCE)
    except Exception as error:  # whatever the engine says: this is the end
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    # Threads of the engines' libraries wait for what is gone; asyncio and Python would wait for them.
    os._exit(0)


def main() -> None:
    """Serve the host at the other end of a descriptor."""
    connection = Connection(int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)
    if sys.platform == "linux":
        # A forked child of the host may hold the other end: its end alone would not tell.
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
    asyncio.run(_serve(connection))


if __name__ == "__main__":
    main()
