"""The panel's list and tree in JupyterLab: what they show, what they ask for, how they follow the kernel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from driving import Front
from panels import details, is_watched, names, row, scroll_to, toggle
from playwright.sync_api import expect

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

FRAME = "import pandas as pd; stored.frame = pd.DataFrame({'a': range(1200), 'b': 0.5})"
#: Runs, and holds the interpreter, until a file is there.
BUSY = "import os\nwhile not os.path.exists({!r}): pass"


def _lists(front: Front) -> list[dict[str, Any]]:
    return [content for _, content in front.sent.ours("list_stored")]


def test_a_row_tells_what_an_object_is_and_who_made_it(lab: Front) -> None:
    lab.run(FRAME)
    shown = row(lab, "frame")
    expect(shown.locator(".snk-preview")).to_have_text("DataFrame 1\u202f200 × 2")
    for fact in ("DataFrame", "1\u202f200 × 2", "kB", "made by In [1]"):
        expect(shown).to_have_attribute("title", re.compile(re.escape(fact)))
    with snakekernel.connect(lab.server.connection_file(lab.notebook)) as other:
        other.call("operator.add", args=[20, 22], store_as="total")
        expect(row(lab, "total").locator(".snk-preview")).to_have_text("42")
        expect(row(lab, "total")).to_have_attribute("title", re.compile("made by operator.add"))


def test_a_long_list_is_fetched_as_far_as_it_is_seen(lab: Front) -> None:
    lab.run("for n in range(100_000): stored[f'k{n}'] = n")
    expect(row(lab, "k0")).to_be_visible()
    expect(lab.panel.locator(".snk-row-group").first).to_contain_text("100\u202f000")
    assert all(content["offset"] == 0 and content["limit"] <= 100 for content in _lists(lab))
    assert lab.panel.locator(".snk-row").count() < 100
    is_watched(lab, "k0")
    lab.sent.clear()
    lab.panel.get_by_role("tree").evaluate("(list) => { list.scrollTop = list.scrollHeight / 2; }")
    expect(lab.panel.get_by_text(re.compile("^k500")).first).to_be_visible()
    # The page that was in view before may be asked for again: what the cell changed is told a little later.
    asked = [content["offset"] for content in _lists(lab) if content["offset"]]
    assert 1 <= len(asked) <= 2
    assert all(abs(offset - 50_000) <= 100 for offset in asked)


def test_the_filter_asks_the_kernel(lab: Front) -> None:
    lab.run("for n in range(5_000): stored[f'k{n}'] = n\nkeep = 1")
    expect(row(lab, "k0")).to_be_visible()
    lab.panel.get_by_label("Filter by name").press_sequentially("K4999", delay=30)
    expect(row(lab, "k4999")).to_be_visible()
    expect(row(lab, "k0")).to_have_count(0)
    expect(row(lab, "keep")).to_have_count(0)
    lab.panel.get_by_label("Filter by name").fill("no such name")
    expect(lab.panel.get_by_text("No name matches").first).to_be_visible()
    lab.page.keyboard.press("Escape")
    expect(row(lab, "k0")).to_be_visible()


def test_objects_open_as_trees_page_by_page(lab: Front) -> None:
    lab.run("stored.config = {'ports': list(range(250)), 'deep': {'er': (1, {'x': 'y'})}}")
    is_watched(lab, "config")
    toggle(lab, "config")
    toggle(lab, "ports")
    more = lab.panel.get_by_text("Show more (150 left)")
    scroll_to(lab, more)
    more.click()
    scroll_to(lab, lab.panel.get_by_text("Show more (50 left)"))
    inspected = [content for _, content in lab.sent.ours("inspect") if content["limit"]]
    # What is open is asked for again where the list changes: each page counts once.
    pages = dict.fromkeys((str(content["target"]), content["offset"]) for content in inspected)
    assert [offset for _, offset in pages] == [0, 0, 100]
    scroll_to(lab, row(lab, "ports"))
    toggle(lab, "ports")
    for name in ("deep", "er", "1"):
        toggle(lab, name)
    expect(row(lab, "x").locator(".snk-preview")).to_have_text("'y'")
    expect(row(lab, "x")).to_have_attribute("aria-level", "6")


def test_an_open_tree_follows_its_object(lab: Front) -> None:
    lab.run("stored.config = {'a': 1, 'b': {'c': 2}}")
    toggle(lab, "config")
    toggle(lab, "b")
    expect(row(lab, "c")).to_be_visible()
    lab.run("stored.config['b']['d'] = 3; stored.config['a'] = 'changed'")
    expect(row(lab, "d")).to_be_visible()
    expect(row(lab, "a").locator(".snk-preview")).to_have_text("'changed'")
    lab.run("del stored.config")
    expect(row(lab, "c")).to_have_count(0)


def test_it_answers_while_a_cell_runs(lab: Front, tmp_path: Path) -> None:
    flag = tmp_path / "go on"
    lab.run("stored.config = {'a': [1, 2]}")
    expect(row(lab, "config")).to_be_visible()
    cell = lab.run(BUSY.format(str(flag)), wait=False)
    try:
        toggle(lab, "config")
        expect(row(lab, "a")).to_be_visible()
        row(lab, "a").click()
        expect(details(lab)).to_contain_text("[1, 2]")
        assert lab.execution_count(cell) is None
    finally:
        flag.touch()
    lab.until(lambda: lab.execution_count(cell) == 2, "the end of the cell")


def test_sessions_are_groups(lab: Front) -> None:
    with snakekernel.connect(lab.server.connection_file(lab.notebook)) as other:
        other.create_session("a session")
        other.store("inside", [1], session_id="a session")
        group = lab.panel.locator(".snk-row-group", has_text="Session a session")
        expect(group).to_be_visible()
        expect(row(lab, "inside")).to_have_count(0)
        group.click()
        row(lab, "inside").click()
        expect(details(lab)).to_contain_text("list")
        other.close_session("a session")
        expect(group).to_have_count(0)
        expect(row(lab, "inside")).to_have_count(0)


def test_variables_are_shown_beside_and_can_be_left_out(lab: Front) -> None:
    lab.run("import json\nanswer = 42\nitems = []")
    expect(row(lab, "answer")).to_be_visible()
    expect(row(lab, "json")).to_have_count(0)
    lab.run("items.append(1)")
    expect(row(lab, "items").locator(".snk-preview")).to_have_text("[1]")
    lab.run("del answer")
    expect(row(lab, "answer")).to_have_count(0)
    lab.panel.get_by_role("button", name="Variables").click()
    expect(row(lab, "items")).to_have_count(0)
    lab.sent.clear()
    lab.run("stored.here = 1; more = 2")
    expect(row(lab, "here")).to_be_visible()
    assert lab.sent.ours("list_variables") == []


def test_odd_names_and_values_are_only_text(lab: Front) -> None:
    odd = [
        "<img src=x onerror=alert(1)>",
        "__proto__",
        "a\nb",
        "\u202eabc",
        "x" * 1024,
        " ",
        "constructor",
        "a.b",
    ]
    lab.run(f"for name in {odd!r}: stored[name] = {{name: '<b>bold</b>'}}")
    expect(row(lab, "a.b")).to_be_visible()
    shown = names(lab)
    assert "a⏎b" in shown
    assert "\ufffdabc" in shown
    assert lab.panel.locator(".snk-list img, .snk-list b").count() == 0
    for name in (odd[0], "__proto__", "a.b"):
        toggle(lab, name)
        expect(
            lab.panel.locator(".snk-row-child .snk-name").filter(has_text=re.compile(f"^{re.escape(name)}$"))
        ).to_have_count(1)
        lab.panel.locator(".snk-row-child").first.click()
        expect(details(lab).locator("pre").first).to_have_text("'<b>bold</b>'")
        toggle(lab, name)
        expect(lab.panel.locator(".snk-row-child")).to_have_count(0)


def test_values_and_paths_as_python(lab: Front) -> None:
    lab.page.wait_for_load_state()
    made = lab.page.evaluate(
        """async () => {
          const [link] = document.querySelectorAll('link[href*="snakekernel"]');
          const address = link.href.replace("panel.css", "panel.js");
          const { pythonPath, pythonText, targetText, typedValue } = await import(address);
          return {
            paths: [
              ["stored", "df"], ["stored", "a b", {attr: "x"}, 0, "k"], ["stored", "items"], ["stored", "_x"],
              ["user", "df", {item: {$tuple: [1, "a"]}}], ["stored", "x", {attr: "no name"}],
              ["stored", "class"], ["stored", "\\ud800 \\u202e😀"],
            ].map(pythonPath),
            texts: [null, true, [1, {a: 1.5}], {$tuple: [1]}, {$float: "nan"}, {$set: []}].map(pythonText),
            targets: [["stored", "a", "b"], ["stored", "a.b"]].map(targetText),
            typed: [
              ["12345678901234567890", "value"], ["None", "value"], ["1", "text"], ["df", "object"],
              ["{", "value"],
            ].map(([text, mode]) => typedValue(text, mode)),
          };
        }"""
    )
    assert made["paths"] == [
        "stored.df",
        'stored["a b"].x[0]["k"]',
        'stored["items"]',
        'stored["_x"]',
        'df[(1, "a")]',
        'getattr(stored.x, "no name")',
        'stored["class"]',
        r'stored["\ud800 \u202e😀"]',
    ]
    assert made["texts"] == ["None", "True", '[1, {"a": 1.5}]', "(1,)", 'float("nan")', "set()"]
    assert made["targets"] == ["stored.a.b", '["stored","a.b"]']
    assert [one.get("data") for one in made["typed"][:4]] == [
        {"$int": "12345678901234567890"},
        None,
        "1",
        {"$ref": "df"},
    ]
    assert "JSON" in made["typed"][4]["error"]
