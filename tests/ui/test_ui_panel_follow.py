"""How the panel keeps up: what is new, what is folded, and what was not seen meanwhile."""

from __future__ import annotations

import pytest
from driving import PATIENCE_MS, Front
from panels import details, expect_active, focus_list, is_watched, press, row, scroll_to, toggle
from playwright.sync_api import expect

import snakekernel

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

NEW = ".snk-mark-new"


def test_only_what_comes_after_the_first_listing_is_new_until_it_is_looked_at(lab: Front) -> None:
    lab.hide_panel()
    lab.run("stored.old = 1; known = 2")
    lab.show_panel()
    expect(row(lab, "known")).to_be_visible()
    expect(lab.panel.locator(NEW)).to_have_count(0)
    lab.run("stored.fresh = 3")
    expect(lab.panel.locator(NEW)).to_have_count(1)
    row(lab, "fresh").click()
    expect(lab.panel.locator(NEW)).to_have_count(0)
    lab.run("stored.later = 4")
    expect(lab.panel.locator(NEW)).to_have_count(1)
    # Nobody looks at it, and it is new no longer after a while.
    expect(lab.panel.locator(NEW)).to_have_count(0, timeout=PATIENCE_MS)


def test_folded_groups_say_how_many_they_have(lab: Front) -> None:
    heading = lab.panel.locator(".snk-row-group")
    with snakekernel.connect(lab.server.connection_file(lab.notebook)) as other:
        other.store("a", 1, session_id="work")
        session = heading.filter(has_text="Session work")
        expect(session.locator(".snk-row-text")).to_have_text("1")
        other.store("b", 2, session_id="work")
        expect(session.locator(".snk-row-text")).to_have_text("2")
    for name in ("Stored", "Variables"):
        heading.filter(has_text=name).click()
    lab.run("stored.x = 1; stored.y = 2\nz = 3")
    expect(heading.filter(has_text="Stored").locator(".snk-row-text")).to_have_text("2")
    expect(heading.filter(has_text="Variables").locator(".snk-row-text")).to_have_text("1")
    expect(lab.panel.locator(".snk-row-item")).to_have_count(0)


def test_a_part_that_was_being_opened_when_the_panel_was_hidden_is_there_afterwards(lab: Front) -> None:
    lab.run("stored.config = {'deep': {'er': 1}}")
    toggle(lab, "config")
    expect(row(lab, "deep")).to_be_visible()
    # In one turn of the page, so that no answer comes between.
    lab.page.evaluate(
        """() => {
          const names = [...document.querySelectorAll(".snk-row .snk-name")];
          const name = names.find((one) => one.textContent === "deep");
          name.closest(".snk-row").querySelector(".snk-twisty").click();
          window.jupyterapp.shell.collapseRight();
        }"""
    )
    lab.show_panel()
    expect(row(lab, "er")).to_be_visible()


def test_variables_are_up_to_date_when_they_are_shown_again(lab: Front) -> None:
    lab.run("items = {'a': 1}")
    toggle(lab, "items")
    expect(row(lab, "a")).to_be_visible()
    switch = lab.panel.get_by_role("button", name="Variables")
    switch.click()
    expect(row(lab, "items")).to_have_count(0)
    lab.run("items['b'] = 2")
    switch.click()
    expect(row(lab, "b")).to_be_visible()


def test_names_with_control_characters_are_selected_and_deleted(lab: Front) -> None:
    lab.run(r"stored['a\x01b'] = 1; stored['a\x00b'] = {'k': 2}; stored['\u05d0\u05d1'] = 3")
    expect(row(lab, "\u05d0\u05d1")).to_be_visible()
    for name in ("a\ufffdb", "\u05d0\u05d1"):
        row(lab, name).click()
        expect_active(lab, name)
        expect(details(lab).get_by_role("heading", name=name)).to_be_visible()
    focus_list(lab)
    press(lab, "Delete")
    lab.page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(row(lab, "\u05d0\u05d1")).to_have_count(0)
    assert lab.output(lab.run("print(len(stored))")) == "2\n"


def test_a_dict_of_100_000_is_opened_page_by_page(lab: Front) -> None:
    lab.run("stored.many = {f'key {n}': n for n in range(100_000)}")
    is_watched(lab, "many")
    toggle(lab, "many")
    more = lab.panel.get_by_text("Show more (99\u202f900 left)")
    scroll_to(lab, more)
    inspected = [content for _, content in lab.sent.ours("inspect") if content["limit"]]
    assert {(content["offset"], content["limit"]) for content in inspected} == {(0, 100)}
    assert lab.panel.locator(".snk-row").count() < 100


def test_what_is_typed_last_is_not_asked_for_once_the_form_is_closed(lab: Front) -> None:
    lab.run("class Model:\n  def predict(self): return 1\nstored.model = Model()")
    row(lab, "model").click(button="right")
    lab.page.get_by_role("menuitem", name="Call a method…").click()
    form = lab.panel.locator(".snk-form")
    expect(form.locator("datalist option[value=predict]")).to_have_count(1)
    lab.sent.clear()
    form.get_by_label("Method").fill("predict")
    press(lab, "Escape")
    expect(form).to_have_count(0)
    lab.run("stored.model = 2")
    expect(row(lab, "model").locator(".snk-preview")).to_have_text("2")
    assert not any("predict" in str(content["target"]) for _, content in lab.sent.ours("inspect"))
