"""Fixtures of the tests in a browser: one Jupyter server, one Chromium, a fresh notebook and kernel per test.

Lab takes seconds to load, so its page is kept for further tests, cleared of all that one left. Notebook 7 is
its notebook's page, and new each time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from driving import Front, FrontEnd
from needs import skip_unless_ci
from playwright.sync_api import Browser, expect, sync_playwright
from serving import Jupyter, jupyter

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Playwright's own 5 s are short where other work has the cores.
expect.set_options(timeout=15_000)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _chromium() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        skip_unless_ci("no Chromium; on Debian: apt-get install chromium, else name one in CHROMIUM")
    return found


# Ended with the module: while Playwright runs, asyncio takes its loop for this thread's running one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium."""
    path = _chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A Jupyter server with our extension, our kernel and a stock one."""
    _chromium()
    with jupyter(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="module")
def idle_labs(chromium: Browser) -> dict[tuple[int, int], Front]:
    """Pages of Lab that no test uses now, by size; the browser closes them."""
    return {}


@pytest.fixture
def front(
    chromium: Browser, server: Jupyter, idle_labs: dict[tuple[int, int], Front]
) -> Iterator[Callable[..., Front]]:
    """Opens front-ends: ``front("lab")`` or ``front("notebook")``; their kernels end with the test.

    A test that loads the page anew needs ``own_page``: Lab has a saved layout for each.
    """
    with ExitStack() as stack:
        stack.callback(server.end_kernels)

        def opened(kind: FrontEnd, *, size: tuple[int, int] = (1280, 800), own_page: bool = False) -> Front:
            kept = None if own_page or kind == "notebook" else idle_labs
            front = kept.pop(size, None) if kept else None
            if front is None:
                context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
                front = Front(context, server, kind)
            stack.callback(_leave, front, size, kept)
            return front

        yield opened


def _leave(front: Front, size: tuple[int, int], kept: dict[tuple[int, int], Front] | None) -> None:
    """Keep a page for further tests where it can be, else close it; fails where it had problems."""
    if kept is not None and not front.problems and front.clear():
        kept[size] = front
    else:
        front.page.context.close()
    assert not front.problems, "\n".join(front.problems)


@pytest.fixture
def lab(front: Callable[..., Front], server: Jupyter) -> Front:
    """JupyterLab with a fresh notebook of our kernel, and the panel shown."""
    return _with_panel(front("lab"), server)


@pytest.fixture
def notebook(front: Callable[..., Front], server: Jupyter) -> Front:
    """Notebook 7 with a fresh notebook of our kernel, and the panel shown."""
    return _with_panel(front("notebook"), server)


@pytest.fixture(params=["lab", "notebook"])
def either(request: pytest.FixtureRequest, front: Callable[..., Front], server: Jupyter) -> Front:
    """JupyterLab, then Notebook 7, with a fresh notebook of our kernel, and the panel shown."""
    return _with_panel(front(request.param), server)


def _with_panel(front: Front, server: Jupyter) -> Front:
    front.open(server.notebook())
    front.show_panel()
    return front


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go: into the docs when SCREENSHOTS names a folder, else where nobody looks."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)
