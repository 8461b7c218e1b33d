"""Orders are kept, notice what changes in place, keep nothing alive; hostile cells do no harm."""

from __future__ import annotations

import gc
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from snakekernel.inspection import Orders, SortKey, TableLimits, View, table_page
from snakekernel.inspection.table_query import Condition
from snakekernel.inspection.task import Task
from snakekernel.wire.errors import Cancelled, DeadlineExceeded, Unresolvable

FIRST = View((SortKey(0),))


def rows_of(obj: Any, orders: Orders, view: View = FIRST, **options: Any) -> list[int]:
    return table_page(obj, (0, 100), view=view, orders=orders, **options).row_numbers


class Number:
    """A number that counts how often it is compared."""

    compared = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: Number) -> bool:
        Number.compared += 1
        return self.number < other.number


def test_paging_on_does_not_sort_again() -> None:
    table = [[Number(n)] for n in random.sample(range(100), 100)]
    orders = Orders()
    first = table_page(table, (0, 10), view=FIRST, orders=orders)
    compared = Number.compared
    assert compared
    second = table_page(table, (10, 20), view=FIRST, orders=orders)
    assert Number.compared == compared
    assert [table[n][0].number for n in first.row_numbers + second.row_numbers] == list(range(20))
    table_page(table, view=FIRST, orders=orders, fresh=True)
    assert Number.compared > compared


def set_cell(frame: pd.DataFrame) -> None:
    frame.loc[0, "a"] = 9


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "pandas": (lambda: pd.DataFrame({"a": [1, 2, 3]}), set_cell),
    "pandas floats": (lambda: pd.DataFrame({"a": [1.0, 2.0, 3.0]}), set_cell),
    "pandas nullable": (lambda: pd.DataFrame({"a": [1, 2, 3]}, dtype="Int64"), set_cell),
    "pandas texts": (
        lambda: pd.DataFrame({"a": ["1", "2", "3"]}),
        lambda frame: frame.__setitem__("a", ["9", "2", "3"]),
    ),
    "pandas one text": (
        lambda: pd.DataFrame({"a": ["1", "2", "3"]}),
        lambda frame: frame.loc.__setitem__((0, "a"), "9"),
    ),
    "pandas objects": (lambda: pd.DataFrame({"a": [1, 2, 3]}, dtype=object), set_cell),
    "pandas categories": (
        lambda: pd.DataFrame({"a": pd.Categorical([1, 2, 3], [1, 2, 3, 9])}),
        set_cell,
    ),
    "pandas times": (
        lambda: pd.DataFrame({"a": pd.to_datetime([1, 2, 3])}),
        lambda frame: frame.loc.__setitem__((0, "a"), pd.Timestamp(9)),
    ),
    "pandas series": (lambda: pd.Series([1, 2, 3]), lambda series: series.__setitem__(0, 9)),
    "numpy": (lambda: np.array([1, 2, 3]), lambda array: array.__setitem__(0, 9)),
    "numpy columns": (
        lambda: np.array([[1, 0], [2, 0], [3, 0]]),
        lambda array: array.__setitem__((0, 0), 9),
    ),
    "polars": (
        lambda: pl.DataFrame({"a": [1, 2, 3]}),
        lambda frame: frame.__setitem__((0, "a"), 9),
    ),
    "polars texts": (
        lambda: pl.DataFrame({"a": ["1", "2", "3"]}),
        lambda frame: frame.__setitem__((0, "a"), "9"),
    ),
    "records": (
        lambda: [{"a": 1}, {"a": 2}, {"a": 3}],
        lambda records: records[0].__setitem__("a", 9),
    ),
    "rows": (lambda: [[1], [2], [3]], lambda rows: rows[0].__setitem__(0, 9)),
    "minus one and two": (lambda: [[-2], [2], [3]], lambda rows: rows[0].__setitem__(0, 9)),
    "columns": (lambda: {"a": [1, 2, 3]}, lambda columns: columns["a"].__setitem__(0, 9)),
    "columns of arrays": (
        lambda: {"a": np.array([1, 2, 3])},
        lambda columns: columns["a"].__setitem__(0, 9),
    ),
    "columns of arrow over numpy": (
        lambda: SHARED[1],
        lambda _: SHARED[0].__setitem__(0, 9),
    ),
}

