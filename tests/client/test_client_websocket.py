"""A kernel behind a stock Jupyter Server: all that a client can do; faults, secrets, leaks."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_process import ServerProcess, jupyter_server
from needs import skip_unless_ci
from test_client_batch import test_results_come_in_the_order_of_the_steps as test_batches
from test_client_operations import SCENARIOS
from test_client_operations import test_blocking as check_operations
from test_client_operations import test_session_as_a_context_manager as test_sessions
from test_client_streams import producers
from test_client_streams import test_a_function_of_the_client_makes_the_items as test_streams_of_functions
from test_client_streams import test_a_reader_slower_than_any_queue as test_streams
from test_client_streams import test_in_parallel as test_streams_in_parallel
from test_client_streams import test_leaving_the_loop_closes_it as test_closed_streams
from test_client_streams import test_within_a_function_of_the_async_client as test_async_callbacks

import snakekernel
from snakekernel import AsyncClient, Client
from snakekernel.client import websocket_pulse
from snakekernel.client.websocket_frames import pack_message, unpack_message
from snakekernel.errors import Cancelled, Denied, Interrupted, KernelLost, RemoteError, ReplyTimeout
from snakekernel.wire.frame import BadFrame

# Tests of local clients, which run here with a client of the server's kernel.
__all__ = [
    "producers",
    "test_async_callbacks",
    "test_batches",
    "test_closed_streams",
    "test_sessions",
    "test_streams",
    "test_streams_in_parallel",
    "test_streams_of_functions",
]

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

#: Seconds within which a client must have noticed a loss.
SOON = 30.0
#: Waits until files are there.
_AWAIT = "import os, time\nwhile not all(map(os.path.exists, {!r})): time.sleep(0.01)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with jupyter_server(folder, "--ServerApp.base_url=/some/base") as server:
        yield server


@pytest.fixture(scope="module")
def snake(server: ServerProcess) -> Iterator[Client]:
    with snakekernel.connect(server.url, token=server.token, kernel_name="snakekernel") as client:
        yield client
    assert server.kernels() == []


@pytest.fixture(scope="module")
def kernel(server: ServerProcess, snake: Client) -> str:
    """The address of the module's kernel."""
    return f"{server.url}api/kernels/{server.kernels()[0]}"


@pytest.fixture
async def asnake(server: ServerProcess, kernel: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient.connect(kernel, token=server.token) as client:
        yield client


# Without the language model programs, whose library takes seconds to load.
@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"programs"}))
def test_operations(snake: Client, name: str) -> None:
    check_operations(snake, name)


async def test_async_streams(asnake: AsyncClient) -> None:
    assert [item async for item in asnake.stream("user.numbers_async", args=[99], credit=1)] == list(
        range(99)
    )


def test_arrays(snake: Client) -> None:
    array = np.arange(1_000_000.0)
    assert np.array_equal(snake.call("numpy.negative", args=[array]), -array)


def test_more_than_a_stock_server_takes(server: ServerProcess, kernel: str) -> None:
    with snakekernel.connect(kernel, token=server.token) as client:
        with pytest.raises(KernelLost, match="too big for it"):
            client.call("builtins.len", args=[bytes(11 << 20)])
        _until(lambda: client.call("math.sqrt", args=[4]))


def test_output_and_progress(snake: Client) -> None:
    heard: list[Any] = []
    code = "import snakekernel\nfor _ in snakekernel.progress(range(3)): print('said', flush=True)"
    snake.call(
        "builtins.exec", args=[code, {}], on_output=heard.append, on_progress=lambda *told: heard.append(told)
    )
    assert "".join(one.text for one in heard if not isinstance(one, tuple)) == "said\n" * 3
    assert heard[-1][:2] == (3, 3) or (3, 3, "") in heard


