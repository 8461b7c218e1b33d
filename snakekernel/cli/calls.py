"""``call``, ``outcome``, ``pipeline`` and ``execute``: running things in the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from inspect import cleandoc
from typing import Any

from rich.console import Console
from rich.text import Text
from traitlets import Bool, Enum, Unicode

from ..client.client import Client
from ..commands.table import BUILTINS
from ..errors import from_reply
from ..wire.errors import InvalidRequest
from .arguments import call_arguments, read_json, read_object, read_source, target_of
from .command import Answer, KernelCommand, console_here, merged, print_json
from .passing import Passing
from .show import note_of, show_facts, show_result

_DATA_HELP = (
    "A word that parses as JSON is that JSON, any other is a string. Forms of the protocol's data grammar "
    """pass as they are: '{"$ref": "df"}' is the stored object df."""
)


class CallApp(KernelCommand):
    """Call a function, class, method or object in the kernel, or read a value."""

    name = "snakekernel call"
    words = "TARGET [ARG ...] [NAME=VALUE ...]"
    description = cleandoc(f"""snakekernel call {words}

    Call a function, class, method or object, or read a value. {_DATA_HELP} Words after -- are never options.
    """)
    examples = cleandoc("""
    snakekernel call math.hypot 3 4
    snakekernel call --existing pandas.read_csv data.csv sep=; --store-as=df
    snakekernel call --existing stored.df.head 3
    snakekernel call --existing builtins.len '{"$ref": "df"}' --json
    snakekernel call --stream itertools.permutations abc
    """)

    kwargs = Unicode("", help="Keyword arguments as a JSON object.").tag(config=True)
    store_as = Unicode(None, allow_none=True, help="Keep the result under this name.").tag(config=True)
    returns = Enum(
        ("auto", "value", "preview", "ref", "none"), "auto", help="How the result comes back."
    ).tag(config=True)

    call_id = Unicode(
        None,
        allow_none=True,
        help="An id for it: the same one again runs nothing and gives the first outcome.",
    ).tag(config=True)
    stream = Bool(False, help="Print the items of an iterator or a generator as they come.").tag(config=True)

    flags = merged(
        KernelCommand.flags,
        {"stream": ({"CallApp": {"stream": True}}, "Print the items that it gives as they come.")},
    )
    aliases = merged(
        KernelCommand.aliases,
        {
            "kwargs": "CallApp.kwargs",
            "store-as": "CallApp.store_as",
            "returns": "CallApp.returns",
            "call-id": "CallApp.call_id",
        },
    )

    def read_words(self) -> None:
        """TARGET, then the arguments."""
        target, *words = self.take(1, None)
        args, kwargs = call_arguments(words, self.kwargs)
        self._content: dict[str, Any] = {
            "target": target_of(target),
            "args": args,
            "kwargs": kwargs,
            "returns": self.returns,
        }
        if self.store_as is not None:
            self._content["store_as"] = self.store_as
        if self.call_id is not None:
            self._content["call_id"] = self.call_id

    def ask(self, client: Client) -> Answer | None:
        """Call it."""
        if self.stream:
            self._show_items(client)
            return None
        with Passing(as_json=self.as_json) as passing:
            content, buffers = client.exchange(
                "call", self._content, session_id=self.session_id, timeout=self.timeout, **passing.hears
            )

        def show(console: Console) -> None:
            show_result(console, content["result"], buffers, content["stored_as"])

        return Answer({**content, **note_of(buffers)}, show)

    def _show_items(self, client: Client) -> None:
        """Print each item as it comes."""
        console = console_here()
        with Passing(as_json=self.as_json) as passing:
            items = client.exchange_items(
                self._content, session_id=self.session_id, timeout=self.timeout, **passing.hears
            )
            with closing(items):
                try:
                    for item, buffers in items:
                        passing.pause()
                        if self.as_json:
                            print_json({**(item or {}), **note_of(buffers)})
                        else:
                            show_result(console, item, buffers)
                except KeyboardInterrupt:
                    # Closing alone waits for the next item.
                    client.cancel(items)
                    raise


class OutcomeApp(KernelCommand):
    """Show what an earlier call gave, by its call id."""

    name = "snakekernel outcome"
    words = "CALL_ID"
    description = cleandoc(f"""snakekernel outcome {words}

    Show what an earlier call gave that was made with this id, by whomever; its error is an error here. It
    answers while the kernel is busy and waits for the call's end, --timeout seconds at most.
    """)
    examples = cleandoc("""
    snakekernel call --existing time.sleep 5 --call-id=nap
    snakekernel outcome --existing nap
    """)

    def read_words(self) -> None:
        """CALL_ID."""
        (self._call_id,) = self.take(1, 1)

    def ask(self, client: Client) -> Answer:
        """Fetch it."""
        content, buffers = client.exchange_outcome(self._call_id, timeout=self.timeout)
        if content["status"] == "error":
            raise from_reply(content)
        document = {**content, **note_of(buffers)}

        def show(console: Console) -> None:
            if "result" in content:
                show_result(console, content["result"], buffers, content["stored_as"])
            else:
                show_facts(console, document)

        return Answer(document, show)


class PipelineApp(KernelCommand):
    """Run several operations in one round trip."""

    name = "snakekernel pipeline"
    words = "[FILE]"
    description = cleandoc(f"""snakekernel pipeline {words}

    Run several operations in one round trip: a JSON list of steps, or an object with "steps" and
    "stop_on_error", from a file or, without one or with -, from standard input. Each step has the fields of a
    call, or of the operation that its "op" names; {{"$step": 0}} in it is the result of the first.
    """)
    examples = cleandoc("""
    echo '[{"target": "math.sqrt", "args": [16]},
           {"target": "operator.add", "args": [{"$step": 0}, 1]}]' | snakekernel pipeline
    """)

    keep_going = Bool(False, help="Run the steps after a failing one too.").tag(config=True)
    flags = merged(
        KernelCommand.flags,
        {
            "keep-going": ({"PipelineApp": {"keep_going": True}}, "Run the steps after a failing one too."),
        },
    )

    def read_words(self) -> None:
        """FILE, read here."""
        name = (*self.take(0, 1), "-")[0]
        data = read_json(read_source(name), "the pipeline")
        if isinstance(data, list):
            data = {"steps": data}
        if not isinstance(data, dict):
            raise InvalidRequest("A pipeline is a list of steps, or an object with steps.", at="$")
        self._content = {**data, "stop_on_error": False} if self.keep_going else data

    def ask(self, client: Client) -> Answer:
        """Run it."""
        with Passing(as_json=self.as_json) as passing:
            content, buffers = client.exchange(
                "pipeline", self._content, session_id=self.session_id, timeout=self.timeout, **passing.hears
            )
        steps = self._content.get("steps", [])

        def show(console: Console) -> None:
            for index, (step, result) in enumerate(zip(steps, content["pipeline_results"], strict=True)):
                _show_step(console, index, step, result, buffers)

        return Answer({**content, **note_of(buffers)}, show)


class ExecuteApp(KernelCommand):
    """Send any operation by name."""

    name = "snakekernel execute"
    words = "OPERATION [CONTENT]"
    description = (
        f"snakekernel execute {words}\n\n"
        "Send any operation that the kernel serves, a plugin's too, with its fields as a JSON object "
        "(- reads it from standard input).\n\nBuilt in: "
        + "; ".join(f"{op}: {command.summary.rstrip('.')}" for op, command in BUILTINS.items())
        + "."
    )
    examples = cleandoc("""
    snakekernel execute rename_stored '{"id": "df", "to": "clean"}' --existing
    """)

    def read_words(self) -> None:
        """OPERATION and its content."""
        self._op, text = (*self.take(1, 2), "{}")[:2]
        self._content = read_object(read_source("-") if text == "-" else text, "CONTENT")

    def ask(self, client: Client) -> Answer:
        """Send it."""
        content, buffers = client.exchange(
            self._op, self._content, session_id=self.session_id, timeout=self.timeout
        )
        document = {**content, **note_of(buffers)}
        return Answer(document, lambda console: show_facts(console, document))


def _show_step(
    console: Console,
    index: int,
    step: Mapping[str, Any],
    result: Mapping[str, Any],
    buffers: Sequence[memoryview],
) -> None:
    what = step.get("target") or step.get("id") or ""
    console.print(Text(f"{index}  {step.get('op', 'call')} {what}".rstrip(), style="bold"))
    if result["status"] == "error":
        console.print(Text(f"error [{result['code']}] {result['error']}", style="red"), soft_wrap=True)
    elif "result" in result:
        show_result(console, result["result"], buffers, result.get("stored_as"))
    elif "object" in result:
        show_result(console, result["object"], buffers)
    elif "message" in result:
        console.print(Text(result["message"]))
