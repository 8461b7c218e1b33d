"""Language models by name, with keys that are never seen again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from snakekernel.objects.secrets import Secrets
from snakekernel.plugins.dspy.lm import model_name, register_secrets
from snakekernel.values import Decoder

CANARY = "sk-canary-0123456789-never-to-be-seen"
pytestmark = pytest.mark.usefixtures("dspy_unconfigured")


@pytest.mark.parametrize(
    ("config", "model", "base"),
    [
        ({"lm": "openai/gpt-4o-mini"}, "openai/gpt-4o-mini", None),
        ({"provider": "google", "model": "gemini-2.0-flash"}, "gemini/gemini-2.0-flash", None),
        ({"provider": "google", "model": "models/gemini-2.0-flash"}, "gemini/gemini-2.0-flash", None),
        ({"provider": "gemini", "model": "gemini/gemini-2.0-flash"}, "gemini/gemini-2.0-flash", None),
        ({"provider": "openai", "model": "gpt-4o-mini"}, "openai/gpt-4o-mini", None),
        ({"provider": "Anthropic", "model": "claude-sonnet-4-5"}, "anthropic/claude-sonnet-4-5", None),
        ({"provider": "groq", "model": "llama-3.1-8b"}, "groq/llama-3.1-8b", None),
        ({"provider": "ollama", "model": "llama3.2"}, "ollama_chat/llama3.2", "http://localhost:11434"),
        ({"provider": "ollama", "model": "m", "api_base": "http://gpu:1"}, "ollama_chat/m", "http://gpu:1"),
        ({"lm": "demo", "api_base": "http://h:1/v1"}, "openai/demo", "http://h:1/v1"),
        ({"lm": "demo", "base_url": "http://h:1/v1"}, "openai/demo", "http://h:1/v1"),
        (
            {"provider": "openai_compatible", "model": "org/demo", "api_base": "http://h:1/v1"},
            "openai/org/demo",
            "http://h:1/v1",
        ),
    ],
)
def test_a_provider_and_a_model_become_an_lm(
    bench: Any, dspy_unconfigured: Any, config: dict[str, Any], model: str, base: str | None
) -> None:
    bench.ok("configure", framework="dspy", config={**config, "api_key": CANARY, "temperature": 0.25})
    lm = dspy_unconfigured.settings.lm
    assert (lm.model, lm.kwargs.get("api_base"), lm.kwargs["temperature"]) == (model, base, 0.25)
    assert lm.kwargs["api_key"] == CANARY
    assert lm.num_retries == 1
    assert "api_key" not in dspy_unconfigured.settings
    assert "provider" not in dspy_unconfigured.settings


def test_model_names_without_a_provider_are_left_alone() -> None:
    assert model_name(None, "groq/x", has_base=True) == "groq/x"
    assert model_name(None, "gpt-4o-mini", has_base=False) == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("config", "at"),
    [
        ({}, "$.config"),
        ({"temperature": 0.3}, "$.config.temperature"),
        ({"api_key": CANARY}, "$.config.api_key"),
        ({"provider": "openai"}, "$.config.model"),
        ({"provider": 3, "model": "m"}, "$.config.provider"),
        ({"lm": 3}, "$.config.lm"),
        ({"lm": ["a"]}, "$.config.lm"),
        ({"lm": ""}, "$.config.lm"),
        ({"lm": "a/b", "model": "c"}, "$.config.model"),
        ({"provider": "openai_compatible", "model": "m"}, "$.config.api_base"),
        ({"lm": "a/b", "api_base": 5}, "$.config.api_base"),
        ({"lm": "a/b", "api_key": 5}, "$.config.api_key"),
        ({"lm": "a/b", "api_key": CANARY, "api_key_env": "HOME"}, "$.config.api_key_env"),
        ({"lm": "a/b", "api_key_env": "SNAKE_NO_SUCH_VARIABLE"}, "$.config.api_key_env"),
        ({"adapter": "yaml"}, "$.config.adapter"),
        ({"adapter": 5}, "$.config.adapter"),
        ({"lm": {"$ref": "nothing"}}, "$.config.lm"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(
    bench: Any, dspy_unconfigured: Any, config: dict[str, Any], at: str
) -> None:
    reply = bench.error("configure", framework="dspy", config=config)
    assert reply["at"] == at
    assert reply["fault"] == "caller"
    assert reply["code"] == ("not_found" if "nothing" in str(config) else "invalid_request")
    assert dspy_unconfigured.settings.lm is None
    assert not any(CANARY.encode() in sent for sent in bench.sent)


def test_a_missing_variable_is_named(bench: Any) -> None:
    reply = bench.error("configure_lm", model="a/b", api_key_env="SNAKE_NO_SUCH_VARIABLE")
    assert "SNAKE_NO_SUCH_VARIABLE" in reply["error"]
    assert reply["at"] == "$.api_key_env"


def test_the_key_may_come_from_the_kernels_environment(
    bench: Any, lm_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAKE_TEST_KEY", CANARY)
    bench.ok("configure_lm", model="demo", api_base=lm_server.api_base, api_key_env="SNAKE_TEST_KEY")
    bench.ok("create_program", id="qa", signature="question -> answer")
    assert bench.ok("execute_program", program_id="qa", inputs={"question": "What is Python?"})["outputs"]
    assert bench.ok("call", target="os.environ.get", args=["SNAKE_TEST_KEY"])["result"]["value"] == "[secret]"


def test_the_usual_variable_of_a_provider_is_secret_too(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    bench.ok("configure", framework="dspy", config={"lm": "anthropic/claude-sonnet-4-5"})
    reply = bench.ok("call", target="os.environ.get", args=["ANTHROPIC_API_KEY"])
    assert reply["result"]["value"] == "[secret]"
    assert reply["lossy"] is True


@pytest.mark.parametrize("session", [{}, {"session_id": "s"}])
@pytest.mark.parametrize("way", ["configure", "configure_lm", "dspy.configure", "dspy.LM"])
def test_a_key_is_in_no_reply_however_it_came(
    bench: Any, lm_server: Any, way: str, session: dict[str, str]
) -> None:
    config = {"api_base": lm_server.api_base, "api_key": CANARY}
    if way == "configure":
        bench.ok("configure", framework="dspy", config={"lm": "demo", **config}, **session)
    elif way == "configure_lm":
        bench.ok("configure_lm", provider="openai_compatible", model="demo", **config, **session)
    elif way == "dspy.configure":
        bench.ok("call", target="dspy.configure", kwargs={"lm": "openai/demo", **config}, **session)
    else:
        kwargs = {"model": "openai/demo", "cache": False, **config}
        bench.ok("call", target="dspy.LM", kwargs=kwargs, store_as="lm", **session)
        bench.ok("configure", framework="dspy", config={"lm": {"$ref": "lm"}}, **session)
    bench.ok("call", target="dspy.settings.get", args=["lm"], store_as="lm", **session)
    lm = ["stored", "lm"]
    bench.ok("create_program", id="qa", signature="question -> answer", **session)
    outputs = bench.ok("execute_program", program_id="qa", inputs={"question": "What is Python?"}, **session)
    assert outputs["outputs"]["answer"]
    for content in (
        {"op": "retrieve", "id": "lm"},
        {"op": "retrieve", "id": "lm", "returns": "preview"},
        {"op": "inspect", "target": lm},
        {"op": "inspect", "target": [*lm, "kwargs"]},
        {"op": "inspect", "target": "stored.qa"},
        {"op": "call", "target": [*lm, "kwargs"]},
        {"op": "call", "target": [*lm, "dump_state"]},
        {"op": "call", "target": "builtins.vars", "args": [{"$ref": "lm"}]},
        {"op": "call", "target": "pickle.dumps", "args": [{"$ref": ["lm", "kwargs"]}]},
        {"op": "call", "target": "builtins.repr", "args": [{"$ref": ["lm", "kwargs"]}]},
        {"op": "call", "target": "builtins.int", "args": [{"$ref": ["lm", "kwargs", "api_key"]}]},
        {"op": "call", "target": [*lm, "history"]},
        {"op": "call", "target": "dspy.settings.copy"},
    ):
        bench.ask(content.pop("op"), **content, **session)
    assert len(bench.sent) > 14
    assert not any(CANARY.encode() in sent for sent in bench.sent)
    assert any(b"[secret]" in sent for sent in bench.sent)


def test_a_notebooks_lm_brings_its_key_along(bench: Any, dspy_unconfigured: Any) -> None:
    lm = dspy_unconfigured.LM("openai/gpt-4o-mini", api_key=CANARY)
    bench.runtime.store.put(None, "lm", lm, writer="", now=time.time())
    bench.ok("configure", framework="dspy", config={"lm": {"$ref": "lm"}})
    assert dspy_unconfigured.settings.lm is lm
    kwargs = bench.ok("call", target="stored.lm.kwargs")["result"]["value"]
    assert kwargs["api_key"] == "[secret]"
    reply = bench.error("configure", framework="dspy", config={"lm": {"$ref": "lm"}, "temperature": 1})
    assert reply["at"] == "$.config.temperature"


def test_credentials_inside_values_are_secret() -> None:
    secrets = Secrets()
    register_secrets(
        {
            "api_base": "https://me:pass-word-1@host/v1",
            "headers": {"Authorization": "Bearer tok-en-value-2", "X": {"auth_token": "deep-er-3"}},
        },
        secrets,
    )
    text = "https://me:pass-word-1@host Bearer tok-en-value-2 tok-en-value-2 deep-er-3"
    assert not any(s in secrets.scrub_text(text) for s in ("pass-word-1", "tok-en-value-2", "deep-er-3"))


def test_dspy_configure_takes_no_positional_arguments(bench: Any) -> None:
    reply = bench.error("call", target="dspy.configure", args=["openai/gpt-4o-mini"])
    assert (reply["code"], reply["at"]) == ("invalid_request", "$.args")


def test_settings_of_dspy_are_set_beside_the_lm(bench: Any, dspy_unconfigured: Any) -> None:
    reply = bench.ok(
        "configure", framework="dspy", config={"lm": "demo", "api_base": "http://h:1", "adapter": "json"}
    )
    assert isinstance(dspy_unconfigured.settings.adapter, dspy_unconfigured.JSONAdapter)
    assert "lm=openai/demo" in reply["message"]
    bench.ok("configure", framework="dspy", config={"track_usage": True})
    assert dspy_unconfigured.settings.track_usage is True
    assert dspy_unconfigured.settings.lm.model == "openai/demo"
    bench.ok("configure", framework="dspy", config={"lm": None, "track_usage": False})
    assert dspy_unconfigured.settings.lm is None


def test_what_dspy_itself_refuses_is_raised(bench: Any) -> None:
    reply = bench.error("configure", framework="dspy", config={"lm": "openai/m", "num_retries": -1})
    assert (reply["code"], reply["ename"], reply["fault"]) == ("raised", "ValueError", "target")
    assert "num_retries" in reply["error"]


def test_two_sessions_have_their_own_lms(bench: Any, dspy_unconfigured: Any, lm_server: Any) -> None:
    for name, model in (("a", "model-a"), ("b", "model-b")):
        bench.ok("configure_lm", model=model, api_base=lm_server.api_base, api_key=CANARY, session_id=name)
        bench.ok("create_program", id="qa", signature="question -> answer", session_id=name)
    assert dspy_unconfigured.settings.lm is None
    for name, model in (("a", "model-a"), ("b", "model-b")):
        bench.ok("execute_program", program_id="qa", inputs={"question": "?"}, session_id=name)
        asked = bench.ok("call", target="dspy.settings.lm.model", session_id=name)
        assert asked["result"]["value"] == f"openai/{model}"
    bench.ok("create_program", id="qa", signature="question -> answer")
    reply = bench.error("execute_program", program_id="qa", inputs={"question": "?"})
    assert "No LM is loaded" in reply["error"]


def test_a_sessions_settings_add_up(bench: Any) -> None:
    bench.ok("configure", framework="dspy", config={"lm": "demo", "api_base": "http://h:1"}, session_id="s")
    bench.ok("configure", framework="dspy", config={"track_usage": True}, session_id="s")
    assert (
        bench.ok("call", target="dspy.settings.lm.model", session_id="s")["result"]["value"] == "openai/demo"
    )
    assert bench.ok("call", target="dspy.settings.track_usage", session_id="s")["result"]["value"] is True
    assert bench.ok("call", target="dspy.settings.track_usage")["result"]["value"] is False


def test_awaited_calls_see_the_sessions_lm(bench: Any, lm_server: Any) -> None:
    bench.ok("configure_lm", model="demo", api_base=lm_server.api_base, api_key=CANARY, session_id="s")
    bench.ok("create_program", id="qa", signature="question -> answer", session_id="s")
    kwargs = {"question": "What is Python?"}
    reply = bench.ok("call", target=["stored", "qa", "acall"], kwargs=kwargs, session_id="s")
    assert reply["result"]["prediction_data"]["answer"]


def test_without_an_lm_the_error_says_what_to_do(bench: Any) -> None:
    bench.ok("create_program", id="qa", signature="question -> answer")
    reply = bench.error("execute_program", program_id="qa", inputs={"question": "?"})
    assert (reply["code"], reply["fault"]) == ("raised", "target")
    assert "configure" in reply["error"]


def test_an_unreachable_server_is_soon_given_up(bench: Any) -> None:
    bench.ok("configure_lm", model="demo", api_base="http://127.0.0.1:9/v1", api_key=CANARY)
    bench.ok("create_program", id="qa", signature="question -> answer")
    started = time.monotonic()
    reply = bench.error("execute_program", program_id="qa", inputs={"question": "?"})
    assert time.monotonic() - started < 10
    assert (reply["code"], reply["ename"]) == ("raised", "LMTransportError")
    assert "127.0.0.1:9" in reply["error"]


def test_a_wrong_key_is_refused_and_not_shown(bench: Any, lm_server: Any) -> None:
    wrong = "sk-wrong-key-value-that-nobody-knows"
    bench.ok("configure_lm", model="demo", api_base=lm_server.api_base, api_key=wrong)
    bench.ok("create_program", id="qa", signature="question -> answer")
    reply = bench.error("execute_program", program_id="qa", inputs={"question": "?"})
    assert (reply["code"], reply["ename"]) == ("raised", "LMAuthError")
    assert "Incorrect API key" in reply["error"]
    assert wrong not in json.dumps(reply)


def test_no_key_of_the_environment_goes_to_an_address_of_the_callers(
    bench: Any, dspy_unconfigured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    bench.ok("configure_lm", model="demo", api_base="http://elsewhere:1/v1")
    assert dspy_unconfigured.settings.lm.kwargs["api_key"] == "not-needed"


_IN_IPYTHON = """
import asyncio, time
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance()
from snakekernel.commands.runtime import Runtime
from snakekernel.commands.scope import Scope
from snakekernel.objects.sessions import SessionTable
from snakekernel.objects.store import Store
from snakekernel.plugins.dspy import PLUGIN
from snakekernel.plugins.load import CommandTable, PluginTable
runtime = Runtime(table=CommandTable(), frameworks=PluginTable(), clock=time.time, store=Store(),
                  sessions=SessionTable())
async def request(model):
    return PLUGIN.configure({"lm": model, "api_base": "http://h:1"}, Scope(runtime, door="shell"))
async def main():
    for model in ("one", "two", "three"):
        print(await asyncio.create_task(request(model)))
asyncio.run(main())
"""


def test_requests_in_tasks_of_their_own_may_each_configure() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IN_IPYTHON], capture_output=True, text=True, env=os.environ, check=True
    )
    assert done.stdout.split("\n")[2] == "DSPy configured: lm=openai/three"


def test_values_that_are_no_text_come_back_as_data(bench: Any, dspy_unconfigured: Any) -> None:
    class Answers(dspy_unconfigured.Module):  # type: ignore[misc]
        def forward(self) -> Any:
            return dspy_unconfigured.Prediction(n=1, pair=(1, 2), row=dspy_unconfigured.Example(a=1))

    bench.runtime.store.put(None, "p", Answers(), writer="", now=time.time())
    outputs = bench.ok("execute_program", program_id="p")["outputs"]
    assert Decoder().decode(outputs) == {"n": 1, "pair": (1, 2), "row": {"a": 1}}
