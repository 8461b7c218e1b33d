"""``checkpoint`` and ``restore``: the objects of a kernel in a file, and from it."""

from __future__ import annotations

import os
from inspect import cleandoc
from typing import Any

from rich.console import Console
from rich.text import Text
from traitlets import Bool

from ..client.client import Client
from .command import Answer, KernelCommand, merged


class _FileCommand(KernelCommand):
    """One that names a file, by name or, with a separator in it, by path, and ids."""

    def read_words(self) -> None:
        """NAME or PATH, and ids."""
        where, *ids = self.take(1, None)
        is_name = os.path.basename(where) == where
        # The kernel may have another folder.
        self._where: dict[str, Any] = (
            {"name": where} if is_name else {"path": os.path.abspath(os.path.expanduser(where))}
        )
        self._ids = ids or None


class CheckpointApp(_FileCommand):
    """Save stored objects in a signed file."""

    name = "snakekernel checkpoint"
    words = "NAME|PATH [ID ...]"
    description = cleandoc(f"""snakekernel checkpoint {words}

    Save stored objects in a signed file: those that are named, or all. A word without a separator is the name
    of a file in the owner's folder, any other a path on the kernel's host.
    """)
    examples = cleandoc("""
    snakekernel checkpoint --existing evening
    snakekernel checkpoint --existing ./models.db model scaler
    """)

    def ask(self, client: Client) -> Answer:
        """Save them."""
        content = client.checkpoint(
            **self._where, ids=self._ids, session_id=self.session_id, timeout=self.timeout
        )
        return Answer({"status": "ok", **content}, lambda console: _show(console, "saved", content))


class RestoreApp(_FileCommand):
    """Store the objects of a signed file again."""

    name = "snakekernel restore"
    words = "NAME|PATH [ID ...]"
    description = cleandoc(f"""snakekernel restore {words}

    Store the objects of a signed file again: those that are named, or all of them.
    """)
    examples = cleandoc("""
    snakekernel restore --existing evening
    """)

    overwrite = Bool(False, help="Replace objects of the same names.").tag(config=True)
    flags = merged(
        KernelCommand.flags,
        {"overwrite": ({"RestoreApp": {"overwrite": True}}, "Replace objects of the same names.")},
    )

    def ask(self, client: Client) -> Answer:
        """Restore them."""
        content = client.restore(
            **self._where,
            ids=self._ids,
            overwrite=self.overwrite,
            session_id=self.session_id,
            timeout=self.timeout,
        )
        return Answer({"status": "ok", **content}, lambda console: _show(console, "restored", content))


def _show(console: Console, verb: str, content: dict[str, Any]) -> None:
    names = content[verb]
    console.print(Text(f"{len(names)} {verb}: {content['path']}"))
    for name in names:
        console.print(Text(f"  {name}"))
    for failure in content["failed"]:
        console.print(Text(f"not {verb}: {failure['id']}: {failure['reason']}"))
