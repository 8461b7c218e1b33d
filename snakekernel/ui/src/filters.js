/**
 * The bar above the grid: search, filters as chips, what the table holds; and the form that makes a filter.
 *
 * Rules: the bar shows the query it is given and tells what the person wants of it; it holds no query itself.
 */

import { h, setAttribute, setText, placeChildren, icon, debounce, trapFocus, freshId } from "./dom.js";
import { formatCount, plural } from "./format.js";
import { columnName } from "./columns.js";
import { canMatchCase, chipsOf, opsOf, readFilter, typedTexts, valuesOf } from "./filter_words.js";

const SEARCH_WAIT = 300;
const MOST_SUGGESTED = 500;

export class FilterBar {
  /**
   * @param {object} asks
   * @param {function(string): void} asks.onSearch
   * @param {function(Array): void} asks.onFilters  the filters from now on
   * @param {function(HTMLElement, object|null, number): void} asks.onEdit  show the form beside an element, for a filter and the place it has
   * @param {function(number): void} asks.onRow  go to a row
   * @param {function(): void} asks.onStatistics
   * @param {function(): void} asks.onUnhide
   * @param {function(): void} asks.onAllRows  no sample, however long it takes
   */
  constructor(asks) {
    this.asks = asks;
    this.filters = [];
    const search = debounce(() => asks.onSearch(this.search.value), SEARCH_WAIT);
    this.search = h("input", {
      class: "snk-t-search", type: "search", placeholder: "Search all columns", "aria-label": "Search all columns", spellcheck: "false",
      onInput: search, onKeydown: (event) => event.key === "Enter" && asks.onSearch(this.search.value),
    });
    this.add = h("button", { class: "snk-t-button", type: "button", onClick: () => asks.onEdit(this.add, null, -1) }, icon("filter"), "Add filter");
    this.clear = h("button", { class: "snk-t-link", type: "button", hidden: true, onClick: () => this._clearAll() }, "Clear all");
    /** The last chip and what clears all of them, which never stands alone on a line. */
    this.tail = h("span", { class: "snk-t-chips-tail", role: "presentation" }, this.clear);
    this.chips = h("div", { class: "snk-t-chips", role: "list", "aria-label": "Filters" }, this.tail);
    this.hiddenOnes = h("button", { class: "snk-t-link", type: "button", hidden: true, onClick: asks.onUnhide });
    this.sample = h("span", { class: "snk-t-note" });
    this.all = h("button", { class: "snk-t-link", type: "button", title: "Sort and filter all rows; it may take a minute", onClick: asks.onAllRows }, "Use all rows");
    this.sampled = h("span", { class: "snk-t-sampled", hidden: true }, this.sample, this.all);
    this.count = h("span", { class: "snk-t-count", role: "status" });
    this.row = h("input", { class: "snk-t-row-field", type: "text", inputmode: "numeric", placeholder: "Go to row", "aria-label": "Go to row number", onKeydown: (event) => this._goTo(event) });
    this.statistics = h("button", { class: "snk-t-button", type: "button", "aria-pressed": "false", onClick: asks.onStatistics }, icon("figure"), "Statistics");
    this.element = h(
      "div",
      { class: "snk-t-bar", role: "group", "aria-label": "Search and filters" },
      h("div", { class: "snk-t-bar-query" }, h("span", { class: "snk-t-search-box" }, icon("search"), this.search), this.add, this.chips),
      h("div", { class: "snk-t-bar-facts" }, this.hiddenOnes, this.sampled, this.count, this.row, this.statistics),
    );
  }

  /** Show a query, and what the table says of itself. */
  update({ query, totals, columns, hiddenCount, statistics, patient }) {
    this.filters = query.filter;
    if (document.activeElement !== this.search && this.search.value !== query.search) this.search.value = query.search;
    const told = JSON.stringify([query.filter, query.filter.map((one) => columns.get(one.column)?.name ?? null)]);
    if (told !== this.told) {
      this.told = told;
      const columnOf = (position) => ({ name: columnName(columns.get(position), position) || `column ${position}`, kind: columns.get(position)?.kind });
      const chips = chipsOf(query.filter, columnOf).map((chip) => this._chip(chip));
      placeChildren(this.tail, [...chips.slice(-1), this.clear]);
      placeChildren(this.chips, [...chips.slice(0, -1), this.tail]);
    }
    this.clear.hidden = !query.filter.length && !query.search;
    this.hiddenOnes.hidden = !hiddenCount;
    setText(this.hiddenOnes, `Show ${plural(hiddenCount, "hidden column")}`);
    setText(this.count, totals ? countText(totals) : "");
    this.sampled.hidden = !totals?.sampled;
    this.all.hidden = patient;
    if (totals?.sampled) setText(this.sample, `Sample of ${formatCount(totals.sampled.rows)} of ${plural(totals.sampled.of, "row")}`);
    setAttribute(this.statistics, "aria-pressed", statistics);
  }

  _chip({ text, from, count, filter }) {
    const edit = () => this.asks.onEdit(chip, count === 1 ? filter : null, from);
    const remove = () => {
      this.asks.onFilters(this.filters.filter((_, n) => n < from || n >= from + count));
      this.add.focus();
    };
    const label = h("button", { class: "snk-t-chip-text", type: "button", title: text, onClick: edit, disabled: count > 1 }, text);
    const chip = h("span", { class: "snk-t-chip", role: "listitem" }, label, h("button", { class: "snk-t-chip-close", type: "button", "aria-label": `Remove filter: ${text}`, onClick: remove }, icon("close")));
    return chip;
  }

