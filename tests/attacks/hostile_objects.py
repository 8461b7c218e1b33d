"""Objects that are hostile to whoever looks at them; run in a kernel, under the name ``hostile_objects``."""

import itertools
import sys
import threading
import time

import numpy as np


def raising(error):
    def method(self, *args, **kwargs):
        raise error

    return method


def forever(self, *args, **kwargs):
    while True:
        time.sleep(0.01)


_NAMES = """
    __repr__ __str__ __len__ __iter__ __hash__ __eq__ __bool__ __sizeof__ __reduce__ __reduce_ex__ __getitem__
    __contains__ __dir__ __format__ __call__ __getstate__ __deepcopy__ __array__ __float__ __index__
    __fspath__ __next__ __enter__ __get__ __set_name__ _repr_html_ _repr_mimebundle_ _repr_png_
    _ipython_display_ _ipython_key_completions_ __arrow_c_array__ __dataframe__
"""


def closed(name, method, **more):
    return type(name, (), {**dict.fromkeys(_NAMES.split(), method), **more})


Raises = closed("Raises", raising(ValueError("no")))
Exits = closed("Exits", raising(SystemExit(3)))
Interrupts = closed("Interrupts", raising(KeyboardInterrupt()))
Hangs = type("Hangs", (), {"__repr__": forever, "__str__": forever, "__len__": forever, "__dir__": forever})


class Nothing:
    def __getattribute__(self, name):
        raise SystemExit(name)

    def __del__(self):
        raise SystemExit("del")


class Anything:
    def __getattr__(self, name):
        return Anything()


class Liar:
    __class__ = property(lambda self: dict)
    __dict__ = property(lambda self: {"x": 1})


class Properties:
    a = property(raising(SystemExit(4)))
    b = property(raising(KeyboardInterrupt()))
    c = property(forever)
    shape = dtype = nbytes = columns = index = property(raising(SystemExit(5)))


class Meta(type):
    __mro__ = __name__ = __module__ = property(raising(SystemExit(6)))
    __instancecheck__ = __subclasscheck__ = __eq__ = __getattribute__ = raising(SystemExit(7))
    __hash__ = type.__hash__


def of_meta():
    return Meta("Of", (), {"__init__": lambda self: None})


class Texts:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    __str__ = __repr__


class Text(str):
    __slots__ = ()
    __len__ = __getitem__ = __iter__ = encode = __str__ = __eq__ = raising(SystemExit(8))
    __hash__ = str.__hash__


class Slotted:
    __slots__ = ("a",)
    __repr__ = raising(MemoryError())


class Dict(dict):
    items = keys = values = __iter__ = __len__ = __getitem__ = __contains__ = raising(SystemExit(9))


class Int(int):
    __index__ = __int__ = __repr__ = __str__ = __eq__ = __lt__ = raising(SystemExit(10))
    __hash__ = int.__hash__


class Replaced:
    def __init__(self):
        self.__dict__ = Dict(a=1)
        dict.__setitem__(self.__dict__, 3, "no name")


class Pickled:
    def __reduce_ex__(self, protocol):
        raise KeyboardInterrupt


def nested(make, depth=100_000):
    found = make(None)
    for _ in range(depth):
        found = make(found)
    return found


def itself():
    found = []
    found.append(found)
    return {"list": found, "again": [found, found]}


def array_of_itself():
    found = np.empty(2, dtype=object)
    found[0], found[1] = found, [found]
    return found


def array_of_hostile():
    found = np.empty(3, dtype=object)
    found[0], found[1], found[2] = Raises(), Exits(), Liar()
    return found


def endless():
    yield from itertools.count()


MAKERS = {
    "raises": Raises,
    "exits": Exits,
    "interrupts": Interrupts,
    "hangs": Hangs,
    "class": lambda: Raises,
    "nothing": Nothing,
    "anything": Anything,
    "liar": Liar,
    "properties": Properties,
    "metaclass": of_meta,
    "of_metaclass": lambda: type.__call__(of_meta()),
    "no_text": lambda: Texts(3),
    "huge_text": lambda: Texts("x" * 30_000_000),
    "surrogates": lambda: Texts("\ud800"),
    "colours": lambda: Texts("\x1b[2J\x1b]0;title\x07\r\b\0"),
    "strange_text": lambda: Texts(Text("strange")),
    "text": lambda: Text("strange"),
    "slots": Slotted,
    "dict": lambda: Dict(a=1),
    "int": lambda: Int(3),
    "replaced": Replaced,
    "pickled": Pickled,
    "itself": itself,
    "deep": lambda: nested(lambda found: {"a": [(found,)]}),
    "array": array_of_itself,
    "array_of": array_of_hostile,
    "list_of": lambda: [Exits(), {"a": Interrupts(), "b": Nothing()}, Liar()],
    "endless": endless,
    "counter": itertools.count,
    "lock": threading.Lock,
    "frame": sys._getframe,
}


class Bad(Exception):
    __str__ = __repr__ = raising(SystemExit(11))
    __cause__ = __context__ = __traceback__ = __suppress_context__ = property(raising(SystemExit(12)))
    __notes__ = property(raising(SystemExit(13)))


class Untold(Exception):
    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


def cycle():
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def noted():
    error = ValueError("noted")
    error.__notes__ = [Raises(), 3, "x" * 10**6, "\ud800"] * 1000
    return error


def chain():
    error = None
    for number in range(5_000):
        new = ValueError(number)
        new.__context__ = error
        error = new
    return error


ERRORS = {
    "bad": Bad,
    "untold": lambda: Untold(3),
    "strange": lambda: Untold(Text("strange")),
    "huge": lambda: Untold("x" * 30_000_000),
    "surrogate": lambda: Untold("\ud800"),
    "cycle": cycle,
    "noted": noted,
    "chain": chain,
    "group": lambda: BaseExceptionGroup("group", [SystemExit(1), Bad()]),
    "exit": lambda: SystemExit(Raises()),
    "stop": StopIteration,
    "generator": GeneratorExit,
    "metaclass": lambda: Meta("MetaError", (Exception,), {})("x"),
}


def give(name):
    return MAKERS[name]()


def fail(name):
    raise ERRORS[name]()
