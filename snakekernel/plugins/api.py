"""What a framework plugin is.

Rules: a plugin belongs to one root package and is loaded when that package is first met; importing the
plugin's module imports nothing heavy, ``load`` imports the framework. Every method has a neutral default,
so that a plugin overrides only what its framework needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..commands.runtime import Override
from ..wire.errors import NotFound

if TYPE_CHECKING:
    from ..commands.scope import Scope
    from ..inspection import Describer


class Plugin:
    """Special care for one framework.

    Attributes:
        name: the framework's root package; also the name of the ``snakekernel.plugins`` entry point.
        hint: how to install the framework, shown where it is absent.
    """

    name: str = ""
    hint: str = ""

    def load(self) -> ModuleType:
        """Import the framework; raises NotFound where it is not installed."""
        try:
            return importlib.import_module(self.name)
        except ModuleNotFoundError as error:
            if error.name != self.name:
                raise
            hint = self.hint or f"pip install {self.name}"
            raise NotFound(f"The framework {self.name!r} is not installed here: {hint}.") from None

    def configure(self, config: Mapping[str, Any], scope: Scope) -> str:
        """Configure the framework, or with ``scope.session`` that session alone; returns a message.

        The default calls the framework's own ``configure(**config)``; raises NotFound where it has none.
        """
        function = getattr(self.load(), "configure", None)
        if not callable(function):
            raise NotFound(f"{self.name!r} has nothing to configure: it has no {self.name}.configure.")
        function(**config)
        return f"{self.name} configured"

    def takes_over(self, path: tuple[str, ...]) -> Override | None:
        """A function ``(scope, args, kwargs)`` to run in place of the target ``<name>.<path>``, or None."""
        return None

    def describe(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """Fields of a description of one of the framework's objects, or None to have the usual one."""
        return None

    def inspect(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """Fields to add to an inspection, or None."""
        return None

    def session_context(self, state: Any) -> AbstractContextManager[Any]:
        """Entered around every call of a session for which ``configure`` put ``state`` aside."""
        return nullcontext()
