/**
 * Menus and questions of the panel.
 *
 * Rules: both take the focus, keep it while they are there, and give it back; Escape always leaves them
 * without doing anything. They live in the panel's own element, so that they follow its theme.
 */

import { freshId, h, listIndex, trapFocus } from "./dom.js";

/**
 * Opens a menu at a point of the window.
 *
 * @param {HTMLElement} root  the panel
 * @param {Array<{label: string, run?: () => void, hint?: string, disabled?: boolean, checked?: boolean}|null>} items
 *   null is a separator
 * @param {number} x
 * @param {number} y
 */
export function openMenu(root, items, x, y) {
  root.querySelector(".snk-menu-back")?.remove();
  const before = document.activeElement;
  const close = () => {
    back.remove();
    before?.focus?.({ preventScroll: true });
  };
  const entries = [];
  const parts = items.map((item) => {
    if (!item) return h("div", { class: "snk-menu-line", role: "separator" });
    const entry = h(
      "button",
      {
        class: "snk-menu-item",
        role: item.checked === undefined ? "menuitem" : "menuitemcheckbox",
        "aria-checked": item.checked === undefined ? null : String(item.checked),
        tabIndex: -1,
        disabled: Boolean(item.disabled),
        onClick: () => {
          close();
          item.run();
        },
      },
      h("span", { class: "snk-menu-label" }, item.label),
      item.hint ? h("span", { class: "snk-menu-hint" }, item.hint) : null,
    );
    if (!item.disabled) entries.push(entry);
    return entry;
  });
  const menu = h("div", { class: "snk-menu", role: "menu" }, parts);
  const back = h("div", { class: "snk-menu-back", "data-lm-suppress-shortcuts": "true" }, menu);
  back.addEventListener("mousedown", (event) => {
    if (menu.contains(event.target)) return;
    event.preventDefault();
    close();
  });
  back.addEventListener("contextmenu", (event) => event.preventDefault());
  back.addEventListener("keydown", (event) => {
    event.stopPropagation();
    const at = entries.indexOf(document.activeElement);
    const next = listIndex(event, at, entries.length);
    if (next !== null) {
      const wrapped = next === at ? (event.key === "ArrowDown" ? 0 : entries.length - 1) : next;
      entries[wrapped].focus();
    } else if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) {
      const letter = event.key.toLowerCase();
      const order = [...entries.slice(at + 1), ...entries.slice(0, at + 1)];
      order.find((entry) => entry.textContent.trim().toLowerCase().startsWith(letter))?.focus();
    } else return;
    event.preventDefault();
  });
  root.append(back);
  const box = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(4, Math.min(x, window.innerWidth - box.width - 4))}px`;
  menu.style.top = `${Math.max(4, y + box.height + 4 > window.innerHeight ? Math.max(4, y - box.height) : y)}px`;
  // Where an ancestor is transformed, "fixed" counts from it.
  const off = menu.getBoundingClientRect();
  const wanted = { left: parseFloat(menu.style.left), top: parseFloat(menu.style.top) };
  menu.style.left = `${2 * wanted.left - off.left}px`;
  menu.style.top = `${2 * wanted.top - off.top}px`;
  entries[0]?.focus({ preventScroll: true });
}

/**
 * Asks before something that cannot be undone.
 *
 * @param {HTMLElement} root  the panel
 * @param {{title: string, text: string, names?: string[], action: string, run: () => Promise<string|null>}} question
 *   `run` resolves to what went wrong, or to null
 */
export function confirmFirst(root, { title, text, names = [], action, run }) {
  const before = document.activeElement;
  const ids = [freshId("snk-title"), freshId("snk-text")];
  const problem = h("p", { class: "snk-problem", role: "alert", hidden: true });
  const yes = h("button", { class: "snk-push snk-push-danger" }, action);
  const no = h("button", { class: "snk-push" }, "Cancel");
  const dialog = h(
    "div",
    { class: "snk-dialog", role: "alertdialog", "aria-modal": "true", "aria-labelledby": ids[0], "aria-describedby": ids[1] },
    h("h2", { id: ids[0] }, title),
    h("p", { id: ids[1] }, text),
    names.length ? h("ul", { class: "snk-dialog-names" }, names.map((name) => h("li", null, name))) : null,
    problem,
    h("div", { class: "snk-dialog-buttons" }, no, yes),
  );
  const back = h("div", { class: "snk-dialog-back", "data-lm-suppress-shortcuts": "true" }, dialog);
  const release = trapFocus(dialog);
  const close = () => {
    release();
    back.remove();
    before?.focus?.({ preventScroll: true });
  };
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
  back.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close();
  });
  root.append(back);
  no.focus();
}
