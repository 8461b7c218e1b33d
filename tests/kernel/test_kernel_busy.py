"""Control answers while the main thread is held, runs no user code, and shows no status."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stock_client import Stock

from snakekernel import Client

pytestmark = pytest.mark.kernel


@pytest.fixture
def busy(snake: Client, stock: Stock) -> Iterator[str]:
    """A cell that holds the GIL in a pure Python loop, until the test ends; its message id."""
    cell = stock.send("execute_request", {"code": "print('looping', flush=True)\nwhile True: pass"})
    stock.until_it_prints(cell)
    yield cell
    assert not stock.replies(cell), "the cell was running all the while"
    snake.interrupt()
    assert stock.only_reply(cell)["content"]["ename"] == "KeyboardInterrupt"


def test_control_answers_while_a_cell_runs(stock: Stock, request: pytest.FixtureRequest) -> None:
    stock.ok("store", {"id": "x", "value": {"a": [1, 2, 3]}})
    stock.ok("store", {"id": "doomed", "value": 1})
    request.getfixturevalue("busy")
    assert "x" in stock.ok("list_stored", channel="control")["stored_objects"]
    assert stock.ok("ping", channel="control")["bridge_type"]
    inspection = stock.ok("inspect", {"target": "stored.x.a"}, channel="control")["inspection"]
    assert (inspection["type"], inspection["length"]) == ("list", 3)
    assert stock.ok("inspect", {"target": "json.dumps"}, channel="control")["inspection"]["callable"]
    stock.ok("rename_stored", {"id": "doomed", "to": "doomed2"}, channel="control")
    stock.ok("delete_stored", {"id": "doomed2"}, channel="control")
    assert stock.ok("list_stored", {"prefix": "doomed"}, channel="control")["count"] == 0


def test_control_answers_while_a_call_runs(snake: Client, stock: Stock) -> None:
    stock.cell("def spin():\n print('spinning', flush=True)\n while True: pass")
    spinning = stock.send("call", {"target": "user.spin"})
    stock.until_it_prints(spinning)
    assert stock.ok("ping", channel="control")["status"] == "ok"
    assert isinstance(stock.ok("list_stored", channel="control")["stored_objects"], list)
    assert not stock.replies(spinning)
    snake.interrupt()
    assert stock.only_reply(spinning)["content"]["code"] == "interrupted"


def test_control_publishes_no_status(stock: Stock) -> None:
    sent = [
        stock.send(op, content, channel="control")
        for op, content in [
            ("ping", {}),
            ("list_stored", {}),
            ("inspect", {"target": "json.dumps"}),
            ("nonsense", {}),
            ("call", {"target": "builtins.len"}),
        ]
    ]
    stock.fence(channel="control")
    for msg_id in sent:
        assert len(stock.replies(msg_id, "control")) == 1
        assert stock.published(msg_id) == []


_TATTLER = """
ran = []
def tell(name):
    def method(self, *args, **kwargs):
        ran.append(name)
        return {"__len__": 1, "__hash__": 1, "__bool__": True}.get(name, "told")
    return method
class Meta(type):
    def __getattribute__(cls, name):
        ran.append("meta " + name)
        return type.__getattribute__(cls, name)
    __repr__ = tell("meta repr")
    def __hash__(cls):
        ran.append("meta hash")
        return 1
    def __eq__(cls, other):
        ran.append("meta eq")
        return cls is other
    def __instancecheck__(cls, obj):
        return bool(ran.append("instancecheck"))
class Tattler(metaclass=Meta):
    "a docstring"
    def __init__(self): self.plain = 1
    told = property(tell("told"))
    def method(self): ran.append("method")
for name in ("repr str len iter getattr getitem dir hash eq bool format sizeof call contains").split():
    setattr(Tattler, f"__{name}__", tell(f"__{name}__"))
