"""A canary goes in by every door, is shown by every means, and is looked for in all that comes out.

What is registered is nowhere, in whatever way it is shown; what only looks like a secret is left out where
something is described, and comes where it is asked for as a value.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from stock_client import Stock
from tap import Tap, forms

from snakekernel import Client
from snakekernel.errors import KernelLost

pytestmark = [pytest.mark.kernel, pytest.mark.promise("attack-13")]

#: By the door it goes in; each may be written in several ways.
KEYS = {
    door: f'{door}-canary-9 "q" \\ é <{number}>'
    for number, door in enumerate(
        ["configure", "configured-lm", "called-lm", "cell-lm", "copied-lm", "field", "argument", "address"]
    )
}
KEYS["address"] = "address-canary-9"
KEYS["environment"] = "environment-canary-9"

IN_CELLS = """
import json, logging, sys, types, dspy, pydantic
keys = json.load(open({path!r}))
module = sys.modules['made_here'] = types.ModuleType('made_here')
module.configure = lambda **config: None
module.connect = lambda **options: None
lm = dspy.LM('openai/gpt-4o-mini', api_key=keys['cell-lm'])
print(lm.kwargs, vars(lm))
copied = lm.copy(api_key=keys['copied-lm'])
print(copied.kwargs)
class Settings(pydantic.BaseModel):
    hidden: pydantic.SecretStr
settings = Settings(hidden=keys['field'])
print(settings.hidden.get_secret_value())
"""

SHOWN = """
import pandas, warnings
from IPython.display import HTML, Markdown, display
log = get_ipython().kernel.log
for one in (log, *log.handlers, *log.parent.handlers): one.setLevel(10)
def show(key):
    print(key, [key], {key: key})
    print(key, file=sys.stderr)
    logging.getLogger('app').warning('logged %s', [key])
    log.debug('debugged %s', key)
    log.error('failed', exc_info=ValueError(key))
    warnings.warn(key)
    display(HTML(f'<b>{key}</b>'), Markdown(f'`{key}`'), {'text': key})
    return key
def raising(key):
    inside = key
    raise ValueError('bad: ' + key) from KeyError(key)
class Holder:
    def __init__(self, key): self.value = key
    def __repr__(self): return f'<Holder {self.value}>'
    def _repr_html_(self): return f'<i>{self.value}</i>'
def frame(key): return pandas.DataFrame({'password': [key, 'x'], key: [key, key]})
def stream(key):
    yield key
    yield {'deep': [key]}
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="canary-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def log(folder: Path) -> Path:
    """What the kernel's process writes on its standard output and error."""
    return folder / "written"


@pytest.fixture(scope="module")
def snake(folder: Path, log: Path) -> Iterator[Client]:
    """A kernel whose environment holds one of the keys."""
    import snakekernel

    (folder / "keys").write_text(json.dumps(KEYS))
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    audit = str(folder / "audit.jsonl")
    (profile / "snakekernel_kernel_config.py").write_text(f"c.SnakeKernel.audit_log = {audit!r}\n")
    env = {
        **os.environ,
        "CANARY_API_KEY": KEYS["environment"],
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DSPY_CACHEDIR": str(folder / "cache"),
        "IPYTHONDIR": str(profile.parent),
        "JUPYTER_DATA_DIR": str(folder / "data"),
    }
    with log.open("wb") as output, snakekernel.start(env=env, output=output) as client:
        yield client


@pytest.fixture(scope="module")
def tap(stock: Stock, folder: Path) -> Tap:
    """The kernel with every key in it, by its own door, and all frames recorded from the start."""
    tap = Tap(stock)
    stock.cell(IN_CELLS.format(path=str(folder / "keys")))
    stock.cell(SHOWN)
    stock.ok("configure", {"framework": "made_here", "config": {"deep": {"password": KEYS["configure"]}}})
    at = f"http://user:{KEYS['address']}@localhost:9/v1"
    stock.ok("configure_lm", {"lm": "openai/x", "api_key": KEYS["configured-lm"], "api_base": at})
    stock.ok("configure_lm", {"lm": "openai/x", "api_key_env": "CANARY_API_KEY", "session_id": "other"})
    called = {"target": "dspy.LM", "args": ["openai/x"], "kwargs": {"api_key": KEYS["called-lm"]}}
    stock.ok("call", {**called, "store_as": "called"})
    stock.ok("call", {"target": "made_here.connect", "kwargs": {"password": KEYS["argument"]}})
    return tap


@pytest.fixture(autouse=True)
def nowhere(tap: Tap, stock: Stock, snake: Client) -> Iterator[None]:
    """After each test: no frame that came holds a key, nor that which signs them."""
    yield
    stock.flush_iopub()
    assert tap.frames
    tap.check(*KEYS.values(), snake.manager.session.key.decode())
    tap.frames.clear()


