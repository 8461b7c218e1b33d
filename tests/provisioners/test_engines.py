"""Kernels on real clusters of one host, through stock kernel managers: used, interrupted, restarted, lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
import zmq
from engine_clusters import CLUSTERS, PATIENCE, is_gone, until
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

import snakekernel
from snakekernel.client.launch import kernel_spec
from snakekernel.errors import LimitExceeded, NotFound, SnakeError
from snakekernel.memory.segments import open_segment, place
from snakekernel.provisioners.sidecar import close_all

#: On a busy machine a cluster of Ray is there in its second or third attempt.
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(240)]

LEASE = 3.0


@pytest.fixture(scope="module", params=sorted(CLUSTERS))
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """An engine's name and the address of a cluster."""
    with CLUSTERS[request.param]() as address:
        yield request.param, address
        close_all()


#: For what is the same code for all engines: a new driver of Ray's takes several seconds each time.
with_dask = pytest.mark.parametrize("cluster", ["dask"], indirect=True, scope="module")


def spec_for(cluster: tuple[str, str], **settings: Any) -> dict[str, Any]:
    engine, address = cluster
    config = {"address": address, "lease": LEASE, **({"cpus": 0.1} if engine == "ray" else {}), **settings}
    spec = kernel_spec()
    spec["metadata"]["kernel_provisioner"] = {"provisioner_name": f"snakekernel-{engine}", "config": config}
    return spec


@asynccontextmanager
async def kernel(cluster: tuple[str, str], **settings: Any) -> AsyncIterator[Any]:
    """A stock manager with a started kernel."""
    manager = AsyncKernelManager()
    manager._kernel_spec = KernelSpec(**spec_for(cluster, **settings))
    await manager.start_kernel()
    try:
        yield manager
    finally:
        await manager.shutdown_kernel(now=True)


@asynccontextmanager
async def stock_client(manager: Any) -> AsyncIterator[Any]:
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()


async def said(client: Any, code: str) -> str:
    """What code prints."""
    came: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        came.append(message["content"].get("text", ""))

    reply = await client.execute_interactive(code, timeout=PATIENCE, output_hook=hear)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(came).strip()


