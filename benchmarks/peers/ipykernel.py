"""A stock ipykernel asked by jupyter_client's own clients: expressions of an ``execute_request``.

Arrays and frames are left out: an execute_request carries text only.
"""

from __future__ import annotations

import ast
import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import start_new_kernel

from ..peer import OUTSTANDING, STEPS, Kind, Peer
from ..processes import environment, folder

_PREPARE: Final = "import operator\nfrom benchmarks.served import Served\nkept = Served()"
_CHAIN: Final = "x = 0\n" + "x = operator.add(x, 1)\n" * STEPS


def _asked(expression: str, code: str = "") -> dict[str, Any]:
    return {"code": code, "user_expressions": {"value": expression}, "store_history": False}


def _value(reply: dict[str, Any]) -> Any:
    return ast.literal_eval(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])


def _batch(count: int) -> dict[str, Any]:
    # As text, for IPython shows the first thousand items only.
    return _asked("repr(items)", f"items = [operator.add(i, 1) for i in range({count})]")


@contextmanager
def _kernel() -> Iterator[tuple[Any, Any]]:
    with folder() as place:
        manager, client = start_new_kernel(
            kernel_name="python3",
            cwd=str(place),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield manager, client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


@contextmanager
def blocking() -> Iterator[Peer]:
    """The blocking client."""
    with _kernel() as (manager, client):

        def ask(asked: dict[str, Any]) -> Any:
            return _value(client.execute(**asked, reply=True, timeout=30))

        def reply() -> Any:
            return _value(client.get_shell_msg(timeout=30))

        def in_flight(count: int) -> list[Any]:
            got = []
            for i in range(count):
                if i >= OUTSTANDING:
                    got.append(reply())
                client.execute(**_asked(f"operator.add({i}, 1)"))
            while len(got) < count:
                got.append(reply())
            return got

        def loop() -> Any:
            value = 0
            for _ in range(STEPS):
                value = ask(_asked(f"operator.add({value}, 1)"))
            return value

        yield Peer(
            # The module is not imported yet when the first call comes.
            call=lambda: ask(_asked("__import__('operator').add(2, 3)")),
            in_flight=in_flight,
            batch=lambda count: ast.literal_eval(ask(_batch(count))),
            swap=lambda record: ask(_asked(f"kept.swap({record!r})")),
            loop=loop,
            chain=lambda: ask(_asked("x", _CHAIN)),
            pids=[manager.provisioner.process.pid],
            prepare=lambda: client.execute(_PREPARE, reply=True, timeout=30),
        )


@contextmanager
def asynchronous() -> Iterator[Peer]:
    """The async client, many requests under way."""
    with _kernel() as (manager, first), asyncio.Runner() as runner:
        first.execute(_PREPARE, reply=True, timeout=30)

        async def connected() -> AsyncKernelClient:
            client = AsyncKernelClient()
            client.load_connection_info(manager.get_connection_info())
            client.start_channels(iopub=False, stdin=False, hb=False)
            return client

        client = runner.run(connected())

        async def ask(asked: dict[str, Any]) -> Any:
            client.execute(**asked)
            return _value(await client.get_shell_msg(timeout=30))

        async def burst(count: int) -> list[Any]:
            got = []
            for i in range(count):
                if i >= OUTSTANDING:
                    got.append(_value(await client.get_shell_msg(timeout=30)))
                client.execute(**_asked(f"operator.add({i}, 1)"))
            while len(got) < count:
                got.append(_value(await client.get_shell_msg(timeout=30)))
            return got

        async def steps() -> Any:
            value = 0
            for _ in range(STEPS):
                value = await ask(_asked(f"operator.add({value}, 1)"))
            return value

        try:
            yield Peer(
                call=lambda: runner.run(ask(_asked("operator.add(2, 3)"))),
                in_flight=lambda count: runner.run(burst(count)),
                swap=lambda record: runner.run(ask(_asked(f"kept.swap({record!r})"))),
                loop=lambda: runner.run(steps()),
                pids=[manager.provisioner.process.pid],
            )
        finally:
            client.stop_channels()


KINDS: Final = [
    Kind(name="ipykernel execute", open=blocking),
    Kind(name="ipykernel execute, async", open=asynchronous, starts=False),
]
