/**
 * Which cells are selected, and how they are copied.
 *
 * Rules: one rectangle, from an anchor to the active cell; row -1 is the header. Copying fetches what is not
 * here block by block, and is bounded: what was left out is said.
 */

import { copyText } from "./dom.js";
import { formatCount, plural } from "./format.js";
import { copiedText, labelText } from "./cells.js";

const MOST_COPIED = 100_000;

export class Selection {
  constructor() {
    this.active = { row: 0, column: 0 };
    this.anchor = { row: 0, column: 0 };
    /** Whole rows or columns, whatever the active cell is. */
    this.whole = null;
  }

  moveTo(row, column, extend = false) {
    this.active = { row, column };
    this.whole = null;
    if (!extend) this.anchor = { row, column };
  }

  /** All of a row, or of everything. */
  selectRows(first, last, column) {
    this.active = { row: last, column };
    this.anchor = { row: first, column };
    this.whole = "rows";
  }

  selectColumn(column, rowCount) {
    this.active = { row: 0, column };
    this.anchor = { row: Math.max(rowCount - 1, 0), column };
    this.whole = "columns";
  }

  /** Half-open ranges. */
  range(columnCount) {
    const rows = [Math.min(this.anchor.row, this.active.row), Math.max(this.anchor.row, this.active.row) + 1];
    const columns = [Math.min(this.anchor.column, this.active.column), Math.max(this.anchor.column, this.active.column) + 1];
    return { rows: [Math.max(rows[0], 0), rows[1]], columns: this.whole === "rows" ? [0, columnCount] : [Math.max(columns[0], 0), columns[1]] };
  }

  has(row, column) {
    if (row < Math.min(this.anchor.row, this.active.row) || row > Math.max(this.anchor.row, this.active.row)) return false;
    if (this.whole === "rows") return true;
    const single = this.anchor.row === this.active.row && this.anchor.column === this.active.column;
    if (single) return false;
    return column >= Math.min(this.anchor.column, this.active.column) && column <= Math.max(this.anchor.column, this.active.column);
  }

  /** Keep within a table that became smaller. */
  clamp(rowCount, columnCount) {
    for (const end of [this.active, this.anchor]) {
      end.row = Math.min(end.row, rowCount - 1);
      end.column = Math.max(Math.min(end.column, columnCount - 1), 0);
    }
  }
}

/**
 * Copy a range as tab-separated text.
 *
 * @param {TableData} data
 * @param {{rows: [number, number], columns: [number, number]}} range
 * @param {function(number): boolean} isHidden  columns to leave out
 * @param {boolean} withNames  the columns' names above, and the rows' labels in front
 * @returns {Promise<string>} what was copied, in words; rejects as a request does
 */
export async function copyRange(data, { rows, columns }, isHidden, withNames) {
  const wanted = [];
  for (let column = columns[0]; column < columns[1] && wanted.length < MOST_COPIED; column += 1) if (!isHidden(column)) wanted.push(column);
  const end = Math.min(rows[1], rows[0] + Math.max(Math.floor(MOST_COPIED / Math.max(wanted.length, 1)), 1));
  const lines = [];
  for (let row = rows[0]; row < end; row += 1) {
    const parts = [];
    for (const column of wanted) {
      const block = await blockOf(data, row, column);
      if (withNames && !parts.length) parts.push(labelText(block.index[row - block.row]));
      parts.push(copiedText(block.data[column - block.column]?.[row - block.row]));
    }
    lines.push(parts.join("\t"));
  }
  if (withNames) lines.unshift(["", ...wanted.map((column) => labelText(data.columns.get(column)?.name))].join("\t"));
  if (!(await copyText(lines.join("\n")))) return "The browser did not let the cells be copied";
  const cells = (end - rows[0]) * wanted.length;
  const told = cells === 1 ? "Copied the cell" : `Copied ${plural(end - rows[0], "row")} × ${plural(wanted.length, "column")}`;
  return end < rows[1] ? `${told}, the first of ${formatCount(rows[1] - rows[0])} rows selected` : told;
}

/** Without a turn of the event loop where the block is here. */
function blockOf(data, row, column) {
  return data.blockAt(row, column) ?? data.page(row, column);
}
