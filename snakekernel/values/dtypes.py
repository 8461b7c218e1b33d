"""numpy dtypes as JSON: text (``"<f8"``), or for structured ones the ``descr`` list or an explicit layout.

Rules: the form rebuilds the dtype exactly (layout, alignment, C type) or is refused. ``[name, form]`` and
``[name, form, shape]`` are fields one after the other, ``["", "|V4"]`` is padding; out-of-order fields,
overlaps, titles and alignment need ``{"fields": [{"name", "form", "offset", ...}], "itemsize", "align"}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from snakekernel.values.bounds import NotLossless
from snakekernel.values.encoder import is_text
from snakekernel.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder

DType = np.dtype[Any]

_TEXT = re.compile(r"[<>|=]?(?:[?biufcSUV]\d{0,10}|[mM]8(?:\[[0-9a-zA-Zμ/]{1,32}\])?)|[qQlLgG]")
_DEEPEST = 32
_LAYOUT = {"fields", "itemsize", "align"}
_FIELD = {"name", "form", "offset"}


def encode_dtype(dtype: DType) -> Any:
    """The JSON form of a dtype. Raises NotLossless if it has none that rebuilds it exactly."""
    form = _form(dtype, 0)
    try:
        rebuilt = _build(form, 0)
    except (TypeError, ValueError):
        rebuilt = None
    if rebuilt is None or not _same(rebuilt, dtype):
        raise NotLossless(f"the dtype {dtype} has a layout that cannot be rebuilt exactly")
    return form


def decode_dtype(form: Any, decoder: Decoder, *steps: str) -> DType:
    """The dtype of a form; raises InvalidRequest at ``steps``."""
    try:
        return _build(form, 0)
    except (TypeError, ValueError, KeyError, OverflowError) as exc:
        raise InvalidRequest(f"malformed dtype: {exc}", at=decoder.at(*steps)) from None


def has_longdouble(dtype: DType) -> bool:
    """Whether it holds C ``long double``s, whose bytes mean different numbers on different processors."""
    if dtype.subdtype is not None:
        return has_longdouble(dtype.subdtype[0])
    if dtype.fields is not None:
        return any(has_longdouble(field[0]) for field in dtype.fields.values())
    return (dtype.char == "g" and dtype.itemsize > 8) or (dtype.char == "G" and dtype.itemsize > 16)


def _same(one: DType, other: DType) -> bool:
    return (
        one == other
        and one.type is other.type
        and one.isalignedstruct == other.isalignedstruct
        and (one.fields or {}).keys() == (other.fields or {}).keys()
    )


def _form(dtype: DType, depth: int) -> Any:
    if dtype.char == "T":
        raise NotLossless("variable-width strings have no flat memory; use astype('U') or a list")
    if dtype.hasobject:
        raise NotLossless(
            f"dtype {dtype} holds Python objects, whose memory means nothing elsewhere; "
            "give it a dtype of values, or send a list"
        )
    if dtype.metadata:
        raise NotLossless("its dtype has metadata, which has no portable form")
    if depth > _DEEPEST:
        raise NotLossless("its dtype is nested too deeply")
    if dtype.names is None:
        # C types of one size (int64, longlong) share their text; their character tells them apart.
        return dtype.str if np.dtype(dtype.str).type is dtype.type else dtype.char
    fields = []
    end, packed = 0, not dtype.isalignedstruct
    known: Mapping[str, Any] = dtype.fields or {}
    for name in dtype.names:
        kind, offset, *title = known[name]
        base, shape = kind.subdtype or (kind, ())
        field: dict[str, Any] = {"name": name, "form": _form(base, depth + 1), "offset": offset}
        if shape:
            field["shape"] = list(shape)
        if title:
            if type(title[0]) is not str:
                raise NotLossless("a title of its dtype is not text")
            field["title"] = title[0]
        if not all(map(is_text, (name, *title))):
            raise NotLossless("a field name of its dtype has no UTF-8 form")
        packed = packed and bool(name) and not title and offset >= end
        end = offset + kind.itemsize
        fields.append(field)
    if not packed:
        return {"fields": fields, "itemsize": dtype.itemsize, "align": dtype.isalignedstruct}
    descr: list[Any] = []
    end = 0
    for field in fields:
        if field["offset"] > end:
            descr.append(["", f"|V{field['offset'] - end}"])
        descr.append([field["name"], field["form"], *([field["shape"]] if "shape" in field else [])])
        end = field["offset"] + known[field["name"]][0].itemsize
    if dtype.itemsize > end:
        descr.append(["", f"|V{dtype.itemsize - end}"])
    return descr


def _build(form: Any, depth: int) -> DType:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if type(form) is str:
        if not _TEXT.fullmatch(form):
            raise ValueError(f"{form[:40]!r} is not the text of a simple dtype, such as '<f8'")
        return np.dtype(form)
    if type(form) is list:
        return _build_descr(form, depth)
    if type(form) is not dict or form.keys() != _LAYOUT or type(form["fields"]) is not list:
        raise ValueError("expected text, a list of fields, or an object with fields, itemsize and align")
    layout: dict[str, Any] = {"names": [], "formats": [], "offsets": [], "titles": []}
    for field in form["fields"]:
        if type(field) is not dict or not _FIELD <= field.keys() <= _FIELD | {"shape", "title"}:
            raise ValueError("a field has a name, a form, an offset, and perhaps a shape and a title")
        layout["names"].append(_text(field["name"]))
        layout["formats"].append(_shaped(_build(field["form"], depth + 1), field.get("shape", [])))
        layout["offsets"].append(_count(field["offset"]))
        layout["titles"].append(_text(field["title"]) if "title" in field else None)
    layout["itemsize"] = _count(form["itemsize"])
    if type(form["align"]) is not bool:
        raise ValueError("align is true or false")
    return np.dtype(layout, align=form["align"])  # type: ignore[call-overload,no-any-return]


def _build_descr(form: list[Any], depth: int) -> DType:
    layout: dict[str, Any] = {"names": [], "formats": [], "offsets": []}
    end = 0
    for field in form:
        if type(field) is not list or len(field) not in (2, 3):
            raise ValueError("a field is [name, form] or [name, form, shape]")
        kind = _shaped(_build(field[1], depth + 1), field[2] if len(field) == 3 else [])
        if _text(field[0]):
            layout["names"].append(field[0])
            layout["formats"].append(kind)
            layout["offsets"].append(end)
        end += kind.itemsize
    return np.dtype({**layout, "itemsize": end})  # type: ignore[call-overload,no-any-return]


def _shaped(kind: DType, shape: Any) -> DType:
    if type(shape) is not list:
        raise ValueError("a shape is a list of lengths")
    return np.dtype((kind, tuple(map(_count, shape)))) if shape else kind


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("a name is text")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError("a length or an offset is an integer from 0")
    return value
