"""``pool status`` and ``pool drain``: what the pools of this machine, or of a served address, do.

Rules: pools are found by the files they write, or asked for at the address; a process is signalled only where
its own file says that it drains on SIGTERM. A token comes from a file or the environment, never from a word.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from inspect import cleandoc
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from traitlets import Bool, Unicode

from ..errors import InvalidRequest, NotFound, Unsupported
from ..inspection.words import size_text
from ..pool.status import KernelStatus, PoolStatus
from ..pool.status_files import read_local
from .command import Answer, Command, console_here, merged

#: Seconds between two looks, with --watch.
_EVERY: Final = 1.0
_STATES: Final = {"lost": "red", "starting": "yellow", "stopping": "dim", "retiring": "dim"}


class PoolApp(Command):
    """See the pools that run, and drain them."""

    name = "snakekernel pool"
    words = "status [NAME] or drain NAME"
    description = cleandoc("""snakekernel pool status|drain

    status [NAME]: the pools of this user and machine, or those served at --url: their kernels, sessions, and
    those that wait. With --watch until Ctrl-C.
    drain NAME: send SIGTERM to the process of a pool that drains then: it takes nothing new, and ends when
    what runs has ended.
    """)
    examples = cleandoc("""
    snakekernel pool status --watch
    snakekernel pool status --url=https://host:8888 --token-file=token.txt
    snakekernel pool drain default
    """)

    watch = Bool(False, help="Show the pools until Ctrl-C, as they change.").tag(config=True)
    url = Unicode(None, allow_none=True, help="A served pool's address; by default this machine.").tag(
        config=True
    )
    token_file = Unicode(None, allow_none=True, help="The file that holds the server's token.").tag(
        config=True
    )
    token_env = Unicode(
        "JUPYTER_TOKEN", help="The environment variable that holds the token, where no file does."
    ).tag(config=True)

    aliases = merged(
        Command.aliases,
        {
            "url": "PoolApp.url",
            "token-file": "PoolApp.token_file",
            "token-env": "PoolApp.token_env",
        },
    )
    flags = merged(
        Command.flags,
        {"watch": ({"PoolApp": {"watch": True}}, "Show the pools until Ctrl-C, as they change.")},
    )

    def answer(self) -> Answer | None:
        """Do what the first word says."""
        verb, *names = self.take(1, 2)
        if verb == "status":
            return self._status(names[0] if names else None)
        if verb == "drain" and names:
            return self._drain(names[0])
        raise InvalidRequest(f"snakekernel pool takes {self.words}, not {' '.join(self.extra_args)!r}.")

    # -- status --------------------------------------------------------------------------------------------

    def _status(self, name: str | None) -> Answer | None:
        if not self.watch:
            found = self._named(name)
            document = {"status": "ok", "pools": msgspec.to_builtins(found)}
            return Answer(document, lambda console: console.print(shown(found)))
        if self.as_json:
            raise InvalidRequest("--watch is for people; ask again for each document.")
        with Live(console=console_here(), auto_refresh=False) as live:
            while True:
                live.update(shown(self._named(name)), refresh=True)
                time.sleep(_EVERY)

    def _named(self, name: str | None) -> list[PoolStatus]:
        pools = read_local() if self.url is None else asyncio.run(self._served(self.url))
        found = [pool for pool in pools if name is None or pool.name == name]
        if name is not None and not found:
            raise NotFound(f"No pool named {name!r} runs here.")
        return found

    async def _served(self, url: str) -> list[PoolStatus]:
        # Only here: what it needs is large.
        from ..client.websocket_address import read_address
        from ..client.websocket_server import Server

        if "?" in url:
            # Not quoted: what others see among the processes need not be in logs as well.
            raise InvalidRequest(
                "An address ends before its '?'; a token comes from --token-file or --token-env."
            )
        try:
            server = Server(read_address(url, token=self._token()))
        except KeyError:
            raise InvalidRequest(f"{url!r} is no address: https://host:port was expected.") from None
        except ValueError as error:
            raise InvalidRequest(str(error)) from None
        try:
            return msgspec.convert(await server.pools(), list[PoolStatus])
        except (FileNotFoundError, msgspec.ValidationError):
            raise Unsupported(f"The server at {url} serves no pools, or those of another version.") from None
        finally:
            server.close()

    def _token(self) -> str | None:
        if self.token_file is None:
            return os.environ.get(self.token_env)
        try:
            return Path(self.token_file).expanduser().read_text().strip()
        except OSError as error:
            raise NotFound(f"The token cannot be read: {error}.") from None

    # -- drain ---------------------------------------------------------------------------------------------

    def _drain(self, name: str) -> Answer:
        if self.url is not None:
            raise InvalidRequest("Only pools of this machine can be drained; --url is for status.")
        found = self._named(name)
        for pool in found:
            if not pool.drains_on_sigterm:
                raise Unsupported(
                    f"Process {pool.pid} does not drain its pool {name!r} on SIGTERM: it would just end. "
                    "Its program can: pool.drain_on(signal.SIGTERM)."
                )
        pids = sorted({pool.pid for pool in found})
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        told = f"Pool {name} drains: process {', '.join(map(str, pids))}."
        return Answer({"status": "ok", "pids": pids}, lambda console: console.print(Text(told)))


def shown(pools: list[PoolStatus]) -> RenderableType:
    """Pools for people."""
    if not pools:
        return Text("No pool runs here.")
    return Group(*(part for pool in pools for part in _one(pool)))


def _one(pool: PoolStatus) -> list[RenderableType]:
    counts, now = pool.counts, time.time()
    states = Counter(kernel.state for kernel in pool.kernels)
    waiting = pool.queue.calls + pool.queue.sessions
    oldest = "" if pool.queue.oldest is None else f", the oldest for {_time(now - pool.queue.oldest)}"
    memory = sum(kernel.memory or 0 for kernel in pool.kernels)
    outcomes = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.calls.items()))
    lines = [
        Text.assemble(
            (_plain(pool.name), "bold"), _plain(f"  {pool.state}, process {pool.pid} on {pool.host}")
        ),
        Text(
            f"kernels {len(pool.kernels)} of {pool.maximum}"
            + "".join(f", {number} {state}" for state, number in states.items())
            + f"; {size_text(memory)}"
        ),
        Text(f"sessions {len(pool.sessions)}; {waiting} wait{oldest}"),
        Text(
            f"since it was opened: {counts.kernels_started} started, {counts.starts_failed} did not, "
            f"{counts.kernels_lost} lost; calls: {outcomes or 'none'}"
        ),
    ]
    return [*lines, _kernels(pool, now), Text("")]


def _kernels(pool: PoolStatus, now: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kernel", "process", "host", "state", "for", "calls", "served", "memory", "age"):
        is_number = column in ("calls", "served", "memory", "age")
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for kernel in pool.kernels:
        table.add_row(
            str(kernel.number),
            "" if kernel.pid is None else str(kernel.pid),
            Text(_plain(kernel.host or "")),
            Text(kernel.state, style=_STATES.get(kernel.state, "")),
            Text(_plain(_use(kernel))),
            str(kernel.calls),
            str(kernel.served),
            "" if kernel.memory is None else size_text(kernel.memory),
            _time(now - kernel.since),
        )
    return table


def _use(kernel: KernelStatus) -> str:
    return ", ".join(kernel.sessions) or kernel.use or ""


def _plain(text: str) -> str:
    """What others named, without what would steer the terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def _time(seconds: float) -> str:
    """A time span as ``"12 s"``, ``"3.4 min"``, ``"5.6 h"``, ``"7.8 d"``."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"
