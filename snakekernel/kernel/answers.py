"""What is answered about paths of names in code: completions, and what an object is.

Rules: nothing here runs user code unless a describer that may is handed in; objects are read past their
properties, ``__getattr__`` and ``__dir__``, and of an object whose parts cannot be told so, nothing is said.
Loaded when first asked, not at a kernel's start.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..inspection import Describer, facts, genuine, inspection_page, part_of, records
from ..objects.target import follow_static
from ..wire.errors import SnakeError
from ..wire.path import Attr, Item, path_text
from .paths import Path, Step, Unfinished, path_at, unfinished

if TYPE_CHECKING:
    from .completion import AnswersForStored

#: The most completions of one answer.
_MOST: Final = 1_000

#: What the front-ends that know completions' types read.
_TYPES: Final = "_jupyter_types_experimental"

#: Lines of the magics that take names of stored objects, and those that take targets.
_NAMES: Final = re.compile(r"\s*%{1,2}(?:object|del_object|objects|store_as)\s+(?P<typed>\S*)\Z")
_TARGETS: Final = re.compile(r"\s*%call\s+(?P<typed>[^\s(]*)\Z")

_FUNCTIONS: Final = genuine.Table.of(
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    classmethod,
    staticmethod,
)


class Answers:
    """The answers of one kernel."""

    def __init__(self, kernel: AnswersForStored) -> None:
        self._shell: Any = kernel.shell
        self._stored = kernel.stored

    def completed(self, code: str, cursor: int, *, everything: bool) -> dict[str, Any] | None:
        """The content of a ``complete_reply``; None where nothing of ours is typed.

        With ``everything`` variables, built-ins and keywords too, and never None.
        """
        found = self._completed(code, cursor, everything=everything)
        return _answer([], cursor, cursor) if found is None and everything else found

    def inspected(self, code: str, cursor: int, *, everything: bool) -> dict[str, Any] | None:
        """The content of an ``inspect_reply``; None where none of ours is meant, or code would have to tell.

        With ``everything`` variables and built-ins too, without running their code, and never None.
        """
        path = path_at(code, cursor)
        if path is not None and (everything or (path.steps and self._is_stored(path.root))):
            try:
                return self._inspected(path, Describer(static=everything))
            except (SnakeError, KeyError):
                pass
        return {"status": "ok", "found": False, "data": {}, "metadata": {}} if everything else None

    def _is_stored(self, root: str) -> bool:
        return root == "stored" and self._shell.user_ns.get("stored") is self._stored

    def _inspected(self, path: Path, describer: Describer) -> dict[str, Any]:
        page = inspection_page(describer.inspect(self._at(path), limit=20), _spoken(path))
        data = page.bundle
        if not self._shell.enable_html_pager:
            del data["text/html"]
        return {"status": "ok", "found": True, "data": data, "metadata": {}}

    def _at(self, path: Path) -> Any:
        """The object at a path of the notebook's, read statically.

        Raises KeyError or a SnakeError where none can be told.
        """
        if self._is_stored(path.root):
            return self._stored_at(path.steps)
        space = self._shell.user_ns
        obj = space[path.root] if path.root in space else vars(builtins)[path.root]
        return _followed(obj, path.steps)

    def _stored_at(self, steps: tuple[Step, ...]) -> Any:
        if not steps:
            return self._stored
        first, *rest = steps
        obj = self._stored[_name_of(first)]
        return _followed(obj, tuple(rest))

    def _completed(self, code: str, cursor: int, *, everything: bool) -> dict[str, Any] | None:
        line = code[code.rfind("\n", 0, cursor) + 1 : cursor]
        for pattern, read in ((_NAMES, self._named), (_TARGETS, self._targeted)):
            magic = pattern.match(line)
            if magic is not None:
                return self._in_a_magic(magic["typed"], cursor, read)
        typed = unfinished(code, cursor)
        if typed is None:
            return None
        if typed.path is None:
            names = self._variables() if everything else None
            return None if names is None else _answer(_matching(names, typed.typed), typed.start, cursor)
        if not everything and not self._is_stored(typed.path.root):
            return None
        try:
            return self._parts(self._at(typed.path), typed, code[cursor:], cursor)
        except (SnakeError, KeyError):
            return None

    def _in_a_magic(self, text: str, cursor: int, read: Callable[[Path | None], Any]) -> dict[str, Any]:
        """Completions of a magic's argument; ``read`` gives what a path means there, None being all names."""
        typed = unfinished(text, len(text))
        try:
            if typed is None or typed.path is None or text in self._stored:
                return _answer(_matching(read(None), text), cursor - len(text), cursor)
            return self._parts(read(typed.path), typed, "", cursor)
        except (SnakeError, KeyError):
            return _answer([], cursor, cursor)

    def _named(self, path: Path | None) -> Any:
        """What a path means whose root is the name of a stored object."""
        if path is None:
            return {name: "instance" for name in self._stored if name.isprintable() and " " not in name}
        return self._stored_at((Item(path.root), *path.steps))

    def _targeted(self, path: Path | None) -> Any:
        """What a path means that is a target of ``call``."""
        if path is None:
            modules = (name for name in list(sys.modules) if name.isidentifier())
            return {"stored": "instance", "user": "instance"} | dict.fromkeys(modules, "module")
        if path.root == "stored":
            return self._stored_at(path.steps)
        if path.root != "user":
            return _followed(sys.modules[path.root], path.steps)
        if not path.steps:
            return dict(genuine.dict_page(self._shell.user_ns))
        first, *rest = path.steps
        return _followed(self._shell.user_ns[_name_of(first)], tuple(rest))

    def _parts(self, obj: Any, typed: Unfinished, after: str, cursor: int) -> dict[str, Any]:
        """Completions of an attribute or a key of an object."""
        labels = list(self._stored) if obj is self._stored else labels_of(obj)
        if typed.kind == "key":
            return _keys(labels, typed, after, cursor)
        names = {name: "instance" for name in labels if name.isidentifier()} | attributes_of(obj)
        return _answer(_matching(names, typed.typed), cursor - len(typed.typed), cursor)

    def _variables(self) -> dict[str, str]:
        names = dict.fromkeys(keyword.kwlist, "keyword")
        for space in (vars(builtins), self._shell.user_ns):
            names |= {name: kind_of(value) for name, value in genuine.dict_page(space) if type(name) is str}
        return names


