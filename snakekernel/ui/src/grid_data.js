/**
 * The cells of one table, fetched in blocks as they come into view.
 *
 * Rules: only blocks asked for by `want` or `page` are requested, at most two at a time; a request that is
 * no longer wanted is aborted, and what it brings is dropped; the cache is bounded in cells, not in blocks.
 */

export const BLOCK_ROWS = 200;
export const BLOCK_COLUMNS = 50;

const MOST_REQUESTS = 2;
const MOST_CELLS = 500_000;
const STALE_SHOWN = 200;

/** Seconds that the kernel gives to one request at most. */
const LONGEST_BUDGET = 60;

/** Two queries are the same where their texts are. */
export function queryText(query) {
  return JSON.stringify([query.sort, query.filter, query.search]);
}

/** What a request takes of a query; nothing where it asks for the table as it is. */
export function queryContent({ sort, filter, search }) {
  return { ...(sort.length ? { sort } : {}), ...(filter.length ? { filter } : {}), ...(search ? { search } : {}) };
}

export const PLAIN_QUERY = Object.freeze({ sort: [], filter: [], search: "" });

export class TableData {
  /**
   * @param {object} transport
   * @param {string|Array} target
   * @param {string|null} sessionId
   * @param {(what: "cells"|"totals"|"state") => void} onUpdate
   */
  constructor(transport, target, sessionId, onUpdate) {
    this.transport = transport;
    this.source = { target, ...(sessionId ? { session_id: sessionId } : {}) };
    this.onUpdate = onUpdate;
    this.query = PLAIN_QUERY;
    /** Whether requests have all the time that the kernel gives. */
    this.patient = false;
    /** The last query that was answered, to go back to. */
    this.answered = PLAIN_QUERY;
    /** What was fetched of it, while a further query waits. */
    this.before = null;
    /** Null until the first reply. */
    this.totals = null;
    this.error = null;
    this.progress = null;
    /** Whether the kernel may still be at a request that was given up: it ends first. */
    this.queued = false;
    this.loading = false;
    this.refreshing = false;
    /** Columns by position, as far as they were seen. */
    this.columns = new Map();
    this.blocks = new Map();
    this.stale = new Map();
    this.cells = 0;
    this.flights = new Map();
    this.failed = new Map();
    this.wanted = [];
    this.again = false;
    this.staleTimer = 0;
    this.disposed = false;
  }

  /** A cell's value, or undefined while it is not here. */
  cell(row, column) {
    const block = this._block(row, column);
    return block?.data[column - block.column]?.[row - block.row];
  }

  /** A row's label, or undefined. */
  label(row, column) {
    const block = this._block(row, column);
    return block?.index[row - block.row];
  }

  /** A row's position in the table as it is unsorted and unfiltered. */
  position(row, column) {
    const block = this._block(row, column);
    return block?.numbers ? block.numbers[row - block.row] : row;
  }

  /** The block that holds a cell, of this query, or undefined. */
  blockAt(row, column) {
    return this.blocks.get(blockKey(Math.floor(row / BLOCK_ROWS), Math.floor(column / BLOCK_COLUMNS)));
  }

  /** The block that holds a cell: of this query, else of the table before it changed. */
  _block(row, column) {
    const key = blockKey(Math.floor(row / BLOCK_ROWS), Math.floor(column / BLOCK_COLUMNS));
    return this.blocks.get(key) ?? this.stale.get(key);
  }

  /** Say what is in view, nearest first; ranges are half-open. */
  want([firstRow, endRow], [firstColumn, endColumn]) {
    const keys = [];
    // Of no rows the first block too: it tells when there are some again.
    for (let r = Math.floor(firstRow / BLOCK_ROWS); r * BLOCK_ROWS < Math.max(endRow, 1); r += 1) {
      for (let c = Math.floor(firstColumn / BLOCK_COLUMNS); c * BLOCK_COLUMNS < endColumn; c += 1) keys.push(blockKey(r, c));
    }
    this.wanted = keys;
    for (const key of keys) this._touch(key);
    for (const [key, flight] of this.flights) {
      if (!flight.kept && !keys.includes(key)) this._abort(key);
    }
    this._pump();
  }

  /** Nobody looks: what was asked may come, and nothing more is asked for. */
  rest() {
    if (this.totals) this.wanted = [];
  }

  /** Sort, filter or search otherwise. */
  setQuery(query) {
    if (queryText(query) === queryText(this.query)) return;
    if (queryText(this.query) === queryText(this.answered)) this.before = { blocks: this.blocks, cells: this.cells };
    this.query = query;
    // For a moment the cells of before stay: most queries are answered before a placeholder could be seen.
    this._restart(new Map(this.blocks));
    clearTimeout(this.staleTimer);
    this.staleTimer = setTimeout(() => {
      if (this.refreshing) return;
      this.stale.clear();
      this.onUpdate("cells");
    }, STALE_SHOWN);
  }

  /** Sort and filter all rows, where the kernel's usual time allowed a sample only. */
  takeYourTime() {
    this.patient = true;
    this._restart(new Map(this.blocks));
  }

  /** The table changed: fetch again what is in view, showing what was until it comes. */
  refresh() {
    this.before = null;
    if (this.refreshing && this.flights.size) {
      this.again = true;  // one that is under way ends first, or a table that keeps changing would never show
      return;
    }
    this.refreshing = true;
    this._restart(new Map([...this.stale, ...this.blocks]));
  }

  /** Go back to the last query that was answered. */
  undo() {
    const { before } = this;
    this.query = this.answered;
    this._restart(new Map(), before ?? undefined);
  }

