"""snakekernel: its blocking and its async client, over ipc and TCP, and with shared memory kept out."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import snakekernel
from snakekernel import step
from snakekernel.memory.exchange import FROM_BYTES

from ..peer import AT_ONCE, OUTSTANDING, STEPS, WAITS, Kind, Peer, Transport, one_by_one, seen
from ..processes import environment

_ADD: Final = "operator.add"
_CHAIN: Final = [
    {"target": _ADD, "args": [step(number - 1) if number else 0, 1], "returns": "auto"}
    for number in range(STEPS)
]


def _start(transport: Transport, sockets_only: bool) -> snakekernel.Client:
    return snakekernel.start(
        transport=transport,
        output=subprocess.DEVNULL,
        env=environment(),
        shared_memory=None if sockets_only else FROM_BYTES,
    )


def _pid(snake: snakekernel.Client) -> int:
    pid: int = snake.manager.provisioner.process.pid
    return pid


@contextmanager
def blocking(transport: Transport, *, sockets_only: bool = False) -> Iterator[Peer]:
    """The blocking client."""
    with _start(transport, sockets_only) as snake:
        call = snake.call

        def batch(count: int) -> list[Any]:
            with snake.batch() as calls:
                items = [calls.call(_ADD, args=(i, 1)) for i in range(count)]
            return [item.result() for item in items]

        def in_flight(count: int) -> list[Any]:
            got = []
            under_way = [snake.submit(_ADD, args=(i, 1)) for i in range(min(count, OUTSTANDING))]
            for i in range(count):
                got.append(under_way[i].result())
                if len(under_way) < count:
                    under_way.append(snake.submit(_ADD, args=(len(under_way), 1)))
            return got

        def refer(count: int) -> None:
            for _ in range(count):
                call("builtins.list", returns="ref")

        def in_turn(count: int) -> list[Any]:
            numbers = call("stored.kept.numbers", args=(count,), store_as="numbers").proxy
            return [call("builtins.next", args=(numbers,)) for _ in range(count)]

        yield Peer(
            call=lambda: call(_ADD, args=(2, 3)),
            in_flight=in_flight,
            batch=batch,
            refer=refer,
            swap=lambda record: call("stored.kept.swap", args=(record,)),
            put=lambda array: snake.store("array", array),
            get=lambda: snake.retrieve("array", returns="value"),
            make=lambda count, value: call("numpy.full", args=(count, value), store_as="made"),
            get_made=lambda: snake.retrieve("made", returns="value"),
            put_frame=lambda frame: snake.store("frame", frame),
            get_frame=lambda: snake.retrieve("frame", returns="value"),
            call_back=lambda function, count: call("stored.kept.call_back", args=(function, count)),
            loop=one_by_one(lambda a, b: call(_ADD, args=(a, b))),
            chain=lambda: snake.pipeline(_CHAIN)[-1],
            waits=lambda: snake.map("stored.kept.wait", range(WAITS), concurrency=AT_ONCE),
            items=lambda count: list(snake.stream("stored.kept.numbers", args=(count,))),
            arrays=lambda count: [
                seen(array) for array in snake.stream("stored.kept.arrays", args=(count,), credit=16)
            ],
            items_in_turn=in_turn,
            pids=[_pid(snake)],
            prepare=lambda: call("benchmarks.served.Served", store_as="kept"),
        )


@contextmanager
def asynchronous(transport: Transport) -> Iterator[Peer]:
    """The async client, many calls under way."""
    with _start(transport, False) as owner, asyncio.Runner() as runner:
        owner.call("benchmarks.served.Served", store_as="kept")

        async def connect() -> snakekernel.AsyncClient:
            return await snakekernel.AsyncClient.connect(owner.manager)

        async def ask(target: str, *args: Any) -> Any:
            return await snake.call(target, args=args)

        async def burst(count: int) -> list[Any]:
            got: list[Any] = [None] * count

            async def some(begin: int) -> None:
                for i in range(begin, count, OUTSTANDING):
                    got[i] = await snake.call(_ADD, args=(i, 1))

            await asyncio.gather(*(some(begin) for begin in range(OUTSTANDING)))
            return got

        async def batch(count: int) -> list[Any]:
            async with snake.batch() as calls:
                items = [calls.call(_ADD, args=(i, 1)) for i in range(count)]
            return [item.result() for item in items]

        async def loop() -> Any:
            value = 0
            for _ in range(STEPS):
                value = await snake.call(_ADD, args=(value, 1))
            return value

        async def chain() -> Any:
            return (await snake.pipeline(_CHAIN))[-1]

        async def waits() -> list[Any]:
            at_once = asyncio.Semaphore(AT_ONCE)

            async def one(number: int) -> Any:
                async with at_once:
                    return await ask("benchmarks.served.wait_awaiting", number)

            return await asyncio.gather(*map(one, range(WAITS)))

        async def items(count: int) -> list[Any]:
            return [item async for item in snake.stream("stored.kept.numbers", args=(count,))]

        async def arrays(count: int) -> list[Any]:
            stream = snake.stream("stored.kept.arrays", args=(count,), credit=16)
            return [seen(array) async for array in stream]

        snake = runner.run(connect())
        try:
            yield Peer(
                call=lambda: runner.run(ask(_ADD, 2, 3)),
                in_flight=lambda count: runner.run(burst(count)),
                batch=lambda count: runner.run(batch(count)),
                swap=lambda record: runner.run(ask("stored.kept.swap", record)),
                loop=lambda: runner.run(loop()),
                chain=lambda: runner.run(chain()),
                waits=lambda: runner.run(waits()),
                items=lambda count: runner.run(items(count)),
                arrays=lambda count: runner.run(arrays(count)),
                pids=[_pid(owner)],
            )
        finally:
            runner.run(snake.close())


@contextmanager
def growing() -> Iterator[tuple[snakekernel.Client, int]]:
    """A kernel of its own whose store grows, and its process."""
    with _start("ipc", False) as snake:
        yield snake, _pid(snake)


def _kinds(transport: Transport) -> list[Kind]:
    name, floor = f"snakekernel, {transport}", f"echo, {transport}"
    return [
        Kind(name=name, open=partial(blocking, transport), floor=floor, gigabyte=True),
        Kind(
            name=f"snakekernel async, {transport}",
            open=partial(asynchronous, transport),
            floor=floor,
            starts=False,
        ),
    ]


def _bulk(peer: Peer) -> Peer:
    """Only what is about big data: the rest is the same as that of the others."""
    return Peer(
        put=peer.put,
        get=peer.get,
        make=peer.make,
        get_made=peer.get_made,
        put_frame=peer.put_frame,
        get_frame=peer.get_frame,
        arrays=peer.arrays,
        prepare=peer.prepare,
    )


@contextmanager
def by_socket(transport: Transport) -> Iterator[Peer]:
    """The blocking client, its big buffers through the socket though kernel and client are on one machine."""
    with blocking(transport, sockets_only=True) as peer:
        yield _bulk(peer)


KINDS: Final = [
    *_kinds("ipc"),
    *_kinds("tcp"),
    *(
        Kind(
            name=f"snakekernel, {transport}, socket only",
            open=partial(by_socket, transport),
            floor=f"echo, {transport}",
            starts=False,
            gigabyte=True,
        )
        for transport in ("ipc", "tcp")
    ),
]
