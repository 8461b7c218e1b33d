"""A registered secret leaves the kernel in no frame: not in replies, output, errors, buffers or logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stock_client import Stock
from tap import Tap

from snakekernel import Client

pytestmark = [pytest.mark.kernel, pytest.mark.promise("attack-13")]

KEY = 'sk-canary "quoted" \\ é ☃ 0123456789'


@pytest.fixture(scope="module")
def tap(stock: Stock) -> Tap:
    """The module's kernel with the secret registered and all its frames recorded."""
    stock.cell(
        "import sys, types, logging, warnings\n"
        "module = sys.modules['made_here'] = types.ModuleType('made_here')\n"
        "module.config = {}\n"
        "module.configure = lambda **config: module.config.update(config)\n"
    )
    tap = Tap(stock)
    stock.ok("configure", {"framework": "made_here", "config": {"model": "m", "api_key": KEY}})
    return tap


@pytest.fixture(autouse=True)
def nothing_leaks(tap: Tap, stock: Stock) -> Any:
    """After each test no frame that came holds the secret."""
    yield
    stock.flush_iopub()
    tap.check(KEY)
    assert tap.frames
    tap.frames.clear()


def test_the_module_got_it(stock: Stock) -> None:
    stock.cell("assert module.config['api_key'].startswith('sk-canary') and module.config['model'] == 'm'")


def test_a_text_result(stock: Stock) -> None:
    reply = stock.ok("call", {"target": "made_here.config.get", "args": ["api_key"]})
    assert reply["result"]["value"] == "[secret]"
    assert reply["lossy"] is True
    assert stock.ok("call", {"target": "made_here.config.get", "args": ["model"]})["lossy"] is False


def test_inside_containers_as_key_and_value(stock: Stock) -> None:
    stock.cell("def both(): return {module.config['api_key']: ['x' + module.config['api_key'] + 'y']}")
    reply = stock.ok("call", {"target": "user.both"})
    assert reply["result"]["value"] == {"[secret]": ["x[secret]y"]}
    assert reply["lossy"] is True


@pytest.mark.parametrize(
    "expression",
    [
        "key.encode()",
        "key.encode('utf-16-le')",
        "key.encode('utf-32-be')",
        "b'before' + key.encode() + b'after'",
        "bytearray(key.encode() * 3)",
        "numpy.array([key, 'other'])",
        "numpy.array([key]).astype('>U60')",
        "numpy.array([key.encode()])",
        "numpy.frombuffer(key.encode(), 'u1')",
        "pandas.DataFrame({'a': [key, 'b']})",
        "pandas.Series([1], name=key)",
    ],
)
def test_buffers(stock: Stock, expression: str) -> None:
    stock.cell(f"import numpy, pandas\ndef make():\n key = module.config['api_key']\n return {expression}")
    msg_id = stock.send("call", {"target": "user.make", "returns": "value"})
    reply = stock.only_reply(msg_id)
    assert reply["content"]["status"] == "ok"
    assert reply["content"]["lossy"] is True


def test_previews_and_inspections(stock: Stock) -> None:
    stock.cell(
        "class Holder:\n"
        "    def __init__(self): self.key = module.config['api_key']\n"
        "    def __repr__(self): return f'<Holder {self.key}>'\n"
        "stored.holder = Holder()"
    )
    for reply in (
        stock.ok("retrieve", {"id": "holder"}),
        stock.ok("inspect", {"target": "stored.holder"}),
        stock.ok("inspect", {"target": "stored.holder"}, channel="control"),
        stock.ok("inspect", {"target": "stored.holder.key"}, channel="control"),
    ):
        assert "[secret]" in str(reply)
        assert reply["lossy"] is True


def test_output_of_every_kind(stock: Stock) -> None:
    stock.cell(
        "from IPython.display import display, HTML\n"
        "def tell():\n"
        "    key = module.config['api_key']\n"
        "    print('printed', key)\n"
        "    print(key, file=sys.stderr)\n"
        "    display(HTML(key))\n"
        "    display({key: key})\n"
        "    warnings.warn(key)\n"
        "    logging.getLogger('x').warning('logged %s', key)\n"
    )
    msg_id = stock.send("call", {"target": "user.tell"})
    stock.only_reply(msg_id)
    assert any("printed [secret]" in m["content"].get("text", "") for m in stock.outputs(msg_id))


def test_errors(stock: Stock) -> None:
    stock.cell("def fail(): raise ValueError('bad key ' + module.config['api_key'])")
    reply = stock.fails("call", {"target": "user.fail"})
    assert reply["evalue"] == "bad key [secret]"
    assert "[secret]" in "\n".join(reply["traceback"])
    assert reply["lossy"] is True
    stock.fails("call", {"target": ["stored", KEY]})
    stock.fails("retrieve", {"id": KEY})
    stock.fails("call", {"target": "builtins.len", "args": [{"$ref": KEY}]})


def test_cells(stock: Stock) -> None:
    cell = stock.send("execute_request", {"code": "print(module.config)\nmodule.config"})
    stock.reply(cell)
    assert "[secret]" in str(stock.outputs(cell))
    assert stock.run("raise ValueError(module.config['api_key'])")["evalue"] == "[secret]"


def test_stored_names_and_announcements(stock: Stock) -> None:
    stock.ok("store", {"id": f"named {KEY}", "value": KEY})
    assert "named [secret]" in stock.ok("list_stored")["stored_objects"]
    stock.until(lambda: any("named [secret]" in str(m["content"]) for m in stock.messages["iopub"]), "it")


def test_a_reply_given_again(stock: Stock) -> None:
    content = {"target": "made_here.config.get", "args": ["api_key"], "call_id": "again"}
    assert stock.ok("call", content) == stock.ok("call", content)


@pytest.mark.parametrize("secret", ["12345678", "17954001", "true, false", "status", '","code":"', "e-05"])
def test_secrets_that_look_like_json(stock: Stock, fresh_kernel: Callable[..., Any], secret: str) -> None:
    """A secret may be any text; replies stay JSON with their fields, and numbers stay numbers."""
    _, other = fresh_kernel()
    other.cell(
        "import sys, types\n"
        "module = sys.modules['made_here'] = types.ModuleType('made_here')\n"
        "module.configure = lambda **config: None\n"
    )
    other.ok("configure", {"framework": "made_here", "config": {"password": secret}})
    assert other.call("operator.add", 12345670, 8) == 12345678
    assert other.call("operator.truediv", 1.0, 100_000.0) == 1e-05
    assert other.call("builtins.str", f"a {secret} b") in ("a [secret] b", f"a {secret} b")


def test_logs(fresh_kernel: Callable[..., tuple[Client, Stock]], tmp_path: Path) -> None:
    with (tmp_path / "written").open("wb") as output:
        _, other = fresh_kernel(output=output)
    other.cell(
        "import sys, types, logging\n"
        "module = sys.modules['made_here'] = types.ModuleType('made_here')\n"
        "module.config = {}\n"
        "module.configure = lambda **config: module.config.update(config)\n"
        "def log():\n"
        "    handler = logging.StreamHandler(sys.__stderr__)\n"
        "    logging.getLogger('mine').addHandler(handler)\n"
        "    logging.getLogger('mine').warning('the key is %s', module.config['api_key'])\n"
    )
    other.ok("configure", {"framework": "made_here", "config": {"api_key": KEY}})
    other.ok("call", {"target": "user.log"})
    text = (tmp_path / "written").read_text()
    assert "the key is [secret]" in text
    assert KEY not in text
