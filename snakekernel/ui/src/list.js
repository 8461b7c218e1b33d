/**
 * The list on screen: a tree of which only the visible rows exist, with its selection and its keys.
 *
 * Rules: focus stays on the list itself, which names its active row; elements are kept by the key of what
 * they show and changed in place; the first visible row stays where it is when rows come or go above.
 */

import { h, perFrame, placeChildren } from "./dom.js";
import { RowLayout } from "./layout.js";
import { pressedInList } from "./list_keys.js";
import { editName } from "./rename.js";
import { RowElement } from "./rows.js";

/** Height of a row, in pixels; panel.css has the same. */
const LIST_ROW = 24;

/** Rows made beyond what is seen. */
const OVERSCAN = 6;

let listSerial = 0;

export class ObjectList {
  /**
   * @param {PanelState} state
   * @param {{onSelect(rows, active), onOpen(row), onMenu(rows, x, y), onKey(event, rows): boolean}} handlers
   * @param {HTMLElement[]} footers  below the last row
   */
  constructor(state, handlers, footers) {
    this.state = state;
    this.handlers = handlers;
    this.id = `snk-list-${(listSerial += 1)}`;
    this.elements = new Map();
    this.rowOf = new WeakMap();
    /** Selected rows by key; the active one is where the keys act. */
    this.selected = new Map();
    this.active = null;
    this.activeIndex = -1;
    this.anchor = null;
    this.editing = null;
    this.draw = perFrame(() => this.drawNow());
    this.footers = footers;
    this.spacer = h("div", { class: "snk-spacer", role: "presentation" }, footers);
    this.element = h(
      "div",
      {
        class: "snk-list",
        role: "tree",
        tabIndex: 0,
        "aria-label": "Objects in the kernel",
        "aria-multiselectable": "true",
        onScroll: () => this.draw(),
        onClick: (event) => this.#onClick(event),
        onDblclick: (event) => this.#onDoubleClick(event),
        onContextmenu: (event) => this.#onContextMenu(event),
        onKeydown: (event) => pressedInList(this, event),
        onFocus: () => this.#onFocus(),
      },
      this.spacer,
    );
    this.resizes = new ResizeObserver(() => this.draw());
    this.resizes.observe(this.element);
    this.off = state.onDraw(() => this.draw());
    this.layout = new RowLayout(state);
  }

  dispose() {
    this.off();
    this.draw.cancel();
    this.resizes.disconnect();
  }

  /** Draws at once what is on screen, and asks for what is missing of it. */
  drawNow() {
    if (!this.state.visible) return;
    const layout = (this.layout = new RowLayout(this.state));
    const { element } = this;
    const height = layout.length * LIST_ROW;
    this.spacer.style.height = `${height}px`;
    this.#keepPlace();
    const top = Math.min(element.scrollTop, Math.max(0, height - element.clientHeight));
    const first = Math.max(0, Math.floor(top / LIST_ROW) - OVERSCAN);
    const last = Math.min(layout.length, Math.ceil((top + element.clientHeight) / LIST_ROW) + OVERSCAN);
    this.#follow();
    this.#drawRows(first, last);
    const topRow = layout.at(Math.floor(top / LIST_ROW));
    this.anchor = topRow && top > 0 ? { key: topRow.key, offset: top - Math.floor(top / LIST_ROW) * LIST_ROW, top } : null;
    if (this.state.live) this.#ask(first + OVERSCAN * (first > 0), last);
    this.#revealAwaited();
  }

