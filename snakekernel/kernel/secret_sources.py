"""Where secrets come from that no request names: the environment, language models, ``SecretStr``.

Rules: a secret is registered before anybody can show it, which is when its holder is made. Other people's
classes are hooked as they are loaded; one that is not made as we know it is left as it is.
"""

from __future__ import annotations

import os
from functools import wraps
from types import FunctionType, ModuleType
from typing import Any, Final
from weakref import WeakSet

from ..objects.secret_names import is_key_name, scrubbed
from ..objects.secrets import Secrets
from ..plugins.imported import when_loaded
from .logs import keep_secrets_out

#: The kernels of this process; there is one, but in tests.
_TOLD: Final[WeakSet[Secrets]] = WeakSet()
_HOOKED: Final = "_snakekernel_tells"


def guard(secrets: Secrets, shell: Any) -> None:
    """Register what the environment holds, and from now on what is put into LMs and secret fields; keep
    what is registered, and what looks like a secret, out of logs and the tracebacks of cells."""
    keep_secrets_out(secrets)
    _keep_out_of_tracebacks(shell)
    secrets.add_environment(os.environ)
    _TOLD.add(secrets)
    when_loaded("dspy.clients.base_lm", _hook_language_models)
    when_loaded("pydantic.types", _hook_secret_fields)


def _keep_out_of_tracebacks(shell: Any) -> None:
    # In locals, too, which %xmode Verbose shows.
    maker = shell.InteractiveTB
    stock = maker.structured_traceback

    def structured_traceback(*args: Any, **kwargs: Any) -> Any:
        lines = stock(*args, **kwargs)
        return [scrubbed(line) for line in lines] if isinstance(lines, list) else lines

    maker.structured_traceback = structured_traceback


def _found(value: object) -> None:
    for secrets in list(_TOLD):
        secrets.find(value)


def _found_among(settings: object) -> None:
    if isinstance(settings, dict):
        for name, value in list(settings.items()):
            if isinstance(name, str) and is_key_name(name):
                _found(value)


def _hook_language_models(module: ModuleType) -> None:
    kind = getattr(module, "BaseLM", None)
    for name in ("__init__", "copy"):
        _hook(kind, name, lambda lm, made, kwargs: _found_among(kwargs))


def _hook_secret_fields(module: ModuleType) -> None:
    _hook(
        getattr(module, "_SecretBase", None),
        "__init__",
        lambda one, made, kwargs: _found(vars(one).get("_secret_value")),
    )


def _hook(kind: Any, name: str, tell: Any) -> None:
    """Have ``tell(object, result, keyword arguments)`` called after a method."""
    stock = vars(kind).get(name) if isinstance(kind, type) else None
    if not isinstance(stock, FunctionType) or hasattr(stock, _HOOKED):
        return

    @wraps(stock)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = stock(self, *args, **kwargs)
        tell(self, result, kwargs)
        return result

    setattr(method, _HOOKED, True)
    setattr(kind, name, method)
