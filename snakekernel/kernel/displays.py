"""How a notebook shows objects of frameworks: as pages, made by the framework's plugin.

Rules: neither the framework nor its plugin is imported before one of its objects is shown, so classes are
named here, by module and name; text stays what the framework says.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from .. import inspection
from ..inspection import genuine

#: By the module that makes pages (``page_of``): the classes whose objects, and subclasses' objects, have one.
_SHOWN: Final = {
    "snakekernel.plugins.dspy.html": (
        ("dspy.primitives.prediction", "Prediction"),
        ("dspy.primitives.example", "Example"),
        ("dspy.primitives.module", "Module"),
        ("dspy.signatures.signature", "SignatureMeta"),
        ("dspy.clients.base_lm", "BaseLM"),
    )
}


def page_of(obj: Any) -> inspection.Page | None:
    """The page that a framework's plugin makes of an object; None where there is none."""
    names = {(genuine.module_name(cls), genuine.type_name(cls)) for cls in genuine.mro(type(obj))}
    maker = next((maker for maker, classes in _SHOWN.items() if not names.isdisjoint(classes)), None)
    return None if maker is None else import_module(maker).page_of(obj)


def register_displays(shell: Any) -> None:
    """Have a shell show them as HTML."""
    formatter = shell.display_formatter.formatters["text/html"]
    for classes in _SHOWN.values():
        for module, name in classes:
            formatter.for_type_by_name(module, name, _html)


def _html(obj: Any) -> str | None:
    page = page_of(obj)
    return None if page is None else page.html
