/**
 * A table as a view of its own: bar, grid and statistics, over one object in the kernel.
 *
 * Rules: everything is drawn once per frame at most; what scrolls by in a hurry is not fetched; the query is
 * held by `TableData` alone, and bar, headers and statistics are drawn from it.
 */

import { h, perFrame, hasFocus, copyText } from "./dom.js";
import { PLAIN_QUERY, TableData, queryText } from "./grid_data.js";
import { GridView } from "./grid_view.js";
import { GridKeys } from "./grid_keys.js";
import { Selection, copyRange } from "./selection.js";
import { FilterBar } from "./filters.js";
import { SummaryData, StatisticsPane } from "./summary.js";
import { Notices } from "./table_notices.js";
import { TableWindows } from "./table_windows.js";
import { ColumnFit } from "./column_fit.js";
import { labelText } from "./cells.js";
import { TableLife } from "./table_life.js";

const HURRY = 60;
const RESYNC = 140;

/**
 * Show a table.
 *
 * @param {HTMLElement} element  filled wholly; give it a height
 * @param {object} transport
 * @param {string|Array} target  of the protocol
 * @param {{sessionId?: string|null, title?: string, onClose?: function(): void}} [options]
 * @returns {{dispose(): void, resized(): void}}
 */
export function mountTable(element, transport, target, options = {}) {
  const table = new MountedTable(element, transport, target, options);
  return { dispose: () => table.dispose(), resized: () => table.resized() };
}

