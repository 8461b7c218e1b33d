/**
 * What the columns hold: fetched for the columns in view once scrolling stops, and shown at the side.
 *
 * Rules: one request at a time, for columns in view that have no summary yet; a new query or a changed table
 * forgets all of them.
 */

import { h, svg, setText, placeChildren, icon, hasFocus, focusable } from "./dom.js";
import { formatCount, formatNumber, formatShare } from "./format.js";
import { columnName, kindMark, KINDS } from "./columns.js";
import { cellText, wholeText } from "./cells.js";
import { queryContent } from "./grid_data.js";
import { readValue } from "./filter_words.js";

const SETTLED = 150;
const MOST_COLUMNS = 50;

export class SummaryData {
  /** @param {function(): void} onUpdate */
  constructor(transport, source, onUpdate) {
    this.transport = transport;
    this.source = source;
    this.onUpdate = onUpdate;
    this.known = new Map();
    /** Those known that are of the table before it changed. */
    this.old = new Set();
    this.again = false;
    this.query = null;
    this.sampled = null;
    this.wanted = [];
    this.controller = null;
    this.timer = 0;
    this.unsupported = false;
  }

  /** Forget all; further ones are of `query`. */
  reset(query) {
    this.stop();
    this.query = query;
    this.sampled = null;
    this.known.clear();
    this.old.clear();
    this.again = false;
  }

  /** The table changed. What is under way comes first, or of one that keeps changing nothing would. */
  refresh() {
    for (const column of this.known.keys()) this.old.add(column);
    this.again = this.controller !== null;
  }

  /** Nobody looks: what was asked may come, and nothing more is asked for. */
  rest() {
    clearTimeout(this.timer);
    this.wanted = [];
  }

  stop() {
    this.rest();
    this.controller?.abort();
    this.controller = null;
  }

  /** Say which columns are in view. */
  want(columns) {
    const missing = columns.filter((column) => this.lacks(column)).slice(0, MOST_COLUMNS);
    if (missing.join() === this.wanted.join()) return;
    this.wanted = missing;
    clearTimeout(this.timer);
    if (missing.length && !this.unsupported) this.timer = setTimeout(() => this._send(), SETTLED);
  }

  /** Whether a column has to be asked for. */
  lacks(column) {
    return !this.known.has(column) || this.old.has(column);
  }

  async _send() {
    if (this.controller || !this.wanted.length) return;
    const from = this.wanted[0];
    let to = from;
    while (this.wanted.includes(to)) to += 1;
    const controller = (this.controller = new AbortController());
    const { filter, search } = this.query;
    const content = { ...this.source, columns: [from, to], ...queryContent({ sort: [], filter, search }) };
    try {
      const { content: reply } = await this.transport.request("summarize", content, { signal: controller.signal });
      if (controller !== this.controller) return;
      this.sampled = reply.sampled;
      for (const summary of reply.summaries) this.known.set(summary.position, summary);
      const told = new Set(reply.summaries.map((summary) => summary.position));
      for (let column = from; column < to; column += 1) if (!told.has(column)) this.known.set(column, null);
    } catch (error) {
      if (controller !== this.controller) return;
      if (error.code === "unknown_operation") this.unsupported = true;
      for (let column = from; column < to; column += 1) this.known.set(column, { position: column, error: error.message });
    }
    this.controller = null;
    for (let column = from; column < to && !this.again; column += 1) this.old.delete(column);
    this.wanted = this.again ? [] : this.wanted.filter((column) => this.lacks(column));
    this.again = false;
    this.onUpdate();
    this._send();
  }
}

/** The side pane: statistics of one column. */
export class StatisticsPane {
  /**
   * @param {function(Array<object>): void} onFilter  filters to add
   * @param {function(): void} onClose
   */
  constructor(onFilter, onClose) {
    this.onFilter = onFilter;
    this.shown = null;
    this.title = h("div", { class: "snk-t-stat-title" });
    this.content = h("div", { class: "snk-t-stat-content" });
    const close = h("button", { class: "snk-t-button snk-t-bare", type: "button", "aria-label": "Close statistics", onClick: onClose }, icon("close"));
    this.element = h("aside", { class: "snk-t-stat", "aria-label": "Statistics of the column", hidden: true }, h("div", { class: "snk-t-stat-head" }, this.title, close), this.content);
  }

