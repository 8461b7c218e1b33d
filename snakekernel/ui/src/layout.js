/**
 * All rows of the list as one sequence, without making those that nobody looks at.
 *
 * Rules: a run of listed objects that are not opened is one entry, however long; a row is made when it is
 * asked for. Pure: computed anew from the state, cheap enough for every frame.
 */

const EMPTY_NOTES = {
  stored: "Nothing stored yet",
  session: "Nothing stored in this session",
  variables: "No variables yet",
};

/** The rows of a panel's state at one moment. */
export class RowLayout {
  /** @param {PanelState} state */
  constructor(state) {
    this.state = state;
    this.parts = [];
    this.length = 0;
    const sources = state.sources;
    /** Groups have headings where there is more than one. */
    this.grouped = sources.length > 1;
    for (const source of sources) this.#addSource(source);
  }

  #push(part) {
    if (!part.length) return;
    part.start = this.length;
    this.parts.push(part);
    this.length += part.length;
  }

  #addRows(rows) {
    this.#push({ rows, length: rows.length });
  }

  #addSource(source) {
    const collapsed = this.grouped && this.state.isCollapsed(source);
    if (this.grouped) {
      this.#addRows([{ kind: "group", key: `group ${source.key}`, level: 1, source, collapsed }]);
      if (collapsed) return;
    }
    const about = { source, level: 2 };
    if (source.error) this.#addRows([{ kind: "error", key: `error ${source.key}`, error: source.error, ...about }]);
    else if (source.count === null) this.#addRows([{ kind: "waiting", key: `waiting ${source.key}`, ...about }]);
    else if (source.count === 0) {
      const text = source.search ? "No name matches" : EMPTY_NOTES[source.kind];
      this.#addRows([{ kind: "note", key: `note ${source.key}`, text, ...about }]);
    }
    this.#addItems(source);
  }

  #addItems(source) {
    const opened = [];
    for (const node of this.state.nodes.values()) {
      const index = node.source === source && node.open ? source.indexOf(node.name) : -1;
      if (index >= 0) opened.push({ index, node });
    }
    opened.sort((a, b) => a.index - b.index);
    let from = 0;
    for (const { index, node } of opened) {
      this.#push({ source, from, length: index + 1 - from });
      const rows = [];
      node.addRows(rows);
      this.#addRows(rows);
      from = index + 1;
    }
    this.#push({ source, from, length: Math.max(0, (source.count ?? 0) - from) });
  }

  #partAt(at) {
    let low = 0;
    let high = this.parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.parts[middle].start <= at) low = middle;
      else high = middle - 1;
    }
    return this.parts[low];
  }

  /** The row at a position: `{kind, key, level, source, ...}`; null beyond the end. */
  at(index) {
    if (index < 0 || index >= this.length) return null;
    const part = this.#partAt(index);
    if (part.rows) return part.rows[index - part.start];
    const { source } = part;
    const position = part.from + index - part.start;
    const object = source.at(position);
    if (!object) return { kind: "blank", key: `${source.key}\u0003${position}`, level: 2, source, position };
    const node = this.state.nodeOf(source, object);
    return { kind: "item", key: node.key, level: 2, source, position, node };
  }

  /** Where the row of a key is; -1 where it is not known to be. */
  indexOf(key) {
    if (key === null) return -1;
    for (const part of this.parts) {
      if (part.rows) {
        const at = part.rows.findIndex((row) => row.key === key);
        if (at >= 0) return part.start + at;
      } else if (key.startsWith(`${part.source.key}\u0000`)) {
        const position = part.source.indexOf(key.slice(part.source.key.length + 1));
        if (position >= part.from && position < part.from + part.length) return part.start + position - part.from;
      }
    }
    return -1;
  }

  /** The part of each group's objects that rows `first` to `last` (exclusive) show: `[source, from, to]`. */
  ranges(first, last) {
    const found = new Map();
    for (const part of this.parts) {
      if (part.start >= last || part.start + part.length <= first) continue;
      if (part.rows) {
        const { kind, source, collapsed, parent } = part.rows[0];
        // A folded group still says how many it has; a session does so without being read.
        const counted = kind === "group" && collapsed && source.kind !== "session";
        if (counted || (["waiting", "note"].includes(kind) && !parent)) found.set(source, [0, 1]);
        continue;
      }
      const from = part.from + Math.max(0, first - part.start);
      const to = part.from + Math.min(part.length, last - part.start);
      const known = found.get(part.source);
      found.set(part.source, known ? [Math.min(known[0], from), Math.max(known[1], to)] : [from, to]);
    }
    return [...found].map(([source, [from, to]]) => [source, from, to]);
  }
}
