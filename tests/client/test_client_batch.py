"""``batch()``: many operations in few messages, by both clients, with every kind of result and of failure."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import InvalidStateError
from pathlib import Path

import numpy as np
import pytest

import snakekernel
from snakekernel import AsyncClient, Client, Description, ref, step
from snakekernel.errors import (
    Interrupted,
    InvalidRequest,
    KernelLost,
    LimitExceeded,
    NotFound,
    ReplyTimeout,
    Unserializable,
)

pytestmark = pytest.mark.kernel

#: More steps than go into one message.
MANY = 2_345


def test_results_come_in_the_order_of_the_steps(snake: Client) -> None:
    with snake.batch() as batch:
        items = [batch.call("operator.mul", args=(i, 2)) for i in range(MANY)]
    assert len(batch) == MANY
    assert [item.result() for item in items] == [2 * i for i in range(MANY)]
    assert all(item.done() and item.exception() is None for item in items)


async def test_the_async_client_has_batches_too(snake: Client) -> None:
    async with AsyncClient.connect(snake.connection_file) as client:
        async with client.batch() as batch:
            items = [batch.call("operator.mul", args=(i, 2)) for i in range(MANY)]
            wrong = batch.call("math.sqrt", args=[-1])
        assert [item.result() for item in items] == [2 * i for i in range(MANY)]
        with pytest.raises(ValueError):
            wrong.result()
        assert await client.call("math.sqrt", args=[4]) == 2.0


def test_every_operation_of_a_client_is_one_of_a_batch(snake: Client) -> None:
    with snake.batch() as batch:
        stored = batch.store("b1", {"k": [1, 2]})
        value = batch.retrieve("b1")
        part = batch.retrieve(target="stored.b1.k")
        listed = batch.list_stored("b1")
        inspected = batch.inspect("stored.b1")
        kept = batch.call("builtins.object", store_as="b2")
        proxied = batch.stored.b1.get("k")
        called = batch.modules.math.sqrt(16)
        batch.stored.b1["k"] = 7
        changed = batch.stored.b1["k"].fetch()
        batch.store("b4", [[1], [2]])
        page = batch.table("stored.b4")
        missing = batch.table("stored.b3", format="arrow")
        del batch.stored.b2
        pong = batch.ping()
        shared = batch.share("b1", None)
    assert stored.result() >= 1
    assert value.result() == {"k": [1, 2]}
    assert part.result() == [1, 2]
    assert listed.result() == ["b1"]
    assert inspected.result()["type"] == "dict"
    assert isinstance(kept.result(), Description)
    assert kept.result().path == ("b2",)
    assert proxied.result() == [1, 2]
    assert called.result() == 4.0
    assert changed.result() == 7
    assert page.result()["total_rows"] == 2
    assert isinstance(missing.exception(), NotFound)
    assert pong.result()["bridge_type"] == "snakekernel"
    assert shared.done()
    # What results refer to is the client's and outlives the batch.
    assert kept.result().proxy._client is snake
    with pytest.raises(NotFound):
        snake.retrieve("b2")


class TestEarlierResults:
    def test_an_item_is_an_argument_of_later_steps(self, snake: Client) -> None:
        with snake.batch() as batch:
            numbers = batch.call("builtins.list", args=[(3, 1, 2)], returns="none")
            ordered = batch.call("builtins.sorted", args=[numbers])
            both = batch.call("builtins.dict", kwargs={"first": ordered, "second": [numbers]})
            batch.store("ordered", ordered)
        assert numbers.result() is None
        assert both.result() == {"first": [1, 2, 3], "second": [[3, 1, 2]]}
        assert snake.retrieve("ordered") == [1, 2, 3]

    def test_a_chain_longer_than_a_message_usually_is(self, snake: Client) -> None:
        with snake.batch() as batch:
            first = [batch.call("operator.add", args=[i, 0]) for i in range(900)]
            total = first[450]
            for _ in range(1_500):
                total = batch.call("operator.add", args=[total, 1], returns="value")
            rest = [batch.call("operator.add", args=[i, 0]) for i in range(1_500)]
            last = batch.call("operator.add", args=[rest[-1], rest[-2]])
        assert total.result() == 450 + 1_500
        assert last.result() == 1_499 + 1_498
        assert [item.result() for item in first + rest] == [*range(900), *range(1_500)]

    def test_a_step_by_number_counts_from_the_beginning_of_the_batch(self, snake: Client) -> None:
        with snake.batch() as batch:
            items = [batch.call("operator.add", args=[i, 0]) for i in range(1_200)]
            by_number = batch.call("operator.add", args=[step(1_100), step(3)])
            more = [batch.call("builtins.dict", kwargs={"a": [i]}) for i in range(1_500)]
            part = batch.call("numpy.add", args=[step(2_700, "a", 0), np.ones(2)])
            both = batch.call("operator.getitem", args=[more[-1], step(1_201 + 1_500 + 1)])
            named = batch.call("operator.add", args=[step(1_201 + 1_500, 0), step(2_699, "a", 0)])
        assert by_number.result() == 1_103
        assert items[-1].result() == 1_199
        assert part.result().tolist() == [1_500.0, 1_500.0]
        assert isinstance(both.exception(), InvalidRequest)
        assert named.result() == 1_500 + 1_498

    def test_more_steps_than_a_message_holds_are_refused_when_bound_together(self, snake: Client) -> None:
        before = snake.ping()["requests_handled"]
        with pytest.raises(LimitExceeded, match="store_as"), snake.batch() as batch:
            total = batch.call("builtins.int")
            for _ in range(10_001):
                total = batch.call("operator.add", args=[total, 1])
        # Nothing was sent but the two pings.
        assert snake.ping()["requests_handled"] == before + 1
        with pytest.raises(LimitExceeded):
            total.result()

    def test_the_result_of_a_failed_step_fails_the_step_that_uses_it(self, snake: Client) -> None:
        with snake.batch() as batch:
            for _ in range(1_500):
                batch.call("builtins.int")
            wrong = batch.call("math.sqrt", args=[-1])
            uses = batch.call("operator.add", args=[wrong, 1])
            fine = batch.call("operator.add", args=[1, 1])
        assert isinstance(wrong.exception(), ValueError)
        assert wrong.exception().at.startswith("$.steps[1500]")  # type: ignore[union-attr]
        assert isinstance(uses.exception(), InvalidRequest)
        assert fine.result() == 2

    def test_items_mean_something_in_their_own_batch_alone(self, snake: Client) -> None:
        with snake.batch() as batch:
            item = batch.call("operator.add", args=[1, 2])
            with pytest.raises(Unserializable, match="result"):
                snake.call("builtins.str", args=[item])
        with snake.batch() as other:
            with pytest.raises(Unserializable, match="another batch"):
                other.call("builtins.str", args=[item])
            fine = other.call("builtins.str", args=[item.result()])
        assert fine.result() == "3"


class TestBuffers:
    def test_arrays_go_and_come(self, snake: Client) -> None:
        arrays = [np.arange(i, i + 5, dtype="<f8") for i in range(1_300)]
        with snake.batch() as batch:
            doubled = [batch.call("numpy.multiply", args=[array, 2]) for array in arrays]
            plain = batch.call("operator.add", args=[1, 1])
            both = batch.call("numpy.add", args=[arrays[0], doubled[1]])
            text = batch.call("builtins.len", args=[b"\0" * 100])
        for array, item in zip(arrays, doubled, strict=True):
            assert item.result().tolist() == (array * 2).tolist()
        assert plain.result() == 2
        assert both.result().tolist() == (arrays[0] + arrays[1] * 2).tolist()
        assert text.result() == 100

    async def test_arrays_through_the_async_client(self, snake: Client) -> None:
        async with AsyncClient.connect(snake.connection_file) as client:
            async with client.batch() as batch:
                items = [batch.call("numpy.sum", args=[np.ones(i)]) for i in range(1_200)]
            assert [float(item.result()) for item in items] == list(map(float, range(1_200)))

    def test_over_tcp_they_are_bound_by_their_hashes(self) -> None:
        with snakekernel.start(transport="tcp") as snake:
            with snake.batch() as batch:
                items = [batch.call("builtins.bytes", args=[bytes([i]) * 1000]) for i in range(200)]
            assert [item.result() for item in items] == [bytes([i]) * 1000 for i in range(200)]


class TestRefusals:
    def test_a_bad_argument_is_refused_where_it_is_given(self, snake: Client) -> None:
        with snake.batch() as batch:
            first = batch.call("builtins.len", args=[np.ones(3)])
            with pytest.raises(Unserializable) as caught:
                batch.call("builtins.len", args=[np.ones(2), [object()]])
            assert caught.value.at == "$.steps[1].args[1][0]"
            second = batch.call("builtins.len", args=[np.ones(4)])
        assert (first.result(), second.result()) == (3, 4)
        assert len(batch) == 2

    def test_arguments_are_taken_when_the_step_is_added(self, snake: Client) -> None:
        row: list[int] = []
        with snake.batch() as batch:
            items = []
            for i in range(3):
                row.append(i)
                items.append(batch.call("builtins.list", args=[row]))
        assert [item.result() for item in items] == [[0], [0, 1], [0, 1, 2]]

    def test_what_a_step_cannot_have(self, snake: Client) -> None:
        with snake.batch() as batch:
            with pytest.raises(InvalidRequest, match="pipeline"):
                batch.pipeline([])
            with pytest.raises(InvalidRequest, match="timeout"):
                batch.call("math.pi", timeout=3)
            with pytest.raises(InvalidRequest, match="session"):
                batch.call("math.pi", session_id="other")
            with pytest.raises(InvalidRequest, match="execute"):
                batch.execute("ping")
            with pytest.raises(InvalidRequest, match="submit"):
                batch.submit("math.pi")
        assert len(batch) == 0

    def test_results_before_the_batch_was_sent(self, snake: Client) -> None:
        with snake.batch() as batch:
            item = batch.call("math.pi")
            assert not item.done()
            with pytest.raises(InvalidStateError, match="sent when its block ends"):
                item.result()
            with pytest.raises(InvalidStateError):
                item.exception()
        assert item.result() > 3
        with pytest.raises(InvalidStateError, match="within"):
            batch.call("math.pi")
        with pytest.raises(InvalidStateError, match="once"), batch:
            pass

    def test_an_exception_in_the_block_sends_nothing(self, snake: Client) -> None:
        with pytest.raises(ZeroDivisionError), snake.batch() as batch:
            item = batch.store("never", 1)
            raise ZeroDivisionError
        with pytest.raises(InvalidStateError, match="nothing was sent"):
            item.result()
        assert snake.list_stored("never") == []

    def test_an_empty_batch_sends_nothing(self, snake: Client) -> None:
        before = snake.ping()["requests_handled"]
        with snake.batch():
            pass
        assert snake.ping()["requests_handled"] == before + 1


class TestSessions:
    def test_a_batch_in_a_session(self, snake: Client) -> None:
        with snake.session() as view:
            with view.batch() as batch:
                batch.store("mine", 1)
                kept = batch.call("builtins.object", store_as="thing")
                seen = batch.call("operator.add", args=[ref("mine"), 1])
            assert seen.result() == 2
            assert view.inspect(kept.result().proxy)["type"] == "object"
            with snake.batch(session_id=view._session_id) as batch:
                again = batch.retrieve("mine")
            assert again.result() == 1
        assert "mine" not in snake.list_stored()

    def test_a_message_that_is_refused_fails_all(self, snake: Client) -> None:
        with pytest.raises(InvalidRequest, match="1024"), snake.batch(session_id="x" * 1025) as batch:
            item = batch.retrieve("x")
        with pytest.raises(InvalidRequest, match="1024"):
            item.result()


class TestEndings:
    def test_an_interrupt_ends_the_batch_and_keeps_what_was_completed(
        self, snake: Client, tmp_path: Path
    ) -> None:
        marker = tmp_path / "begun"
        code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"

        def interrupt() -> None:
            while not marker.exists():
                time.sleep(0.005)
            snake.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(Interrupted), snake.batch() as batch:
            before = batch.call("numpy.arange", args=[3])
            broken = batch.call("builtins.exec", args=[code])
            after = batch.call("math.pi")
        thread.join()
        assert before.result().tolist() == [0, 1, 2]
        for item in (broken, after):
            with pytest.raises(Interrupted):
                item.result()
        assert snake.call("math.sqrt", args=[4]) == 2.0

    def test_a_lost_kernel_fails_what_has_no_result(self) -> None:
        with snakekernel.start() as snake:
            with pytest.raises(KernelLost), snake.batch() as batch:
                first = [batch.call("math.pi") for _ in range(1_000)]
                # Time for the reply to the first message to leave the process.
                batch.call("time.sleep", args=[0.5])
                batch.call("os.kill", args=[snake.manager.provisioner.pid, int(signal.SIGKILL)])
                rest = [batch.call("math.pi") for _ in range(3_000)]
            assert all(item.result() > 3 for item in first)
            assert all(isinstance(item.exception(), KernelLost) for item in rest)

    @pytest.mark.parametrize("kind", ["blocking", "async"])
    async def test_a_timeout_is_of_the_whole_batch(self, snake: Client, kind: str) -> None:
        if kind == "blocking":
            with pytest.raises(ReplyTimeout), snake.batch(timeout=0.1) as batch:
                item = batch.call("time.sleep", args=[2.0])
        else:
            async with AsyncClient.connect(snake.connection_file) as client:
                with pytest.raises(ReplyTimeout):
                    async with client.batch(timeout=0.1) as batch:
                        item = batch.call("time.sleep", args=[2.0])
        assert isinstance(item.exception(), ReplyTimeout)
        assert snake.call("math.sqrt", args=[4]) == 2.0

    def test_ctrl_c_leaves_the_client_usable(self, snake: Client, tmp_path: Path) -> None:
        marker = tmp_path / "begun"
        code = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"

        def press() -> None:
            while not marker.exists():
                time.sleep(0.005)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=press)
        thread.start()
        with pytest.raises(KeyboardInterrupt), snake.batch() as batch:
            item = batch.call("builtins.exec", args=[code])
        thread.join()
        assert item.done()
        assert item.exception() is not None
        snake.interrupt()
        assert snake.call("operator.add", args=[1, 2]) == 3


@pytest.mark.parametrize("items", [10, 12_000, 200_000])
def test_later_changes_of_arguments_change_nothing(snake: Client, items: int) -> None:
    array = np.zeros(items)
    with snake.batch() as batch:
        mean = batch.call("numpy.mean", args=[array])
        array[:] = 1
    assert mean.result() == 0