  /** Stop what is under way: a new query gives way to the last one, else what is missing stays so. */
  stop() {
    if (queryText(this.query) !== queryText(this.answered)) {
      this.undo();
      return;
    }
    for (const key of [...this.flights.keys()]) this._abort(key);
    this.refreshing = false;
    for (const key of this.wanted) if (!this.blocks.has(key)) this.failed.set(key, true);
    this.error = { code: "cancelled", message: "Stopped. Some cells are not here." };
    this._settle();
    this.onUpdate("state");
  }

  /**
   * The block of a row and a column, fetched where it is not here: for copying beyond what is in view.
   *
   * @returns {Promise<object>} rejects as the request does
   */
  async page(row, column) {
    const key = blockKey(Math.floor(row / BLOCK_ROWS), Math.floor(column / BLOCK_COLUMNS));
    const under = this.flights.get(key) ?? this._send(key, true);
    under.kept = true;
    const block = await under.promise;
    if (!block) throw new Error("The table changed meanwhile.");
    return block;
  }

  dispose() {
    this.disposed = true;
    clearTimeout(this.staleTimer);
    for (const key of [...this.flights.keys()]) this._abort(key);
    this.blocks.clear();
    this.stale.clear();
  }

  _restart(stale, { blocks, cells } = { blocks: new Map(), cells: 0 }) {
    for (const key of [...this.flights.keys()]) this._abort(key);
    this.stale = stale;
    this.blocks = blocks;
    this.cells = cells;
    this.failed.clear();
    this.error = null;
    this.again = false;
    this._pump();
    this.onUpdate("state");
  }

  _touch(key) {
    const block = this.blocks.get(key);
    if (!block) return;
    this.blocks.delete(key);
    this.blocks.set(key, block);
  }

  _pump() {
    if (this.disposed) return;
    const keys = this.totals ? this.wanted : this.wanted.slice(0, 1);
    for (const key of keys) {
      if (this.flights.size >= MOST_REQUESTS) break;
      if (!this.blocks.has(key) && !this.flights.has(key) && !this.failed.has(key)) this._send(key, false);
    }
    this._settle();
  }

  _settle() {
    const loading = this.flights.size > 0;
    if (!loading) {
      this.progress = null;
      if (this.refreshing && this.wanted.length && this.wanted.every((key) => this.blocks.has(key) || this.failed.has(key))) {
        this.refreshing = false;
        if (this.wanted.every((key) => this.blocks.has(key))) this.stale.clear();
        if (this.again) this.refresh();
      }
    }
    if (loading !== this.loading) {
      this.loading = loading;
      this.onUpdate("state");
    }
  }

  _abort(key) {
    const flight = this.flights.get(key);
    this.flights.delete(key);
    flight.dropped = true;
    this.queued = true;
    flight.controller.abort();
  }

  _send(key, kept) {
    const [r, c] = key.split(":").map(Number);
    const flight = { controller: new AbortController(), dropped: false, kept, promise: null };
    const content = {
      ...this.source,
      rows: [r * BLOCK_ROWS, (r + 1) * BLOCK_ROWS],
      columns: [c * BLOCK_COLUMNS, (c + 1) * BLOCK_COLUMNS],
      ...queryContent(this.query),
      ...(this.patient ? { budget: LONGEST_BUDGET } : {}),
    };
    this.flights.set(key, flight);
    flight.promise = this._fetch(key, flight, content);
    return flight;
  }

  async _fetch(key, flight, content) {
    const options = {
      signal: flight.controller.signal,
      onProgress: (progress) => {
        if (flight.dropped) return;
        this.queued = false;
        this.progress = progress;
        this.onUpdate("state");
      },
    };
    try {
      const { content: reply } = await this.transport.request("table", content, options);
      if (flight.dropped) return null;
      this.queued = false;
      return this._take(key, content, reply);
    } catch (error) {
      if (flight.dropped) return null;
      this.failed.set(key, true);
      this.error = error;
      this.onUpdate("state");
      if (flight.kept) throw error;
      return null;
    } finally {
      if (!flight.dropped) {
        this.flights.delete(key);
        this._pump();
      }
    }
  }

  _take(key, asked, reply) {
    const block = {
      row: asked.rows[0],
      column: asked.columns[0],
      index: reply.index,
      data: reply.data,
      numbers: reply.row_numbers ?? null,
      cells: (reply.data.length + 1) * reply.index.length,
    };
    const totals = {
      rows: reply.total_rows,
      matched: reply.matched_rows ?? reply.total_rows,
      columns: reply.total_columns,
      sampled: reply.sampled ?? null,
    };
    const first = !this.totals;
    const moved = !first && JSON.stringify(totals) !== JSON.stringify(this.totals);
    this.totals = totals;
    this.answered = this.query;
    this.before = null;
    const known = (column) => this.columns.get(column.position);
    if (reply.columns.some((column) => known(column) && JSON.stringify(known(column)) !== JSON.stringify(column))) this.columns.clear();
    for (const column of reply.columns) this.columns.set(column.position, column);
    this.stale.delete(key);
    this.blocks.set(key, block);
    this.cells += block.cells;
    this._evict();
    this.onUpdate(first || moved ? "totals" : "cells");
    return block;
  }

  _evict() {
    for (const [key, block] of this.blocks) {
      if (this.cells <= MOST_CELLS) return;
      if (this.wanted.includes(key)) continue;
      this.blocks.delete(key);
      this.cells -= block.cells;
    }
  }
}

function blockKey(row, column) {
  return `${row}:${column}`;
}