def test_the_keys_are_there(stock: Stock) -> None:
    stock.cell(
        "assert lm.kwargs['api_key'] == keys['cell-lm'] and copied.kwargs['api_key'] == keys['copied-lm']"
    )
    assert stock.call("user.lm.kwargs.get", "api_key") == "[secret]"


@pytest.mark.parametrize("door", KEYS)
def test_what_is_registered_is_not_shown(stock: Stock, door: str) -> None:
    stock.cell(f"stored.key = keys[{door!r}]")
    assert stock.call("user.show", {"$ref": "key"}) == "[secret]"
    assert stock.ok("retrieve", {"id": "key"})["lossy"] is True
    stock.cell("show(stored.key)")


def test_all_that_is_registered_is_shown_by_no_means(stock: Stock) -> None:
    key = {"$ref": "key"}
    stock.cell("stored.key = ' '.join(keys.values())")
    assert "[secret]" in stock.fails("call", {"target": "user.raising", "args": [key]})["evalue"]
    for target in ("user.Holder", "user.frame", "builtins.list", "builtins.str.encode"):
        for returns in ("auto", "value", "preview"):
            stock.ask("call", {"target": target, "args": [key], "returns": returns})
    stock.ok("call", {"target": "user.frame", "args": [key], "store_as": "frame"})
    stock.ok("call", {"target": "user.Holder", "args": [key], "store_as": "holder"})
    stock.ok("checkpoint", {"name": "canary", "ids": ["key", "frame", "holder"]})
    stock.ok("list_checkpoint", {"name": "canary"})
    stock.ok("pipeline", {"steps": [{"op": "retrieve", "id": "key"}, {"op": "list_stored"}]})
    for channel in ("shell", "control"):
        for name in ("key", "frame", "holder", "called"):
            stock.ok("inspect", {"target": f"stored.{name}", "run_code": True}, channel=channel)
        for op in ("table", "summarize"):
            stock.ok(op, {"target": "stored.frame"}, channel=channel)
        stock.ok("table", {"target": "stored.frame", "format": "arrow"}, channel=channel)
        stock.ok("list_stored", channel=channel)
        stock.ok("list_variables", channel=channel)
    for code in ("Holder(stored.key)", "frame(stored.key)", "stored.key", "%who_ls"):
        assert stock.run(code)["status"] == "ok"
    for mode in ("Verbose", "Context", "Plain", "Minimal"):
        stock.cell(f"%xmode {mode}")
        assert stock.run("raising(stored.key)", stop_on_error=False)["status"] == "error"
    for ask, content in (
        ("complete_request", {"code": "keys['", "cursor_pos": 6}),
        ("inspect_request", {"code": "keys", "cursor_pos": 4, "detail_level": 1}),
        ("inspect_request", {"code": "lm", "cursor_pos": 2, "detail_level": 1}),
        ("history_request", {"hist_access_type": "tail", "n": 50, "output": True, "raw": True}),
    ):
        stock.reply(stock.send(ask, content))


def test_it_is_in_nothing_that_is_written(
    stock: Stock, tap: Tap, snake: Client, folder: Path, log: Path
) -> None:
    stock.cell("stored.key = ' '.join(keys.values())")
    assert stock.call("user.show", {"$ref": "key"}).startswith("[secret]")
    stock.cell("sys.stderr.flush(), sys.__stderr__.flush()")
    written = log.read_bytes()
    assert b"debugged [secret]" in written
    needles = {form for key in KEYS.values() for form in forms(key)}
    needles.add(snake.manager.session.key)
    assert not [needle for needle in needles if needle in written]
    for process in psutil.process_iter(["cmdline"]):
        line = "\0".join(process.info["cmdline"] or []).encode(errors="surrogateescape")
        assert not [needle for needle in needles if needle in line]
    assert not [needle for needle in needles if needle in repr((snake, snake.manager)).encode()]
    assert b"user.show" in (folder / "audit.jsonl").read_bytes()
    # What the kernel wrote beside: the audit log, checkpoints, DSPy's cache.
    for file in folder.rglob("*"):
        if file.is_file() and file.name != "keys":
            assert not [needle for needle in needles if needle in file.read_bytes()], file


def test_what_a_dead_kernel_wrote_last_is_told_without_it(fresh_kernel: Callable[..., Any]) -> None:
    client, _ = fresh_kernel()
    said = "connecting with password='hunter2-' + 'x' and Bearer abcdefgh12345678\n"
    with pytest.raises(KernelLost) as lost:
        client.call("builtins.exec", args=[f"import os; os.write(2, {said.encode()!r}); os._exit(3)"])
    assert "connecting with" in str(lost.value)
    assert "abcdefgh12345678" not in str(lost.value)