def labels_of(obj: Any) -> list[str]:
    """Names of an object's items: keys of a dict, columns of a table, fields of a DSPy record."""
    fields = records.fields_of(obj)
    if fields is not None:
        obj = fields
    if genuine.is_kind(obj, dict):
        return [key for key, _ in genuine.dict_page(obj, 0, _MOST) if type(key) is str]
    read = _COLUMNS.get(facts.data_kind(obj) or "")
    if read is None or facts.facts_of(obj).shape is None:
        return []
    try:
        return [name for name in read(obj) if type(name) is str]
    except Exception:  # a half-built object of the library, or one that another thread changes
        return []


def _fields(array: Any) -> Iterable[Any]:
    # A subclass may have a property of that name.
    return genuine.library("numpy")["ndarray"].dtype.__get__(array).names or ()


_COLUMNS: Final[dict[str, Callable[[Any], Iterable[Any]]]] = {
    "pandas.DataFrame": lambda obj: obj.columns[:_MOST].tolist(),
    "polars.DataFrame": lambda obj: obj.columns[:_MOST],
    "pyarrow.Table": lambda obj: obj.column_names[:_MOST],
    "pyarrow.RecordBatch": lambda obj: obj.schema.names[:_MOST],
    "numpy.ndarray": _fields,
}


def attributes_of(obj: Any) -> dict[str, str]:
    """Names of an object's attributes, and what each is, without reading one."""
    own = dict(genuine.own_attributes(obj))
    bases = genuine.mro(obj) if genuine.is_kind(obj, type) else genuine.mro(type(obj))
    found = {}
    for name in genuine.attribute_names(obj):
        if name in own:
            found[name] = kind_of(own[name])
        else:
            found[name] = kind_of(next((d[name] for d in map(genuine.class_dict, bases) if name in d), None))
    return found


def kind_of(value: Any) -> str:
    """``function``, ``class``, ``module``, ``property`` or ``instance``: the types that front-ends know."""
    if type(value) in _FUNCTIONS:
        return "function"
    if genuine.is_kind(value, type):
        return "class"
    if genuine.is_kind(value, types.ModuleType):
        return "module"
    return "property" if genuine.is_kind(value, property) else "instance"


def _matching(names: Mapping[str, str], typed: str) -> list[tuple[str, str]]:
    shown = [
        (name, kind)
        for name, kind in names.items()
        if name.startswith(typed) and (typed.startswith("_") or not name.startswith("_"))
    ]
    return shown[:_MOST]


def _keys(labels: list[str], typed: Unfinished, after: str, cursor: int) -> dict[str, Any]:
    """Keys that begin with what is typed, with the quote and the bracket that are not there yet."""
    quote = typed.quote or '"'
    # What an editor closed by itself is there already.
    closing = "" if after.startswith(quote) else quote if after.startswith("]") else quote + "]"
    opening = "" if typed.quote else quote
    shown = [label for label in labels[:_MOST] if label.startswith(typed.typed)]
    texts = [f"{opening}{_quoted(label, quote)}{closing}" for label in shown]
    return _answer([(text, "instance") for text in texts], cursor - len(typed.typed), cursor)


def _quoted(label: str, quote: str) -> str:
    return label.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")


def _answer(found: list[tuple[str, str]], start: int, end: int) -> dict[str, Any]:
    return {
        "status": "ok",
        "matches": [text for text, _ in found],
        "cursor_start": start,
        "cursor_end": end,
        "metadata": {
            _TYPES: [
                {"start": start, "end": end, "text": text, "type": kind, "signature": ""}
                for text, kind in found
            ]
        },
    }


def _followed(obj: Any, steps: tuple[Step, ...]) -> Any:
    return follow_static(obj, steps, at="$", part_of=part_of)


def _name_of(step: Step) -> Any:
    return step.name if isinstance(step, Attr) else step.key


def _spoken(path: Path) -> str:
    return f"{path.root}{path_text(path.steps)}"