_MEMORY = np.array([1, 2, 3])
SHARED = (_MEMORY, pa.table({"a": pa.Array.from_buffers(pa.int64(), 3, [None, pa.py_buffer(_MEMORY)])}))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_place_is_noticed(name: str) -> None:
    make, change = CHANGES[name]
    orders, table = Orders(), make()
    assert rows_of(table, orders) == [0, 1, 2]
    assert rows_of(table, orders) == [0, 1, 2]
    change(table)
    assert rows_of(table, orders) == [1, 2, 0]
    assert rows_of(table, orders, View((SortKey(0, True),))) == [0, 2, 1]


def test_rows_added_or_dropped_are_noticed() -> None:
    orders, frame = Orders(), pd.DataFrame({"a": [2, 1]})
    assert rows_of(frame, orders) == [1, 0]
    frame.loc[2] = 0
    assert rows_of(frame, orders) == [2, 1, 0]
    frame.insert(0, "b", [1, 2, 3])
    assert rows_of(frame, orders) == [0, 1, 2]
    records = [[2], [1]]
    assert rows_of(records, orders) == [1, 0]
    del records[0]
    assert rows_of(records, orders) == [0]


class Table(RuleBasedStateMachine):
    """Whatever is done to a frame and to a list of records, a kept order is that of now."""

    def __init__(self) -> None:
        super().__init__()
        self.orders = Orders()
        self.frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": ["x", "y", None]})
        self.records: list[dict[str, Any]] = [{"a": 1}, {"a": 2}]

    @rule(row=st.integers(0, 5), number=st.floats(0, 3))
    def set_number(self, row: int, number: float) -> None:
        self.frame.loc[row, "a"] = number
        self.records[row % len(self.records)]["a"] = number

    @rule(row=st.integers(0, 5), text=st.sampled_from(["x", "y", "", None]))
    def set_text(self, row: int, text: str | None) -> None:
        self.frame.loc[row, "b"] = text
        self.records[row % len(self.records)]["b"] = text

    @rule()
    def append(self) -> None:
        self.records.append({"a": len(self.records)})

    @rule(column=st.integers(0, 1), descending=st.booleans())
    def look(self, column: int, descending: bool) -> None:
        view = View((SortKey(column, descending),))
        given = self.frame.reset_index(drop=True)
        by = given.columns[column]
        expected = given.sort_values(by, ascending=not descending, kind="stable").index.tolist()
        assert rows_of(self.frame, self.orders, view) == expected
        numbers = [float(record["a"]) for record in self.records]
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        assert rows_of(self.records, self.orders) == order


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


def test_a_large_table_is_looked_at_in_part_and_fresh_makes_sure() -> None:
    orders = Orders()
    values = np.zeros(3_000_000, dtype=np.int8)
    assert rows_of(values, orders)[0] == 0
    values[1] = -1  # not among the rows looked at
    assert rows_of(values, orders)[0] == 0
    assert rows_of(values, orders, fresh=True)[0] == 1
    values[:] = 0
    values[0] = 1
    assert rows_of(values, orders)[0] == 1


def test_kept_orders_keep_nothing_alive() -> None:
    orders, frame = Orders(), pd.DataFrame({"a": [2, 1]})
    rows_of(frame, orders)
    assert len(orders) == 1
    alive = weakref.ref(frame)
    del frame
    gc.collect()
    assert alive() is None
    assert (len(orders), orders.bytes) == (0, 0)


def test_kept_orders_are_bounded_in_bytes() -> None:
    orders = Orders(most_bytes=2_000)
    frames = [pd.DataFrame({"a": np.arange(100)}) for _ in range(5)]
    for frame in frames:
        rows_of(frame, orders)
    assert (len(orders), orders.bytes) == (2, 1_600)
    rows_of(pd.DataFrame({"a": np.arange(1_000)}), orders)
    assert len(orders) == 2
    for n in range(5):
        rows_of([[n]] * 10, orders)
    assert orders.bytes <= 2_000


def test_threads_may_share_the_kept_orders() -> None:
    orders = Orders(most_bytes=50_000)
    wrong: list[Any] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(30):
            values = rng.integers(0, 10, 50)
            if rows_of(values, orders) != np.argsort(values, kind="stable").tolist():
                wrong.append(values)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Hostile:
    """Everything about it sleeps for ever."""

    def _sleep(self, *_: Any) -> Any:
        while True:
            time.sleep(0.01)

    __lt__ = __gt__ = __eq__ = __ne__ = __hash__ = __repr__ = __str__ = __bool__ = _sleep  # type: ignore[assignment]


