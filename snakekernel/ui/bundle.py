"""Joins the panel's source modules into the one ES module, and the one style sheet, that are shipped.

Rules: nothing is rewritten. A module's imports stand at its top, each ``import { a, b } from "./x.js";``; all
modules become one, those imported first, so top-level names are unique over all files and ``export`` stands
before the declaration itself. A class is styled in one sheet; another one may change it below a class of its
own. What is made is committed, and ``--check`` tells when it is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "src"
STATIC: Final = Path(__file__).parent / "labextension" / "static"
#: Other style sheets follow it in the order of their names.
_FIRST_STYLE: Final = "panel.css"

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_NAME: Final = re.compile(
    r"^(?P<export>export )?(?:async )?(?:function\*?|const|let|class) (?P<name>[\w$]+)", re.MULTILINE
)
_DESTRUCTURED: Final = re.compile(r"^(?:export )?(?:const|let|var) [\[{]|^(?:export )?var ", re.MULTILINE)
_FORBIDDEN: Final = re.compile(
    r"^import\b.*$|\bimport\(.*$|^export (?!(?:async )?(?:function|const|class) |default ).*$", re.MULTILINE
)


class BundleError(ValueError):
    """A source breaks a rule; the message names file and rule."""


def bundle(modules: Mapping[str, str]) -> str:
    """One ES module of many.

    Args:
        modules: source text by file name.

    Raises BundleError.
    """
    imports = {name: _imports(name, text) for name, text in modules.items()}
    owners: dict[str, str] = {}
    exports: dict[str, set[str]] = {name: set() for name in modules}
    for module, text in modules.items():
        for found in _NAME.finditer(text):
            name = found["name"]
            if name in owners:
                raise BundleError(
                    f"{module}: {name} is declared in {owners[name]} too; top-level names are unique"
                )
            owners[name] = module
            if found["export"]:
                exports[module].add(name)
    for module, needed in imports.items():
        for other, names in needed.items():
            if other not in modules:
                raise BundleError(f"{module}: there is no {other} to import from")
            if missing := names - exports[other]:
                raise BundleError(f"{module}: {other} does not export {', '.join(sorted(missing))}")
    defaults = [
        module for module, text in modules.items() if re.search(r"^export default ", text, re.MULTILINE)
    ]
    if len(defaults) > 1:
        raise BundleError(f"{', '.join(defaults)}: only one default export can be")
    try:
        order = list(TopologicalSorter({m: sorted(imports[m]) for m in sorted(modules)}).static_order())
    except CycleError as error:
        raise BundleError(f"{' -> '.join(error.args[1])}: modules import one another in a circle") from None
    return _joined({name: _IMPORT.sub("", modules[name]) for name in order}, "// {}")


def styles(sheets: Mapping[str, str]) -> str:
    """One style sheet of many, by file name. Raises BundleError."""
    owners: dict[str, str] = {}
    for sheet, text in sheets.items():
        for name in _styled(text):
            if owners.setdefault(name, sheet) != sheet:
                raise BundleError(f"{sheet}: {name} is styled in {owners[name]} too; a class has one sheet")
    order = sorted(sheets, key=lambda name: (name != _FIRST_STYLE, name))
    return _joined({name: sheets[name] for name in order}, "/* {} */")


def made() -> dict[str, str]:
    """The files that are shipped, by name. Raises BundleError."""
    return {"panel.js": bundle(_read("*.js")), "panel.css": styles(_read("*.css"))}


def main(arguments: list[str] | None = None) -> int:
    """Write the shipped files, or say whether they are those of the sources."""
    parser = argparse.ArgumentParser(prog="python -m snakekernel.ui.bundle", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the files")
    action.add_argument("--check", action="store_true", help="fail where they differ from the sources")
    chosen = parser.parse_args(arguments)
    try:
        files = made()
    except BundleError as error:
        print(error, file=sys.stderr)
        return 1
    stale = [name for name, text in files.items() if _text(STATIC / name) != text]
    if chosen.write:
        for name in stale:
            (STATIC / name).write_text(files[name], encoding="utf-8")
        return 0
    for name in stale:
        print(f"{STATIC / name} is stale: python -m snakekernel.ui.bundle --write", file=sys.stderr)
    return 1 if stale else 0


def _imports(module: str, text: str) -> dict[str, set[str]]:
    needed: dict[str, set[str]] = {}
    for found in _IMPORT.finditer(text):
        names = {name.strip() for name in found[1].split(",") if name.strip()}
        if odd := [name for name in names if not re.fullmatch(r"[\w$]+", name)]:
            raise BundleError(f"{module}: {odd[0]!r} is imported; names are not changed on import")
        needed.setdefault(found[2], set()).update(names)
    rest = _IMPORT.sub("", text)
    if broken := _FORBIDDEN.search(rest) or _DESTRUCTURED.search(rest):
        raise BundleError(f"{module}: {broken[0].strip()!r} cannot be joined; see snakekernel/ui/bundle.py")
    return needed


def _styled(text: str) -> set[str]:
    """The classes that selectors begin with."""
    preludes = re.findall(r"([^{};]+)\{", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    selectors = [part.strip() for prelude in preludes for part in prelude.split(",")]
    found = (re.search(r"\.(snk-[\w-]+)", selector) for selector in selectors)
    return {match[1] for match in found if match}


def _joined(texts: Mapping[str, str], heading: str) -> str:
    parts = [
        heading.format("Made by python -m snakekernel.ui.bundle --write; change snakekernel/ui/src instead.")
    ]
    parts += [f"{heading.format(name)}\n\n{text.strip()}" for name, text in texts.items()]
    return "\n\n".join(parts) + "\n"


def _read(pattern: str) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in SOURCES.glob(pattern)}


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    raise SystemExit(main())
