"""What the kernel asks of the DSPy plugin.

Rules: ``dspy.configure`` belongs to the thread that first calls it and, within asyncio, to the task, unless
IPython runs (a kernel is such a process, so any request's task may call it). It is therefore called on the
main thread only; a session's own configuration never touches it but is a ``dspy.context`` around its calls.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ...commands.runtime import Override
from ...wire.errors import InvalidRequest
from ..api import Plugin
from . import describe, lm

if TYPE_CHECKING:
    from ...commands.scope import Scope
    from ...inspection import Describer


class DSPyPlugin(Plugin):
    """DSPy: language models, programs, predictions."""

    name = "dspy"
    hint = "pip install 'snakekernel[dspy]'"

    def configure(self, config: Mapping[str, Any], scope: Scope) -> str:
        """Set DSPy up, or with a session the session's calls alone.

        ``config`` names a model (``lm``, or ``provider`` and ``model``, with ``api_key`` or
        ``api_key_env``, ``api_base``, and whatever else ``dspy.LM`` takes) and any of DSPy's settings.
        """
        return self._configure(config, scope, at="$.config")

    def _configure(self, config: Mapping[str, Any], scope: Scope, *, at: str) -> str:
        lm.register_secrets(config, scope.runtime.secrets)
        dspy = self.load()
        settings = lm.to_settings(config, dspy, scope.runtime.secrets, at=at)
        session = scope.session
        if session is None:
            scope.runtime.on_main(lambda: dspy.configure(**settings))
            where = ""
        else:
            session.frameworks = {
                **session.frameworks,
                self.name: {**session.frameworks.get(self.name, {}), **settings},
            }
            where = f" for session {session.id!r}"
        return f"DSPy configured{where}: {_summary(settings)}"

    def takes_over(self, path: tuple[str, ...]) -> Override | None:
        """``dspy.configure`` and ``dspy.LM``: their keys are secret from the start."""
        if path in {("configure",), ("settings", "configure")}:
            return self._called_configure
        if path in {("LM",), ("clients", "LM"), ("clients", "lm", "LM")}:
            return self._called_lm
        return None

    def _called_configure(self, scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> None:
        if args:
            raise InvalidRequest("dspy.configure takes keyword arguments only.", at="$.args")
        self._configure(kwargs, scope, at="$.kwargs")

    def _called_lm(self, scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> Any:
        lm.register_secrets(kwargs, scope.runtime.secrets)
        dspy = self.load()
        lm.resolve_key(kwargs, scope.runtime.secrets, at="$.kwargs")
        return dspy.LM(*args, **kwargs)

    def session_context(self, state: Any) -> AbstractContextManager[Any]:
        """``dspy.context`` with what the session configured."""
        context: AbstractContextManager[Any] = self.load().context(**state)
        return context

    def describe(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """Predictions, examples, signatures, modules and language models; never a key or a weight."""
        dspy = sys.modules.get(self.name)
        return describe.description(obj, describer, dspy) if dspy is not None else None

    def inspect(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """The same facts under the key ``dspy``."""
        dspy = sys.modules.get(self.name)
        return describe.inspection(obj, describer, dspy) if dspy is not None else None


def _summary(settings: Mapping[str, Any]) -> str:
    words = []
    for name, value in settings.items():
        if name == "lm":
            words.append(f"lm={getattr(value, 'model', None)}")
        elif isinstance(value, str | int | float | bool | None):
            words.append(f"{name}={value}")
        else:
            words.append(f"{name}={type(value).__name__}")
    return ", ".join(words)


PLUGIN = DSPyPlugin()