def test_output_of_a_kernel_that_is_busy_when_a_client_comes(
    server: ServerProcess, snake: Client, kernel: str, tmp_path: Path
) -> None:
    """The server listens to such a kernel no sooner than it answers."""
    busy = snake.submit("builtins.exec", args=[_AWAIT.format([str(tmp_path / "come")]), {}])
    with snakekernel.connect(kernel, token=server.token) as client:
        heard: list[Any] = []
        late = client.submit("builtins.print", args=["late"], on_output=heard.append)
        assert not busy.done()
        (tmp_path / "come").touch()
        late.result()
        assert [one.text for one in heard] == ["late\n"]
    busy.result()


def test_callbacks(snake: Client) -> None:
    assert snake.call("functools.reduce", args=[lambda a, b: a + b, [1, 2, 3]]) == 6
    with pytest.raises(RemoteError):
        snake.call("functools.reduce", args=[lambda a, b: a / 0, [1, 2, 3]])


def test_many_at_once(snake: Client, tmp_path: Path) -> None:
    markers = [str(tmp_path / str(n)) for n in range(4)]
    with snake.parallel(4) as pool:
        # Each waits for all others.
        codes = [f"open({marker!r}, 'w').close()\n{_AWAIT.format(markers)}" for marker in markers]
        pool.map("builtins.exec", codes)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda n: snake.call("math.sqrt", args=[n * n]), range(50))) == list(
            range(50)
        )


def test_stopping(snake: Client, tmp_path: Path) -> None:
    with pytest.raises(ReplyTimeout):
        snake.call("time.sleep", args=[1000], timeout=0.2)
    future = snake.submit("time.sleep", args=[1000], call_id="long")
    while not snake.cancel("long"):
        pass
    with pytest.raises(Cancelled):
        future.result()
    marker = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(1000)"
    running = snake.submit("builtins.exec", args=[code, {}])
    while not marker.exists():
        time.sleep(0.01)
    snake.interrupt()
    with pytest.raises(Interrupted):
        running.result()


def test_another_connection_fetches_an_outcome(server: ServerProcess, snake: Client, kernel: str) -> None:
    first = snake.call("numpy.random.random", args=[9], call_id="of the websocket")
    with snakekernel.connect(kernel, token=server.token) as other:
        np.testing.assert_array_equal(other.outcome("of the websocket"), first)
        again = other.call("numpy.random.random", args=[9], call_id="of the websocket")
        np.testing.assert_array_equal(again, first)


def test_a_kernel_of_the_servers_stays(server: ServerProcess, snake: Client, kernel: str) -> None:
    snake.store("mark", 7)
    with snakekernel.connect(kernel, token=server.token) as other:
        assert other.retrieve("mark") == 7
        assert other.call("os.getpid") == snake.call("os.getpid")
    assert len(server.kernels()) == 1
    assert snake.retrieve("mark") == 7


async def test_the_async_client_ends_the_kernel_that_it_started(server: ServerProcess, snake: Client) -> None:
    async with AsyncClient.connect(server.url, token=server.token, kernel_name="snakekernel") as client:
        assert await client.call("math.sqrt", args=[4]) == 2.0
        assert sorted(
            await asyncio.gather(*(client.call("math.sqrt", args=[n * n]) for n in range(20)))
        ) == list(range(20))
        heard: list[Any] = []
        await client.call("builtins.print", args=["heard"], on_output=heard.append)
        assert heard[0].text == "heard\n"
        assert len(server.kernels()) == 2
    assert len(server.kernels()) == 1


# -- what is refused, and secrets ------------------------------------------------------------------


