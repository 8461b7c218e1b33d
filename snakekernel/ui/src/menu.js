/**
 * Menus and questions of the panel.
 *
 * Rules: each is a modal dialog of the browser, which lies above everything, keeps the focus and gives it
 * back; Escape and a click outside always leave it without doing anything.
 */

import { freshId, h, listIndex } from "./dom.js";

/** Shows a dialog in `root`. Returns what closes it. */
function showModal(root, dialog) {
  const before = document.activeElement;
  const close = () => {
    dialog.close();
    dialog.remove();
    before?.focus?.({ preventScroll: true });
  };
  dialog.setAttribute("data-lm-suppress-shortcuts", "true");
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  // At the end of the press, so that it does not go on to what lies below.
  dialog.addEventListener("click", (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX < box.right && event.clientY >= box.top && event.clientY < box.bottom;
    if (!inside) close();
  });
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  root.append(dialog);
  dialog.showModal();
  return close;
}

/**
 * Opens a menu at a point of the window.
 *
 * @param {HTMLElement} root  the panel
 * @param {Array<{label: string, run: () => void, hint?: string}|null>} items  null is a separator
 * @param {number} x
 * @param {number} y
 */
export function openContextMenu(root, items, x, y) {
  const entries = [];
  const parts = items.map((item) => {
    if (!item) return h("div", { class: "snk-actions-line", role: "separator" });
    const run = () => {
      close();
      item.run();
    };
    const hint = item.hint ? h("span", { class: "snk-actions-hint" }, item.hint) : null;
    const entry = h("button", { class: "snk-actions-item", role: "menuitem", tabIndex: -1, onClick: run }, h("span", { class: "snk-actions-label" }, item.label), hint);
    entries.push(entry);
    return entry;
  });
  const menu = h("div", { role: "menu", "aria-label": "What can be done" }, parts);
  const dialog = h("dialog", { class: "snk-actions", onContextmenu: (event) => event.preventDefault() }, menu);
  dialog.addEventListener("keydown", (event) => {
    const at = entries.indexOf(document.activeElement);
    const next = listIndex(event, at, entries.length);
    if (next !== null) {
      const turns = next === at && event.key.startsWith("Arrow");
      entries[turns ? (at ? 0 : entries.length - 1) : next].focus();
    } else if (event.key === "Tab") close();
    else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) {
      const order = [...entries.slice(at + 1), ...entries.slice(0, at + 1)];
      order.find((entry) => entry.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    } else return;
    event.preventDefault();
  });
  const close = showModal(root, dialog);
  const { width, height } = dialog.getBoundingClientRect();
  const above = y + height + 4 > window.innerHeight;
  dialog.style.left = `${Math.max(4, Math.min(x, window.innerWidth - width - 4))}px`;
  dialog.style.top = `${Math.max(4, above ? y - height : y)}px`;
  entries[0].focus({ preventScroll: true });
}

/**
 * Asks before something that cannot be undone.
 *
 * @param {HTMLElement} root  the panel
 * @param {{title: string, text: string, names?: string[], action: string, run: () => Promise<string|null>}} question
 *   `run` resolves to what went wrong, or to null
 */
export function confirmFirst(root, { title, text, names = [], action, run }) {
  const ids = [freshId("snk-title"), freshId("snk-text")];
  const problem = h("p", { class: "snk-failure", role: "alert", hidden: true });
  const yes = h("button", { class: "snk-push snk-push-danger" }, action);
  const no = h("button", { class: "snk-push" }, "Cancel");
  const dialog = h(
    "dialog",
    { class: "snk-dialog", role: "alertdialog", "aria-labelledby": ids[0], "aria-describedby": ids[1] },
    h("h2", { id: ids[0] }, title),
    h("p", { id: ids[1] }, text),
    names.length ? h("ul", { class: "snk-dialog-names" }, names.map((name) => h("li", null, name))) : null,
    problem,
    h("div", { class: "snk-dialog-buttons" }, no, yes),
  );
  const close = showModal(root, dialog);
  no.addEventListener("click", close);
  yes.addEventListener("click", async () => {
    yes.disabled = true;
    const wrong = await run();
    yes.disabled = false;
    if (wrong === null) return close();
    problem.textContent = wrong;
    problem.hidden = false;
    no.focus();
  });
  no.focus();
}