  /**
   * @param {number} position
   * @param {object|undefined} column
   * @param {object|null|undefined} summary  undefined while it is not here
   * @param {object|null} sampled
   */
  show(position, column, summary, sampled) {
    const shown = [position, column, summary, sampled];
    if (this.shown && shown.every((part, n) => part === this.shown[n])) return;
    // While it is fetched anew, the last stays, so that what is pointed at does not move away.
    const stays = summary === undefined && this.shown?.[0] === position && this.shown[1]?.dtype === column?.dtype;
    this.content.classList.toggle("snk-t-stale", stays);
    if (stays) return;
    this.shown = shown;
    const focused = hasFocus(this.content);
    this.title.replaceChildren(
      column ? kindMark(column.kind) : "",
      h("div", null, h("div", { class: "snk-t-stat-name" }, columnName(column, position)), h("div", { class: "snk-t-muted" }, column ? `${column.dtype} · ${(KINDS[column.kind] ?? KINDS.other).word.toLowerCase()}` : "")),
    );
    placeChildren(this.content, this._parts(position, column, summary, sampled));
    if (focused) (focusable(this.content)[0] ?? focusable(this.element)[0])?.focus({ preventScroll: true });
  }

  _parts(position, column, summary, sampled) {
    if (!column || summary === undefined) return [h("div", { class: "snk-t-muted" }, "Looking at the column…")];
    if (summary === null) return [h("div", { class: "snk-t-muted" }, "Nothing is known: the time for it was up.")];
    if (summary.error) return [h("div", { class: "snk-t-problem" }, `No statistics: ${summary.error}`)];
    const parts = [];
    if (sampled) parts.push(h("div", { class: "snk-t-note" }, `From a sample of ${formatCount(sampled.rows)} of ${formatCount(sampled.of)} rows`));
    if (summary.histogram) parts.push(new Histogram(summary.histogram, column.kind, (filters) => this.onFilter(filters), position).element);
    parts.push(factList(summary, column.kind));
    if (summary.top?.length) parts.push(...this._top(position, column, summary));
    return parts;
  }

  _top(position, column, summary) {
    const most = Math.max(...summary.top.map(([, count]) => count), 1);
    const rows = summary.top.map(([value, count]) => {
      const wanted = filterValue(value, column.kind);
      const { text, missing } = cellText(wanted, column.kind);
      const pick = () => this.onFilter([{ column: position, op: "eq", value: wanted }]);
      return h(
        "button",
        { class: "snk-t-top", type: "button", title: `${wholeText(value)}: ${formatCount(count)}, filter by it`, onClick: pick },
        h("span", { class: "snk-t-top-bar", style: { width: `${(100 * count) / most}%` } }),
        h("span", { class: missing ? "snk-t-top-text snk-t-muted" : "snk-t-top-text" }, text),
        h("span", { class: "snk-t-top-count" }, `${formatCount(count)} · ${formatShare(count, summary.count)}`),
      );
    });
    return [h("div", { class: "snk-t-stat-label" }, "Most frequent"), h("div", { class: "snk-t-tops" }, rows)];
  }
}

/** A value of a summary as a filter wants it: many are texts, whatever the column's kind. */
function filterValue(value, kind) {
  return typeof value === "string" ? readValue(value, kind).value ?? value : value;
}

