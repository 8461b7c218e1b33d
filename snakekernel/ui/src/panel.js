/**
 * The panel: a filter, the list of objects, the details of the selected one, and pages over them.
 *
 * Rules: what kind of kernel there is decides what is seen: a sentence that says what to do, or the list.
 * One page (a form, a table) covers the list at a time and gives the focus back where it was.
 */

import { Actions } from "./actions.js";
import { Details } from "./details.js";
import { debounce, h, hasFocus, icon, setAttribute, setText } from "./dom.js";
import { CallForm } from "./form.js";
import { oneLine } from "./format.js";
import { mountTable } from "./grid.js";
import { ObjectList } from "./list.js";
import { PanelState } from "./state.js";
import { pythonPath } from "./values.js";

/** Milliseconds between two looks at the clock, for ages. */
const AGES_STEP = 5_000;

/** Milliseconds that a message at the foot stays. */
const SAID_STAYS = 4_000;

/** Least height of list and details, in pixels. */
const LEAST_HEIGHT = 80;

/**
 * Shows the panel in an element. It is hidden, and asks nothing, until `setVisible(true)`.
 *
 * @param {HTMLElement} element
 * @param {object} transport  `{request, onChanged, onStatus, insertCode, dispose}`
 * @param {{openView: null|function, theme: string, storage: {get, set}}} host
 * @returns {{setVisible(visible: boolean): void, dispose(): void}}
 */
export function mountPanel(element, transport, host) {
  const panel = new Panel(transport, host ?? {});
  element.append(panel.element);
  return { setVisible: (visible) => panel.setVisible(visible), dispose: () => panel.dispose() };
}

class Panel {
  constructor(transport, host) {
    this.transport = transport;
    this.host = host;
    this.page = null;
    this.state = new PanelState(transport, host.storage);
    this.filter = this.#makeFilter();
    this.variables = h(
      "button",
      { class: "snk-toggle", title: "Show the notebook's variables too", onClick: () => this.#toggleVariables() },
      "Variables",
    );
    this.banner = h("p", { class: "snk-banner", role: "status", hidden: true });
    this.notice = h("div", { class: "snk-sentence", hidden: true });
    this.hint = h("p", { class: "snk-hint", hidden: true });
    this.said = h("p", { class: "snk-said", role: "status" });
    this.list = new ObjectList(this.state, {
      onSelect: (rows, active) => this.#select(rows, active),
      onOpen: (row) => this.actions.open(row),
      onMenu: (rows, x, y) => this.actions.menu(rows, x, y),
      onKey: (event, rows) => this.#listKey(event, rows),
    }, [this.hint]);
    // Within a notebook's output, keys would be the notebook's.
    const embedded = !host.openView;
    this.element = h("div", { class: "snk-panel", "data-lm-suppress-shortcuts": embedded ? "true" : null });
    this.actions = new Actions(this.state, {
      root: this.element,
      list: () => this.list,
      openTable: (node) => this.#openTable(node),
      openForm: (node) => this.#openForm(node),
      say: (text, isError) => this.#say(text, isError),
    });
    this.details = new Details(this.state, this.actions);
    this.details.element.hidden = true;
    this.splitter = this.#makeSplitter();
    this.main = h(
      "div",
      { class: "snk-panel-main" },
      h("div", { class: "snk-toolbar" }, this.filter.box, this.variables),
      this.banner,
      columnHeads(),
      this.list.element,
      this.splitter,
      this.details.element,
    );
    this.element.append(this.main, this.notice, this.said);
    this.off = this.state.onDraw(() => this.#draw());
    this.chosen = host.storage?.get("split") ?? 0.45;
    this.#setSplit(this.chosen);
    // The panel's height bounds the share: it is known only once it is laid out, and changes.
    this.resizes = new ResizeObserver(() => this.#setSplit(this.chosen));
    this.resizes.observe(this.main);
    this.#draw();
  }

  setVisible(visible) {
    this.state.setVisible(visible);
    clearInterval(this.ages);
    if (visible) this.ages = setInterval(() => this.list.draw(), AGES_STEP);
    if (visible) this.list.draw();
    else this.details.leave();
  }

  dispose() {
    this.setVisible(false);
    this.off();
    this.search.cancel();
    clearTimeout(this.saying);
    this.#closePage();
    this.resizes.disconnect();
    this.details.dispose();
    this.list.dispose();
    this.state.dispose();
    this.element.remove();
  }

  #makeFilter() {
    this.search = debounce((text) => {
      this.list.element.scrollTop = 0;
      this.state.setSearch(text);
    }, 120);
    const field = h("input", {
      class: "snk-filter",
      type: "text",
      placeholder: "Filter by name",
      "aria-label": "Filter by name",
      spellcheck: "false",
      onInput: () => {
        clear.hidden = !field.value;
        this.search(field.value);
      },
      onKeydown: (event) => {
        if (event.key === "Escape" && field.value) empty();
        else if (event.key === "ArrowDown") this.list.element.focus();
        else return;
        event.preventDefault();
        event.stopPropagation();
      },
    });
    const empty = () => {
      field.value = "";
      clear.hidden = true;
      this.search("");
      field.focus();
    };
    const clear = h("button", { class: "snk-icon-button snk-filter-clear", title: "Clear the filter", "aria-label": "Clear the filter", hidden: true, onClick: empty }, icon("close"));
    return { field, box: h("div", { class: "snk-filter-box" }, icon("search"), field, clear) };
  }

  #toggleVariables() {
    this.state.setShowVariables(!this.state.showVariables);
  }

  #listKey(event, rows) {
    if (event.key === "/" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f")) {
      this.filter.field.focus();
      this.filter.field.select();
      return true;
    }
    return this.actions.key(event, rows);
  }

