/**
 * Column headers of the grid: kind, name, dtype, sort mark, tiny histogram, and the column's menu.
 *
 * Rules: a header is an element made once and filled again as columns scroll by; it changes only where
 * what it shows differs.
 */

import { h, svg, setAttribute, setText, icon, freshId } from "./dom.js";
import { labelText } from "./cells.js";
import { formatShare } from "./format.js";
import { sparkline } from "./sparkline.js";

/** What each kind is called, and the mark in front of the name. */
export const KINDS = {
  integer: { word: "Whole numbers", mark: "123" },
  number: { word: "Numbers", mark: "1.2" },
  text: { word: "Text", mark: "abc" },
  boolean: { word: "True or false", mark: "T/F" },
  datetime: { word: "Dates and times", path: "M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 2v3M10.5 2v3" },
  duration: { word: "Durations", path: "M8 14a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM8 5.5V8.5l2 1.5" },
  category: { word: "Categories", path: "M2.5 2.5h5l6 6-5 5-6-6zM5.2 5.2h.01" },
  other: { word: "Objects", path: "M8 2.2l5 2.9v5.8l-5 2.9-5-2.9V5.1zM3 5.1L8 8l5-2.9M8 8v5.8" },
};

/** The mark of a kind. */
export function kindMark(kind) {
  const { mark, path } = KINDS[kind] ?? KINDS.other;
  if (mark) return h("span", { class: "snk-t-kind", "aria-hidden": "true" }, mark);
  return svg("svg", { class: "snk-t-kind", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: path }));
}

/** Kinds whose cells line up on the right. */
export function isNumeric(kind) {
  return kind === "integer" || kind === "number" || kind === "duration";
}

/** A column's name as shown: never empty, so that it can be seen and clicked. */
export function columnName(column, position) {
  if (!column) return "";
  return labelText(column.name).trim() || `column ${position}`;
}

/** One header cell. */
export class HeaderCell {
  constructor() {
    this.position = -1;
    this.told = "";
    this.mark = h("span", { class: "snk-t-head-mark" });
    this.name = h("span", { class: "snk-t-head-name" });
    this.sort = h("span", { class: "snk-t-head-sort", "aria-hidden": "true" });
    this.menu = h("span", { class: "snk-t-head-menu", title: "Column menu", "aria-hidden": "true" }, icon("more"));
    this.dtype = h("span", { class: "snk-t-head-dtype" });
    this.missing = h("span", { class: "snk-t-head-missing" });
    this.plot = h("span", { class: "snk-t-head-plot", "aria-hidden": "true" });
    this.grip = h("span", { class: "snk-t-head-grip", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: "snk-t-head", role: "columnheader", id: freshId("snk-t-head") },
      h("div", { class: "snk-t-head-line" }, this.mark, this.sort, this.name, this.menu),
      h("div", { class: "snk-t-head-line snk-t-head-second" }, this.dtype, this.missing),
      this.plot,
      this.grip,
    );
  }

  /**
   * @param {number} position
   * @param {object|undefined} column  undefined while it is not here
   * @param {{order: "ascending"|"descending", key: number, keys: number}|null} sorted
   * @param {object|null|undefined} summary
   * @param {boolean} filtered
   */
  fill(position, column, sorted, summary, filtered) {
    const told = JSON.stringify([position, column, sorted, filtered]);
    if (told !== this.told) {
      this.told = told;
      if (this.position !== position) this._summarise(null);
      this.position = position;
      this.element.classList.toggle("snk-t-wait", !column);
      this.element.classList.toggle("snk-t-right", !!column && isNumeric(column.kind));
      this.element.classList.toggle("snk-t-filtered", filtered);
      this.mark.replaceChildren(...(column ? [kindMark(column.kind)] : []));
      setText(this.name, columnName(column, position));
      setText(this.dtype, column?.dtype ?? "");
      setText(this.sort, sorted ? `${sorted.order === "ascending" ? "↑" : "↓"}${sorted.keys > 1 ? sorted.key + 1 : ""}` : "");
      setAttribute(this.element, "aria-colindex", position + 2);
      setAttribute(this.element, "aria-sort", sorted?.order ?? "none");
      setAttribute(this.element, "title", column ? `${columnName(column, position)} (${column.dtype})` : null);
    }
    // While a new one is fetched, the last stays: the header would flicker with every filter.
    if (summary !== undefined && summary !== this.summary) this._summarise(summary);
  }

  _summarise(summary) {
    this.summary = summary;
    this.plot.replaceChildren(...(summary ? [sparkline(summary)] : []));
    const some = summary && summary.missing > 0;
    const share = some ? formatShare(summary.missing, summary.count + summary.missing) : "";
    setText(this.missing, some ? `${share} NA` : "");
    setAttribute(this.missing, "title", some ? `${share} missing` : null);
  }
}

/** The menu of a column, or of the cells selected in it. */
export function columnMenu(table, row, column, box) {
  const name = columnName(table.data.columns.get(column), column);
  const items = [
    { label: "Sort ascending", run: () => table.sortOnly(column, false) },
    { label: "Sort descending", run: () => table.sortOnly(column, true) },
    { label: "Do not sort", run: () => table.setQuery({ sort: [] }) },
    null,
    { label: "Filter…", run: () => table.windows.filter(box, column) },
    { label: "Statistics", run: () => table.showStatistics(true) },
    null,
    { label: "Fit width", run: () => table.fit(column) },
    { label: "Hide column", run: () => table.hide(column) },
    null,
  ];
  if (row < 0) return [...items, { label: "Copy name", hint: name.length > 24 ? `${name.slice(0, 23)}…` : name, run: () => table.copy(false) }];
  return [
    ...items,
    { label: "Show the whole cell", hint: "Enter", run: () => table.windows.cell() },
    { label: "Copy", hint: "Ctrl+C", run: () => table.copy(false) },
    { label: "Copy with names", hint: "Ctrl+Shift+C", run: () => table.copy(true) },
  ];
}