function factList(summary, kind) {
  const total = summary.count + summary.missing;
  const quantiles = summary.quantiles ?? {};
  const facts = [
    ["Present", formatCount(summary.count)],
    ["Missing", summary.missing ? `${formatCount(summary.missing)} · ${formatShare(summary.missing, total)}` : "0"],
    ["Distinct", summary.distinct === null || summary.distinct === undefined ? "" : formatCount(summary.distinct)],
    ["True", summary.true === null || summary.true === undefined ? "" : `${formatCount(summary.true)} · ${formatShare(summary.true, summary.count)}`],
    ["False", summary.false === null || summary.false === undefined ? "" : `${formatCount(summary.false)} · ${formatShare(summary.false, summary.count)}`],
    null,
    ["Mean", factText(summary.mean, kind)],
    ["Standard deviation", factText(summary.std, kind)],
    null,
    ["Minimum", factText(summary.min, kind)],
    ["25 %", factText(quantiles["0.25"], kind)],
    ["Median", factText(quantiles["0.5"], kind)],
    ["75 %", factText(quantiles["0.75"], kind)],
    ["Maximum", factText(summary.max, kind)],
  ].filter((fact) => fact === null || fact[1] !== "");
  const list = h("dl", { class: "snk-t-facts" });
  facts.forEach((fact, n) => {
    if (fact) list.append(h("dt", null, fact[0]), h("dd", { title: fact[1] }, fact[1]));
    else if (n && facts[n - 1] && n < facts.length - 1) list.append(h("div", { class: "snk-t-facts-line" }));
  });
  return list;
}

/** A statistic as text; numbers are rounded for reading, and grouped from 10 000 on: 2013 is likely a year. */
function factText(value, kind) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return cellText(value, kind).text;
  return formatNumber(value).replace(/^(-?\d)\u202f(\d{3})(?=\.|$)/, "$1$2");
}

/** A histogram with what is under the pointer in words; a bar filters by its range. */
class Histogram {
  constructor({ edges, counts }, kind, onFilter, column) {
    this.edges = edges;
    this.counts = counts;
    this.kind = kind;
    this.most = Math.max(...counts, 1);
    this.total = counts.reduce((sum, count) => sum + count, 0);
    this.words = h("div", { class: "snk-t-hist-words", "aria-live": "polite" });
    const bars = counts.map((_, n) => this._bar(n, () => onFilter(this.filters(column, n))));
    const plot = svg("svg", { class: "snk-t-hist", viewBox: `0 0 ${counts.length * 10} 100`, preserveAspectRatio: "none", role: "group", "aria-label": "Histogram" }, bars);
    const ends = h("div", { class: "snk-t-hist-ends" }, h("span", null, factText(edges[0], kind)), h("span", null, factText(edges.at(-1), kind)));
    this.element = h("div", { class: "snk-t-hist-box", onPointerleave: () => this._tell(-1) }, this.words, plot, ends);
    this._tell(-1);
  }

  _bar(n, pick) {
    const high = this.counts[n] ? Math.max((100 * this.counts[n]) / this.most, 1.5) : 0;
    const tell = () => this._tell(n);
    const onKeydown = (event) => {
      const moves = { ArrowLeft: n - 1, ArrowRight: n + 1 };
      if (event.key === "Enter" || event.key === " ") pick();
      else if (event.key in moves) this.element.querySelectorAll(".snk-t-hist-bin")[moves[event.key]]?.focus();
      else return;
      event.preventDefault();
    };
    return svg(
      "g",
      { class: "snk-t-hist-bin", role: "button", tabindex: n ? "-1" : "0", "aria-label": this._binWords(n), onPointerenter: tell, onFocus: tell, onClick: pick, onKeydown },
      svg("rect", { class: "snk-t-hist-area", x: n * 10, y: 0, width: 10, height: 100 }),
      svg("rect", { class: "snk-t-hist-bar", x: n * 10 + 0.5, y: 100 - high, width: 9, height: high }),
    );
  }

  _binWords(n) {
    const close = n === this.counts.length - 1 ? "to" : "to below";
    return `${factText(this.edges[n], this.kind)} ${close} ${factText(this.edges[n + 1], this.kind)}: ${formatCount(this.counts[n])} (${formatShare(this.counts[n], this.total)})`;
  }

  _tell(n) {
    setText(this.words, n < 0 ? "Click a bar to filter by it" : this._binWords(n));
  }

  /** Bars hold their lower edge; the last one its upper edge too. */
  filters(column, n) {
    const last = n === this.counts.length - 1;
    return [
      { column, op: "ge", value: filterValue(this.edges[n], this.kind) },
      { column, op: last ? "le" : "lt", value: filterValue(this.edges[n + 1], this.kind) },
    ];
  }
}
