"""What a name in a target may lead to besides itself: the names of an object, and the ways past any list.

Rules: names are read from what Python itself keeps (``__module__``, ``__qualname__``), without running code
of the object. The lists are of well-known ways and never complete: whoever may call Python may do anything.
"""

from __future__ import annotations

import builtins
import functools
import operator
import sys
import types
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal

from .static import is_exactly, is_instance, module_name

_OF_BUILTINS: Final = """
    __build_class__ __import__ breakpoint compile delattr eval exec getattr globals help input locals setattr
    vars
"""
#: Functions and classes that reach what no name in the request tells, as shell patterns.
ESCAPES: Final = (
    *(f"builtins.{name}" for name in _OF_BUILTINS.split()),
    *("operator.attrgetter", "operator.methodcaller", "string.Formatter*", "builtins.str.format*"),
    *("typing.get_type_hints", "typing.ForwardRef*", "typing._*", "annotationlib.*"),
    *("importlib.*", "imp.*", "pkgutil.*", "runpy.*", "zipimport.*", "pydoc.*", "site.*"),
    *("ctypes.*", "cffi.*", "gc.get_*", "inspect.*", "traceback.walk_*", "types.*Type", "types.new_class"),
    *("sys._*", "sys.modules", "sys.meta_path", "sys.path_*", "sys.set*", "sys.last_*", "sys.exc_info"),
    *("code.*", "codeop.*", "bdb.*", "pdb.*", "cProfile.*", "profile.*", "timeit.*", "trace.*", "doctest.*"),
    *("pickle.*", "pickletools.*", "marshal.*", "shelve.*", "cloudpickle.*", "dill.*", "joblib.*"),
    *("pandas.read_pickle", "pandas.io.pickle.*", "pandas.eval", "pandas.core.computation.*", "torch.load"),
    *("pandas.core.frame.DataFrame.eval", "pandas.core.frame.DataFrame.query"),
    *("logging.config.*", "unittest.mock.*", "multiprocessing.*", "rlcompleter.*", "test.support.*"),
    *("traitlets.import_item", "traitlets.utils.importstring.*", "tornado.util.import_object"),
    *("yaml.unsafe_*", "pkg_resources.*", "decorator.FunctionMaker*", "numpy.ctypeslib.*"),
    *("numpy.load", "numpy.lib*.load", "numpy.testing.*", "numpy.f2py.*"),
    *("IPython.*", "ipykernel.*", "snakekernel.*"),
)

_FRAMES: Final = "gi_frame cr_frame ag_frame tb_frame tb_next f_back f_builtins f_globals f_locals"
#: Attributes that lead from an object to the frames and variables of code, besides those with underscores.
_INNER: Final = frozenset(_FRAMES.split())

_OPERATORS: Final = """
    abs add aenter aexit aiter and anext await bool bytes call ceil complex contains delitem divmod doc
    enter eq exit float floor floordiv format ge getitem gt hash iadd iand ifloordiv ilshift imatmul imod
    imul index int invert ior ipow irshift isub iter itruediv ixor le len length_hint lshift lt matmul mod
    module mul name ne neg next or pos pow qualname radd rand rdivmod repr reversed rfloordiv rlshift
    rmatmul rmod rmul ror round rpow rrshift rshift rsub rtruediv rxor setitem sizeof str sub truediv
    trunc version xor
"""
#: Of the names with two underscores at both ends, those that lead to nothing beyond their object.
_OUTER: Final = frozenset(f"__{name}__" for name in _OPERATORS.split())

#: Modules by the name under which they are known, where that is not theirs without an underscore.
_KNOWN_AS: Final = {
    "posix": "os",
    "nt": "os",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "genericpath": "os.path",
    "_posixsubprocess": "subprocess",
    "_winapi": "subprocess",
    "_frozen_importlib": "importlib",
    "_frozen_importlib_external": "importlib",
    "_imp": "importlib",
    "_pyio": "io",
}

#: What an object with a name is: a module; a class or function; a method; "" for any other, without names.
Kind = Literal["module", "thing", "method", ""]

_QUALNAME: Final = type.__dict__["__qualname__"].__get__
_MODULE: Final = type.__dict__["__module__"].__get__
_MODULE_DICT: Final[Any] = vars(types.ModuleType)["__dict__"]
_WRAPPERS: Final = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)
_PARTIAL: Final[Any] = vars(functools.partial)["func"]
_GETTERS: Final = (operator.attrgetter, operator.methodcaller)
_CACHED: Final = type(lru_cache(lambda: None))
#: How often one thing may wrap another before we look no further.
_DEEPEST: Final = 20


def is_inner(name: object) -> bool:
    """Whether an attribute of this name leads to the inside of Python: ``__class__``, ``__globals__``."""
    if type(name) is not str:
        return False
    is_dunder = len(name) > 4 and name.startswith("__") and name.endswith("__")
    return name in _INNER or (is_dunder and name not in _OUTER)


@lru_cache(maxsize=1_024)
def is_escape(dotted: str) -> bool:
    """Whether the name is one of the well-known ways past any list of targets."""
    return any(fnmatchcase(dotted, pattern) for pattern in ESCAPES)


@lru_cache(maxsize=1_024)
def aliases(dotted: str) -> tuple[str, ...]:
    """The name, and what it is publicly known as: ``posix.system`` is ``os.system``."""
    module, dot, rest = dotted.partition(".")
    known = _KNOWN_AS.get(module)
    if known is None and module[:1] == "_" and module[1:] in sys.stdlib_module_names:
        known = module[1:]
    return (dotted,) if known is None else (dotted, f"{known}{dot}{rest}")


def names_of(obj: Any) -> tuple[Kind, tuple[str, ...]]:
    """What kind of named thing an object is, and its own names; runs no code of the object."""
    for _ in range(_DEEPEST):
        if is_instance(obj, functools.partial):
            obj = _PARTIAL.__get__(obj)
        elif is_exactly(obj, _CACHED):
            obj = obj.__wrapped__
        else:
            break
    if is_exactly(obj, *_GETTERS):
        # One that exists is as good as the function that makes them.
        obj = type(obj)
    if is_instance(obj, types.ModuleType):
        name = dict.get(_MODULE_DICT.__get__(obj), "__name__")
        return "module", aliases(name) if type(name) is str else ()
    if is_instance(obj, type):
        return "thing", _joined(_module_of(obj), _QUALNAME(obj))
    if is_exactly(obj, types.FunctionType):
        return "thing", _joined(obj.__module__, obj.__qualname__)
    if is_exactly(obj, types.BuiltinFunctionType):
        owner = obj.__self__
        if owner is None or is_instance(owner, types.ModuleType):
            names = _joined(obj.__module__, obj.__qualname__)
            name = obj.__name__
            if vars(builtins).get(name) is obj:
                names = (*names, f"builtins.{name}")
            return "thing", names
        return "method", _joined(module_name(owner), obj.__qualname__)
    if is_exactly(obj, types.MethodType):
        return "method", names_of(obj.__func__)[1]
    if is_exactly(obj, *_WRAPPERS):
        return "method", _joined(_module_of(obj.__objclass__), obj.__qualname__)
    return "", ()


def _module_of(cls: type) -> Any:
    try:
        return _MODULE(cls)
    except AttributeError:  # deleted from the class
        return None


def _joined(module: Any, qualname: Any) -> tuple[str, ...]:
    return aliases(f"{module}.{qualname}") if type(module) is str and type(qualname) is str else ()