  _clearAll() {
    this.search.value = "";
    this.asks.onSearch("");
    this.asks.onFilters([]);
    this.search.focus();
  }

  _goTo(event) {
    if (event.key !== "Enter") return;
    const row = Number(this.row.value.replace(/[\s,_]/g, ""));
    const good = this.row.value.trim() !== "" && Number.isInteger(row) && row >= 0;
    setAttribute(this.row, "aria-invalid", good ? null : "true");
    if (good) this.asks.onRow(row);
  }
}

/** "1 234 of 336 776 rows × 19 columns". */
function countText({ rows, matched, columns }) {
  const shown = matched === rows ? plural(rows, "row") : `${formatCount(matched)} of ${plural(rows, "row")}`;
  return `${shown} × ${plural(columns, "column")}`;
}

/**
 * A form for one filter, as a small window within `root`.
 *
 * @param {HTMLElement} root
 * @param {{left: number, top: number}} at
 * @param {object} given
 * @param {Map<number, object>} given.columns  those seen so far
 * @param {number} given.column  chosen at first
 * @param {object|null} given.filter  to change
 * @param {function(object): void} onDone
 * @param {function(): void} onClose  gives the focus back
 */
export function openFilterForm(root, at, { columns, column, filter }, onDone, onClose) {
  const names = new Map();
  for (const [position, one] of columns) {
    const name = columnName(one, position);
    names.set(names.has(name) ? `${name} (${position})` : name, position);
  }
  const nameOf = (wanted) => [...names].find(([, position]) => position === wanted)?.[0] ?? "";
  let chosen = filter?.column ?? column;
  const suggestions = h("datalist", { id: freshId("snk-t-names") }, [...names.keys()].slice(0, MOST_SUGGESTED).map((name) => h("option", { value: name })));
  const field = h("input", { class: "snk-t-field", type: "text", list: suggestions.id, value: nameOf(chosen), "aria-label": "Column", spellcheck: "false" });
  const op = h("select", { class: "snk-t-field", "aria-label": "Condition" });
  const first = h("input", { class: "snk-t-field", type: "text", "aria-label": "Value", spellcheck: "false" });
  const second = h("input", { class: "snk-t-field", type: "text", "aria-label": "Upper value", spellcheck: "false" });
  const truth = h("select", { class: "snk-t-field", "aria-label": "Value" }, h("option", { value: "True" }, "True"), h("option", { value: "False" }, "False"));
  const matchCase = h("input", { type: "checkbox", checked: !!filter?.case });
  const caseLine = h("label", { class: "snk-t-check" }, matchCase, "Match case");
  const problem = h("div", { class: "snk-t-problem", role: "alert" });
  const kind = () => columns.get(chosen)?.kind ?? "other";

  const showValues = () => {
    const count = valuesOf(op.value);
    truth.hidden = kind() !== "boolean" || !count;
    first.hidden = !truth.hidden || !count;
    second.hidden = count !== 2;
    caseLine.hidden = !canMatchCase(op.value);
    first.placeholder = count === Infinity ? "a, b, c" : count === 2 ? "From" : kind() === "datetime" ? "2013-01-31" : "Value";
    second.placeholder = "To";
  };
  const showOps = () => {
    op.replaceChildren(...opsOf(kind()).map(([value, words]) => h("option", { value }, words)));
    if (filter && chosen === filter.column) op.value = filter.op;
    showValues();
  };
  const close = (focusBack) => {
    untrap();
    document.removeEventListener("pointerdown", outside, true);
    form.remove();
    if (focusBack) onClose();
  };
  const outside = (event) => {
    if (!form.contains(event.target)) close(false);
  };
  const done = (event) => {
    event.preventDefault();
    if (!names.has(field.value)) {
      setText(problem, "No column of that name has been seen. Scroll to it, or use its menu.");
      return;
    }
    const texts = [truth.hidden ? first.value : truth.value, second.value];
    const read = readFilter(chosen, kind(), op.value, texts, matchCase.checked);
    if ("error" in read) {
      setText(problem, read.error);
      first.focus();
      return;
    }
    close(true);
    onDone(read.filter);
  };
  field.addEventListener("input", () => {
    if (!names.has(field.value)) return;
    chosen = names.get(field.value);
    showOps();
  });
  op.addEventListener("change", showValues);
  const form = h(
    "form",
    { class: "snk-t-window snk-t-filter-form", role: "dialog", "aria-label": filter ? "Change filter" : "Add filter", onSubmit: done },
    field, suggestions, op, truth, first, second, caseLine, problem,
    h("div", { class: "snk-t-window-ends" }, h("button", { class: "snk-t-button", type: "button", onClick: () => close(true) }, "Cancel"), h("button", { class: "snk-t-button snk-t-main", type: "submit" }, "Apply")),
  );
  form.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close(true);
  });
  const untrap = trapFocus(form);
  document.addEventListener("pointerdown", outside, true);
  root.append(form);
  showOps();
  if (filter) {
    [first.value, second.value] = typedTexts(filter);
    truth.value = first.value || "True";
  }
  form.style.left = `${Math.max(4, Math.min(at.left, root.clientWidth - form.offsetWidth - 8))}px`;
  form.style.top = `${Math.max(4, Math.min(at.top, root.clientHeight - form.offsetHeight - 8))}px`;
  const start = column >= 0 || filter ? (truth.hidden ? (first.hidden ? op : first) : truth) : field;
  start.focus();
  return () => close(false);
}
