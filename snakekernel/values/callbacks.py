"""Functions that live in the client: ``$callback``.

Rules: the payload is an id, or an object that also says what the function looks like, so that the kernel's
stand-in has its name, doc and signature. All of it is data: an annotation becomes a type only where it is
made of names of a fixed list. A decoder's resolver makes the stand-in; without one the tag is unsupported.
"""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from snakekernel.values.bounds import NotLossless
from snakekernel.values.codec import Codec
from snakekernel.wire.errors import InvalidRequest, Unsupported

if TYPE_CHECKING:
    from snakekernel.values.decoder import Decoder
    from snakekernel.values.encoder import Encoder

_LONGEST: Final = 1_024
_MOST: Final = 256
_KINDS: Final = {
    kind.name.lower(): kind
    for kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    )
}
_PLAIN_TYPES: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (bool, bytes, complex, dict, float, frozenset, int, list, object, set, str, tuple)
}
#: What an annotation may be made of.
_TYPES: Final[dict[str, Any]] = {
    **_PLAIN_TYPES,
    "Any": typing.Any,
    "Dict": dict,
    "List": list,
    "Literal": typing.Literal,
    "Optional": typing.Optional,
    "Set": set,
    "Tuple": tuple,
    "Union": typing.Union,
}


@dataclass(frozen=True, slots=True)
class Callback:
    """A function of the client's.

    Attributes:
        id: names it among the functions of its client. name, doc: its own. is_async: whether calling it gives
            an awaitable. signature: None where it does not tell. deadline: seconds that a call may take.
    """

    id: str
    name: str = "callback"
    doc: str | None = None
    is_async: bool = False
    signature: inspect.Signature | None = None
    deadline: float | None = None


def described(function: Any, encoder: Encoder) -> dict[str, Any]:
    """What ``$callback`` tells of a function, but for its id; ``encoder`` is for its defaults."""
    name = _asked(lambda: function.__name__)
    doc = None if name is None else _asked(lambda: inspect.getdoc(function))
    told: dict[str, Any] = {
        "name": name[:_LONGEST] if isinstance(name, str) and name else type(function).__name__
    }
    if isinstance(doc, str) and doc:
        told["doc"] = doc
    if _asked(lambda: is_async(function)):
        told["async"] = True
    signature = _asked(lambda: inspect.signature(function))
    if signature is None:
        return told
    told["parameters"] = [_parameter(one, encoder) for one in list(signature.parameters.values())[:_MOST]]
    if signature.return_annotation is not inspect.Signature.empty:
        told["returns"] = _written(signature.return_annotation)
    return told


def _asked(ask: Callable[[], Any]) -> Any:
    """What a function tells of itself; None where it does not, or code of its class fails."""
    try:
        return ask()
    except Exception:
        return None


def is_async(function: Any) -> bool:
    """Whether calling it gives an awaitable, as far as it tells."""
    if inspect.iscoroutinefunction(function):
        return True
    # An object whose class says how it is called.
    found = (vars(cls)["__call__"] for cls in type(function).__mro__ if "__call__" in vars(cls))
    return inspect.iscoroutinefunction(next(found, None))


def _parameter(parameter: inspect.Parameter, encoder: Encoder) -> dict[str, Any]:
    told: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind.name.lower()}
    if parameter.default is not inspect.Parameter.empty:
        try:
            told["default"] = encoder.encode(parameter.default)
        except Exception:  # a default without a lossless form: that there is one is told
            told["default"] = None
        if encoder.buffers:
            encoder.buffers.clear()
            told["default"] = None
    if parameter.annotation is not inspect.Parameter.empty:
        told["annotation"] = _written(parameter.annotation)
    return told


def _written(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return text.replace("typing.", "")[:_LONGEST]


# -- decoding ------------------------------------------------------------------------------------------------


def _decode(payload: Any, decoder: Decoder) -> Any:
    if decoder.resolve_callback is None:
        raise Unsupported("there is nobody here who could be called back", at=decoder.at())
    return decoder.resolve(decoder.resolve_callback, _callback(payload, decoder))


def _callback(payload: Any, decoder: Decoder) -> Callback:
    if type(payload) is str:
        payload = {"id": payload}
    optional = {
        "name": str,
        "doc": str,
        "async": bool,
        "parameters": list,
        "returns": str,
        "deadline": object,
    }
    given = decoder.fields(payload, {"id": str}, optional)
    id, name = given["id"], given.get("name", "callback")
    for field, text in (("id", id), ("name", name)):
        if not 0 < len(text) <= _LONGEST:
            raise InvalidRequest(f"expected 1 to {_LONGEST} characters", at=decoder.at(field))
    deadline = given.get("deadline")
    if deadline is not None and (type(deadline) not in (int, float) or not 0 < deadline < 1e9):
        raise InvalidRequest("expected seconds, more than 0", at=decoder.at("deadline"))
    return Callback(
        id, name, given.get("doc"), given.get("async", False), _signature(given, decoder), deadline
    )


def _signature(given: dict[str, Any], decoder: Decoder) -> inspect.Signature | None:
    if "parameters" not in given:
        return None
    if len(given["parameters"]) > _MOST:
        raise InvalidRequest(f"a function has at most {_MOST} parameters here", at=decoder.at("parameters"))
    parameters = []
    for index, raw in enumerate(given["parameters"]):
        at = ("parameters", index)
        decoder.expect(raw, dict, *at)
        for name in raw:
            if name not in ("name", "kind", "default", "annotation"):
                raise InvalidRequest(f"unknown field {name[:40]!r}", at=decoder.at(*at, name))
        kind = _KINDS.get(decoder.expect(raw.get("kind"), str, *at, "kind"))
        if kind is None:
            known = ", ".join(_KINDS)
            raise InvalidRequest(f"expected one of {known}", at=decoder.at(*at, "kind"))
        default: Any = inspect.Parameter.empty
        if "default" in raw:
            default = decoder.child(raw["default"], *at, "default")
        annotation = _type_of(decoder.expect(raw.get("annotation", ""), str, *at, "annotation"))
        name = decoder.expect(raw.get("name"), str, *at, "name")
        try:
            parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
        except ValueError as error:
            raise InvalidRequest(str(error), at=decoder.at(*at)) from None
    try:
        return inspect.Signature(parameters, return_annotation=_type_of(given.get("returns", "")))
    except ValueError as error:
        raise InvalidRequest(str(error), at=decoder.at("parameters")) from None


def _type_of(text: str) -> Any:
    """The type that an annotation's text is, or ``empty`` where it is not made of known names."""
    try:
        return (
            _built(ast.parse(text, mode="eval").body)
            if 0 < len(text) <= _LONGEST
            else inspect.Parameter.empty
        )
    except (LookupError, SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return inspect.Parameter.empty


def _built(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return _TYPES[node.id]
    if isinstance(node, ast.Constant) and node.value in (None, ...):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _built(node.left) | _built(node.right)
    if isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if isinstance(node.value, ast.Name) and node.value.id == "Literal":
            return typing.Literal[tuple(ast.literal_eval(part) for part in parts)]
        within = tuple(_built(part) for part in parts)
        return _built(node.value)[within if len(within) > 1 else within[0]]
    raise ValueError("not an annotation that is known here")


def _refused(obj: Any, encoder: Encoder) -> Any:
    raise NotLossless("a function can be sent by a client only, which can be called back")


CODECS = (Codec("callback", (), _refused, _decode),)