Tattler._repr_html_ = tell("_repr_html_")
class MyDict(dict):
    __getitem__ = __len__ = __iter__ = __repr__ = tell("MyDict")
    items = keys = values = tell("MyDict method")
stored["tattler"] = Tattler()
stored["mine"] = MyDict(a=1)
stored["around"] = {"inside": [stored["tattler"], stored["mine"]], stored["tattler"]: 1}
ran.clear()
"""


class TestInspectOnControlRunsNoUserCode:
    @pytest.fixture(scope="module", autouse=True)
    @staticmethod
    def tattler(stock: Stock) -> None:
        """An object that remembers whatever of its code ran."""
        stock.cell(_TATTLER)

    @pytest.mark.parametrize(
        "target",
        [
            "stored.tattler",
            "stored.mine",
            "stored.around",
            ["stored", "around", "inside", 0],
            "stored.tattler.plain",
            "stored.tattler.method",
            "user.Tattler",
        ],
    )
    def test_what_is_known_is_told(self, stock: Stock, target: object) -> None:
        stock.cell("ran.clear()")
        inspection = stock.ok("inspect", {"target": target}, channel="control")["inspection"]
        assert inspection["type"]
        assert inspection["string_repr"]
        stock.ok("list_stored", channel="control")
        assert stock.ok("retrieve", {"target": "user.ran"})["object"]["value"] == []

    @pytest.mark.parametrize(
        "target",
        [
            "stored.tattler.told",
            "stored.tattler.not_there",
            ["stored", "tattler", {"item": 0}],
            "stored.mine.b",
            "xml.dom.pulldom.parse",
        ],
    )
    def test_what_needs_code_names_the_shell(self, stock: Stock, target: object) -> None:
        stock.cell("ran.clear()\nimport sys\nassert 'xml.dom.pulldom' not in sys.modules")
        reply = stock.fails("inspect", {"target": target}, channel="control")
        assert (reply["code"], reply["at"]) == ("unresolvable", "$.target")
        assert "shell" in reply["error"]
        assert stock.ok("retrieve", {"target": "user.ran"})["object"]["value"] == []
        stock.cell("assert 'xml.dom.pulldom' not in sys.modules")

    def test_a_subclass_of_a_container_is_read_past_its_own_code(self, stock: Stock) -> None:
        stock.cell("ran.clear()")
        found = stock.ok("inspect", {"target": "stored.mine.a"}, channel="control")["inspection"]
        assert (found["type"], found["string_repr"]) == ("int", "1")
        assert stock.ok("retrieve", {"target": "user.ran"})["object"]["value"] == []

    def test_on_shell_it_runs(self, stock: Stock) -> None:
        inspection = stock.ok("inspect", {"target": "stored.tattler"})["inspection"]
        assert inspection["string_repr"] == "told"


def test_what_control_deletes_ends_on_the_main_thread(stock: Stock) -> None:
    stock.cell(
        "import threading\n"
        "ended = []\n"
        "class Mortal:\n"
        "    def __del__(self): ended.append(threading.current_thread() is threading.main_thread())\n"
    )
    for index in range(100):
        stock.ok("call", {"target": "user.Mortal", "store_as": f"mortal {index}", "returns": "none"})
    for index in range(100):
        stock.ok("delete_stored", {"id": f"mortal {index}"}, channel="control")
    assert stock.ok("retrieve", {"target": "user.ended"})["object"]["value"] == [True] * 100


def test_what_a_subshell_replaces_ends_on_the_main_thread(stock: Stock, subshell: str) -> None:
    stock.cell("ended.clear()")
    for _ in range(20):
        stock.ok(
            "call", {"target": "user.Mortal", "store_as": "mortal", "returns": "none"}, subshell_id=subshell
        )
    stock.ok("delete_stored", {"id": "mortal"}, subshell_id=subshell)
    assert stock.ok("retrieve", {"target": "user.ended"})["object"]["value"] == [True] * 20