def test_what_cannot_be_reached(
    server: ServerProcess, snake: Client, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "d0" * 16
    host = server.url.partition("//")[2].partition("/")[0]
    attempts: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (Denied, server.url, {"token": wrong}),
        (Denied, server.url, {}),
        (FileNotFoundError, f"{server.url}api/kernels/12345678-1234-1234-1234-123456789012", {}),
        (FileNotFoundError, f"http://{host}/elsewhere", {}),
        (KernelLost, server.url.replace("http:", "https:"), {"timeout": 2}),
        (KernelLost, "http://127.0.0.1:9/", {}),
        (ValueError, "http://", {}),
        (ValueError, f"http://someone:{wrong}@{host}/", {}),
        (ValueError, f"{server.url}api/kernels/x", {"kernel_name": "y"}),
        (ValueError, server.url, {"kernel_name": "x", "pool": "y"}),
        # A token's file ends with a line's end.
        (ValueError, server.url, {"token": f"{wrong}\n"}),
        (TypeError, "some-kernel", {"token": wrong}),
        (FileNotFoundError, server.url.replace("http:", "https:"), {"ca_file": "/no/such/file"}),
    ]
    caplog.set_level(logging.DEBUG)
    for kind, url, options in attempts:
        known = {} if kind in (Denied, TypeError) else {"token": server.token}
        with pytest.raises((kind, ReplyTimeout)) as caught:
            snakekernel.connect(url, **{**known, **options})
        said = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert server.token not in said
        assert wrong not in said
    assert server.token not in caplog.text
    assert wrong not in caplog.text


