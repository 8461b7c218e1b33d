/**
 * The grid's elements: rows and cells for what is in view, filled again as the table scrolls by.
 *
 * Rules: nothing is measured while drawing; cells exist for the visible part and a small margin only; places
 * are relative to a base near the view, so that they stay exact in tables of any length.
 */

import { h, setAttribute, freshId } from "./dom.js";
import { GridAxis, ScrollMap } from "./grid_axis.js";
import { HeaderCell, isNumeric } from "./columns.js";
import { cellText, labelText } from "./cells.js";

export const LINE_HEIGHT = 24;
export const HEAD_HEIGHT = 66;
const STANDARD_WIDTH = 104;
const MARGIN_ROWS = 4;
const MARGIN_PIXELS = 80;
const BASE_ROWS = 50_000;
const BASE_PIXELS = 500_000;

/** Gives each wanted key a slot: those that had one keep it. */
function assignSlots(slots, wanted) {
  const free = [];
  const kept = new Set();
  slots.forEach((key, slot) => {
    if (wanted.has(key)) kept.add(key);
    else free.push(slot);
  });
  for (const key of wanted) if (!kept.has(key)) slots[free.length ? free.shift() : slots.length] = key;
  for (const slot of free) slots[slot] = -1;
}

export class GridView {
  /**
   * @param {TableData} data
   * @param {object} look  what is drawn besides the data: `selected(row, column)`, `active`, `sorted(column)`,
   *   `summary(column)`, `filtered(column)`
   */
  constructor(data, look) {
    this.data = data;
    this.look = look;
    this.rows = new ScrollMap();
    this.across = new ScrollMap();
    this.axis = new GridAxis(STANDARD_WIDTH);
    this.indexWidth = 56;
    this.decimals = new Map();
    this.rowSlots = [];
    this.columnSlots = [];
    this.lines = [];
    this.heads = [];
    this.first = this.end = this.firstColumn = this.endColumn = 0;
    this.corner = h("div", { class: "snk-t-corner", role: "columnheader", "aria-colindex": 1, "aria-label": "Row" });
    this.headRow = h("div", { class: "snk-t-head-row", role: "row", "aria-rowindex": 1 }, this.corner);
    this.body = h("div", { class: "snk-t-body", role: "rowgroup" });
    this.window = h("div", { class: "snk-t-body-window", role: "presentation" }, this.body);
    this.layer = h("div", { class: "snk-t-layer", role: "presentation" }, h("div", { class: "snk-t-head-window", role: "rowgroup" }, this.headRow), this.window);
    this.sizer = h("div", { class: "snk-t-sizer", role: "presentation" }, this.layer);
    this.scroller = h("div", { class: "snk-grid", role: "grid", tabIndex: 0, "aria-multiselectable": "true" }, this.sizer);
    this.scroller.style.setProperty("--snk-t-head-height", `${HEAD_HEIGHT}px`);
  }

  get rowCount() {
    return this.data.totals?.matched ?? 0;
  }

  get columnCount() {
    return this.data.totals?.columns ?? 0;
  }

  /** Pixels of the part that shows cells. */
  get wide() {
    return Math.max(this.layerWidth - this.indexWidth, 0);
  }

  get high() {
    return Math.max(this.layerHeight - HEAD_HEIGHT, 0);
  }

  /** Take over sizes: of the view, and of the table. The only place where the page's layout is read. */
  measure() {
    this.axis.count = this.columnCount;
    for (let turn = 0; turn < 2; turn += 1) {  // scroll bars appear with the first size, and take room
      this.layerWidth = this.scroller.clientWidth;
      this.layerHeight = this.scroller.clientHeight;
      this._resizeMaps();
    }
    this.layer.style.width = `${this.layerWidth}px`;
    this.layer.style.height = `${this.layerHeight}px`;
    setAttribute(this.scroller, "aria-rowcount", this.rowCount + 1);
    setAttribute(this.scroller, "aria-colcount", this.columnCount + 1);
  }

  _resizeMaps() {
    const top = this.rows.resize(this.rowCount * LINE_HEIGHT, this.high);
    const left = this.across.resize(this.axis.total, this.wide);
    this.sizer.style.height = `${HEAD_HEIGHT + this.rows.length}px`;
    this.sizer.style.width = `${this.indexWidth + this.across.length}px`;
    this._setScroll(top, left);
  }

  _setScroll(top, left) {
    if (Math.abs(this.scroller.scrollTop - top) >= 1) this.scroller.scrollTop = top;
    if (Math.abs(this.scroller.scrollLeft - left) >= 1) this.scroller.scrollLeft = left;
    this.rows.scroll = this.scroller.scrollTop;
    this.across.scroll = this.scroller.scrollLeft;
  }

