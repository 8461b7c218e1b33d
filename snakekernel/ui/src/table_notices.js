/**
 * What a table view says beside its cells: work under way, errors, changes, and one cell as a whole.
 *
 * Rules: all of it in place, nothing pops up by itself; an error says what happened and offers what can be done.
 */

import { h, setText, copyText, trapFocus } from "./dom.js";
import { formatShare } from "./format.js";

const SLOW = 350;
const SHOWN = 4000;

/** The line between the bar and the grid. Empty and without height most of the time. */
export class Notices {
  /**
   * @param {object} asks
   * @param {function(): void} asks.onRetry
   * @param {function(): void} asks.onUndo  go back to the last query that was answered
   * @param {function(): void} asks.onStop
   * @param {null|function(): void} asks.onClose  leave the view
   */
  constructor({ onRetry, onUndo, onStop, onClose }) {
    this.text = h("span", { class: "snk-t-notice-text" });
    this.undo = h("button", { class: "snk-t-link", type: "button", onClick: onUndo }, "Undo");
    this.leave = h("button", { class: "snk-t-link", type: "button", onClick: onClose }, "Close");
    this.canLeave = !!onClose;
    const retry = h("button", { class: "snk-t-link", type: "button", onClick: onRetry }, "Try again");
    this.error = h("div", { class: "snk-t-notice snk-t-notice-error", role: "alert", hidden: true }, this.text, retry, this.undo, this.leave);
    this.workText = h("span", { class: "snk-t-notice-text" });
    this.workBar = h("progress", { class: "snk-t-progress", "aria-label": "Progress" });
    this.work = h("div", { class: "snk-t-notice", role: "status", hidden: true }, this.workBar, this.workText, h("button", { class: "snk-t-link", type: "button", onClick: onStop }, "Cancel"));
    this.toldText = h("span", { class: "snk-t-notice-text" });
    this.told = h("div", { class: "snk-t-toast", role: "status", hidden: true }, this.toldText);
    this.element = h("div", { class: "snk-t-notices" }, this.error, this.work);
    this.slowTimer = 0;
    this.toldTimer = 0;
  }

  /**
   * Show an error until the next state; null hides it.
   *
   * @param {{message: string}|null} error
   * @param {{gone: boolean, undo: boolean}} can  the object is gone; there is a query to go back to
   */
  showError(error, { gone, undo }) {
    this.error.hidden = !error;
    if (!error) return;
    setText(this.text, sentence(error.message));
    this.undo.hidden = !undo;
    this.leave.hidden = !gone || !this.canLeave;
  }

  /** Show that work is under way once it takes long; `progress` is the kernel's, `queued` that another one ends first. */
  showWork({ loading, progress, queued }) {
    if (!loading) {
      clearTimeout(this.slowTimer);
      this.slowTimer = 0;
      this.work.hidden = true;
    } else if (!this.slowTimer) {
      this.slowTimer = setTimeout(() => (this.work.hidden = false), SLOW);
    }
    const words = sentence(progress?.text || (queued ? "waiting for the previous request to end" : "waiting for the kernel"));
    const counted = progress?.total > 1;  // one step is no measure of anything
    setText(this.workText, counted ? `${words} · ${formatShare(progress.done, progress.total)}` : words);
    if (counted) this.workBar.value = progress.done / progress.total;
    else this.workBar.removeAttribute("value");
  }

  /** Say something for a while. */
  say(text) {
    clearTimeout(this.toldTimer);
    setText(this.toldText, text);
    this.told.hidden = false;
    this.toldTimer = setTimeout(() => (this.told.hidden = true), SHOWN);
  }

  dispose() {
    clearTimeout(this.slowTimer);
    clearTimeout(this.toldTimer);
  }
}

/** The kernel's words begin small. */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * A cell as a whole, in a small window.
 *
 * @param {HTMLElement} root
 * @param {{left: number, top: number}} at
 * @param {{title: string, about: string, text: string, missing: boolean}} cell
 * @param {function(): void} onClose  gives the focus back
 * @returns {function(): void} closes it
 */
export function openCellWindow(root, at, { title, about, text, missing }, onClose) {
  const copy = h("button", { class: "snk-t-button", type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    setText(copy, (await copyText(text)) ? "Copied" : "Copying failed");
    copy.focus();
  });
  const done = h("button", { class: "snk-t-button", type: "button", onClick: () => close(true) }, "Close");
  const window = h(
    "div",
    { class: "snk-t-window snk-t-cell-window", role: "dialog", "aria-label": title },
    h("div", { class: "snk-t-window-title" }, title),
    h("div", { class: "snk-t-muted" }, about),
    h("pre", { class: missing ? "snk-t-cell-whole snk-t-muted" : "snk-t-cell-whole", tabIndex: 0 }, text),
    h("div", { class: "snk-t-window-ends" }, copy, done),
  );
  let open = true;
  const close = (focusBack) => {
    if (!open) return;
    open = false;
    untrap();
    document.removeEventListener("pointerdown", outside, true);
    window.remove();
    if (focusBack) onClose();
  };
  const outside = (event) => {
    if (!window.contains(event.target)) close(false);
  };
  window.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close(true);
  });
  const untrap = trapFocus(window);
  document.addEventListener("pointerdown", outside, true);
  root.append(window);
  window.style.left = `${Math.max(4, Math.min(at.left, root.clientWidth - window.offsetWidth - 8))}px`;
  window.style.top = `${Math.max(4, Math.min(at.top, root.clientHeight - window.offsetHeight - 8))}px`;
  done.focus();
  return () => close(false);
}