async def test_a_kernel_is_used_by_both_clients_over_curve_alone(
    cluster: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THIS_PROGRAM", "token")
    async with kernel(cluster) as manager:
        pid = manager.provisioner.where["pid"]
        async with stock_client(manager) as client:
            code = "import os; print(os.getpid(), [k for k in os.environ if 'SECRET' in k or 'LEASE' in k])"
            assert await said(client, code) == f"{pid} []"
        words = " ".join(psutil.Process(pid).cmdline())
        info = manager.get_connection_info()
        assert info["curve_secretkey"] not in words
        assert info["key"].decode() not in words
        with snakekernel.connect(manager.connection_file) as snake:
            assert snake.call("math.hypot", args=[3, 4]) == 5
        assert await manager.provisioner.memory_used() > 10 << 20

        # A client that does not know the key gets no answer to a well-formed greeting.
        with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
            plain.linger = 0
            plain.connect(f"tcp://{info['ip']}:{info['control_port']}")
            message = manager.session.msg("kernel_info_request")
            plain.send_multipart(manager.session.serialize(message))
            assert not plain.poll(1_000)
    until(lambda: is_gone(pid), "the kernel is gone")


async def test_an_interrupt_a_death_and_a_restart(cluster: tuple[str, str]) -> None:
    async with kernel(cluster) as manager:
        pid = manager.provisioner.where["pid"]
        async with stock_client(manager) as client:
            sleeping = client.execute("import time; print('begun', flush=True); time.sleep(100)")
            while (await client.get_iopub_msg(timeout=PATIENCE))["msg_type"] != "stream":
                pass
            await manager.interrupt_kernel()
            while (reply := await client.get_shell_msg(timeout=PATIENCE))["parent_header"][
                "msg_id"
            ] != sleeping:
                pass
            assert reply["content"]["ename"] == "KeyboardInterrupt"

            os.kill(pid, signal.SIGKILL)
            assert await manager.provisioner.wait() == -signal.SIGKILL
            assert manager.provisioner.is_reachable

            # The same owner, keys and ports: the client that was there goes on.
            before = manager.get_connection_info()
            await manager.restart_kernel(now=True)
            assert manager.get_connection_info() == before
            await client.wait_for_ready(timeout=PATIENCE)
            assert await said(client, "import os; print(os.getpid())") == str(
                manager.provisioner.where["pid"]
            )
        assert manager.provisioner.where["pid"] != pid


async def test_an_owner_that_hangs_or_dies_takes_its_kernel_along(cluster: tuple[str, str]) -> None:
    async with kernel(cluster) as manager:
        where = manager.provisioner.where
        owner = psutil.Process(where["owner"])
        owner.suspend()
        try:
            # As with an isolated host: the kernel ends itself, and only then is it told dead.
            until(lambda: is_gone(where["pid"]), "the kernel keeps to its lease")
            assert not manager.provisioner.is_reachable
            assert await manager.provisioner.wait() == -signal.SIGKILL
        finally:
            owner.resume()
    async with kernel(cluster) as manager:
        where = manager.provisioner.where
        with snakekernel.connect(manager.connection_file) as snake:
            started = "__import__('subprocess').Popen(['sleep', '600']).pid"
            child = snake.call("builtins.eval", args=[started])
        os.kill(where["owner"], signal.SIGKILL)
        until(lambda: is_gone(where["pid"]) and is_gone(child), "the kernel and its child are gone")
        assert await manager.provisioner.wait() == -signal.SIGKILL
        # Elsewhere, and under other keys.
        before = manager.get_connection_info()
        await manager.restart_kernel(now=True)
        assert manager.get_connection_info()["curve_publickey"] != before["curve_publickey"]
        async with stock_client(manager) as client:
            assert await said(client, "print(6 * 7)") == "42"


@with_dask
async def test_a_start_that_takes_longer_than_a_lease(cluster: tuple[str, str]) -> None:
    manager = AsyncKernelManager()
    manager._kernel_spec = KernelSpec(**spec_for(cluster))
    manager.kernel_spec.argv[:0] = ["sh", "-c", f'sleep {LEASE + 1}; exec "$@"', "sh"]
    await manager.start_kernel()
    try:
        assert await manager.is_alive()
    finally:
        await manager.shutdown_kernel(now=True)


@with_dask
async def test_owners_that_are_let_go_leave_nothing_in_their_worker(cluster: tuple[str, str]) -> None:
    async def use() -> None:
        async with kernel(cluster):
            pass

    async with kernel(cluster) as manager:
        worker = psutil.Process(manager.provisioner.where["owner"])
        threads = worker.num_threads()
        await asyncio.gather(*(use() for _ in range(5)))
    until(lambda: worker.num_threads() <= threads, "their threads have ended")


@with_dask
async def test_after_a_restart_that_fails_nothing_is_waited_for(cluster: tuple[str, str]) -> None:
    async with kernel(cluster) as manager:
        owner, argv = manager.provisioner.where["owner"], manager.kernel_spec.argv
        for broken in (["/there/is/none"], [sys.executable, "-c", "raise SystemExit(3)"]):
            manager.kernel_spec.argv = broken
            with pytest.raises(SnakeError, match=r"could not be started|ended with 3"):
                await manager.restart_kernel(now=True, newports=True)
            assert await asyncio.wait_for(manager.provisioner.wait(), PATIENCE) is not None
        manager.kernel_spec.argv = argv
        await manager.restart_kernel(now=True)
        assert manager.provisioner.where["owner"] == owner
        async with stock_client(manager) as client:
            assert await said(client, "print(6 * 7)") == "42"


@with_dask
async def test_kernels_of_a_lost_sidecar_are_gone_before_they_are_told_dead(cluster: tuple[str, str]) -> None:
    async with kernel(cluster) as manager:
        pid = manager.provisioner.where["pid"]
        os.kill(manager.provisioner._sidecar.pid, signal.SIGKILL)
        assert await manager.provisioner.wait() == -signal.SIGKILL
        assert is_gone(pid)
        await manager.restart_kernel(now=True)
        assert await manager.is_alive()


PROGRAM = """
import json, sys
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
manager = KernelManager()
manager._kernel_spec = KernelSpec(**json.loads(sys.argv[1]))
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
print(manager.provisioner.where["pid"], manager.provisioner._sidecar.pid, flush=True)
sys.stdin.read()
"""


@with_dask
def test_a_program_that_is_killed_leaves_no_kernel(cluster: tuple[str, str]) -> None:
    words = [sys.executable, "-c", PROGRAM, json.dumps(spec_for(cluster))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        kernel, sidecar = map(int, program.stdout.readline().split())
        program.kill()
    until(lambda: is_gone(kernel) and is_gone(sidecar), "kernel and sidecar are gone")


async def test_no_place_in_the_cluster_is_an_error_that_says_what_was_asked(cluster: tuple[str, str]) -> None:
    manager = AsyncKernelManager()
    manager._kernel_spec = KernelSpec(**spec_for(cluster, resources={"quantum": 3}, start_timeout=3))
    with pytest.raises(LimitExceeded, match=r"within 3 s.*quantum.*3"):
        await manager.start_kernel()
    assert not manager.has_kernel


def is_there(entry: dict[str, Any]) -> bool:
    try:
        return bool(open_segment(**entry))
    except OSError:
        return False


async def test_bytes_go_from_kernel_to_kernel_through_the_engine(cluster: tuple[str, str]) -> None:
    data = os.urandom(3 << 20)
    async with kernel(cluster) as one, kernel(cluster) as other:
        # As a kernel places them; here this process, which its owner can open as well.
        placed = place(memoryview(data))
        segment = {
            "pid": os.getpid(),
            "descriptor": placed.descriptor,
            "name": placed.name,
            "offset": placed.offset,
            "length": placed.length,
        }
        token = await one.provisioner.take([segment, segment])
        placed.lease.end()
        entries = await other.provisioner.give(token)
        assert await other.provisioner.give(token) == entries
        assert [bytes(open_segment(**entry)) == data for entry in entries] == [True, True]
        await one.provisioner.drop(token)
        # Engines let go of what nobody refers to in their own time.
        until(lambda: not is_there(entries[0]), "the segment is gone")
        with pytest.raises(NotFound):
            await other.provisioner.give(token)
