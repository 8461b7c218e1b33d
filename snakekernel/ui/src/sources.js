/**
 * Where rows come from: the kernel-wide store, one session, or the notebook's variables, by page.
 *
 * Rules: only pages that are on screen are asked for; what is known stays until its successor is here;
 * an answer that a change or a new question overtook is taken as already out of date, or dropped.
 */

/** Objects that one request asks for. */
export const SOURCE_PAGE = 100;

/** Pages kept for scrolling back. */
const PAGES_KEPT = 30;

/** Requests under way at once: fast scrolling skips what has passed by. */
const PAGES_AT_ONCE = 2;

/**
 * Rows of one group.
 *
 * `root` and `sessionId` are what targets of its objects begin with and are asked in.
 */
export class ObjectSource {
  /**
   * @param {"stored"|"session"|"variables"} kind
   * @param {string|null} sessionId
   * @param {(op: string, content: object, options: object) => Promise<{content: any}>} request
   * @param {() => void} changed  called when there is something new to draw
   * @param {() => number} gap  milliseconds between two refreshes, however often things change
   */
  constructor(kind, sessionId, request, changed, gap) {
    this.kind = kind;
    this.sessionId = sessionId;
    this.key = kind === "session" ? `session:${sessionId}` : kind;
    this.root = kind === "variables" ? "user" : "stored";
    this.request = request;
    this.changed = changed;
    this.gap = gap;
    this.search = "";
    this.clear();
  }

  /** Forgets everything; answers under way are dropped. */
  clear() {
    this.leave();
    /** How many objects there are; null before the first answer. */
    this.count = null;
    /** The version of the first answer since anybody looked: what came by then is not new. */
    this.version = Infinity;
    this.error = null;
    this.pages = new Map();
    this.positions = new Map();
    this.ticks = 0;
    this.refreshed = -Infinity;
    /** Whether what is known belongs to another filter. */
    this.refiltered = false;
  }

  /** Drops what is under way, and asks for nothing more on its own. */
  leave() {
    for (const controller of this.underway?.values() ?? []) controller.abort();
    this.underway = new Map();
    clearTimeout(this.timer);
    this.timer = 0;
  }

  /** Another filter: from the first page on. What is shown stays until the answer. */
  setSearch(search) {
    if (search === this.search) return;
    this.search = search;
    this.leave();
    this.error = null;
    this.ticks += 1;
    this.refreshed = -Infinity;
    this.refiltered = true;
  }

  /** The object at a position, or null while it is not known. */
  at(index) {
    return this.pages.get(Math.floor(index / SOURCE_PAGE))?.objects[index % SOURCE_PAGE] ?? null;
  }

  /** Where a name is, as far as is known; -1 otherwise. */
  indexOf(name) {
    return this.positions.get(name) ?? -1;
  }

  /** Something changed: what is known is shown until it has been asked for anew. */
  invalidate() {
    this.ticks += 1;
  }

  /** Whether any answer is awaited. */
  get busy() {
    return this.underway.size > 0;
  }

  /** Forgets an error, so that the next `need` asks again. */
  retry() {
    this.error = null;
    this.changed();
  }

  /**
   * The rows `first` to `last` (exclusive) are on screen: asks for their pages where they are missing or
   * out of date. Without any known count the first page is asked for.
   */
  need(first, last) {
    if (this.error) return;
    const low = this.refiltered ? 0 : Math.floor(first / SOURCE_PAGE);
    const high = this.refiltered ? 0 : Math.max(low, Math.ceil(last / SOURCE_PAGE) - 1);
    for (let page = low; page <= high; page += 1) this.#needPage(page);
    this.#forgetFarFrom((low + high) / 2);
  }

  #needPage(number) {
    const page = this.pages.get(number);
    if (this.underway.has(number) || this.underway.size >= PAGES_AT_ONCE) return;
    if (!page) {
      this.#fetch(number);
    } else if (page.tick < this.ticks) {
      const wait = this.refreshed + this.gap() - performance.now();
      if (wait <= 0) this.#fetch(number);
      else if (!this.timer) {
        this.timer = setTimeout(() => {
          this.timer = 0;
          this.changed();
        }, wait);
      }
    }
  }

  async #fetch(number) {
    const controller = new AbortController();
    const tick = this.ticks;
    this.underway.set(number, controller);
    this.refreshed = performance.now();
    const content = { offset: number * SOURCE_PAGE, limit: SOURCE_PAGE };
    if (this.search) content.search = this.search;
    if (this.sessionId !== null) content.session_id = this.sessionId;
    const op = this.kind === "variables" ? "list_variables" : "list_stored";
    try {
      const answer = await this.request(op, content, { signal: controller.signal });
      if (controller.signal.aborted) return;
      this.underway.delete(number);
      this.#take(number, answer.content, tick);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.underway.delete(number);
      this.error = error;
    }
    this.changed();
  }

  #take(number, content, tick) {
    if (this.refiltered) {
      this.refiltered = false;
      this.pages.clear();
      this.positions.clear();
    }
    const old = this.pages.get(number)?.objects ?? [];
    for (const object of old) this.positions.delete(object.name);
    content.objects.forEach((object, n) => this.positions.set(object.name, number * SOURCE_PAGE + n));
    this.pages.set(number, { objects: content.objects, tick });
    this.count = content.count;
    if (this.version === Infinity) this.version = content.version;
    const last = Math.ceil(content.count / SOURCE_PAGE);
    for (const page of [...this.pages.keys()]) if (page >= last && page > 0) this.pages.delete(page);
  }

  #forgetFarFrom(middle) {
    if (this.pages.size <= PAGES_KEPT) return;
    const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of far.slice(0, this.pages.size - PAGES_KEPT)) {
      for (const object of this.pages.get(page).objects) this.positions.delete(object.name);
      this.pages.delete(page);
    }
  }
}
