"""Describes any object within a budget: its value if it has a lossless one, else a preview.

Rules
- ``type`` and ``module`` are always the true class's, whatever ``__class__`` claims.
- Attributes are read from the instance, never through a property; each is described shallowly.
- What was cut says so (``truncated``, ``total``). No object can make a description fail; only a real
  interrupt of the user's passes through.
- What its name or looks say is a secret is shown as ``[secret]``, which is told (``on_masked``).
- A static describer runs no user code, asks no plugin, and may be used from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from snakekernel.inspection import children, facts, genuine, timed
from snakekernel.inspection.budget import Budget, Clock
from snakekernel.inspection.inspect import inspect_object
from snakekernel.inspection.parts import Part
from snakekernel.inspection.steps import NO_VALUE, scalar
from snakekernel.inspection.task import Task
from snakekernel.inspection.text import Texts, clip, nearest
from snakekernel.objects.secret_names import hides, scrubbed
from snakekernel.values import Encoder, NotLossless
from snakekernel.wire.errors import LimitExceeded, Unserializable


class DescribePlugin(Protocol):
    """What a framework plugin offers here. Both may return ``None`` for "nothing to add"."""

    def describe(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """Fields of the description of ``obj``, as plain JSON; they replace the neutral ones."""
        ...

    def inspect(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """Further fields of its inspection, as plain JSON."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in the making: its bounds, and its clock (``None`` in the static mode)."""

    budget: Budget
    clock: Clock | None
    texts: Texts

    def facts(self, obj: Any, *, ask: bool = True) -> facts.Facts:
        """Length, shape and dtype; ``ask`` allows running a user type's ``__len__`` in bounded time."""
        known = facts.facts_of(obj)
        if known != facts.Facts() or not ask or self.clock is None or not facts.may_be_asked(obj):
            return known
        outcome = timed.attempt(lambda: facts.asked(obj), self.clock.left())
        return outcome.value if outcome.ok and outcome.value is not None else known


_USUAL: Final = Budget()

#: Containers described with a page of their items.
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)

#: Names of the classes met most; those of built-in classes cannot change.
_BUILTIN: Final = genuine.Table((cls, cls.__name__) for cls in (str, bytes, int, float, *_CONTAINERS))


