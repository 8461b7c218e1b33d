/**
 * The small windows and menus of a mounted table: a cell as a whole, a filter's form, a column's menu.
 *
 * Rules: one window at a time; each gives the focus back to the grid.
 */

import { LINE_HEIGHT } from "./grid_view.js";
import { columnMenu, columnName } from "./columns.js";
import { cellText, labelText, wholeText } from "./cells.js";
import { openFilterForm } from "./filters.js";
import { openCellWindow } from "./table_notices.js";
import { openContextMenu } from "./menu.js";

/** Pixels below a header's top where its menu opens. */
const UNDER_NAME = 22;

export class TableWindows {
  /** @param {object} table  see `grid.js` */
  constructor(table) {
    this.table = table;
    this.close = () => {};
  }

  /** The form of a filter, below a part of the page. `place`: the filter's among all, -1 for a new one. */
  filter(box, column, filter = null, place = -1) {
    const { table } = this;
    const { query, columns } = table.data;
    const origin = table.root.getBoundingClientRect();
    const at = { left: box.left - origin.left, top: box.bottom - origin.top + 4 };
    const done = (made) => {
      const filters = [...query.filter];
      filters.splice(place < 0 ? filters.length : place, place < 0 ? 0 : 1, made);
      table.setQuery({ filter: filters });
    };
    this.close();
    this.close = openFilterForm(table.root, at, { columns, column, filter }, done, () => table.focus());
  }

  /** The active cell as a whole. */
  cell() {
    const { table } = this;
    const { row, column } = table.selection.active;
    const value = table.data.cell(row, column);
    if (value === undefined) return;
    const about = table.data.columns.get(column);
    const shown = cellText(value, about?.kind);
    const cell = {
      title: `${columnName(about, column)}, row ${labelText(table.data.label(row, column))}`,
      about: about?.dtype ?? "",
      text: shown.missing ? shown.text : wholeText(value),
      missing: shown.missing,
    };
    const origin = table.root.getBoundingClientRect();
    const box = this._boxOf(row, column);
    this.close();
    this.close = openCellWindow(table.root, { left: box.left - origin.left, top: box.bottom - origin.top }, cell, () => table.focus());
  }

  /** The menu of a header (row -1) or of the cells selected; at the pointer, or below the cell. */
  menu(row, column, event) {
    const { table } = this;
    const box = this._boxOf(row, column);
    if (row < 0) table.selection.moveTo(-1, column);
    table.inspect(column);
    table.draw();
    table.focus();
    openContextMenu(table.root, columnMenu(table, row, column, box), event?.clientX ?? box.left, event?.clientY ?? box.bottom);
  }

  _boxOf(row, column) {
    const { view } = this.table;
    const place = view.placeOf(row, column);
    const layer = view.layer.getBoundingClientRect();
    return { left: layer.left + place.left, bottom: layer.top + place.top + (row < 0 ? UNDER_NAME : LINE_HEIGHT) };
  }
}
