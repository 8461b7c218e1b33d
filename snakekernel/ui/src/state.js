/**
 * What the panel knows: the groups, what is open in them, what is selected, what just changed.
 *
 * Rules: no elements here. Every answer passes through one request function that belongs to one kernel
 * process: a restart ends it, and with it every late answer. Hidden, nothing is asked; what changed
 * meanwhile is only marked as out of date. The watch names what is on screen and ends with the visit.
 */

import { paced } from "./dom.js";
import { ObjectSource } from "./sources.js";
import { TreeNode } from "./tree.js";
import { watchOf } from "./watches.js";

/** Milliseconds between two refreshes of what changes all the time; a cell that runs is left more of the kernel. */
const REFRESH_GAP = 150;
const REFRESH_GAP_BUSY = 500;

/** A push with more changes than these marks none of them: a flicker tells nobody anything. */
const MARKS_MOST = 200;

/** Milliseconds that a new or changed row stays marked. */
const MARK_LASTS = { new: 6_000, changed: 1_600 };

/** Adds a name to those of its group, where that is known. */
function noteIn(names, source, name) {
  if (!source) return;
  if (!names.has(source)) names.set(source, new Set());
  names.get(source).add(name);
}

export class PanelState {
  /**
   * @param {object} transport  see mountPanel
   * @param {{get(key), set(key, value)}|undefined} storage  keeps the reader's choices
   */
  constructor(transport, storage) {
    this.transport = transport;
    this.storage = storage;
    this.status = { connected: false, busy: false, supported: false };
    this.everSupported = false;
    this.visible = false;
    this.search = "";
    this.showVariables = storage?.get("variables") ?? true;
    this.collapsed = new Set(storage?.get("collapsed") ?? []);
    this.listeners = new Set();
    this.touched = new Set();
    this.watch = watchOf(transport);
    this.outdated = new Set();
    this.refreshTrees = paced(() => this.#refreshTrees(), this.gap);
    this.listSessions = paced(() => this.#listSessions(), this.gap);
    this.#reset();
    this.off = [
      this.watch.onBegan((anew) => this.#watchBegan(anew)),
      transport.onStatus((status) => this.#onStatus(status)),
      transport.onChanged((content) => this.#onChanged(content)),
    ];
  }

  /** `fn` is called when there is something new to draw. Returns what ends that. */
  onDraw(fn) {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  /** `fn(source, names|null)` is called when objects of a group changed; null: any may have. */
  onTouched(fn) {
    this.touched.add(fn);
    return () => this.touched.delete(fn);
  }

  changed = () => {
    for (const fn of this.listeners) fn();
  };

  gap = () => (this.status.busy ? REFRESH_GAP_BUSY : REFRESH_GAP);

  /** Asks the kernel; late answers of another kernel process never arrive. */
  request = async (op, content, options = {}) => {
    const life = this.life;
    const answer = await this.transport.request(op, content, options);
    if (life !== this.life) throw new DOMException("The kernel was restarted.", "AbortError");
    return answer;
  };

  /** Whether requests can be sent. */
  get live() {
    return this.visible && this.status.connected && this.status.supported;
  }

  /** The groups shown, in order. */
  get sources() {
    return [this.stored, ...this.sessions.values(), ...(this.showVariables ? [this.variables] : [])];
  }

  #source(kind, sessionId) {
    const source = new ObjectSource(kind, sessionId, this.request, this.changed, this.gap);
    source.search = this.search;
    return source;
  }

  #reset() {
    this.life = {};
    for (const source of this.stored ? [this.stored, ...this.sessions.values(), this.variables] : []) source.leave();
    for (const node of this.nodes?.values() ?? []) node.leave();
    for (const mark of this.marks?.values() ?? []) clearTimeout(mark.timer);
    this.stored = this.#source("stored", null);
    this.variables = this.#source("variables", null);
    this.sessions = new Map();
    this.sessionInfo = new Map();
    /** The top of each tree that was opened, by its key. */
    this.nodes = new Map();
    this.marks = new Map();
    this.version = null;
  }

  #onStatus({ connected, busy, supported, restarted }) {
    const wasLive = this.live;
    this.status = { connected, busy, supported };
    this.everSupported = supported || (this.everSupported && !connected);
    if (restarted) {
      this.#reset();
      for (const fn of this.touched) fn(null, null);
    }
    if (this.live && (restarted || !wasLive)) this.refresh();
    if (!this.live) this.#stop();
    this.changed();
  }

  /** Shown or hidden. */
  setVisible(visible) {
    if (visible === this.visible) return;
    const wasLive = this.live;
    this.visible = visible;
    if (this.live) this.refresh();
    else if (wasLive) this.#stop();
    if (!visible) this.watch.set(this, null);
    this.changed();
  }

  #stop() {
    this.refreshTrees.cancel();
    this.listSessions.cancel();
    for (const source of [this.stored, ...this.sessions.values(), this.variables]) source.leave();
    for (const node of this.nodes.values()) node.leave();
  }

  /** Asks anew for all that is on screen. */
  refresh() {
    for (const source of this.sources) {
      source.error = null;
      source.version = Infinity;
      source.invalidate();
      this.#touch(source, null);
    }
    this.listSessions();
    this.changed();
  }

  async #listSessions() {
    if (!this.live) return;
    let found;
    try {
      found = (await this.request("list_sessions", {})).content.sessions;
    } catch {
      return; // the group of stored objects shows the error of the same connection
    }
    const before = this.sessions;
    this.sessions = new Map();
    this.sessionInfo = new Map();
    for (const info of found) {
      const source = before.get(info.session_id) ?? this.#source("session", info.session_id);
      if (!source.pages.size || this.isCollapsed(source)) source.count = info.stored_objects;
      this.sessions.set(info.session_id, source);
      this.sessionInfo.set(info.session_id, info);
    }
    for (const [id, source] of before) {
      if (this.sessions.has(id)) continue;
      source.leave();
      for (const node of this.nodes.values()) if (node.source === source) this.#forget(source, node.name);
    }
    this.changed();
  }

  #onChanged(content) {
    const missed = this.version !== null && content.since > this.version;
    if (typeof content.version === "number") this.version = content.version;
    const names = new Map();
    const note = (source, name, action, version) => {
      if (!source) return;
      noteIn(names, source, name);
      if (action === "deleted") this.#forget(source, name);
      // What is in the first listing, or comes before it, is not new to anybody.
      else if (marking && source.count !== null && !(action === "stored" && version <= source.version)) {
        this.#mark(`${source.key}\u0000${name}`, action === "stored" ? "new" : "changed");
      }
    };
    const marking = this.visible && (content.changes?.length ?? 0) + (content.variables?.length ?? 0) <= MARKS_MOST;
    let sessions = Boolean(content.sessions?.length);
    for (const { action, name, session_id: id, version } of content.changes ?? []) {
      const source = this.#sourceOf(id);
      // How many a folded session has is told by the list of sessions.
      if (!source || (source.kind === "session" && this.isCollapsed(source))) sessions = true;
      note(source, name, action, version);
    }
    for (const { action, name } of content.variables ?? []) note(this.variables, name, action, Infinity);
    this.#outdate(names);
    if (missed) for (const source of this.sources) source.invalidate();
    if (this.live && (sessions || missed)) this.listSessions();
    if (this.visible) this.changed();
  }

