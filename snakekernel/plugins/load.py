"""Finding plugins and their commands by entry points, loading each when it is first needed.

Rules: looking for what there is imports nothing; a plugin that fails to load is reported by name and does
no harm to others. Entry-point groups: ``snakekernel.plugins`` (named by root package) and
``snakekernel.commands`` (named by operation).
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from ..commands.command import Command
from ..commands.table import BUILTINS
from .api import Plugin

PLUGINS: Final = "snakekernel.plugins"
COMMANDS: Final = "snakekernel.commands"
_log: Final = logging.getLogger(__name__)


class Installed:
    """The entry points of this environment, read at once for both tables, when one is first asked for.

    Reading them takes as long as hundreds of small calls: a kernel does it once, and not before it serves.
    """

    @cached_property
    def groups(self) -> dict[str, dict[str, EntryPoint]]:
        """By group and name."""
        points = entry_points()
        return {group: {p.name: p for p in points.select(group=group)} for group in (PLUGINS, COMMANDS)}


class PluginTable:
    """The plugins of this environment, by root package; each loaded once, when first asked for."""

    def __init__(self, installed: Installed | None = None) -> None:
        self._lock = threading.Lock()
        self._installed = installed or Installed()
        self._loaded: dict[str, Plugin | None] = {}
        self._failures: dict[str, str] = {}
        #: By id, for hashing a class may run its metaclass; the class is kept, so that no id comes again.
        self._by_type: dict[int, tuple[type, Plugin | None]] = {}

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        return self._installed.groups[PLUGINS]

    def get(self, root: str) -> Plugin | None:
        """The plugin of a root package, or None where there is none or it failed to load."""
        point = self._points.get(root)
        if point is None:
            return None
        if root in self._loaded:
            return self._loaded[root]
        with self._lock:
            if root not in self._loaded:
                self._loaded[root] = self._load(point)
            return self._loaded[root]

    def for_type(self, cls: type) -> Plugin | None:
        """The plugin of the first class in the MRO whose root package has one."""
        known = self._by_type.get(id(cls))
        if known is not None:
            return known[1]
        found = None
        for base in type.__getattribute__(cls, "__mro__"):
            module = type.__getattribute__(base, "__module__")
            root = module.partition(".")[0] if isinstance(module, str) else ""
            if root in self._points:
                found = self.get(root)
                break
        if len(self._by_type) > 10_000:
            self._by_type.clear()
        self._by_type[id(cls)] = cls, found
        return found

    def available(self) -> list[str]:
        """Frameworks with a plugin whose package is installed; imports nothing."""
        return sorted(name for name in self._points if name not in self._failures and _is_installed(name))

    def failures(self) -> dict[str, str]:
        """Plugins that failed to load, and why."""
        return dict(self._failures)

    def _load(self, point: EntryPoint) -> Plugin | None:
        try:
            plugin = point.load()
            if not isinstance(plugin, Plugin):
                raise TypeError(f"{point.value} is no snakekernel.plugins.api.Plugin")
        except Exception as error:
            self._failures[point.name] = f"{type(error).__name__}: {error}"
            _log.warning("The plugin %r (%s) failed to load: %s", point.name, point.value, error)
            return None
        return plugin


class CommandTable(Mapping[str, Command]):
    """The built-in commands and those of entry points, which are loaded when first asked for.

    A command that fails to load, or that takes a built-in's name, is reported and left out.
    """

    def __init__(self, installed: Installed | None = None) -> None:
        self._commands: dict[str, Command] = dict(BUILTINS)
        self._installed = installed or Installed()

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        points = dict(self._installed.groups[COMMANDS])
        for name in points.keys() & BUILTINS.keys():
            point = points.pop(name)
            _log.warning("The command %r of %s is a built-in's; left out", point.name, point.value)
        return points

    def __getitem__(self, op: str) -> Command:
        command = self._commands.get(op)
        if command is None:
            command = self._load(self._points[op])
            self._commands[op] = command
        return command

    def get(self, op: str, default: Any = None) -> Any:
        """The command, or the default; asked for every request."""
        command = self._commands.get(op)
        return super().get(op, default) if command is None else command

    def __contains__(self, op: object) -> bool:
        return op in self._commands or op in self._points

    def __iter__(self) -> Iterator[str]:
        yield from BUILTINS
        yield from self._points

    def __len__(self) -> int:
        return len(BUILTINS) + len(self._points)

    def _load(self, point: EntryPoint) -> Command:
        try:
            command = point.load()
            if not isinstance(command, Command) or command.op != point.name:
                raise TypeError(f"{point.value} is no Command for {point.name!r}")
        except Exception as error:
            _log.warning("The command %r (%s) failed to load: %s", point.name, point.value, error)
            self._points.pop(point.name, None)
            raise KeyError(point.name) from error
        return command


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