class Raising:
    """Everything about it raises."""

    def _raise(self, *_: Any) -> Any:
        raise SystemExit("no")

    __lt__ = __gt__ = __eq__ = __ne__ = __hash__ = __repr__ = __str__ = __bool__ = _raise  # type: ignore[assignment]


VIEWS = {
    "sort": FIRST,
    "filter": View(filter=(Condition(0, "eq", 1),)),
    "regex": View(filter=(Condition(0, "regex", "a"),)),
    "search": View(search="x"),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("cells", ["list", "array", "frame"])
def test_hostile_cells_end_in_time(view: str, cells: str) -> None:
    objects: Any = [[Hostile()], [Hostile()]]
    made = {"list": objects, "array": np.array(objects, dtype=object), "frame": pd.DataFrame(objects)}
    started = time.monotonic()
    with pytest.raises(Unresolvable, match="took too long"):
        table_page(made[cells], view=VIEWS[view], limits=TableLimits(seconds=0.3))
    assert time.monotonic() - started < 20


def test_hostile_cells_that_raise_are_reported() -> None:
    table = [[Raising()], [Raising()]]
    for view in (VIEWS["sort"], VIEWS["filter"]):
        with pytest.raises(Unresolvable, match="raised SystemExit: no"):
            table_page(table, view=view)
    assert rows_of(table, Orders(), View(filter=(Condition(0, "missing"),))) == []


def test_hostile_cells_in_other_columns_do_no_harm() -> None:
    table = [[2, Raising()], [1, Raising()]]
    assert rows_of(table, Orders()) == [1, 0]


def test_a_task_ends_the_work_between_chunks() -> None:
    class Compared:
        count = 0

        def __eq__(self, other: object) -> bool:
            Compared.count += 1
            if Compared.count == 10:
                task.cancel()
            return False

        __hash__ = None  # type: ignore[assignment]

    task = Task()
    table = [[Compared()] for _ in range(100_000)]
    with pytest.raises(Cancelled):
        limits = TableLimits(seconds=60)
        table_page(table, view=View(filter=(Condition(0, "eq", 1),)), task=task, limits=limits)
    assert Compared.count < 50_000


def test_a_task_tells_progress_and_keeps_its_deadline() -> None:
    told: list[tuple[int, int, str]] = []
    task = Task(tell=lambda done, total, text: told.append((done, total, text)))
    table_page([[2], [1]], view=View((SortKey(0),), search="1"), task=task)
    assert told == [(0, 1, "searching")]
    with pytest.raises(DeadlineExceeded):
        table_page([[2], [1]], view=FIRST, task=Task(deadline=time.monotonic()))


def test_a_table_beyond_the_budget_is_sampled() -> None:
    values = np.arange(20_000_000, dtype=np.int16)
    page = table_page(values, (0, 3), view=FIRST, limits=TableLimits(seconds=1))
    assert page.sampled is not None
    assert page.sampled["of"] == 20_000_000
    assert page.matched_rows == page.sampled["rows"] < 20_000_000
    assert page.data[0] == [values[n] for n in page.row_numbers]
    step = -(-20_000_000 // page.matched_rows)
    assert [n % step for n in page.row_numbers] == [0, 0, 0]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The end of a time could else strike in hypothesis' hook of the collector, which only warns of it."""
    gc.disable()
    yield
    gc.enable()


def test_cells_that_are_slow_to_compare_are_sampled_once(uncollected: None) -> None:
    class Slow:
        compared = 0

        def __init__(self, number: int) -> None:
            self.number = number

        def __lt__(self, other: Slow) -> bool:
            Slow.compared += 1
            while Slow.compared == 1:  # until its time is over
                time.sleep(0.01)
            return self.number < other.number

    table = [[Slow(-n)] for n in range(30_000)]
    orders, limits = Orders(), TableLimits(seconds=8)
    page = table_page(table, (0, 5), view=FIRST, orders=orders, limits=limits)
    assert page.sampled == {"rows": 3_000, "of": 30_000}
    assert page.row_numbers == [29_990, 29_980, 29_970, 29_960, 29_950]
    compared = Slow.compared
    page = table_page(table, (5, 7), view=FIRST, orders=orders, limits=limits)
    assert page.row_numbers == [29_940, 29_930]
    assert Slow.compared == compared