  /** The element scrolled. */
  scrolled() {
    if (Math.abs(this.scroller.scrollTop - this.rows.scroll) >= 1) this.rows.scrolled(this.scroller.scrollTop);
    if (Math.abs(this.scroller.scrollLeft - this.across.scroll) >= 1) this.across.scrolled(this.scroller.scrollLeft);
  }

  /** Go to a place in pixels of the whole table; also brings the scroll bar back to where it belongs. */
  scrollTo(top = this.rows.place, left = this.across.place) {
    this._setScroll(this.rows.goTo(top), this.across.goTo(left));
  }

  /** Scroll as little as shows a cell wholly. */
  reveal(row, column) {
    let top = this.rows.place;
    let left = this.across.place;
    if (row >= 0) top = Math.min(Math.max(top, (row + 1) * LINE_HEIGHT - this.high), row * LINE_HEIGHT);
    if (column >= 0) {
      const start = this.axis.offset(column);
      left = Math.min(Math.max(left, start + this.axis.size(column) - this.wide), start);
    }
    this.scrollTo(top, left);
  }

  /** Set a column's width, keeping what is in view where it is. */
  setWidth(column, width) {
    const change = width - this.axis.size(column);
    if (!change) return;
    const before = column < this.axis.at(this.across.place);
    this.axis.setSize(column, width);
    if (before) this.across.place += change;
    this._resizeMaps();
  }

  /** Which cell is at a point of the page: row -1 is the header, column -1 the row labels. */
  hit(x, y) {
    const box = this.layer.getBoundingClientRect();
    const down = y - box.top - HEAD_HEIGHT;
    const right = x - box.left - this.indexWidth;
    const row = down < 0 ? -1 : Math.min(Math.floor((down + this.rows.place) / LINE_HEIGHT), this.rowCount - 1);
    const column = right < 0 ? -1 : Math.min(this.axis.at(right + this.across.place), this.columnCount - 1);
    return { row, column };
  }

  /** Where a cell lies within the layer. */
  placeOf(row, column) {
    return {
      left: this.indexWidth + (column < 0 ? -this.indexWidth : this.axis.offset(column) - this.across.place),
      top: row < 0 ? 0 : HEAD_HEIGHT + row * LINE_HEIGHT - this.rows.place,
      width: column < 0 ? this.indexWidth : this.axis.size(column),
    };
  }

  /** The element of a cell in view, or null. */
  elementOf(row, column) {
    const at = this.columnSlots.indexOf(column);
    if (row < 0) return column < 0 ? this.corner : this.heads[at]?.element ?? null;
    const line = this.lines[this.rowSlots.indexOf(row)];
    if (!line) return null;
    return column < 0 ? line.label : line.cells[at]?.element ?? null;
  }

  /** Rows and columns wholly or partly in view, half-open. */
  visible() {
    const top = this.rows.place;
    const left = this.across.place;
    const columns = this.columnCount;
    return {
      rows: [Math.floor(top / LINE_HEIGHT), Math.min(Math.ceil((top + this.high) / LINE_HEIGHT), this.rowCount)],
      columns: columns ? [this.axis.at(left), Math.min(this.axis.at(left + this.wide) + 1, columns)] : [0, 0],
    };
  }

  /** Whether a column is wholly in view. */
  shows(column) {
    const left = this.axis.offset(column) - this.across.place;
    return left >= 0 && left + this.axis.size(column) <= this.wide;
  }

  /** Draw what is in view. */
  draw() {
    const { rows } = this.visible();
    const left = this.across.place;
    const columns = this.columnCount;
    this.first = Math.max(rows[0] - MARGIN_ROWS, 0);
    this.end = Math.min(rows[1] + MARGIN_ROWS, this.rowCount);
    this.firstColumn = columns ? this.axis.at(left - MARGIN_PIXELS) : 0;
    this.endColumn = columns ? Math.min(this.axis.at(left + this.wide + MARGIN_PIXELS) + 1, columns) : 0;
    const baseRow = Math.floor(this.first / BASE_ROWS) * BASE_ROWS;
    const basePixel = Math.floor(left / BASE_PIXELS) * BASE_PIXELS;
    this._assign();
    const places = this.columnSlots.map((column) =>
      column < 0 ? null : { left: this.indexWidth + this.axis.offset(column) - basePixel, width: this.axis.size(column) },
    );
    const shift = left - basePixel;
    this.body.style.transform = `translate3d(${-shift}px, ${baseRow * LINE_HEIGHT - this.rows.place}px, 0)`;
    this.headRow.style.transform = `translate3d(${-shift}px, 0, 0)`;
    this.layer.style.setProperty("--snk-t-shift", `${shift}px`);
    this._drawHeads(places);
    this.lines.forEach((line, slot) => this._drawLine(line, this.rowSlots[slot], baseRow, places));
    const active = this.elementOf(this.look.active.row, this.look.active.column);
    setAttribute(this.scroller, "aria-activedescendant", active?.id ?? null);
  }

