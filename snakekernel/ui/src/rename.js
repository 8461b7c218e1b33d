/** A row's name as a field, for as long as it is edited. */

import { h } from "./dom.js";

/**
 * Puts a field in place of a row's name. Enter commits, Escape and leaving it do not.
 *
 * @param {RowElement} one
 * @param {string} text
 * @param {(text: string) => Promise<string|null>} commit  resolves to what is wrong, or to null
 * @param {(focused: boolean) => void} onEnd  told whether the field had the focus
 * @returns {{one: RowElement, end: () => void}}
 */
export function editName(one, text, commit, onEnd) {
  const field = h("input", { class: "snk-edit", value: text, "aria-label": "New name", spellcheck: "false" });
  const hint = h("span", { class: "snk-edit-hint", role: "alert", hidden: true });
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    const focused = document.activeElement === field;
    field.remove();
    hint.remove();
    one.element.classList.remove("snk-editing");
    onEnd(focused);
  };
  const tryIt = async () => {
    field.readOnly = true;
    const problem = await commit(field.value);
    field.readOnly = false;
    if (problem === null) return end();
    hint.textContent = problem;
    hint.hidden = false;
    field.setAttribute("aria-invalid", "true");
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") tryIt();
    else if (event.key === "Escape") end();
    else return;
    event.preventDefault();
  });
  field.addEventListener("blur", end);
  one.element.classList.add("snk-editing");
  one.parts.name.after(field, hint);
  field.focus();
  field.select();
  return { one, end };
}