  /** The group of a session's objects, or of the kernel-wide ones; undefined where it is not known. */
  #sourceOf(id) {
    return id === null || id === undefined ? this.stored : this.sessions.get(id);
  }

  /** Sets of names by their groups: what is shown of them is asked for anew. */
  #outdate(names) {
    for (const [source, some] of names) {
      source.invalidate();
      this.#touch(source, some);
    }
  }

  /** What is open in the objects of these names (null: of all) is asked for anew. */
  #touch(source, names) {
    for (const node of this.nodes.values()) {
      if (node.source !== source || !(names === null || names.has(node.name))) continue;
      if (this.live) this.outdated.add(node);
      else node.children = null;
    }
    if (this.outdated.size) this.refreshTrees();
    for (const fn of this.touched) fn(source, names);
  }

  #refreshTrees() {
    const nodes = [...this.outdated].filter((node) => this.nodes.get(node.key) === node);
    // One that still loads is asked again after that, never cut short over and over.
    this.outdated = new Set(nodes.filter((node) => node.loading));
    if (this.live) for (const node of nodes) if (!node.loading) node.refresh(this.request, this.changed);
    if (this.outdated.size) this.refreshTrees();
  }

  #mark(key, kind) {
    const old = this.marks.get(key);
    // What is new stays so, though it changes at once.
    if (old?.kind === "new" && kind === "changed") return;
    clearTimeout(old?.timer);
    const timer = setTimeout(() => {
      this.marks.delete(key);
      if (this.visible) this.changed();
    }, MARK_LASTS[kind]);
    this.marks.set(key, { kind, timer, serial: (old?.serial ?? 0) + 1 });
  }

  /** A row was looked at: it is new no longer. */
  seen(key) {
    const mark = this.marks.get(key);
    if (mark?.kind !== "new") return;
    clearTimeout(mark.timer);
    this.marks.delete(key);
  }

  #forget(source, name) {
    const key = `${source.key}\u0000${name}`;
    this.nodes.get(key)?.leave();
    this.nodes.delete(key);
  }

  /** A group's objects changed by an action of ours: shown without waiting for the kernel to tell. */
  touchSource(source) {
    source.invalidate();
    this.changed();
  }

  setSearch(search) {
    this.search = search;
    for (const source of [this.stored, ...this.sessions.values(), this.variables]) source.setSearch(search);
    this.changed();
  }

  setShowVariables(show) {
    this.showVariables = show;
    this.storage?.set("variables", show);
    if (show) {
      this.variables.invalidate();
      this.#touch(this.variables, null);
    } else this.variables.leave();
    this.changed();
  }

  /** Whether a group is folded. Sessions are at first: there may be many, and each is listed by itself. */
  isCollapsed(source) {
    return this.collapsed.has(source.key) !== (source.kind === "session");
  }

  setCollapsed(source, collapsed) {
    if (collapsed === this.isCollapsed(source)) return;
    if (!this.collapsed.delete(source.key)) this.collapsed.add(source.key);
    this.storage?.set("collapsed", [...this.collapsed].slice(-100));
    this.changed();
  }

  /** The tree node of a listed object; made when first asked for. */
  nodeOf(source, object) {
    const key = `${source.key}\u0000${object.name}`;
    const known = this.nodes.get(key);
    if (known) {
      known.object = object;
      return known;
    }
    return new TreeNode(source, object.name, [], object, null);
  }

  /** Opens or shuts a node; its children are loaded when first seen. */
  setOpen(node, open) {
    if (open && !node.openable) return;
    node.open = open;
    if (!node.parent) {
      if (open) this.nodes.set(node.key, node);
      else this.#forget(node.source, node.name);
    }
    if (open && !node.children) node.more(this.request, this.changed);
    if (!open) node.leave();
    this.changed();
  }

  more(node) {
    return node.more(this.request, this.changed);
  }

  /** What is on screen: `[session id, name]` of stored objects; names of variables, null for none shown. */
  onScreen(stored, variables) {
    this.watch.set(this, { stored, variables });
  }

  /** What changed in place after it was listed, and before it was watched, is seen now. */
  #watchBegan({ stored, variables, coming }) {
    if (!this.live) return;
    if (coming) this.variables.invalidate();
    const names = new Map();
    for (const [id, name] of stored) noteIn(names, this.#sourceOf(id), name);
    for (const name of variables) noteIn(names, this.variables, name);
    this.#outdate(names);
    this.changed();
  }

  dispose() {
    this.setVisible(false);
    for (const off of this.off) off();
    this.#stop();
    for (const mark of this.marks.values()) clearTimeout(mark.timer);
    this.listeners.clear();
    this.touched.clear();
  }
}
