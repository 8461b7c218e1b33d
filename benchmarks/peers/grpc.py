"""gRPC for Python, without generated code: generic handlers whose messages are msgpack.

Two peers: the blocking client and server, with futures for calls in flight, and those of ``grpc.aio``, which
are several times slower with big messages and so have none here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import msgspec

from ..peer import OUTSTANDING, Kind, Peer, one_by_one, seen
from ..processes import listening, server
from ..served import Served, array_of, frame_bytes, frame_of

_OPTIONS: Final = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
_PLAIN: Final = ("add", "swap", "make")
_BYTES: Final = ("put_bytes", "get_bytes", "get_made_bytes", "put_frame_bytes", "get_frame_bytes")
_STREAMS: Final = ("numbers", "arrays_bytes")
_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def _methods(channel: Any) -> dict[str, Any]:
    made = {name: channel.unary_unary(f"/Served/{name}", _pack, _unpack) for name in _PLAIN}
    # Bytes go as they are.
    made |= {name: channel.unary_unary(f"/Served/{name}") for name in _BYTES if name.startswith("get")}
    made |= {
        name: channel.unary_unary(f"/Served/{name}", None, _unpack)
        for name in _BYTES
        if name.startswith("put")
    }
    made["numbers"] = channel.unary_stream("/Served/numbers", _pack, _unpack)
    made["arrays_bytes"] = channel.unary_stream("/Served/arrays_bytes", _pack)
    return made


def _peer(call: Callable[..., Any], methods: dict[str, Any], in_flight: Any, pid: int) -> Peer:
    return Peer(
        call=lambda: call(methods["add"], (2, 3)),
        in_flight=in_flight,
        swap=lambda record: call(methods["swap"], (record,)),
        loop=one_by_one(lambda a, b: call(methods["add"], (a, b))),
        pids=[pid],
    )


def _with_bulk(peer: Peer, methods: dict[str, Any]) -> Peer:
    return replace(
        peer,
        put=lambda array: methods["put_bytes"](array.tobytes()),
        get=lambda: array_of(methods["get_bytes"](b"")),
        make=lambda count, value: methods["make"]((count, value)),
        get_made=lambda: array_of(methods["get_made_bytes"](b"")),
        put_frame=lambda frame: methods["put_frame_bytes"](bytes(frame_bytes(frame))),
        get_frame=lambda: frame_of(methods["get_frame_bytes"](b"")),
        items=lambda count: list(methods["numbers"]((count,))),
        arrays=lambda count: [seen(array_of(data)) for data in methods["arrays_bytes"]((count,))],
    )


def _grpc() -> Any:
    import grpc

    return grpc


@contextmanager
def blocking() -> Iterator[Peer]:
    """Blocking calls on a channel; futures for those in flight."""
    grpc = _grpc()
    with server(__name__, "blocking") as process, grpc.insecure_channel(process.address, _OPTIONS) as channel:
        methods = _methods(channel)
        add = methods["add"]

        def in_flight(count: int) -> list[Any]:
            got = []
            for begin in range(0, count, OUTSTANDING):
                under_way = [add.future((i, 1)) for i in range(begin, min(begin + OUTSTANDING, count))]
                got += [result.result() for result in under_way]
            return got

        peer = _peer(lambda method, request: method(request), methods, in_flight, process.pid)
        yield _with_bulk(peer, methods)


@contextmanager
def asynchronous() -> Iterator[Peer]:
    """The asyncio client and server."""
    grpc = _grpc()
    with server(__name__, "aio") as process, asyncio.Runner() as runner:

        async def connect() -> Any:
            return grpc.aio.insecure_channel(process.address, _OPTIONS)

        channel = runner.run(connect())
        methods = _methods(channel)
        add = methods["add"]

        async def ask(method: Any, request: Any) -> Any:
            return await method(request)

        async def burst(count: int) -> list[Any]:
            got: list[Any] = [None] * count

            async def some(begin: int) -> None:
                for i in range(begin, count, OUTSTANDING):
                    got[i] = await add((i, 1))

            await asyncio.gather(*(some(begin) for begin in range(OUTSTANDING)))
            return got

        async def items(count: int) -> list[Any]:
            return [item async for item in methods["numbers"]((count,))]

        async def arrays(count: int) -> list[Any]:
            return [seen(array_of(data)) async for data in methods["arrays_bytes"]((count,))]

        peer = _peer(
            lambda method, request: runner.run(ask(method, request)),
            methods,
            lambda count: runner.run(burst(count)),
            process.pid,
        )
        try:
            yield replace(
                peer,
                items=lambda count: runner.run(items(count)),
                arrays=lambda count: runner.run(arrays(count)),
            )
        finally:
            runner.run(channel.close())


KINDS: Final = [
    Kind(name="gRPC", open=blocking, needs=("grpc",)),
    Kind(name="gRPC aio", open=asynchronous, needs=("grpc",)),
]


def _handlers(grpc: Any, *, asynchronous: bool) -> Any:
    served = Served()

    def handler(name: str) -> Any:
        method = getattr(served, name)
        plain = name in _PLAIN

        def run(request: Any, context: Any) -> Any:
            return method(*request) if plain else method(request) if name.startswith("put") else method()

        async def run_async(request: Any, context: Any) -> Any:
            return run(request, context)

        return grpc.unary_unary_rpc_method_handler(
            run_async if asynchronous else run,
            _unpack if plain else None,
            None if name.startswith("get") else _pack,
        )

    def streaming(name: str) -> Any:
        method = getattr(served, name)

        def run(request: Any, context: Any) -> Any:
            return method(*request)

        async def run_async(request: Any, context: Any) -> Any:
            for item in method(*request):
                yield item

        pack = None if name.endswith("bytes") else _pack
        return grpc.unary_stream_rpc_method_handler(run_async if asynchronous else run, _unpack, pack)

    handlers = {name: handler(name) for name in _PLAIN + _BYTES}
    handlers |= {name: streaming(name) for name in _STREAMS}
    return grpc.method_handlers_generic_handler("Served", handlers)


def _serve(grpc: Any) -> None:
    # More threads make each call slower: they wait for each other.
    serving = grpc.server(ThreadPoolExecutor(max_workers=1), options=_OPTIONS)
    serving.add_generic_rpc_handlers([_handlers(grpc, asynchronous=False)])
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    listening(f"127.0.0.1:{port}")
    serving.wait_for_termination()


async def _serve_aio(grpc: Any) -> None:
    serving = grpc.aio.server(options=_OPTIONS)
    serving.add_generic_rpc_handlers([_handlers(grpc, asynchronous=True)])
    port = serving.add_insecure_port("127.0.0.1:0")
    await serving.start()
    listening(f"127.0.0.1:{port}")
    await serving.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "aio":
        asyncio.run(_serve_aio(_grpc()))
    else:
        _serve(_grpc())