  #keepPlace() {
    if (!this.anchor || this.anchor.top !== this.element.scrollTop) return;
    const at = this.layout.indexOf(this.anchor.key);
    if (at < 0) return;
    const top = at * LIST_ROW + this.anchor.offset;
    if (top !== this.element.scrollTop) this.element.scrollTop = top;
  }

  /** The active row may have moved or gone; then the one in its place is active. */
  #follow() {
    if (this.active === null) return;
    const at = this.layout.indexOf(this.active);
    if (at >= 0) {
      this.activeIndex = at;
      const row = this.layout.at(at);
      if (this.selected.has(this.active)) this.selected.set(this.active, row);
      return;
    }
    const source = this.state.sources.find((one) => this.active.startsWith(`${one.key}\u0000`));
    const waiting = source && (source.busy || source.ticks > 0) && !source.error && source.indexOf(this.active.slice(source.key.length + 1)) < 0 && source.count > source.positions.size;
    if (waiting) return;
    const index = Math.min(this.activeIndex, this.layout.length - 1);
    const row = this.layout.at(index);
    this.#setActive(row?.node ? row : null, index);
  }

  #drawRows(first, last) {
    const now = Date.now() / 1000;
    const wanted = new Map();
    for (let index = first; index < last; index += 1) {
      const row = this.layout.at(index);
      wanted.set(row.key, { row, index });
    }
    const spare = [];
    for (const [key, one] of this.elements) {
      if (wanted.has(key) || one === this.editing?.one) continue;
      this.elements.delete(key);
      spare.push(one);
    }
    let active = "";
    for (const [key, { row, index }] of wanted) {
      let one = this.elements.get(key);
      if (!one) {
        one = spare.pop() ?? this.#newRow();
        this.elements.set(key, one);
      }
      one.update(row, {
        now,
        selected: this.selected.has(key),
        active: key === this.active,
        mark: this.state.marks.get(key) ?? null,
        info: row.kind === "group" ? this.state.sessionInfo.get(row.source.sessionId) : null,
        base: this.layout.grouped ? 1 : 2,
      });
      if (row.kind === "item") {
        one.element.setAttribute("aria-posinset", row.position + 1);
        one.element.setAttribute("aria-setsize", row.source.count);
      } else {
        one.element.removeAttribute("aria-posinset");
        one.element.removeAttribute("aria-setsize");
      }
      one.element.style.transform = `translateY(${index * LIST_ROW}px)`;
      this.rowOf.set(one.element, row);
      if (key === this.active) active = one.element.id;
    }
    for (const one of spare) one.element.remove();
    // In the order of reading; a field that is moved would lose the focus.
    if (!this.editing) placeChildren(this.spacer, [...[...wanted.keys()].map((key) => this.elements.get(key).element), ...this.footers]);
    if (active) this.element.setAttribute("aria-activedescendant", active);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #newRow() {
    this.rowSerial = (this.rowSerial ?? 0) + 1;
    const one = new RowElement(`${this.id}-${this.rowSerial}`);
    this.spacer.append(one.element);
    return one;
  }

  #ask(first, last) {
    const stored = [];
    let variables = null;
    for (const [source, from, to] of this.layout.ranges(first, last)) {
      source.need(from, to);
      for (let position = from; position < to; position += 1) {
        const name = source.at(position)?.name;
        if (name === undefined) continue;
        if (source.kind === "variables") (variables ??= []).push(name);
        else stored.push([source.sessionId, name]);
      }
    }
    if (this.state.showVariables) variables ??= [];
    this.state.onScreen(stored, variables);
  }

  /** Selects the row of a key once it is there, and brings it into view. */
  revealLater(key) {
    this.awaited = key;
    this.draw();
  }

  #revealAwaited() {
    if (!this.awaited) return;
    const at = this.layout.indexOf(this.awaited);
    if (at >= 0) {
      this.move(at, {});
      return;
    }
    // What is new comes last.
    const source = this.state.sources.find((one) => this.awaited.startsWith(`${one.key}\u0000`));
    if (source?.count && this.state.live) source.need(source.count - 1, source.count);
  }

  /** Rows that are seen at once. */
  get page() {
    return Math.max(1, Math.floor(this.element.clientHeight / LIST_ROW) - 1);
  }

  get activeRow() {
    return this.active === null ? null : this.layout.at(this.layout.indexOf(this.active));
  }

  /** The rows that an action means: those selected, or the active one. */
  get chosen() {
    const rows = [...this.selected.values()].filter((row) => row.node);
    return rows.length ? rows : [this.activeRow].filter((row) => row?.node);
  }

  #onFocus() {
    if (this.active === null && this.layout.length) this.move(this.#firstItem(), { quiet: true });
  }

  #firstItem() {
    for (let index = 0; index < Math.min(this.layout.length, 50); index += 1) if (this.layout.at(index).node) return index;
    return 0;
  }

  #setActive(row, index) {
    this.active = row?.key ?? null;
    this.activeIndex = index;
    this.selected = new Map(row ? [[row.key, row]] : []);
    this.pivot = row?.key ?? null;
    this.handlers.onSelect(this.chosen, row);
  }

  /** Makes a row the active one; `extend` selects up to it, `toggle` changes whether it is selected. */
  move(index, { extend = false, toggle = false }) {
    const row = this.layout.at(index);
    if (!row) return;
    if (extend && this.pivot) {
      const from = this.layout.indexOf(this.pivot);
      const [low, high] = from < index ? [from, index] : [index, from];
      this.selected = new Map();
      for (let at = Math.max(0, low); at <= high; at += 1) {
        const one = this.layout.at(at);
        if (one.node) this.selected.set(one.key, one);
      }
    } else if (toggle) {
      if (!this.selected.delete(row.key)) this.selected.set(row.key, row);
      this.pivot = row.key;
    } else {
      this.selected = new Map([[row.key, row]]);
      this.pivot = row.key;
    }
    this.awaited = null;
    this.active = row.key;
    this.activeIndex = index;
    this.#intoView(index);
    this.handlers.onSelect(this.chosen, row);
    this.drawNow();
  }

  #intoView(index) {
    const top = index * LIST_ROW;
    const { element } = this;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + LIST_ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + LIST_ROW - element.clientHeight;
    this.anchor = null;
  }

  #rowAtEvent(event) {
    const element = event.target.closest(".snk-row");
    return element ? this.rowOf.get(element) : null;
  }

  #onClick(event) {
    const row = this.#rowAtEvent(event);
    if (!row || event.target.closest(".snk-edit")) return;
    this.move(this.layout.indexOf(row.key), { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey });
    if (event.target.closest(".snk-row-open")) this.handlers.onOpen(row);
    else if (event.target.closest(".snk-twisty") || row.kind === "group") this.toggle(row);
    else if (row.kind === "more" || row.kind === "error") this.activate(row);
  }

  #onDoubleClick(event) {
    const row = this.#rowAtEvent(event);
    if (!row?.node || event.target.closest(".snk-twisty, .snk-edit, .snk-row-open")) return;
    this.activate(row);
  }

  #onContextMenu(event) {
    const row = this.#rowAtEvent(event);
    if (event.target.closest(".snk-edit")) return;
    event.preventDefault();
    if (!row?.node) return;
    if (!this.selected.has(row.key)) this.move(this.layout.indexOf(row.key), {});
    this.handlers.onMenu(this.chosen, event.clientX, event.clientY);
  }

  /** Opens the menu of the active row beside it. */
  menuAtRow() {
    const one = this.elements.get(this.active);
    if (!one || !this.chosen.length) return;
    const box = one.element.getBoundingClientRect();
    this.handlers.onMenu(this.chosen, box.left + 24, box.bottom);
  }

  /** Opens or shuts a group or an object. */
  toggle(row) {
    if (row.kind === "group") this.state.setCollapsed(row.source, !row.collapsed);
    else if (row.node?.openable) this.state.setOpen(row.node, !row.node.open);
  }

  /** Enter and double click. */
  activate(row) {
    if (row.kind === "more") this.state.more(row.parent);
    else if (row.kind === "error") row.parent ? this.state.more(row.parent) : row.source.retry();
    else if (row.kind === "group") this.toggle(row);
    else if (row.node) this.handlers.onOpen(row) || this.toggle(row);
  }

  /**
   * Lets the reader edit a row's name in place. `commit(text)` resolves to an error text, or to null when
   * it is done.
   */
  edit(row, commit) {
    this.editing?.end();
    this.move(this.layout.indexOf(row.key), {});
    const one = this.elements.get(row.key);
    if (!one) return;
    this.editing = editName(one, row.node.name, commit, (focused) => {
      this.editing = null;
      if (focused) this.element.focus({ preventScroll: true });
      this.draw();
    });
  }
}