class MountedTable {
  constructor(element, transport, target, { sessionId = null, title = "The table", onClose = null }) {
    this.target = target;
    this.sessionId = sessionId;
    this.transport = transport;
    this.title = title;
    this.selection = new Selection();
    this.chosenWidths = new Set();
    this.hidden = new Set();
    this.inspected = -1;
    this.windows = new TableWindows(this);
    this.lastPlace = 0;
    this.hurry = 0;
    this.moved = true;
    /** Whether the column looked at has to come into view, which the pane made smaller. */
    this.revealing = false;
    this.life = new TableLife(this);
    this.data = new TableData(transport, target, sessionId, (what) => this._dataChanged(what));
    this.summaries = new SummaryData(transport, this.data.source, () => this.draw());
    this.summaries.reset(PLAIN_QUERY);
    this.view = new GridView(this.data, this._look());
    this.fits = new ColumnFit(this.data, this.view);
    this.notices = new Notices({ onRetry: () => this.life.retry(), onStop: () => this.data.stop(), onUndo: () => this.data.undo(), onClose });
    this.pane = new StatisticsPane((filters) => this.addFilters(filters), () => this.showStatistics(false));
    this.bar = new FilterBar({
      onSearch: (search) => this.setQuery({ search }),
      onFilters: (filter) => this.setQuery({ filter }),
      onEdit: (beside, filter, from) => this.windows.filter(beside.getBoundingClientRect(), Math.max(this.selection.active.column, 0), filter, from),
      onRow: (row) => this.goToRow(row),
      onStatistics: () => this.showStatistics(this.pane.element.hidden),
      onUnhide: () => this._unhide(),
      onAllRows: () => this.data.takeYourTime(),
    });
    const main = h("div", { class: "snk-t-table-main" }, this.view.scroller, this.pane.element);
    // Lumino's commands would take arrows and letters away from a grid within a notebook.
    this.root = h("div", { class: "snk-panel snk-table", "data-lm-suppress-shortcuts": "true" }, this.bar.element, this.notices.element, main, this.notices.told);
    this.view.scroller.setAttribute("aria-label", title);
    element.append(this.root);
    this.draw = perFrame(() => this._frame());
    this.view.scroller.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this.view.scroller.addEventListener("focus", this.draw);
    this.keys = new GridKeys(this);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.view.scroller);
    this.life.begin();
    this.resized();
    this.data.want([0, 1], [0, 1]);
  }

  _look() {
    const { selection, data } = this;
    return {
      get active() {
        return selection.active;
      },
      inspected: -1,
      selected: (row, column) => selection.has(row, column),
      sorted: (column) => {
        const key = data.query.sort.findIndex((one) => one.column === column);
        return key < 0 ? null : { order: data.query.sort[key].descending ? "descending" : "ascending", key, keys: data.query.sort.length };
      },
      summary: (column) => this.summaries.known.get(column),
      filtered: (column) => data.query.filter.some((one) => one.column === column),
    };
  }

  /** The element got another size, was shown or hidden. */
  resized() {
    this.moved = true;
    this.draw();
  }

  dispose() {
    this.life.dispose();
    this.observer.disconnect();
    this.draw.cancel();
    clearTimeout(this.hurry);
    clearTimeout(this.resync);
    this.windows.close();
    this.notices.dispose();
    this.summaries.stop();
    this.data.dispose();
    this.root.remove();
  }

  _scrolled() {
    clearTimeout(this.resync);
    this.resync = setTimeout(() => {
      this.view.scrolled();  // its event may not have come yet
      this.view.scrollTo();
    }, RESYNC);
    this.view.scrolled();
    this.draw();
  }

  _frame() {
    if (this.data.disposed) return;
    if (this.moved) {
      this.moved = false;
      this.view.measure();
      if (this.revealing) this.view.reveal(-1, this.inspected);
      this.revealing = false;
    }
    this.life.see(this.view.layerHeight > 0 && document.visibilityState !== "hidden");
    if (!this.life.seen) return;
    const { column } = this.selection.active;
    const shown = this.view.shows(column);
    if (this.fits.fitVisible(this.chosenWidths, this.hidden)) {
      this.view.measure();
      if (shown) this.view.reveal(-1, column);  // columns before it may have become wider
    }
    this.view.draw();
    this._fetch();
    const { query, totals, columns } = this.data;
    const statistics = !this.pane.element.hidden;
    this.bar.update({ query, totals, columns, hiddenCount: this.hidden.size, statistics, patient: this.data.patient });
    if (statistics) this._showPane();
  }

  /** Ask for what is in view; not while it flies by. */
  _fetch() {
    const place = this.view.rows.place + this.view.across.place;
    const far = Math.abs(place - this.lastPlace) > 3 * Math.max(this.view.high, this.view.wide);
    this.lastPlace = place;
    clearTimeout(this.hurry);
    if (far) {
      this.hurry = setTimeout(() => this._fetch(), HURRY);
      return;
    }
    const { rows, columns } = this.view.visible();
    if (!this.data.totals || !columns[1] || !this.life.seen || this.life.gone) return;
    const page = rows[1] - rows[0];
    this.data.want([Math.max(rows[0] - page, 0), Math.min(rows[1] + page, this.view.rowCount)], [this.view.firstColumn, this.view.endColumn]);
    const shown = [];
    for (let column = columns[0]; column < columns[1]; column += 1) if (this.data.columns.has(column) && !this.hidden.has(column)) shown.push(column);
    if (!this.pane.element.hidden && this.summaries.lacks(this.inspected) && this.data.columns.has(this.inspected)) {
      if (!shown.includes(this.inspected)) shown.unshift(this.inspected);
    }
    if (!this.data.loading) this.summaries.want(shown);
  }

  /** Nobody looks: ask for nothing further. */
  rest() {
    clearTimeout(this.hurry);
    this.data.rest();
    this.summaries.rest();
  }

  _dataChanged(what) {
    if (what === "totals") {
      this.moved = true;
      this.selection.clamp(this.view.rowCount, this.view.columnCount);
    }
    this.notices.showWork(this.data);
    this.showError();
    if (queryText(this.summaries.query) !== queryText({ ...this.data.query, sort: [] })) this.summarise();
    this.draw();
  }

  showError() {
    const { query, answered, error } = this.data;
    const { gone } = this.life;
    this.notices.showError(gone ?? error, { gone: !!gone, undo: !gone && queryText(query) !== queryText(answered) });
  }

  /** Sum up the columns in view anew. */
  summarise() {
    this.summaries.reset({ ...this.data.query, sort: [] });
  }

  // What bar, headers, keys and menus ask for.

  setQuery(change) {
    this.data.setQuery({ ...this.data.query, ...change });
    this.selection.moveTo(Math.min(this.selection.active.row, 0), this.selection.active.column);
    this.view.scrollTo(0);
    this.draw();
  }

  /** Ascending, descending, not at all; `further` keeps the other keys. */
  sortBy(column, further) {
    const { sort } = this.data.query;
    const at = sort.findIndex((one) => one.column === column);
    const next = at < 0 ? { column, descending: false } : sort[at].descending ? null : { column, descending: true };
    this.selection.moveTo(-1, column);
    if (further) this.setQuery({ sort: at < 0 ? [...sort, next] : sort.flatMap((one, n) => (n !== at ? [one] : next ? [next] : [])) });
    else this.setQuery({ sort: next ? [next] : [] });
    this.selection.moveTo(-1, column);
  }

  sortOnly(column, descending) {
    this.setQuery({ sort: [{ column, descending }] });
  }

  addFilters(filters) {
    const texts = new Set(this.data.query.filter.map((one) => JSON.stringify(one)));
    const further = filters.filter((one) => !texts.has(JSON.stringify(one)));
    if (further.length) this.setQuery({ filter: [...this.data.query.filter, ...further] });
  }

  focus() {
    this.view.scroller.focus({ preventScroll: true });
  }

  focusSearch() {
    this.bar.search.focus();
  }

  focusRowField() {
    this.bar.row.focus();
    this.bar.row.select();
  }

  goToRow(row) {
    this.activate(Math.min(row, this.view.rowCount - 1), Math.max(this.selection.active.column, 0), false);
    this.focus();
  }

  activate(row, column, extend) {
    this.selection.moveTo(row, column, extend);
    this.view.reveal(row, column);
    this.inspect(column);
    this.draw();
  }

  selectAll() {
    this.selection.selectRows(0, this.view.rowCount - 1, Math.max(this.selection.active.column, 0));
    this.draw();
  }

  selectColumn(column) {
    this.selection.selectColumn(column, this.view.rowCount);
    this.draw();
  }

  selectRows(first, last) {
    this.selection.selectRows(Math.max(first, 0), last, Math.max(this.selection.active.column, 0));
    this.draw();
  }

  async copy(withNames) {
    const range = this.selection.range(this.view.columnCount);
    if (this.selection.active.row < 0) {
      const name = labelText(this.data.columns.get(this.selection.active.column)?.name);
      this.notices.say((await copyText(name)) ? "Copied the name" : "The browser did not let the name be copied");
      return;
    }
    const focused = hasFocus(this.root);
    try {
      this.notices.say(await copyRange(this.data, range, (column) => this.hidden.has(column), withNames));
    } catch (error) {
      this.notices.say(`Nothing was copied: ${error.message}`);
    }
    if (focused) this.focus();
  }

  setWidth(column, width) {
    this.chosenWidths.add(column);
    this.view.setWidth(column, width);
    this.moved = true;
    this.draw();
  }

  fit(column) {
    this.chosenWidths.delete(column);
    this.fits.forget(column);
    this.resized();
  }

  hide(column) {
    this.hidden.add(column);
    this.view.setWidth(column, 0);
    this.selection.moveTo(this.selection.active.row, this.view.axis.at(this.view.axis.offset(column)));
    this.resized();
  }

  _unhide() {
    for (const column of this.hidden) this.fits.forget(column);
    this.hidden.clear();
    this.resized();
    this.focus();
  }

  showStatistics(shown) {
    this.pane.element.hidden = !shown;
    this.inspect(Math.max(this.selection.active.column, 0));
    this.resized();
    this.revealing = shown;
    if (!shown) this.focus();
  }

  inspect(column) {
    this.inspected = column;
    this.view.look.inspected = this.pane.element.hidden ? -1 : column;
  }

  _showPane() {
    const column = this.data.columns.get(this.inspected);
    this.pane.show(this.inspected, column, this.summaries.known.get(this.inspected), this.summaries.sampled);
  }
}
