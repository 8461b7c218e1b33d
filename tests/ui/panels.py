"""What tests say of the panel: its rows, menus and pages, by what a person sees of them."""

from __future__ import annotations

import re

from driving import Front
from playwright.sync_api import Locator, expect

#: Scrolls to a place, or half a screen down, and waits until that is drawn.
_SCROLLED = """(list, top) => {
  list.scrollTop = top ?? list.scrollTop + list.clientHeight / 2;
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())));
}"""


def row(front: Front, name: str) -> Locator:
    """The first row that shows exactly this name."""
    named = front.page.locator(".snk-name", has_text=re.compile(f"^{re.escape(name)}$"))
    return front.panel.locator(".snk-row").filter(has=named).first


def names(front: Front) -> list[str]:
    """What the rows show as names, from top to bottom."""
    found: list[str] = front.panel.locator(".snk-row .snk-name").all_inner_texts()
    return [name for name in found if name]


def toggle(front: Front, name: str) -> None:
    """Open or shut a row."""
    row(front, name).locator(".snk-twisty").click()


def choose(front: Front, name: str, action: str) -> None:
    """Choose from the menu of a row."""
    row(front, name).click(button="right")
    front.page.get_by_role("menuitem", name=action).click()


def details(front: Front) -> Locator:
    """The pane below the list."""
    return front.panel.locator(".snk-details")


def press(front: Front, *keys: str) -> None:
    """Press keys, one after the other."""
    for key in keys:
        front.page.keyboard.press(key)


def focus_list(front: Front) -> Locator:
    """Give the list the focus."""
    tree = front.panel.get_by_role("tree")
    tree.focus()
    return tree


def active(front: Front) -> Locator:
    """The row where keys act."""
    return front.panel.locator(
        f"[id='{front.panel.get_by_role('tree').get_attribute('aria-activedescendant')}']"
    )


def expect_active(front: Front, name: str) -> None:
    """The row of this name is where keys act."""
    expect(front.panel.locator(".snk-row-active .snk-name")).to_have_text(name)


def scroll_to(front: Front, wanted: Locator) -> None:
    """Scroll the list down, screen by screen, until something is there."""
    tree = front.panel.get_by_role("tree")
    tree.evaluate(_SCROLLED, 0)

    def there() -> bool:
        if wanted.count():
            return True
        tree.evaluate(_SCROLLED, None)
        return False

    front.until(there, f"{wanted} in the list")
    wanted.scroll_into_view_if_needed()


def is_watched(front: Front, name: str) -> None:
    """Wait until the kernel looks at a stored object, and what was known of it before was asked for again."""

    def asked_again() -> bool:
        sent = front.sent.ours()
        watches = [
            n for n, (op, asked) in enumerate(sent) if op == "watch" and [None, name] in asked["stored"]
        ]
        return bool(watches) and any(op == "list_stored" for op, _ in sent[watches[0] :])

    front.until(asked_again, f"the watch of {name}")