class Describer:
    """Makes descriptions and inspections.

    Args:
        plugin_for: gives the plugin that describes a type, or ``None``.
        static: run nothing that could be user code (for threads other than the one that runs cells).
        budget: bounds of one answer; calls made by a plugin while it describes share its answer's time.
        task: the task whose answer it is, which ends with it.
        on_masked: told where an answer leaves a secret out.
    """

    def __init__(
        self,
        *,
        plugin_for: Callable[[type], DescribePlugin | None] | None = None,
        static: bool = False,
        budget: Budget | None = None,
        task: Task | None = None,
        on_masked: Callable[[], None] | None = None,
    ) -> None:
        self.static = static
        self._on_masked = on_masked
        self._task = task
        self.budget = budget or _USUAL
        self._plugin_for = plugin_for
        #: The answer being made on each thread.
        self._answers: dict[int, Answer] = {}

    def text(self, obj: Any) -> tuple[str, bool]:
        """The object's ``repr``, at most ``budget.text`` characters, and whether it was cut or replaced."""
        with self._answer() as answer:
            return answer.texts.text(obj, self.budget.text)

    def value_or_preview(self, obj: Any, encoder: Encoder, *, force: bool = False) -> dict[str, Any]:
        """``{"type", "module", "value"}`` if ``obj`` is lossless within the encoder's limits, else a preview.

        A static describer gives values of scalars only.

        Raises:
            Unserializable: with ``force``, if there is no lossless form; the message says where and why.
            LimitExceeded: with ``force``, if the value exceeds the encoder's limits.
        """
        if self.static:
            preview = self.preview(obj)
            if "value" in preview or not force:
                return preview
            reason = "the static describer values scalars only"
        else:
            try:
                return {**_head(obj), "value": encoder.encode(obj)}
            except NotLossless as error:
                reason = f"{error.path}: {error.reason}" if error.path else error.reason
            except LimitExceeded as error:
                if force:
                    raise
                reason = error.message
            except Exception as error:  # a codec's own failure, or an object changed meanwhile
                reason = timed.summary(error)
        if force:
            raise Unserializable(
                f"a {genuine.qualified_name(type(obj))} has no lossless form ({reason}); "
                'ask for "preview" or "ref" instead',
                at="$.returns",
            )
        return self.preview(obj)

    def preview(self, obj: Any, name: str | None = None) -> dict[str, Any]:
        """A bounded description that leaves the object where it is.

        ``{"type", "module", "attributes": {name: description}, "string_repr", "truncated"}``, with
        ``length``, ``shape``, ``dtype`` where known; containers also ``items`` (the first
        ``budget.items`` descriptions, each of a dict with its ``key``) and ``total``. A small scalar is
        ``{"type", "module", "value"}``. Attributes are the instance's public ones; those of data frames
        and arrays are their children's business (``inspect``).

        Args:
            name: what it goes by within another object, which may mean that it is a secret.
        """
        with self._answer() as answer:
            value = NO_VALUE if hides(name, obj) else scalar(obj, self.budget.text)
            if value is not NO_VALUE:
                return {**_head(obj), "value": value}
            attributes, cut = self._attributes(obj, answer)
            text, text_cut = answer.texts.text(obj, self.budget.text, name)
            description = {**_head(obj), "attributes": attributes, "string_repr": text}
            description.update(_known(answer.facts(obj)))
            if genuine.is_kind(obj, *_CONTAINERS):
                parts, total = children.items(obj, self.budget.items)
                description["items"] = [self._item(part, answer, name) for part in parts]
                description["total"] = total
                cut = cut or len(parts) < total
            description["truncated"] = text_cut or cut
            return self._with_plugin(description, obj, answer, "describe")

    def inspect(self, obj: Any, offset: int = 0, limit: int = 50, name: str | None = None) -> dict[str, Any]:
        """What can be said about ``obj``, and children ``offset`` to ``offset + limit``.

        ``{"type", "module", "callable", "string_repr", "docstring", "signature", "parameters" (of a
        callable: ``{"name", "kind", "required", "default", "annotation"}`` each), "view", "attributes"
        (names), "attributes_total", "length", "shape", "dtype", "size" (bytes, estimated), "children",
        "truncated", "total" (of the children)}``; unknown fields are ``None``. A child is ``{"key" (a path
        step, or None), "label", "type", "module", "string_repr", "length", "shape", "size", "view",
        "has_children"}``. A page holds at most 1,000 children.

        Raises:
            InvalidRequest: ``offset`` or ``limit`` is negative.
        """
        with self._answer() as answer:
            inspection = inspect_object(obj, answer, offset, limit, name)
            return self._with_plugin(inspection, obj, answer, "inspect")

    @contextmanager
    def _answer(self) -> Iterator[Answer]:
        """The answer being made on this thread, or a new one: nested calls share its time."""
        thread = threading.get_ident()
        running = self._answers.get(thread)
        if running is not None:
            yield running
            return
        clock = None if self.static else Clock(self.budget.seconds, self._task)
        answer = self._answers[thread] = Answer(self.budget, clock, Texts(clock, self.budget.depth))
        try:
            yield answer
        finally:
            del self._answers[thread]
            if answer.texts.masked and self._on_masked is not None:
                self._on_masked()

    def _attributes(self, obj: Any, answer: Answer) -> tuple[dict[str, Any], bool]:
        if facts.data_kind(obj) is not None:
            return {}, False
        found: dict[str, Any] = {}
        for name, value in genuine.own_attributes(obj):
            if name.startswith("_"):
                continue
            if len(found) >= self.budget.attributes:
                return found, True
            label, _ = clip(name, self.budget.short)
            found[label] = self._part(value, answer, self.budget.text, name)
        return found, False

    def _part(self, obj: Any, answer: Answer, text: int, name: Any = None) -> dict[str, Any]:
        """A shallow description: the value of a small scalar, else a short text and the sizes known."""
        is_secret = hides(name, obj) or (type(obj) is str and len(obj) <= text and scrubbed(obj) is not obj)
        if not is_secret:
            value = scalar(obj, text)
            if value is not NO_VALUE:
                return {**_head(obj), "value": value}
        shown, cut = answer.texts.outline(obj, self.budget.short, name)
        return {
            **_head(obj),
            "string_repr": shown,
            "truncated": cut,
            **_known(answer.facts(obj, ask=False)),
        }

    def _item(self, part: Part, answer: Answer, name: str | None) -> dict[str, Any]:
        description = self._part(part.value, answer, self.budget.text, nearest(part.label, name))
        if part.by_key:
            description["key"] = self._part(part.label, answer, self.budget.short)
        return description

    def _with_plugin(self, fields: dict[str, Any], obj: Any, answer: Answer, method: str) -> dict[str, Any]:
        if self._plugin_for is None or answer.clock is None:
            return fields
        find = self._plugin_for

        def ask() -> Mapping[str, Any] | None:
            plugin = find(type(obj))
            if plugin is None:
                return None
            more: Mapping[str, Any] | None = getattr(plugin, method)(obj, self)
            return more

        outcome = timed.attempt(ask, answer.clock.left())
        if not outcome.ok:
            fields["plugin_error"] = outcome.error or "the plugin took too long"
        elif outcome.value is not None:
            fields.update(outcome.value)
        return fields


def _known(found: facts.Facts) -> dict[str, Any]:
    fields = (("length", found.length), ("shape", found.shape), ("dtype", found.dtype))
    return {name: fact for name, fact in fields if fact is not None}


def _head(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    name = _BUILTIN.get(cls)
    if name is not None:
        return {"type": name, "module": "builtins"}
    return {"type": genuine.type_name(cls), "module": genuine.module_name(cls)}
