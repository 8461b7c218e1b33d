"""Results shared between real kernels of one host: published in one, used in another."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from needs import skip_unless_ci
from stock_client import PATIENCE, Stock

import snakekernel
from snakekernel import AsyncClient, Client, Published, errors
from snakekernel.memory.peers import SUPPORTED
from snakekernel.memory.publications import Segment, open_parts

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not SUPPORTED, reason="segments need Linux")]

MIB = 1 << 20
BIG = 64 * MIB
MARK = "/memfd:snakekernel-"

CODE = """
import os

def make(n):
    import numpy
    return numpy.arange(n // 8, dtype="f8")

def where(array):
    "What an array's memory is a mapping of, how many bytes of it are this process's own, and its sum."
    total, address = float(array.sum()), array.__array_interface__["data"][0]
    name, own, is_it = "", 0, False
    for line in open("/proc/self/smaps"):
        head = line.split()
        if not head[0].endswith(":"):
            low, high = (int(end, 16) for end in head[0].split("-"))
            is_it = low <= address < high
            name = head[5] if is_it and len(head) > 5 else name
        elif is_it and head[0] == "Anonymous:":
            own += int(head[1]) << 10
    return name, own, total

def held():
    "How many segments this process holds by a descriptor."
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum("/memfd:snakekernel-" in os.readlink(link) for link in links if os.path.islink(link))
"""


def teach(client: Client) -> Client:
    """Have a kernel know the functions above."""
    client.call("IPython.get_ipython", store_as="ip")
    client.call("stored.ip.run_cell", args=[CODE], returns="none")
    return client


@pytest.fixture(scope="module")
def one(snake: Client) -> Client:
    """The kernel that publishes."""
    return teach(snake)


@pytest.fixture(scope="module")
def other() -> Iterator[Client]:
    """A client of a second kernel."""
    with snakekernel.start(shared_memory=None) as client:
        yield teach(client)


@pytest.fixture(autouse=True)
def nothing_published(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test leaves no publication in the kernel that the module shares."""
    yield
    if "one" in request.fixturenames:
        request.getfixturevalue("one").unpublish()


def test_an_array_is_used_in_another_kernel_without_a_copy(one: Client, other: Client) -> None:
    one.call("user.make", args=[BIG], store_as="big")
    published = one.publish("big")
    assert (published.type, published.nbytes) == ("numpy.ndarray", BIG)
    name, own, total = other.call("user.where", args=[published])
    assert name == f"{MARK}{published.segments[0].name}"
    assert own < MIB
    assert total == float(numpy.arange(BIG // 8, dtype="f8").sum())
    # And here, and by a path in it, and stored there, writable by each for itself.
    assert published.get()[-1] == BIG // 8 - 1
    other.store("theirs", {"array": published})
    other.set(["stored", "theirs", "array", 0], 5.0)
    assert other.call("user.where", args=[snakekernel.ref("theirs", "array")])[1] < MIB
    assert published.get()[0] == one.call("operator.getitem", args=[snakekernel.ref("big"), 0]) == 0


def test_it_stays_for_who_opened_it_and_is_gone_for_others(
    fresh_kernel: Callable[..., Any], other: Client
) -> None:
    gone = teach(fresh_kernel()[0])
    gone.call("user.make", args=[BIG], store_as="big")
    published, again = gone.publish("big"), gone.publish(target=["stored", "big", {"item": slice(0, 8)}])
    other.store("kept", published)
    gone.close()
    assert other.call("user.where", args=[snakekernel.ref("kept")])[0].startswith(MARK)
    with pytest.raises(errors.NotFound, match="its kernel is gone") as caught:
        other.call("user.where", args=[again])
    assert caught.value.at == "$.args[0]['$published'].segments[0]"
    with pytest.raises(errors.NotFound):
        published.get()
    other.delete_stored("kept")


def test_nothing_is_held_once_it_is_unpublished(one: Client, other: Client) -> None:
    one.call("user.make", args=[4 * MIB], store_as="x")
    before = [client.call("user.held") for client in (one, other)]
    for _ in range(3):
        published = [one.publish("x"), one.publish(target="stored.x.T")]
        for publication in published:
            assert other.call("builtins.len", args=[publication]) == 4 * MIB // 8
        assert one.call("user.held") > before[0]
        assert [one.unpublish(published[0]), one.unpublish(published[1].id)] == [1, 1]
    assert [client.call("user.held") for client in (one, other)] == before
    for publication in published:
        with pytest.raises(errors.NotFound, match="unpublished"):
            other.call("builtins.len", args=[publication])
        with pytest.raises(errors.NotFound):
            one.unpublish(publication)


def test_a_publication_ends_with_its_session(one: Client, other: Client) -> None:
    before = one.call("user.held")
    with one.session("mine") as mine:
        mine.store("x", numpy.arange(MIB))
        published = mine.publish("x")
        assert other.call("builtins.len", args=[published]) == MIB
        assert one.unpublish() == 0
    with pytest.raises(errors.NotFound, match="its session has ended"):
        other.call("builtins.len", args=[published])
    assert one.call("user.held") == before


def test_a_snapshot_stays_as_it_was(one: Client, other: Client) -> None:
    one.call("user.make", args=[2 * MIB], store_as="x")
    first = one.publish("x")
    assert one.publish("x") == first
    one.set(["stored", "x", 0], 7.0)
    second = one.publish("x")
    assert second.id != first.id
    assert [other.call("operator.getitem", args=[one_of, 0]) for one_of in (first, second)] == [0.0, 7.0]


def test_tables_and_plain_values(one: Client, other: Client) -> None:
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": range(300_000), "b": ["text"] * 300_000})
    table = pyarrow.table({"a": range(300_000)})
    values = {"frame": frame, "table": table, "list": list(range(50_000)), "small": {"a": (1, {2.5})}}
    for name, value in values.items():
        one.store(name, value)
    sent = {name: one.publish(name) for name in values}
    back = other.call("builtins.dict", kwargs=sent, returns="value")
    pandas.testing.assert_frame_equal(back["frame"], frame)
    assert back["table"].equals(table)
    assert (back["list"], back["small"]) == (values["list"], values["small"])
    # What has no buffers is all in the publication; long JSON is not.
    assert (sent["small"].segments, len(sent["list"].segments)) == ((), 1)
    assert len(str(sent["list"].to_json())) < 1_000


def test_polars_frames_travel_by_their_arrow_table(one: Client, other: Client) -> None:
    polars = pytest.importorskip("polars")
    one.store("t", polars.DataFrame({"a": range(300_000)}).to_arrow())
    other.call("polars.from_arrow", args=[one.publish("t")], store_as="frame")
    assert other.call("stored.frame.height") == 300_000


def test_what_has_no_lossless_form_is_refused(one: Client) -> None:
    one.call("builtins.object", store_as="o")
    one.call("builtins.dict", kwargs={"a": [1, snakekernel.ref("o")]}, store_as="d")
    for name, where in (("o", "lossless form: "), ("d", r"at \.a\[1\]")):
        with pytest.raises(errors.Unserializable, match=where) as caught:
            one.publish(name)
        assert caught.value.at == "$.id"
    for wrong in ({}, {"id": "o", "target": "stored.o"}, {"target": "os.path"}):
        with pytest.raises(errors.InvalidRequest):
            one.publish(**wrong)
    with pytest.raises(errors.NotFound):
        one.publish("nothing")


def test_too_much_is_refused(fresh_kernel: Callable[..., Any], tmp_path: Path) -> None:
    profile = tmp_path / "profile_default"
    profile.mkdir()
    (profile / "snakekernel_kernel_config.py").write_text(f"c.SnakeKernel.max_published_bytes = {MIB}\n")
    client, _ = fresh_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    client.store("x", numpy.ones(MIB // 8))
    kept = client.publish("x")
    client.store("y", 1.0)
    client.store("z", b"z")
    assert client.publish("y").get() == 1.0
    with pytest.raises(errors.LimitExceeded, match="unpublish"):
        client.publish("z")
    client.unpublish(kept)
    assert client.publish("z").get() == b"z"


def test_secrets_are_taken_out(fresh_kernel: Callable[..., Any]) -> None:
    client, stock = fresh_kernel()
    client.store("x", {"key": "sk-not-to-be-told", "bytes": b"-- sk-not-to-be-told --"})
    client.call("builtins.dict", kwargs={"api_key": "sk-not-to-be-told"}, returns="none")
    reply = stock.ok("publish", {"id": "x"})
    assert reply["lossy"] is True
    value = Published.from_json(reply["published"]).get()
    assert "not-to-be-told" not in str(value)


# -- other clients -----------------------------------------------------------------------------------------


def test_a_stock_client_shares_results_too(one: Client, stock: Stock, other: Client) -> None:
    theirs = Stock(other.manager.get_connection_info())
    try:
        stock.ok("store", {"id": "x", "value": {"$bytes": 0}}, buffers=[b"a" * 5_000])
        published = stock.ok("publish", {"id": "x"})["published"]
        reply = theirs.ok("call", {"target": "builtins.len", "args": [published]})
        assert reply["result"]["value"] == 5_000
        same = [client.ok("ping", {}, channel="control")["host"] for client in (stock, theirs)]
        assert same == [published["$published"]["host"]] * 2
        id = published["$published"]["id"]
        assert stock.ok("unpublish", {"id": id}, channel="control")["count"] == 1
    finally:
        theirs.close()


def test_async_clients_batches_and_pipelines(one: Client, other: Client) -> None:
    one.call("user.make", args=[MIB], store_as="x")

    async def main() -> list[Any]:
        async with (
            AsyncClient.connect(one.connection_file) as mine,
            AsyncClient.connect(other.connection_file) as theirs,
        ):
            published = await mine.publish("x")
            return [published, await theirs.call("builtins.len", args=[published])]

    published, length = asyncio.run(main())
    with one.batch() as batch:
        item = batch.publish("x")
    piped = one.pipeline([{"op": "publish", "id": "x"}, {"op": "unpublish"}])
    assert item.result() == piped[0] == published
    assert (length, piped[1]["count"]) == (MIB // 8, 1)


# -- forged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["name", "pid", "descriptor", "length", "value"])
def test_forged_publications_are_refused(one: Client, other: Client, stock: Stock, what: str) -> None:
    theirs = Stock(other.manager.get_connection_info())
    one.call("user.make", args=[MIB], store_as="x")
    data = one.publish("x").to_json()
    payload = data["$published"]
    changes: dict[str, Any] = {"name": "0" * 32, "pid": os.getpid(), "descriptor": 0, "length": 2 * MIB}
    if what == "value":
        payload["value"] = {"$ndarray": {"buffer": 0, "dtype": "O", "shape": [1]}}
    else:
        payload["segments"][0][what] = changes[what]
    reply = theirs.fails("call", {"target": "builtins.len", "args": [data]})
    theirs.close()
    assert reply["code"] == ("invalid_request" if what in ("length", "value") else "not_found")
    assert (reply["fault"], reply["at"][:24]) == ("caller", "$.args[0]['$published']."[:24])


def test_another_users_memory_is_refused() -> None:
    # The superuser alone could open it; in CI it is there.
    if os.geteuid() != 0:
        skip_unless_ci("a process of another user is made by the superuser")
    code = (
        "import os, sys, snakekernel.memory.segments\n"
        "from snakekernel.memory.publications import Publications\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "kept = Publications().add(None, None, b'', [memoryview(b'x' * 100)])\n"
        "one = kept.segments[0]\n"
        "print(one.pid, one.descriptor, one.name, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid, descriptor, name = process.stdout.readline().split()
        assert os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"{MARK}{name} (deleted)"
        segment = Segment(int(pid), int(descriptor), name, 0, 100)
        with pytest.raises(errors.NotFound):
            open_parts([segment], [(0, 0, 100)])
        process.communicate(timeout=PATIENCE)