  _assign() {
    const rows = new Set();
    for (let row = this.first; row < this.end; row += 1) rows.add(row);
    const columns = new Set();
    for (let column = this.firstColumn; column < this.endColumn; column += 1) if (this.axis.size(column)) columns.add(column);
    assignSlots(this.rowSlots, rows);
    assignSlots(this.columnSlots, columns);
    while (this.heads.length < this.columnSlots.length) {
      const head = new HeaderCell();
      this.heads.push(head);
      this.headRow.append(head.element);
    }
    while (this.lines.length < this.rowSlots.length) {
      const label = h("div", { class: "snk-t-label", role: "rowheader", "aria-colindex": 1, id: freshId("snk-t-label") });
      const element = h("div", { class: "snk-t-line", role: "row" }, label);
      this.lines.push({ element, label, cells: [], row: -1, top: -1, text: "" });
      this.body.append(element);
    }
    for (const line of this.lines) {
      while (line.cells.length < this.columnSlots.length) {
        const element = h("div", { class: "snk-t-cell", role: "gridcell", id: freshId("snk-t-cell") });
        line.cells.push({ element, left: -1, width: -1, column: -1, shown: null, look: "snk-t-cell" });
        line.element.append(element);
      }
    }
  }

  _drawHeads(places) {
    this.corner.style.width = `${this.indexWidth}px`;
    this.heads.forEach((head, slot) => {
      const column = this.columnSlots[slot];
      head.element.hidden = column < 0;
      if (column < 0) return;
      placeElement(head, places[slot]);
      head.fill(column, this.data.columns.get(column), this.look.sorted(column), this.look.summary(column), this.look.filtered(column));
      head.element.classList.toggle("snk-t-active", this.look.active.row === -1 && this.look.active.column === column);
      head.element.classList.toggle("snk-t-inspected", this.look.inspected === column);
    });
  }

  _drawLine(line, row, baseRow, places) {
    line.element.hidden = row < 0;
    if (row < 0) return;
    const top = (row - baseRow) * LINE_HEIGHT;
    if (line.top !== top) {
      line.top = top;
      line.element.style.top = `${top}px`;
    }
    const moved = line.row !== row;
    if (moved) {
      line.row = row;
      line.element.setAttribute("aria-rowindex", row + 2);
    }
    const known = this.data.label(row, this.firstColumn) ?? this.data.label(row, this.endColumn - 1);
    const text = known === undefined ? "" : labelText(known);
    if (line.text !== text && (moved || known !== undefined)) {
      line.text = text;
      line.label.textContent = text;
    }
    line.label.style.width = `${this.indexWidth}px`;
    setAttribute(line.label, "class", this.look.active.row === row && this.look.active.column === -1 ? "snk-t-label snk-t-active" : "snk-t-label");
    line.cells.forEach((cell, slot) => this._drawCell(cell, row, this.columnSlots[slot], places[slot]));
  }

  _drawCell(cell, row, column, place) {
    if (!place) {
      if (cell.column !== -1) cell.element.hidden = true;
      cell.column = -1;
      return;
    }
    if (cell.column !== column) {
      cell.element.hidden = false;
      cell.column = column;
      cell.element.setAttribute("aria-colindex", column + 2);
    }
    placeElement(cell, place);
    const value = this.data.cell(row, column);
    const kind = this.data.columns.get(column)?.kind;
    let look = "snk-t-cell";
    if (value === undefined) {
      look += " snk-t-wait";
      if (cell.shown !== "") cell.element.textContent = cell.shown = "";
    } else {
      const { text, missing } = cellText(value, kind, this.decimals.get(column));
      if (missing) look += " snk-t-missing";
      if (cell.shown !== text) cell.element.textContent = cell.shown = text;
    }
    if (isNumeric(kind)) look += " snk-t-right";
    if (this.look.selected(row, column)) look += " snk-t-selected";
    if (this.look.active.row === row && this.look.active.column === column) look += " snk-t-active";
    if (cell.look !== look) cell.element.className = cell.look = look;
  }
}

function placeElement(one, { left, width }) {
  if (one.left !== left) one.element.style.left = `${(one.left = left)}px`;
  if (one.width !== width) one.element.style.width = `${(one.width = width)}px`;
}
