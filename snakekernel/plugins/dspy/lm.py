"""From a plain configuration to DSPy's settings: which language model, where, with which key.

Rules: a key is registered as secret before anything else and lives in the LM alone, never in the settings.
Names that DSPy's settings know go there; all others belong to the LM, and are refused where none is built,
for DSPy would keep them without a word. What stands in the configuration is checked here, what a provider
thinks of it is DSPy's to say.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from ...objects.secrets import Secrets
from ...wire.errors import InvalidRequest

#: The prefix of DSPy's model names for providers whose own name differs.
PREFIXES: Final = {
    "google": "gemini",
    "ollama": "ollama_chat",
    "openai_compatible": "openai",
    "local": "openai",
}

#: Where a provider's server is when the configuration does not say.
DEFAULT_BASES: Final = {"ollama_chat": "http://localhost:11434"}

#: Providers that are no service of their own, so that an address is needed.
NEED_BASE: Final = frozenset({"openai_compatible", "local"})

#: What a server without keys is sent; the environment's OPENAI_API_KEY is not for whoever listens there.
NO_KEY: Final = "not-needed"

ADAPTERS: Final = {"chat": "ChatAdapter", "json": "JSONAdapter", "xml": "XMLAdapter"}

#: Retries of a failing request unless the configuration says otherwise: with DSPy's own three an
#: unreachable server holds the kernel for many seconds.
NUM_RETRIES: Final = 1


def register_secrets(config: Mapping[str, Any], secrets: Secrets) -> None:
    """Register every key, token and password of a configuration, credentials inside values included.

    Where no key is given, DSPy reads one from the environment by names of its providers' own: all keys
    there are as secret as one that was sent.
    """
    secrets.add_from(config)
    for name, value in os.environ.items():
        if name.upper().endswith("_API_KEY"):
            secrets.add(value)
    _register_parts(config, secrets)


def _register_parts(config: Mapping[str, Any], secrets: Secrets) -> None:
    for name, value in config.items():
        if isinstance(value, Mapping):
            _register_parts(value, secrets)
        elif isinstance(value, str):
            if str(name).lower() == "authorization":
                secrets.add(value.partition(" ")[2])
            elif str(name) in ("api_base", "base_url"):
                secrets.add(_password(value))


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:  # no URL; DSPy will say so
        return None


def resolve_key(kwargs: MutableMapping[str, Any], secrets: Secrets, *, at: str) -> None:
    """Replace ``api_key_env`` by the key it names, and a ``SecretStr`` by its text, in place.

    Raises InvalidRequest where both are given, or where the kernel's environment has no such variable.
    """
    variable, key = kwargs.pop("api_key_env", None), kwargs.get("api_key")
    if key is None:
        kwargs.pop("api_key", None)
    reveal = getattr(key, "get_secret_value", None)
    if callable(reveal):
        kwargs["api_key"] = key = reveal()
    if key is not None and (not isinstance(key, str) or not key):
        raise InvalidRequest("api_key must be a string that is not empty.", at=f"{at}.api_key")
    if variable is None:
        return
    if not isinstance(variable, str) or not variable:
        raise InvalidRequest("api_key_env must name an environment variable.", at=f"{at}.api_key_env")
    if key is not None:
        raise InvalidRequest("Give api_key or api_key_env, not both.", at=f"{at}.api_key_env")
    found = os.environ.get(variable)
    if not found:
        raise InvalidRequest(
            f"The kernel's environment has no variable {variable!r} (api_key_env). Set it where the kernel "
            "is started, or send api_key.",
            at=f"{at}.api_key_env",
        )
    secrets.add(found)
    kwargs["api_key"] = found


def to_settings(config: Mapping[str, Any], dspy: ModuleType, secrets: Secrets, *, at: str) -> dict[str, Any]:
    """The keyword arguments for ``dspy.configure`` or ``dspy.context``.

    ``at`` is where the configuration stands in the request. Raises InvalidRequest with the path of what is
    wrong; what DSPy's own constructors raise passes through.
    """
    known = set(dspy.settings.config) - {"lm", "adapter"}
    settings = {name: value for name, value in config.items() if name in known}
    rest = {name: value for name, value in config.items() if name not in known}
    if "adapter" in rest:
        settings["adapter"] = _adapter(rest.pop("adapter"), dspy, f"{at}.adapter")
    if any(rest.get(name) is not None for name in ("lm", "model", "provider")):
        settings["lm"] = _lm(rest, dspy, secrets, at)
    elif "lm" in rest and len(rest) == 1:
        settings["lm"] = None
    else:
        unused = next((name for name in rest if name != "lm"), None)
        if unused is not None:
            raise InvalidRequest(
                f"{unused!r} configures a language model, and none is named: "
                'give lm ("openai/gpt-4o-mini") or provider and model.',
                at=f"{at}.{unused}",
            )
    if not settings:
        raise InvalidRequest(
            'There is nothing to configure: give lm ("openai/gpt-4o-mini"), provider and model, or one of '
            "DSPy's settings.",
            at=at,
        )
    return settings


def _lm(rest: dict[str, Any], dspy: ModuleType, secrets: Secrets, at: str) -> Any:
    given, model = rest.pop("lm", None), rest.pop("model", None)
    if given is not None and model is not None:
        raise InvalidRequest("Give lm or model, not both.", at=f"{at}.model")
    field = "model" if given is None else "lm"
    named = model if given is None else given
    if named is not None and not isinstance(named, str):
        if not _is_lm(named, dspy):
            raise InvalidRequest(
                f"{field} must be the name of a model or a language model of DSPy, "
                f"not {type(named).__name__!r}.",
                at=f"{at}.{field}",
            )
        extra = next(iter(rest), None)
        if extra is not None:
            raise InvalidRequest(f"{extra!r} has no effect on an LM that exists already.", at=f"{at}.{extra}")
        # One made in a notebook brings a key that nobody has registered yet.
        register_secrets(getattr(named, "kwargs", None) or {}, secrets)
        return named
    provider = _text(rest, "provider", at)
    if not named:
        raise InvalidRequest('Which model? Give model, such as "gpt-4o-mini".', at=f"{at}.{field}")
    base = _text(rest, "api_base", at) or _text(rest, "base_url", at)
    resolve_key(rest, secrets, at=at)
    name = model_name(provider, named, has_base=base is not None)
    prefix = name.partition("/")[0]
    base = base or DEFAULT_BASES.get(prefix)
    if base is not None:
        rest["api_base"] = base
        # DSPy's cache knows the model's name, not its server: two servers would share answers.
        rest.setdefault("cache", False)
        if prefix == "openai":
            rest.setdefault("api_key", NO_KEY)
    elif provider is not None and provider.lower() in NEED_BASE:
        raise InvalidRequest(f"The provider {provider!r} needs an api_base.", at=f"{at}.api_base")
    rest.setdefault("num_retries", NUM_RETRIES)
    return dspy.LM(name, **rest)


def model_name(provider: str | None, model: str, *, has_base: bool) -> str:
    """A model's name as DSPy wants it: ``("google", "gemini-2.0-flash")`` -> ``"gemini/gemini-2.0-flash"``.

    A bare name at an address of its own is taken for an OpenAI-compatible server's.
    """
    if provider is None:
        return f"openai/{model}" if has_base and "/" not in model else model
    provider = provider.lower()
    prefix = PREFIXES.get(provider, provider)
    if model.startswith((f"{prefix}/", f"{provider}/")):
        return f"{prefix}/{model.partition('/')[2]}"
    return f"{prefix}/{model.removeprefix('models/')}"


def _is_lm(obj: Any, dspy: ModuleType) -> bool:
    return isinstance(obj, dspy.BaseLM) or getattr(obj, "supports_decision_requests", False) is True


def _text(rest: dict[str, Any], name: str, at: str) -> str | None:
    value = rest.pop(name, None)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidRequest(f"{name} must be a string that is not empty.", at=f"{at}.{name}")
    return value


def _adapter(value: Any, dspy: ModuleType, at: str) -> Any:
    if isinstance(value, str):
        name = ADAPTERS.get(value.lower(), value)
        if name not in ADAPTERS.values():
            raise InvalidRequest(
                f"There is no adapter {value!r} to be had by name; there are {', '.join(ADAPTERS)}.", at=at
            )
        return getattr(dspy, name)()
    if value is not None and not isinstance(value, dspy.Adapter):
        raise InvalidRequest("adapter must be a name or an adapter of DSPy.", at=at)
    return value
