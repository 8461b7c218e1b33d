/**
 * What is inside an object: nodes that hold their children by page, each loaded when it is opened.
 *
 * Rules: a child is named by the `key` that the kernel gives, never by a label of ours; a child without
 * one is shown but leads nowhere. A refresh keeps what is open, and a late answer changes nothing.
 */

/** Children that one request asks for. */
export const CHILD_PAGE = 100;

/** Most that the kernel gives at once, for refreshing what is shown. */
const MOST_CHILDREN = 1000;

/** What has no parts worth a look, where the kernel's list does not say. */
const PARTLESS_VIEWS = new Set(["scalar", "text"]);
const PARTLESS_TYPES = new Set(["function", "builtin_function_or_method", "method"]);

/** An object in the tree: a row of a list, or a part of one. */
export class TreeNode {
  /**
   * @param {ObjectSource} source
   * @param {string} name  of the listed object that this is, or is a part of
   * @param {Array} steps  from that object to this one
   * @param {object} object  what is known of it
   * @param {TreeNode|null} parent
   * @param {string} [id]  tells siblings apart
   */
  constructor(source, name, steps, object, parent, id = "") {
    this.source = source;
    this.name = name;
    this.steps = steps;
    this.object = object;
    this.parent = parent;
    this.key = parent ? `${parent.key}\u0001${id}` : `${source.key}\u0000${name}`;
    this.level = parent ? parent.level + 1 : 2;
    this.open = false;
    /** Loaded children; null before the first answer. */
    this.children = null;
    this.byId = new Map();
    this.total = 0;
    this.error = null;
    this.loading = null;
  }

  /** The protocol's target, in list form; null for a part that no step leads to. */
  get target() {
    return this.steps && [this.source.root, this.name, ...this.steps];
  }

  /** As `target`, with attributes as plain names where no key of a mapping can be meant. */
  get shortTarget() {
    if (!this.steps) return null;
    if (!this.parent) return this.target;
    const step = this.steps.at(-1);
    const mapping = this.parent.children?.some((one) => typeof one.steps?.at(-1) === "string");
    const plain = step && typeof step === "object" && "attr" in step && !mapping;
    const before = this.parent.shortTarget;
    return [...before, plain ? step.attr : step];
  }

  /** What a row calls it. */
  get label() {
    return this.parent ? this.object.label : this.name;
  }

  /** Whether there may be something inside. */
  get openable() {
    if (!this.steps) return false;
    if (this.children && !this.error) return this.total > 0;
    if (this.object.has_children !== undefined) return this.object.has_children;
    const { view, type, length } = this.object;
    return !(PARTLESS_VIEWS.has(view) || PARTLESS_TYPES.has(type) || (view === "tree" && length === 0));
  }

  /** Drops an answer under way, here and below. */
  leave() {
    this.loading?.abort();
    this.loading = null;
    for (const child of this.children ?? []) child.leave();
  }

  /** Loads the next page of children. */
  more(request, changed) {
    return this.#load(request, changed, this.children?.length ?? 0, CHILD_PAGE);
  }

  /** Loads anew what is shown, here and below. */
  async refresh(request, changed) {
    if (!this.open) {
      this.children = null;
      return;
    }
    const shown = Math.min(Math.max(this.children?.length ?? 0, CHILD_PAGE), MOST_CHILDREN);
    await this.#load(request, changed, 0, shown);
    await Promise.all((this.children ?? []).filter((one) => one.open || one.children).map((one) => one.refresh(request, changed)));
  }

  async #load(request, changed, offset, limit) {
    this.loading?.abort();
    const controller = (this.loading = new AbortController());
    const content = { target: this.target, offset, limit };
    if (this.source.sessionId !== null) content.session_id = this.source.sessionId;
    changed();
    try {
      const { inspection } = (await request("inspect", content, { signal: controller.signal })).content;
      if (controller.signal.aborted) return;
      this.error = null;
      this.total = inspection.total;
      const before = offset ? this.children : [];
      const old = this.byId;
      if (!offset) this.byId = new Map();
      const found = inspection.children.map((child, n) => this.#child(child, offset + n, old));
      this.children = [...before, ...found];
      // An object that shrank meanwhile has no more to show than this.
      if (!found.length) this.total = this.children.length;
    } catch (error) {
      if (controller.signal.aborted) return;
      this.error = error;
    }
    this.loading = null;
    changed();
  }

  #child(child, position, old) {
    let id = child.key === null ? `#${position}` : JSON.stringify(child.key);
    if (this.byId.has(id)) id += `#${position}`;
    const steps = child.key === null ? null : [...this.steps, child.key];
    const node = old.get(id) ?? new TreeNode(this.source, this.name, steps, child, this, id);
    node.object = child;
    this.byId.set(id, node);
    return node;
  }

  /** Appends the rows below this one, as they are shown. */
  addRows(rows) {
    if (!this.open) return;
    for (const child of this.children ?? []) {
      rows.push({ kind: "child", key: child.key, level: child.level, node: child, source: this.source });
      child.addRows(rows);
    }
    const known = this.children?.length ?? 0;
    const about = { level: this.level + 1, parent: this, source: this.source };
    if (this.error) rows.push({ kind: "error", key: `${this.key}\u0002error`, error: this.error, ...about });
    else if (!this.children) rows.push({ kind: "waiting", key: `${this.key}\u0002waiting`, ...about });
    else if (known < this.total) rows.push({ kind: "more", key: `${this.key}\u0002more`, rest: this.total - known, ...about });
  }
}