#: Expressions of objects that hold a secret which nobody registered.
GUESSED = {
    "item": "{'api_key': HUNTER, 'deep': {'dbPassword': [HUNTER]}}",
    "attribute": "Box(api_key=HUNTER)",
    "field": "Record(HUNTER)",
    "environment": "{'AWS_SECRET_ACCESS_KEY': HUNTER}",
    "column": "pandas.DataFrame({'password': [HUNTER, 'x'], 'n': [1, 2]})",
    "rows": "[{'token': HUNTER, 'n': 1}, {'token': HUNTER, 'n': 2}]",
    "address": "['postgres://ada:' + HUNTER + '@db/x']",
    "header": "{'headers': ['Authorization: Bearer ' + HUNTER]}",
    "query": "['https://host/?token=' + HUNTER + '&a=1']",
    "default": "function(HUNTER)",
    "repr": "Told(HUNTER)",
    "secret field": "[pydantic.SecretStr(HUNTER)]",
    "prediction": "dspy.Prediction(password=HUNTER)",
}
HUNTER = "hunter2-never-registered-7"


@pytest.mark.parametrize("name", GUESSED)
def test_what_looks_like_a_secret_is_not_described(stock: Stock, tap: Tap, name: str) -> None:
    stock.cell(
        "import dataclasses\n"
        "HUNTER = 'hunter2-' + 'never-registered-7'\n"
        "Box = types.SimpleNamespace\n"
        "@dataclasses.dataclass\n"
        "class Record:\n    client_secret: str\n"
        "class Told:\n"
        "    def __init__(self, key): self._token = key\n"
        "    def __repr__(self): return f\"Told(token='{self._token}')\"\n"
        "def function(key):\n"
        "    def connect(*, password: str = key): pass\n"
        "    return connect\n"
        f"stored.guessed = {GUESSED[name]}\n"
        "del HUNTER"
    )
    replies = [
        stock.ok("inspect", {"target": "stored.guessed"}),
        stock.ok("inspect", {"target": "stored.guessed"}, channel="control"),
        stock.ok("inspect", {"target": "stored.guessed", "run_code": True}, channel="control"),
        stock.ok("list_stored"),
    ]
    preview = {"target": "builtins.next", "args": [{"$ref": "values"}], "returns": "preview"}
    stock.cell("stored.values = iter([stored.guessed])")
    replies.append(stock.ok("call", preview))
    if name in ("column", "rows"):
        replies += [
            stock.ok("table", {"target": "stored.guessed"}),
            stock.ok("summarize", {"target": "stored.guessed"}),
        ]
        stock.ok("table", {"target": "stored.guessed", "format": "arrow"})
    assert any(reply["lossy"] for reply in replies) or name == "secret field"
    tap.check(HUNTER)


def test_a_traceback_with_locals_does_not_tell_them(stock: Stock, tap: Tap) -> None:
    stock.cell("%xmode Verbose")
    stock.cell(
        "def sign_in():\n    password = 'hunter2-' + 'never-registered-7'\n    number = 1\n    1 / 0\n"
    )
    assert "number" in "".join(stock.run("sign_in()", stop_on_error=False)["traceback"])
    url = "def fetch(): raise OSError('https://ada:' + 'hunter2-' + 'never-registered-7' + '@host refused')"
    stock.cell(url)
    reply = stock.fails("call", {"target": "user.fetch"})
    assert (reply["evalue"], reply["lossy"]) == ("https://ada:[secret]@host refused", True)
    tap.check(HUNTER)


def test_a_value_that_is_asked_for_comes_whole(stock: Stock, tap: Tap) -> None:
    """A name is a guess, and data is not changed by one."""
    stock.ok("store", {"id": "settings", "value": {"password": "a value of the user's"}})
    found = stock.ok("retrieve", {"id": "settings"})
    assert (found["object"]["value"], found["lossy"]) == ({"password": "a value of the user's"}, False)


def test_harmless_names_are_described_as_ever(stock: Stock, tap: Tap) -> None:
    stock.cell(
        "stored.plain = {'max_tokens': '100', 'tokenizer': 'bpe', 'token': 'word', 'secretary': 'Ada'}"
    )
    found = stock.ok("inspect", {"target": "stored.plain"})
    assert "[secret]" not in str(found)
    assert found["lossy"] is False


def test_many_found_ones_do_not_slow_the_kernel_down(fresh_kernel: Callable[..., Any]) -> None:
    """Those that turn up in objects are bounded; those that a request names are not."""
    _, other = fresh_kernel()
    other.cell("import pydantic\nkept = [pydantic.SecretStr(f'found-canary-{n}') for n in range(10_000)]")
    assert other.ok("call", {"target": "builtins.str", "args": ["found-canary-1"]})["lossy"] is True
    stored = {"target": "builtins.dict", "kwargs": {"api_key": "named-canary-1"}, "returns": "none"}
    other.ok("call", stored)
    assert other.call("builtins.str", "x named-canary-1") == "x [secret]"
