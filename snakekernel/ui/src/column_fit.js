/**
 * Column widths and decimals from what the columns hold.
 *
 * Rules: a column is measured once, from the first block of it that comes; a width that the user chose stays.
 */

import { BLOCK_ROWS } from "./grid_data.js";
import { cellText, decimalsOf, labelText } from "./cells.js";
import { columnName } from "./columns.js";

const PADDING = 18;
const LEAST = 64;
const MOST = 300;
const MOST_LABEL = 220;
/** Room of the kind's mark and the sort arrow beside a name. */
const HEAD_ROOM = 62;

export class ColumnFit {
  constructor(data, view) {
    this.data = data;
    this.view = view;
    this.fitted = new Map();
    this.pen = document.createElement("canvas").getContext("2d");
    this.labelled = "";
  }

  forget(column) {
    this.fitted.delete(column);
  }

  /** Measure columns in view that came. Returns whether a width changed. */
  fitVisible(chosen, hidden) {
    const { rows, columns } = this.view.visible();
    const { fontSize, fontFamily } = getComputedStyle(this.view.scroller);
    this.plain = `${fontSize} ${fontFamily}`;
    this.bold = `600 ${this.plain}`;
    let changed = this._fitLabels(rows[0], columns[0]);
    for (let column = columns[0]; column < columns[1]; column += 1) {
      const about = this.data.columns.get(column);
      if (!about || hidden.has(column)) continue;
      const mark = `${JSON.stringify(about.name)} ${about.dtype}`;
      if (this.fitted.get(column) === mark) continue;
      const block = this.data.blockAt(rows[0], column);
      const values = block?.data[column - block.column];
      if (!values) continue;
      this.fitted.set(column, mark);
      this.view.decimals.set(column, about.kind === "number" ? decimalsOf(values) : 0);
      if (chosen.has(column)) continue;
      this.view.setWidth(column, this._width(about, column, values));
      changed = true;
    }
    return changed;
  }

  _width(about, column, values) {
    const decimals = this.view.decimals.get(column);
    const longest = longestOf(values.slice(0, BLOCK_ROWS).map((value) => cellText(value, about.kind, decimals).text));
    const cells = this._measure(longest, this.plain) + PADDING;
    const name = this._measure(columnName(about, column), this.bold) + HEAD_ROOM;
    return Math.ceil(Math.max(LEAST, Math.min(Math.max(cells, name), MOST)));
  }

  _measure(text, font) {
    this.pen.font = font;
    return this.pen.measureText(text).width;
  }

  _fitLabels(row, column) {
    const block = this.data.blockAt(row, column);
    if (!block) return false;
    const mark = `${block.row}:${block.column}:${block.index.length}:${this.view.rowCount}`;
    if (this.labelled === mark) return false;
    this.labelled = mark;
    const numbered = block.index.every((label) => typeof label === "number");
    const longest = numbered ? String(Math.max(this.view.rowCount - 1, ...block.index)) : longestOf(block.index.map(labelText));
    const width = Math.ceil(Math.max(44, Math.min(this._measure(longest, this.plain) + PADDING, MOST_LABEL)));
    if (width <= this.view.indexWidth && numbered === this.numbered) return false;
    this.numbered = numbered;
    this.view.indexWidth = width;
    return true;
  }
}

function longestOf(texts) {
  return texts.reduce((longest, text) => (text.length > longest.length ? text : longest), "");
}