  #select(rows, active) {
    for (const row of rows) this.state.seen(row.key);
    const node = rows.length === 1 ? (active?.node ?? rows[0].node) : null;
    this.details.show(node ?? null);
    this.splitter.hidden = this.details.element.hidden;
  }

  /** What is seen, from the state of the kernel. */
  #draw() {
    const { connected, supported } = this.state.status;
    const known = this.state.stored.count !== null;
    const stranger = connected && !supported;
    this.main.hidden = stranger || (!connected && !known);
    this.notice.hidden = !this.main.hidden;
    if (stranger) this.#notify("Not a snakekernel kernel", ["Objects of this notebook's kernel cannot be shown here. Choose ", h("strong", null, "Python (snakekernel)"), " in the Kernel menu under Change Kernel. If it is not there, run ", h("code", null, "snakekernel install --user"), " in a terminal."]);
    else if (!connected) this.#notify("No kernel", ["Stored objects and variables appear here once a kernel runs."]);
    else this.notified = null;
    this.banner.hidden = connected || this.main.hidden;
    setText(this.banner, this.banner.hidden ? "" : "Not connected to the kernel. This is what was last known.");
    this.main.classList.toggle("snk-offline", !connected);
    setAttribute(this.variables, "aria-pressed", String(this.state.showVariables));
    this.#drawHint();
    const { page } = this;
    if (page?.life && page.life !== this.state.life) this.#closePage();
    if (this.details.node && this.details.life !== this.state.life) {
      this.details.show(null);
      this.splitter.hidden = true;
    }
    this.details.life = this.state.life;
  }

  #notify(title, text) {
    if (this.notified === title) return;
    this.notified = title;
    this.notice.replaceChildren(h("h2", null, title), h("p", null, text));
  }

  #drawHint() {
    const { stored, search } = this.state;
    this.hint.hidden = stored.count !== 0 || Boolean(search) || this.state.isCollapsed(stored);
    if (this.hint.hidden || this.hint.firstChild) return;
    this.hint.append("To keep an object for other cells and programs, run ", h("code", null, "stored.name = value"), " in a cell.");
  }

  #say(text, isError = false) {
    clearTimeout(this.saying);
    setText(this.said, text);
    this.said.classList.toggle("snk-failure", isError);
    this.said.classList.add("snk-shown");
    this.saying = setTimeout(() => this.said.classList.remove("snk-shown"), SAID_STAYS);
  }

  #openTable(node) {
    const title = oneLine(pythonPath(node.target) ?? node.label, 60);
    const options = { title };
    if (node.source.sessionId !== null) options.sessionId = node.source.sessionId;
    if (this.host.openView) {
      const key = JSON.stringify([node.source.sessionId, node.target]);
      this.host.openView(title, (element) => mountTable(element, this.transport, node.target, options), key);
      return;
    }
    const place = h("div", { class: "snk-page-table" });
    const back = h("button", { class: "snk-icon-button", title: "Back to the list", "aria-label": "Back to the list", onClick: () => this.#closePage() }, icon("back"));
    const page = h("section", { class: "snk-page" }, h("header", null, back, h("h2", null, title)), place);
    this.#openPage(page, () => back.focus());
    const table = mountTable(place, this.transport, node.target, { ...options, onClose: () => this.#closePage() });
    const resizes = new ResizeObserver(() => table.resized());
    resizes.observe(place);
    this.page.dispose = () => {
      resizes.disconnect();
      table.dispose();
    };
  }

  #openForm(node) {
    const form = new CallForm(this.state, node, {
      onClose: () => this.#closePage(),
      onStored: (name) => {
        this.#closePage();
        this.list.revealLater(`${node.source.kind === "session" ? node.source.key : "stored"}\u0000${name}`);
      },
    });
    this.#openPage(form.element, () => form.focus());
    this.page.dispose = () => form.dispose();
    this.page.life = this.state.life;
  }

  #openPage(element, focus) {
    this.#closePage();
    this.page = { element, dispose: () => {}, before: document.activeElement };
    this.main.inert = true;
    this.element.append(element);
    focus();
  }

  #closePage() {
    const { page } = this;
    if (!page) return;
    this.page = null;
    const held = hasFocus(page.element) || document.activeElement === document.body;
    page.dispose();
    page.element.remove();
    this.main.inert = false;
    if (held) (page.before?.isConnected ? page.before : this.list.element).focus({ preventScroll: true });
  }

  #makeSplitter() {
    const drag = (event) => {
      const box = this.main.getBoundingClientRect();
      this.#setSplit((box.bottom - event.clientY) / box.height);
    };
    const splitter = h("div", {
      class: "snk-splitter",
      role: "separator",
      "aria-orientation": "horizontal",
      "aria-label": "Height of the details",
      tabIndex: 0,
      hidden: true,
      onPointerdown: (event) => {
        event.preventDefault();
        splitter.setPointerCapture(event.pointerId);
        splitter.addEventListener("pointermove", drag);
      },
      onLostpointercapture: () => {
        splitter.removeEventListener("pointermove", drag);
        this.#keepSplit();
      },
      onKeydown: (event) => {
        const step = { ArrowUp: 0.05, ArrowDown: -0.05 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.#setSplit(this.split + step);
        this.#keepSplit();
      },
    });
    return splitter;
  }

  #keepSplit() {
    this.chosen = this.split;
    this.host.storage?.set("split", this.split);
  }

  /** Which share of the height the details have. */
  #setSplit(share) {
    const height = this.main.clientHeight || 800;
    const least = Math.min(0.5, LEAST_HEIGHT / height);
    this.split = Math.max(least, Math.min(1 - least * 2, Number(share) || 0.45));
    this.details.element.style.flexBasis = `${100 * this.split}%`;
    this.splitter.setAttribute("aria-valuenow", Math.round(100 * this.split));
  }
}

/** Names of the columns, which a wide panel shows. */
function columnHeads() {
  const names = { name: "Name", preview: "Value", type: "Type", shape: "Shape", size: "Size", maker: "Made by", age: "Age" };
  const heads = Object.entries(names).map(([part, name]) => h("span", { class: `snk-part snk-${part}` }, name));
  return h("div", { class: "snk-heads", "aria-hidden": "true" }, heads);
}
