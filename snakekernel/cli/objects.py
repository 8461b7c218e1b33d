"""``store``, ``retrieve``, ``list``, ``delete``, ``inspect``: what the kernel keeps, and looking at it."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

from rich.console import Console
from rich.text import Text
from traitlets import Bool, Enum, Float, Integer

from ..client.client import Client
from .arguments import datum, read_json, read_source, target_of
from .command import Answer, KernelCommand, merged
from .show import note_of, show_inspection, show_objects, show_result


def _said(content: dict[str, Any]) -> Answer:
    return Answer(content, lambda console: console.print(Text(content["message"])))


class StoreApp(KernelCommand):
    """Keep a value under a name."""

    name = "snakekernel store"
    words = "ID VALUE"
    description = cleandoc(f"""snakekernel store {words}

    Keep a value under a name. VALUE is JSON if it parses as such, else a string; - reads JSON from standard
    input.
    """)
    examples = cleandoc("""
    snakekernel store --existing settings '{"rate": 0.1}'
    """)

    ttl = Float(None, allow_none=True, help="Seconds until it is forgotten.").tag(config=True)
    durable = Bool(False, help="Have it on the kernel's disk, too.").tag(config=True)
    aliases = merged(KernelCommand.aliases, {"ttl": "StoreApp.ttl"})
    flags = merged(
        KernelCommand.flags,
        {"durable": ({"StoreApp": {"durable": True}}, "Have it on the kernel's disk, too.")},
    )

    def read_words(self) -> None:
        """ID and VALUE."""
        name, text = self.take(2, 2)
        value = read_json(read_source("-"), "VALUE") if text == "-" else datum(text)
        self._content = {"id": name, "value": value}
        if self.ttl is not None:
            self._content["ttl"] = self.ttl
        if self.durable:
            self._content["durable"] = True

    def ask(self, client: Client) -> Answer:
        """Store it."""
        return _said(client.execute("store", self._content, session_id=self.session_id, timeout=self.timeout))


class RetrieveApp(KernelCommand):
    """Show a stored object, or a part of it."""

    name = "snakekernel retrieve"
    words = "ID | stored.PATH | user.PATH"
    description = cleandoc(f"""snakekernel retrieve {words}

    Show a stored object, a part of it, or a variable of the notebook.
    """)
    examples = cleandoc("""
    snakekernel retrieve --existing df
    snakekernel retrieve --existing stored.df.columns
    """)

    returns = Enum(
        ("auto", "value", "preview", "ref", "none"), "auto", help="How the object comes back."
    ).tag(config=True)
    aliases = merged(KernelCommand.aliases, {"returns": "RetrieveApp.returns"})

    def read_words(self) -> None:
        """An id, or a path below stored or user."""
        (word,) = self.take(1, 1)
        target = target_of(word)
        is_path = isinstance(target, list) or word.startswith(("stored.", "user."))
        self._content = {"target" if is_path else "id": target, "returns": self.returns}

    def ask(self, client: Client) -> Answer:
        """Fetch it."""
        content, buffers = client.exchange(
            "retrieve", self._content, session_id=self.session_id, timeout=self.timeout
        )
        return Answer(
            {**content, **note_of(buffers)}, lambda console: show_result(console, content["object"], buffers)
        )


class ListApp(KernelCommand):
    """List the stored objects."""

    name = "snakekernel list"
    words = "[PREFIX]"
    description = cleandoc(f"""snakekernel list {words}

    List the stored objects, those whose names begin with PREFIX; answers while the kernel is busy too.
    """)

    offset = Integer(0, min=0, help="How many names to skip.").tag(config=True)
    limit = Integer(1_000, min=0, help="How many names at most.").tag(config=True)
    aliases = merged(
        KernelCommand.aliases,
        {
            "offset": "ListApp.offset",
            "limit": "ListApp.limit",
        },
    )

    def read_words(self) -> None:
        """PREFIX, if any."""
        (self._prefix,) = self.take(0, 1) or [""]

    def ask(self, client: Client) -> Answer:
        """List them."""
        content = client.list_stored(
            self._prefix,
            offset=self.offset,
            limit=self.limit,
            details=True,
            session_id=self.session_id,
            timeout=self.timeout,
        )
        return Answer(content, lambda console: show_objects(console, content))


class DeleteApp(KernelCommand):
    """Forget stored objects."""

    name = "snakekernel delete"
    words = "ID [ID ...]"
    description = cleandoc(f"""snakekernel delete {words}

    Forget stored objects: all that are named, or, where one of them is not there, those before it.
    """)

    def read_words(self) -> None:
        """The ids."""
        self._ids = self.take(1, None)

    def ask(self, client: Client) -> Answer:
        """Delete them, one after the other."""
        messages: list[str] = [
            client.delete_stored(name, session_id=self.session_id, timeout=self.timeout) for name in self._ids
        ]

        def show(console: Console) -> None:
            for message in messages:
                console.print(Text(message))

        return Answer({"status": "ok", "deleted": self._ids, "messages": messages}, show)


class InspectApp(KernelCommand):
    """Show what an object is."""

    name = "snakekernel inspect"
    words = "TARGET"
    description = cleandoc(f"""snakekernel inspect {words}

    Show what an object is: signature, docstring, attributes, shape, children. TARGET is stored.PATH,
    user.PATH or anything importable.
    """)
    examples = cleandoc("""
    snakekernel inspect json.dumps
    snakekernel inspect --existing stored.df --channel=control
    """)

    offset = Integer(0, min=0, help="The first child to show.").tag(config=True)
    limit = Integer(50, min=0, max=1_000, help="How many children to show.").tag(config=True)
    channel = Enum(
        ("shell", "control"), "shell", help="control answers while the kernel is busy, and runs no user code."
    ).tag(config=True)
    aliases = merged(
        KernelCommand.aliases,
        {
            "offset": "InspectApp.offset",
            "limit": "InspectApp.limit",
            "channel": "InspectApp.channel",
        },
    )

    def read_words(self) -> None:
        """TARGET."""
        (word,) = self.take(1, 1)
        self._target = target_of(word)

    def ask(self, client: Client) -> Answer:
        """Inspect it."""
        inspection = client.inspect(
            self._target,
            offset=self.offset,
            limit=self.limit,
            channel="control" if self.channel == "control" else "shell",
            session_id=self.session_id,
            timeout=self.timeout,
        )
        return Answer(
            {"status": "ok", "inspection": inspection}, lambda console: show_inspection(console, inspection)
        )
