"""Sphinx configuration, and the one hook that fills tables of the reference from the code itself.

A line ``<!-- generated: NAME -->`` in a page is replaced by the Markdown that the function of that name in
``generated.py`` makes, so that the reference cannot differ from what the kernel does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generated

from snakekernel import __version__

project = "snakekernel"
author = "the snakekernel developers"
project_copyright = "2026, the snakekernel developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
root_doc = "index"
html_theme = "furo"
html_title = f"snakekernel {__version__}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True
nitpicky = False

_PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def _fill(app: Any, docname: str, source: list[str]) -> None:
    source[0] = _PLACE.sub(lambda match: generated.PARTS[match[1]](), source[0])


def setup(app: Any) -> dict[str, Any]:
    """Register the hook."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}
