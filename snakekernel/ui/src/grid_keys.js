/**
 * What keys and the pointer do in the grid.
 *
 * Rules: the grid element itself keeps the focus and names the active cell (`aria-activedescendant`), since
 * cells are filled with others as the table scrolls; every key that is used goes no further.
 */

import { LINE_HEIGHT } from "./grid_view.js";

const WIDTH_STEP = 16;
const LEAST_WIDTH = 40;
const MOST_WIDTH = 1200;

/** Listens to one grid. `table` is the mounted table, see `grid.js`. */
export class GridKeys {
  constructor(table) {
    this.table = table;
    this.view = table.view;
    this.drag = null;
    const grid = this.view.scroller;
    grid.addEventListener("keydown", (event) => this._key(event));
    grid.addEventListener("copy", (event) => {
      event.preventDefault();
      table.copy(false);
    });
    grid.addEventListener("pointerdown", (event) => this._down(event));
    grid.addEventListener("pointermove", (event) => this._move(event));
    grid.addEventListener("pointerup", () => this._up());
    grid.addEventListener("pointercancel", () => this._up());
    grid.addEventListener("dblclick", (event) => this._double(event));
    grid.addEventListener("contextmenu", (event) => this._context(event));
  }

  _key(event) {
    if (event.target !== this.view.scroller) return;
    const inHead = this.table.selection.active.row < 0;
    const used = this._moves(event) || this._common(event) || (inHead ? this._inHead(event) : this._inCells(event));
    if (!used) return;
    event.preventDefault();
    event.stopPropagation();
  }

  _moves(event) {
    if (event.altKey) return false;
    const { rowCount, columnCount } = this.view;
    const { row, column } = this.table.selection.active;
    const far = event.ctrlKey || event.metaKey;
    const page = Math.max(Math.floor(this.view.high / LINE_HEIGHT) - 1, 1);
    const last = rowCount - 1;
    const to = {
      ArrowUp: () => [far ? Math.min(row, 0) : row - 1, column],
      ArrowDown: () => [far ? last : row + 1, column],
      ArrowLeft: () => [row, far ? this._next(-1, 1) : this._next(column, -1)],
      ArrowRight: () => [row, far ? this._next(columnCount, -1) : this._next(column, 1)],
      PageUp: () => [row < 0 ? row : Math.max(row - page, 0), column],
      PageDown: () => [row + page, column],
      Home: () => [far ? 0 : row, this._next(-1, 1)],
      End: () => [far ? last : row, this._next(columnCount, -1)],
    }[event.key];
    if (!to || !columnCount) return false;
    const [toRow, toColumn] = to();
    const least = event.shiftKey && row >= 0 ? 0 : -1;
    this.table.activate(Math.max(Math.min(toRow, last), least), toColumn, event.shiftKey && row >= 0);
    return true;
  }

  /** The next column that is not hidden, or the same. */
  _next(column, step) {
    const { columnCount, axis } = this.view;
    let next = column + step;
    while (next >= 0 && next < columnCount && !axis.size(next)) next += step;
    return next >= 0 && next < columnCount ? next : column;
  }

  _common(event) {
    const command = event.ctrlKey || event.metaKey;
    const { row, column } = this.table.selection.active;
    if (command && event.key.toLowerCase() === "a") this.table.selectAll();
    else if (command && event.key === " ") this.table.selectColumn(column);
    else if (event.shiftKey && event.key === " " && row >= 0) this.table.selectRows(this.table.selection.anchor.row, row);
    else if (command && event.key.toLowerCase() === "c" && event.shiftKey) this.table.copy(true);
    else if (command && event.key.toLowerCase() === "g") this.table.focusRowField();
    else if (event.altKey && event.key === "ArrowLeft") this.resize(column, this.view.axis.size(column) - WIDTH_STEP);
    else if (event.altKey && event.key === "ArrowRight") this.resize(column, this.view.axis.size(column) + WIDTH_STEP);
    else if (event.key === "ContextMenu" || (event.shiftKey && event.key === "F10") || (event.altKey && event.key === "ArrowDown")) {
      this.table.windows.menu(row, column, null);
    } else if (!command && event.key === "/") this.table.focusSearch();
    else return false;
    return true;
  }

  _inHead(event) {
    if (event.key !== "Enter" && event.key !== " ") return false;
    this.table.sortBy(this.table.selection.active.column, event.shiftKey);
    return true;
  }

  _inCells(event) {
    if (event.key === "Escape") {
      const { row, column } = this.table.selection.active;
      this.table.activate(row, column, false);
    } else if (event.key === "Enter" || event.key === " ") this.table.windows.cell();
    else return false;
    return true;
  }

  /** Set a width that the user chose. */
  resize(column, width) {
    this.table.setWidth(column, Math.max(LEAST_WIDTH, Math.min(width, MOST_WIDTH)));
  }

  _down(event) {
    if (event.button !== 0 || !event.target.closest(".snk-t-layer")) return;
    const at = this.view.hit(event.clientX, event.clientY);
    const grip = event.target.closest(".snk-t-head-grip");
    if (grip) {
      const column = this.view.columnSlots[this.view.heads.findIndex((head) => head.grip === grip)];
      this.drag = { kind: "width", column, from: event.clientX, width: this.view.axis.size(column), grip };
      grip.classList.add("snk-t-dragged");
      this.view.scroller.setPointerCapture(event.pointerId);
      event.preventDefault();
      return;
    }
    if (at.row < 0 && at.column >= 0) {
      if (event.target.closest(".snk-t-head-menu")) {
        event.preventDefault();
        this.table.windows.menu(-1, at.column, null);
      } else this.table.sortBy(at.column, event.shiftKey);
      return;
    }
    if (at.column < 0) {
      if (at.row < 0) this.table.selectAll();
      else this.table.selectRows(event.shiftKey ? this.table.selection.anchor.row : at.row, at.row);
      return;
    }
    this.table.activate(at.row, at.column, event.shiftKey);
    this.drag = { kind: "cells" };
    this.view.scroller.setPointerCapture(event.pointerId);
  }

  _move(event) {
    if (!this.drag) return;
    if (this.drag.kind === "width") {
      this.resize(this.drag.column, this.drag.width + event.clientX - this.drag.from);
      return;
    }
    const { row, column } = this.view.hit(event.clientX, event.clientY);
    const { active } = this.table.selection;
    const to = { row: Math.max(row < 0 ? this.view.visible().rows[0] - 1 : row, 0), column: Math.max(column, 0) };
    if (to.row !== active.row || to.column !== active.column) this.table.activate(to.row, to.column, true);
  }

  _up() {
    this.drag?.grip?.classList.remove("snk-t-dragged");
    this.drag = null;
  }

  _double(event) {
    const at = this.view.hit(event.clientX, event.clientY);
    // The pointer was captured, so the event itself names the grid only.
    const grip = document.elementFromPoint(event.clientX, event.clientY)?.closest(".snk-t-head-grip");
    if (grip) this.table.fit(this.view.columnSlots[this.view.heads.findIndex((head) => head.grip === grip)]);
    else if (at.row >= 0 && at.column >= 0) this.table.windows.cell();
  }

  _context(event) {
    if (!event.target.closest(".snk-t-layer")) return;
    const at = this.view.hit(event.clientX, event.clientY);
    if (at.column < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (at.row >= 0 && !this.table.selection.has(at.row, at.column)) this.table.activate(at.row, at.column, false);
    this.table.windows.menu(at.row, at.column, event);
  }
}
