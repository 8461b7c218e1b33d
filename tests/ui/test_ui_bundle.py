"""The panel's sources are joined as they are, and what cannot be joined is refused; what is shipped fits."""

from __future__ import annotations

import json
import re

import pytest

from snakekernel import __version__
from snakekernel.ui import bundle
from snakekernel.ui.bundle import STATIC, BundleError


def test_modules_stand_behind_those_they_import() -> None:
    modules = {
        "a.js": 'import { B, c } from "./b.js";\nexport const a = new B(c);\n',
        "b.js": "export class B {}\nexport const c = 1;\n",
    }
    joined = bundle.bundle(modules)
    assert joined.index("class B") < joined.index("new B(c)")
    assert "import" not in joined
    assert "export const a" in joined


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ({"a.js": "const x = 1;\n", "b.js": "function x() {}\n"}, "x is declared in a.js too"),
        ({"a.js": 'import { x } from "./b.js";\n'}, "there is no b.js"),
        ({"a.js": 'import { x } from "./b.js";\n', "b.js": "const x = 1;\n"}, "b.js does not export x"),
        ({"a.js": 'import { x as y } from "./b.js";\n', "b.js": ""}, "'x as y'"),
        ({"a.js": 'import x from "./b.js";\n', "b.js": ""}, "cannot be joined"),
        ({"a.js": 'import("./b.js");\n'}, "cannot be joined"),
        ({"a.js": "const { x } = y;\n"}, "cannot be joined"),
        ({"a.js": "export { x };\n"}, "cannot be joined"),
        ({"a.js": "export default 1;\n", "b.js": "export default 2;\n"}, "only one default export"),
        (
            {
                "a.js": 'import { b } from "./b.js";\nexport const a = 1;\n',
                "b.js": 'import { a } from "./a.js";\nexport const b = 1;\n',
            },
            "in a circle",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(modules: dict[str, str], why: str) -> None:
    with pytest.raises(BundleError, match=re.escape(why)):
        bundle.bundle(modules)


def test_a_class_is_styled_in_one_sheet() -> None:
    with pytest.raises(BundleError, match=r"snk-x is styled in panel.css too"):
        bundle.styles({"panel.css": ".snk-x {}", "table.css": "div > .snk-x:hover {}"})
    # What stands below a sheet's own class is its own.
    assert ".snk-y .snk-x" in bundle.styles({"panel.css": ".snk-x {}", "table.css": ".snk-y .snk-x {}"})


def test_what_is_shipped_is_made_of_the_sources() -> None:
    for name, text in bundle.made().items():
        assert (STATIC / name).read_text(encoding="utf-8") == text, "python -m snakekernel.ui.bundle --write"


def test_the_extension_has_the_package_s_version_and_loads_what_is_there() -> None:
    package = json.loads((STATIC.parent / "package.json").read_text())
    assert package["version"] == __version__
    assert (STATIC.parent / package["jupyterlab"]["_build"]["load"]).exists()


def test_nothing_is_shipped_that_asks_another_machine() -> None:
    for path in STATIC.iterdir():
        found = re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8"))
        # A namespace is a name.
        assert set(found) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, path
