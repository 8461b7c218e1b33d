"""Descriptions, inspections and lists of objects as pages for a notebook.

Rules: made of the plain data that the kernel answers with, so that a client shows the same as the notebook;
whatever a field holds, it is shown as text and bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from snakekernel.inspection.pages import Block, Facts, Grid, Note, Page, Part, Section
from snakekernel.inspection.words import age_text, counted, extent_text, one_line, size_text

#: Characters of a text in a table, of a line of facts, and of a block.
_CELL: Final = 80
_LINE: Final = 300
_BLOCK: Final = 8_000

#: Rows of a table, and of one that is shown unasked.
_ROWS: Final = 100
_OPEN: Final = 20


def listing_page(title: str, objects: Sequence[Mapping[str, Any]], total: int, now: float) -> Page:
    """A table of stored objects: fields of ``list_stored``; ``now`` in seconds since 1970."""
    if not objects:
        return Page(title, [Note("No objects.")])
    makers = [maker_text(one.get("made_by")) for one in objects]
    columns = ["name", "type", "shape", "size", *(["made by"] if any(makers) else []), "age"]
    rows = [
        [
            one_line(str(one["name"]), _CELL),
            type_text(one),
            extent_text(one.get("shape"), one.get("length")),
            size_text(one["size"]),
            *([maker] if any(makers) else []),
            age_text(now - one["created"]),
        ]
        for one, maker in zip(objects[:_ROWS], makers, strict=False)
    ]
    parts: list[Part] = [Grid(columns, rows, frozenset({2, 3}))]
    if len(rows) < total:
        parts.append(Note(f"The first {len(rows)} of {total} objects."))
    return Page(title, parts)


def maker_text(made_by: Any) -> str:
    """``"In [5]"``, ``"pandas.read_csv by ada"``: who made an object, as far as it is known."""
    if not isinstance(made_by, Mapping):
        return ""
    client = made_by.get("client")
    return one_line(f"{made_by.get('label') or ''}{f' by {client}' if client else ''}", _CELL)


def type_text(described: Mapping[str, Any]) -> str:
    """``"pandas.DataFrame"``: the class, by its root package; built-in classes by their name alone."""
    root = str(described.get("module", "?")).partition(".")[0]
    name = str(described.get("type", "?"))
    return one_line(name if root in ("builtins", "__main__") else f"{root}.{name}", _CELL)


def description_page(raw: Mapping[str, Any], name: str = "") -> Page:
    """What the kernel says of an object that it keeps: its text and attributes."""
    parts: list[Part] = [Facts(_facts(raw))]
    if raw.get("string_repr"):
        parts.append(_text_of(raw))
    attributes = raw.get("attributes")
    if isinstance(attributes, Mapping) and attributes:
        parts.append(_grid("attribute", [(key, one) for key, one in attributes.items()], len(attributes)))
    items = raw.get("items")
    if isinstance(items, Sequence) and items:
        labelled = [(_label(one, n), one) for n, one in enumerate(items)]
        parts.append(_grid("item", labelled, raw.get("total") or len(items)))
    return Page(_title(raw, name), parts)


def inspection_page(found: Mapping[str, Any], name: str = "") -> Page:
    """What ``inspect`` answered."""
    parts: list[Part] = [Facts([*_facts(found), *_stored_facts(found.get("stored"))])]
    if found.get("string_repr") and not found.get("callable"):
        parts.append(_text_of(found))
    children = found.get("children")
    if isinstance(children, Sequence) and children:
        rows = [(str(child.get("label")), child) for child in children]
        total = found.get("total") or len(rows)
        is_frame = found.get("view") == "table" and found.get("dtype") is None and found.get("shape")
        noun = "column" if is_frame else "part"
        said = f"{len(rows)} of {total} {noun}s" if len(rows) < total else counted(total, noun)
        parts.append(Section(said, [_grid(noun, rows, total)], folded=total > _OPEN))
    if found.get("docstring") and (found.get("callable") or found.get("module") != "builtins"):
        doc = Block(_clipped(str(found["docstring"]), _BLOCK))
        parts.append(Section("Docstring", [doc], folded=not found.get("callable")))
    return Page(_title(found, name), parts)


def _title(raw: Mapping[str, Any], name: str) -> str:
    kind = type_text(raw)
    return one_line(f"{name}: {kind}" if name else kind, _LINE)


def _facts(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = (
        ("Signature", str(raw.get("signature") or "")),
        ("Value", _brief(raw, _LINE) if "value" in raw else ""),
        ("Shape", extent_text(raw.get("shape"), None)),
        ("Length", "" if raw.get("shape") or raw.get("length") is None else str(raw["length"])),
        ("Dtype", str(raw.get("dtype") or "")),
        ("Size", size_text(raw["size"]) if isinstance(raw.get("size"), int) else ""),
    )
    return [(label, _clipped(text, _LINE)) for label, text in said if text]


def _stored_facts(stored: Any) -> list[tuple[str, str]]:
    maker = maker_text(stored.get("made_by")) if isinstance(stored, Mapping) else ""
    return [("Made by", maker)] if maker else []


def _text_of(raw: Mapping[str, Any]) -> Block:
    """The object's text; of one that was cut whole lines, and of a table its first columns."""
    text = _clipped(str(raw["string_repr"]), _BLOCK)
    shown = text.partition("\n\n")[0] if raw.get("view") == "table" else text
    if raw.get("truncated") and "\n" in shown and shown == text:
        shown = shown.rpartition("\n")[0]
    return Block(shown if shown == text else f"{shown}\n…")


def _grid(what: str, rows: Sequence[tuple[str, Any]], total: int) -> Grid:
    shown = [
        [
            one_line(label, _CELL),
            type_text(one),
            extent_text(one.get("shape"), one.get("length")),
            _brief(one, _CELL),
        ]
        for label, one in rows[:_ROWS]
        if isinstance(one, Mapping)
    ]
    if len(shown) < total:
        shown.append(["…", "", "", f"{total - len(shown)} more"])
    return Grid([what, "type", "shape", "value"], shown, frozenset({2}))


def _label(item: Any, number: int) -> str:
    key = item.get("key") if isinstance(item, Mapping) else None
    if not isinstance(key, Mapping):
        return str(number)
    value = key.get("value")
    return one_line(value if isinstance(value, str) else _brief(key, _CELL), _CELL)


def _brief(raw: Mapping[str, Any], most: int) -> str:
    """The value as Python writes it, else the text of the object."""
    return one_line(repr(raw["value"]) if "value" in raw else str(raw.get("string_repr") or ""), most)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