def test_the_token_is_shown_nowhere(
    server: ServerProcess, snake: Client, kernel: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # As a server prints it for browsers.
    with snakekernel.connect(f"{kernel}?token={server.token}") as client:
        client.call("math.sqrt", args=[4])
        bridge = client._bridge
        assert bridge is not None
        shown = [repr(client), repr(bridge), repr(client._link.connection), repr(bridge._address)]
    assert kernel in shown[0]
    assert server.token not in "".join(shown) + caplog.text + server.log.read_text()


# -- losses ----------------------------------------------------------------------------------------

_WAIT = "import pathlib, time; pathlib.Path({!r}).touch(); time.sleep(600)"


def _begun_call(client: Client, marker: Path) -> Any:
    marker.unlink(missing_ok=True)
    call = client.submit("builtins.exec", args=[_WAIT.format(str(marker)), {}])
    while not marker.exists():
        time.sleep(0.01)
    return call


def _until(does: Callable[[], object]) -> None:
    """Wait until it raises KernelLost no more."""
    deadline = time.monotonic() + 60
    while True:
        try:
            does()
            return
        except KernelLost:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_kernel_that_dies_is_usable_again_as_after_a_restart(server: ServerProcess, tmp_path: Path) -> None:
    with snakekernel.connect(server.url, token=server.token, kernel_name="snakekernel") as client:
        pid = client.call("os.getpid")
        call = _begun_call(client, tmp_path / "begun")
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert isinstance(call.exception(timeout=SOON), KernelLost)
        assert time.monotonic() - begun < SOON
        _until(lambda: client.call("math.sqrt", args=[4]))
        assert client.call("os.getpid") != pid
        heard: list[Any] = []
        client.call("builtins.print", args=["again"], on_output=heard.append)
        assert heard[0].text == "again\n"


def test_a_kernel_that_someone_restarts(server: ServerProcess, tmp_path: Path) -> None:
    known = set(server.kernels())
    with snakekernel.connect(server.url, token=server.token, kernel_name="snakekernel") as client:
        (mine,) = set(server.kernels()) - known
        pid = client.call("os.getpid")
        call = _begun_call(client, tmp_path / "begun")
        server.ask("POST", f"api/kernels/{mine}/restart", {})
        # Whoever restarts a kernel interrupts it first.
        assert isinstance(call.exception(timeout=SOON), KernelLost | Interrupted)
        _until(lambda: client.call("math.sqrt", args=[4]))
        assert client.call("os.getpid") != pid


def test_tls_and_a_server_that_is_silent_and_one_that_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        skip_unless_ci("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=test "
        "-addext subjectAltName=IP:127.0.0.1",
        shell=True,
        check=True,
        capture_output=True,
    )
    monkeypatch.setattr(websocket_pulse, "BEAT", 0.2)
    monkeypatch.setattr(websocket_pulse, "SILENCE", 2.0)
    with ExitStack() as stack:
        server = stack.enter_context(
            jupyter_server(tmp_path, f"--certfile={certificate}", f"--keyfile={key}")
        )
        options: dict[str, Any] = {"token": server.token, "kernel_name": "snakekernel"}
        with pytest.raises(KernelLost, match="ca_file"):
            snakekernel.connect(server.url, **options)
        client = stack.enter_context(snakekernel.connect(server.url, ca_file=str(certificate), **options))
        kernel = psutil.Process(client.call("os.getpid"))
        call = _begun_call(client, tmp_path / "begun")
        server.process.send_signal(signal.SIGSTOP)
        try:
            assert isinstance(call.exception(timeout=SOON), KernelLost)
            with pytest.raises(KernelLost):
                client.call("math.sqrt", args=[4])
        finally:
            server.process.send_signal(signal.SIGCONT)
        _until(client.ping)
        client.interrupt()
        assert client.call("math.sqrt", args=[4], timeout=30) == 2.0
        with snakekernel.connect(server.url, verify=False, **options) as other:
            assert other.call("math.sqrt", args=[4]) == 2.0
        call = _begun_call(client, tmp_path / "begun")
        server.process.kill()
        assert isinstance(call.exception(timeout=SOON), KernelLost)
        begun = time.monotonic()
        client.close()
        assert time.monotonic() - begun < SOON / 2
        # Its server did not live to end it.
        kernel.kill()


# -- nothing is left -------------------------------------------------------------------------------


def _counts() -> tuple[int, int]:
    gc.collect()
    return psutil.Process().num_fds(), psutil.Process().num_threads()


def test_opening_and_closing_leaks_nothing(server: ServerProcess, snake: Client, kernel: str) -> None:
    snakekernel.connect(kernel, token=server.token).close()
    before = _counts()
    for _ in range(10):
        with snakekernel.connect(kernel, token=server.token) as client:
            client.call("math.sqrt", args=[4])
        with pytest.raises(Denied):
            snakekernel.connect(kernel, token="wrong")
    assert _counts() == before


# Of the pipes of a client that is not closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_that_nobody_holds_ends_its_kernel(server: ServerProcess, snake: Client) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    client = snakekernel.connect(server.url, token=server.token, kernel_name="snakekernel")
    assert len(server.kernels()) == 2
    (thread,) = (one for one in threading.enumerate() if one.ident not in before and "snake" in one.name)
    del client
    gc.collect()
    thread.join(SOON)
    assert not thread.is_alive()
    assert len(server.kernels()) == 1


def test_the_end_of_python_and_a_forked_child(server: ServerProcess, snake: Client) -> None:
    code = f"""
import os, sys, snakekernel
client = snakekernel.connect({server.url!r}, token=os.environ["TOKEN"], kernel_name="snakekernel")
child = os.fork()
if child == 0:
    try:
        client.call("math.sqrt", args=[4])
    except snakekernel.errors.KernelLost:
        client.close()
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert client.call("math.sqrt", args=[4]) == 2.0
"""
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env={**os.environ, "TOKEN": server.token},
        check=True,
        timeout=60,
    )
    assert len(server.kernels()) == 1


# -- messages --------------------------------------------------------------------------------------


@given(st.text(max_size=9), st.lists(st.binary(max_size=30), min_size=4, max_size=7))
def test_messages_come_back_as_they_went(channel: str, parts: list[bytes]) -> None:
    from jupyter_server.services.kernels.connection.base import (
        deserialize_msg_from_ws_v1,
        serialize_msg_to_ws_v1,
    )

    message = pack_message(channel, parts)
    assert message == serialize_msg_to_ws_v1(parts, channel)
    assert deserialize_msg_from_ws_v1(message) == (channel, parts)
    assert unpack_message(message) == (channel, parts)


@given(st.binary(max_size=99))
def test_any_other_bytes_are_refused(message: bytes) -> None:
    with pytest.raises(BadFrame):
        unpack_message(message)
