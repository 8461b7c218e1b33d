// Made by python -m snakekernel.ui.bundle --write; change snakekernel/ui/src instead.

// dom.js

/**
 * Elements, and what keyboard and focus need of them.
 *
 * Rules: data reaches the page as text nodes and attributes only, never as markup; an element is
 * changed in place where it can be, so that focus, selection and scroll position survive updates.
 */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** These are set as properties: as attributes they would only be the initial value. */
const LIVE_PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "tabIndex", "indeterminate", "selected"]);

function applyProps(element, props) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "style") for (const [key, rule] of Object.entries(value)) element.style.setProperty(key, rule);
    else if (LIVE_PROPERTIES.has(name)) element[name] = value;
    else setAttribute(element, name, value);
  }
}

function addChildren(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === true) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/**
 * A new HTML element. Props: `class`, `style` (an object), `onClick` and the like (listeners), live
 * properties (`value`, `checked`, `disabled`, `hidden`, `tabIndex`), anything else is an attribute.
 * Children: nodes, texts and numbers, arrays of these; null and booleans are left out.
 *
 * @param {string} tag
 * @param {Object<string, any>|null} [props]
 * @param {...any} children
 * @returns {HTMLElement}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  applyProps(element, props);
  return addChildren(element, children);
}

/** As `h`, for SVG. */
export function svg(tag, props, ...children) {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  applyProps(element, props);
  return addChildren(element, children);
}

/** Sets an attribute; null, undefined and false take it away; `true` is an empty one, "true" for ARIA's. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) {
    element.removeAttribute(name);
    return;
  }
  const text = value === true && !name.startsWith("aria-") ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Sets the text where it differs, so that selections and screen readers are left alone otherwise. */
export function setText(element, text) {
  const next = text === null || text === undefined ? "" : String(text);
  if (element.textContent !== next) element.textContent = next;
}

/**
 * Makes `nodes` the children of `parent`, moving only what has to move: an element that stays keeps
 * its focus.
 */
export function placeChildren(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of Array.from(parent.childNodes)) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

let lastId = 0;

/** An id for `aria-labelledby` and the like, unique in the page's life. */
export function freshId(prefix = "snk") {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** Elements below `root` that Tab reaches, in order. */
export function focusable(root) {
  const found = root.querySelectorAll("a[href],button,input,select,textarea,[tabindex]");
  return Array.from(found).filter((one) => !one.disabled && one.tabIndex >= 0 && one.getClientRects().length > 0);
}

/** Whether the keyboard focus is in `element` or below it. */
export function hasFocus(element) {
  return element.contains(element.ownerDocument.activeElement);
}

/** Keeps Tab within `root` (dialogs). Returns what undoes it. */
export function trapFocus(root) {
  const onKey = (event) => {
    if (event.key !== "Tab") return;
    const stops = focusable(root);
    if (!stops.length) return;
    const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
    if (document.activeElement !== edge && root.contains(document.activeElement)) return;
    event.preventDefault();
    (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
  };
  root.addEventListener("keydown", onKey);
  return () => root.removeEventListener("keydown", onKey);
}

/**
 * Which index a key of a list leads to: arrows, Home, End, Page Up and Down. Null for other keys.
 *
 * @param {KeyboardEvent} event
 * @param {number} index  the present one, -1 for none
 * @param {number} count
 * @param {number} [page]  rows of a page
 */
export function listIndex(event, index, count, page = 10) {
  if (!count || event.altKey || event.metaKey || event.ctrlKey) return null;
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  if (event.key === "Home") return 0;
  if (event.key === "End") return count - 1;
  if (!(event.key in steps)) return null;
  if (index < 0) return event.key === "ArrowUp" ? count - 1 : 0;
  return Math.max(0, Math.min(count - 1, index + steps[event.key]));
}

/** Runs `fn` once per frame at most, however often it is asked. `cancel()` forgets what is due. */
export function perFrame(fn) {
  let due = 0;
  const run = () => {
    if (due) return;
    due = requestAnimationFrame(() => {
      due = 0;
      fn();
    });
  };
  run.cancel = () => {
    cancelAnimationFrame(due);
    due = 0;
  };
  return run;
}

/** Runs `fn` once `wait` milliseconds have passed since it was last asked. `cancel()` forgets it. */
export function debounce(fn, wait) {
  let timer = 0;
  const run = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), wait);
  };
  run.cancel = () => clearTimeout(timer);
  return run;
}

/** Copies text; works without the clipboard permission too. Resolves to whether it did. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "snk-offscreen", "aria-hidden": "true", tabIndex: -1, value: text });
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus?.({ preventScroll: true });
    return done;
  }
}

/** Outlines on a 16 × 16 field, drawn for this panel. */
const ICON_PATHS = {
  chevron: "M6 4l4 4-4 4",
  back: "M10 4L6 8l4 4",
  close: "M4 4l8 8M12 4l-8 8",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3L14 14",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  table: "M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6.5 6.5v6",
  tree: "M3 3.5h10M6 8h7M6 12.5h7M3 3.5v9h3M3 8h3",
  image: "M2.5 3.5h11v9h-11zM2.5 10.5l3-3 3 3 2-2 3 3M10.5 6.2h.01",
  figure: "M2.5 2.5v11h11M5 10.5l2.5-4 2 2 3.5-5",
  text: "M3 4.5h10M3 8h10M3 11.5h6",
  callable: "M6 3.5c-1.7 0-1 4.5-3 4.5 2 0 1.3 4.5 3 4.5M10 3.5c1.7 0 1 4.5 3 4.5-2 0-1.3 4.5-3 4.5",
  scalar: "M5.5 3l-1 10M11 3l-1 10M3 6h10.5M2.5 10H13",
  object: "M8 2.2l5 2.9v5.8l-5 2.9-5-2.9V5.1zM3 5.1L8 8l5-2.9M8 8v5.8",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5V5h-2.5",
  play: "M5 3.5l7.5 4.5L5 12.5z",
  trash: "M3 4.5h10M6.5 4.5v-1.5h3v1.5M4.5 4.5l.5 8.5h6l.5-8.5",
  pin: "M8 10v4M5 10h6l-1-3.5V3H6v3.5z",
  warning: "M8 2.5l6 10.5H2zM8 6.5v3M8 11.2h.01",
  check: "M3 8.5l3.2 3.2L13 4.8",
};

/** An icon by name, hidden from screen readers: what it stands for is in a label beside it. */
export function icon(name, className = "") {
  return svg(
    "svg",
    { class: `snk-icon ${className}`.trim(), viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICON_PATHS[name] || ICON_PATHS.object }),
  );
}

// errors.js

/** Errors of requests, the same from every transport. */

/** A request that failed: the kernel's error reply, or what kept it from getting one. */
export class PanelError extends Error {
  /**
   * @param {{code: string, message: string, ename?: string, traceback?: string[], at?: string}} told
   *   `code` is the protocol's; besides those, `disconnected` and `unsupported_kernel` are the panel's own.
   */
  constructor({ code, message, ename = "", traceback = [], at = "" }) {
    super(message);
    this.name = "PanelError";
    this.code = code;
    this.ename = ename;
    this.traceback = traceback;
    this.at = at;
  }
}

/**
 * The error that an error reply's content tells.
 *
 * @param {object} content
 * @returns {PanelError}
 */
export function errorOf(content) {
  return new PanelError({
    code: content.code ?? "internal",
    message: content.error || content.evalue || "The request failed.",
    ename: content.ename ?? "",
    traceback: content.traceback ?? [],
    at: content.at ?? "",
  });
}

/** The error of a request that its caller gave up. */
export function cancelledError() {
  return new PanelError({ code: "cancelled", message: "The request was cancelled." });
}

// format.js

/**
 * Numbers, sizes, ages and shapes as short texts. Pure functions; `now` is an argument.
 *
 * Rules: one place decides how a quantity reads; unknown is an empty text, never "null".
 */

/** Narrow no-break space: groups digits without looking like a list in any language. */
const GROUP = "\u202f";

/** 336776 as "336 776" (thin spaces); fractions are kept as they are. */
export function formatCount(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "";
  const [whole, fraction] = String(n).split(".");
  if (!/^-?\d+$/.test(whole)) return String(n);
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, GROUP);
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** "1 row", "2 rows", "336 776 rows". */
export function plural(n, one, many = `${one}s`) {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

/** Bytes as "12 B", "3.4 kB", "1.2 GB" (powers of 1,000, at most three digits). */
export function formatSize(bytes) {
  if (bytes === null || bytes === undefined || Number.isNaN(bytes)) return "";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit === 0 ? String(Math.round(value)) : value >= 99.95 ? value.toFixed(0) : value.toFixed(1);
  return `${text.replace(/\.0$/, "")} ${units[unit]}`;
}

const AGE_STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [86400 * 365, 86400, "d"],
  [Infinity, 86400 * 365, "y"],
];

/** Seconds since the epoch as "now", "12 s", "5 min", "3 h", "2 d". */
export function formatAge(time, now) {
  if (time === null || time === undefined) return "";
  const age = Math.max(0, now - time);
  if (age < 3) return "now";
  const [, unit, name] = AGE_STEPS.find(([below]) => age < below);
  return `${Math.floor(age / unit)} ${name}`;
}

/** Seconds since the epoch as the reader's own date and time. */
export function formatTime(time) {
  if (time === null || time === undefined) return "";
  return new Date(time * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** "336 776 × 19" of a shape, else "5 items" of a length, else empty. */
export function formatShape(object) {
  const shape = object.shape;
  if (Array.isArray(shape) && shape.length) {
    return shape.length === 1 ? plural(shape[0], "item") : shape.map(formatCount).join(" × ");
  }
  if (object.length === null || object.length === undefined) return "";
  return object.view === "text" || object.type === "str" ? plural(object.length, "character") : plural(object.length, "item");
}

/** As `formatShape`, without words: what fits a narrow column. */
export function formatShapeShort(object) {
  const shape = object.shape;
  if (Array.isArray(shape) && shape.length) return shape.map(formatCount).join(" × ");
  return object.length === null || object.length === undefined ? "" : formatCount(object.length);
}

/** A number for reading: up to six significant digits, exponents only beyond 1e9 and below 1e-4. */
export function formatNumber(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return formatCount(value);
  const size = Math.abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return value.toExponential(3);
  return formatCount(Number(value.toPrecision(6)));
}

/** 0.1234 as "12.3 %"; what is there but tiny is "< 0.1 %", never "0 %". */
export function formatShare(part, whole) {
  if (!whole) return "";
  const share = (100 * part) / whole;
  if (share > 0 && share < 0.1) return "< 0.1 %";
  if (share < 100 && share > 99.9) return "> 99.9 %";
  return `${share.toFixed(1).replace(/\.0$/, "")} %`;
}

/**
 * A text on one line, at most `limit` characters: line ends, tabs and invisible controls (also those
 * that turn the direction of writing) are shown, so that a name cannot disguise itself.
 */
export function oneLine(text, limit = 200) {
  const shown = String(text)
    .slice(0, limit + 1)
    .replace(/\r\n|\r|\n/g, "⏎")
    .replace(/\t/g, "⇥")
    .replace(/[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]/g, "�");
  return String(text).length > limit ? `${shown.slice(0, limit - 1)}…` : shown;
}

// grid.js

/** The grid: a table, page by page. */

/** Show a table. */
export function mountTable(element, transport, target, { title }) {
  element.textContent = title;
  return { dispose() { element.textContent = ""; }, resized() {} };
}

// panel.js

/** The panel: stored objects and variables. */

/**
 * Show the panel in an element.
 *
 * @param {HTMLElement} element
 * @param {object} transport
 * @param {object} host
 * @returns {{setVisible(visible: boolean): void, dispose(): void}}
 */
export function mountPanel(element, transport, host) {
  element.textContent = "Objects";
  return { setVisible() {}, dispose() { element.textContent = ""; } };
}

// settings.js

/** Settings that outlive the page, in the browser's own storage. */

const PREFIX = "snakekernel:";

/** @returns {{get(key: string): any, set(key: string, value: any): void}} JSON values; null where none is kept */
export function localSettings() {
  return {
    get(key) {
      try {
        return JSON.parse(localStorage.getItem(PREFIX + key));
      } catch {
        // Switched off, or not ours.
        return null;
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(PREFIX + key, JSON.stringify(value));
      } catch {
        // Full or switched off: the setting lasts as long as the page.
      }
    },
  };
}

// transport_lab.js

/**
 * Requests over JupyterLab's own connection to a kernel, for JupyterLab 4 and Notebook 7.
 *
 * Rules: nothing is sent to a kernel of another type. A request ends with its reply, not with the future's
 * `done`, which waits for a status that short requests do not publish. One transport follows one session
 * context through restarts and changes of its kernel.
 */


const FEATURE = "snakekernel";
const RESTARTING = new Set(["restarting", "autorestarting"]);
const GONE = new Set(["dead", "terminating"]);

/** A transport over the session context of a notebook or a console. */
export class LabTransport {
  /**
   * @param {object} context the `ISessionContext`
   * @param {object} lab
   * @param {function} lab.createMessage `KernelMessage.createMessage`
   * @param {null | function(string): void} lab.insertCode puts a line into a cell
   */
  constructor(context, { createMessage, insertCode = null }) {
    this.insertCode = insertCode;
    this._context = context;
    this._createMessage = createMessage;
    this._changed = new Set();
    this._watchers = new Set();
    /** Ends of control requests, whose replies are lost with the connection. */
    this._unanswered = new Set();
    /** Whether the kernel serves us; null as long as that is not known. */
    this._supported = null;
    this._epoch = null;
    this._awaitsRestart = false;
    this._told = "";
    // Lab tells it after a restart too, of the same kernel.
    this._kernelChanged = (_, { newValue }) =>
      newValue !== null && newValue === this._followed ? this._look() : this._follow(newValue, true);
    this._statusChanged = () => this._look();
    this._iopub = (_, message) => this._heard(message);
    this._disposed = () => this.dispose();
    context.kernelChanged.connect(this._kernelChanged);
    context.statusChanged.connect(this._statusChanged);
    context.connectionStatusChanged.connect(this._statusChanged);
    context.iopubMessage.connect(this._iopub);
    context.disposed.connect(this._disposed);
    this.isDisposed = false;
    this._follow(this._kernel, false);
  }

  /**
   * Ask the kernel.
   *
   * @param {string} op
   * @param {object} content
   * @param {{channel?: "control" | "shell", signal?: AbortSignal, onProgress?: function(object): void}} options
   * @returns {Promise<{content: object, buffers: DataView[]}>} rejects with a PanelError
   */
  request(op, content = {}, { channel = "control", signal, onProgress } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        throw cancelledError();
      }
      const future = this._send(op, content, channel);
      const cancel = () => {
        settle();
        reject(cancelledError());
        this._cancel(future.msg.header.msg_id);
      };
      signal?.addEventListener("abort", cancel, { once: true });
      const lost = () => {
        settle();
        reject(lostError());
      };
      const settle = () => {
        signal?.removeEventListener("abort", cancel);
        this._unanswered.delete(lost);
      };
      if (channel === "control") {
        this._unanswered.add(lost);
      }
      if (onProgress) {
        future.onIOPub = (message) => {
          if (message.header.msg_type === "snake_progress") {
            onProgress(message.content);
          }
        };
      }
      future.onReply = (reply) => {
        settle();
        future.dispose();
        this._seeEpoch(reply.content.epoch);
        if (reply.content.status === "ok") {
          resolve({ content: reply.content, buffers: (reply.buffers ?? []).map(dataView) });
        } else {
          reject(errorOf(reply.content));
        }
      };
      // Lab disposes of what waits when the kernel restarts or is lost.
      future.done.catch(lost);
    });
  }

  /** Hear of changes. @returns {function(): void} ends it */
  onChanged(listener) {
    this._changed.add(listener);
    return () => this._changed.delete(listener);
  }

  /** Hear of the kernel's state, at once and when it changes. @returns {function(): void} ends it */
  onStatus(listener) {
    this._watchers.add(listener);
    listener({ ...this._state(), restarted: false });
    return () => this._watchers.delete(listener);
  }

  dispose() {
    if (this.isDisposed) {
      return;
    }
    this.isDisposed = true;
    this._context.kernelChanged.disconnect(this._kernelChanged);
    this._context.statusChanged.disconnect(this._statusChanged);
    this._context.connectionStatusChanged.disconnect(this._statusChanged);
    this._context.iopubMessage.disconnect(this._iopub);
    this._context.disposed.disconnect(this._disposed);
    this._look();
    this._changed.clear();
    this._watchers.clear();
  }

  get _kernel() {
    return this.isDisposed ? null : (this._context.session?.kernel ?? null);
  }

  _state() {
    const kernel = this._kernel;
    const connected =
      kernel !== null &&
      this._supported !== null &&
      kernel.connectionStatus === "connected" &&
      !GONE.has(kernel.status) &&
      !RESTARTING.has(kernel.status);
    return { connected, busy: kernel?.status === "busy", supported: this._supported === true };
  }

  /** Another kernel, or none, is connected. */
  _follow(kernel, isNew) {
    this._followed = kernel;
    this._supported = null;
    this._epoch = null;
    this._awaitsRestart = isNew && kernel !== null;
    if (kernel?.name === FEATURE) {
      // Known by its kernelspec: `info` waits for the cell that may be running.
      this._supported = true;
    } else if (kernel) {
      const settle = (supported) => {
        if (this._kernel === kernel) {
          this._supported = supported;
          this._look();
        }
      };
      kernel.info.then(
        (info) => settle((info.supported_features ?? []).includes(FEATURE)),
        () => settle(false),
      );
    }
    this._look();
  }

  /** Tell the state where it changed; the first one of a new kernel process says `restarted`. */
  _look() {
    const state = this._state();
    if (RESTARTING.has(this._kernel?.status)) {
      this._awaitsRestart = true;
      this._epoch = null;
    }
    if (this._kernel?.connectionStatus !== "connected") {
      [...this._unanswered].forEach((lost) => lost());
    }
    const restarted = this._awaitsRestart && state.connected;
    if (restarted) {
      this._awaitsRestart = false;
    }
    this._tell(state, restarted);
  }

  _tell(state, restarted) {
    const told = JSON.stringify(state);
    if (told === this._told && !restarted) {
      return;
    }
    this._told = told;
    for (const listener of [...this._watchers]) {
      listener({ ...state, restarted });
    }
  }

  /** A reply of another process than the one before: the kernel restarted where Lab did not see it. */
  _seeEpoch(epoch) {
    if (!epoch || epoch === this._epoch) {
      return;
    }
    const isAnother = this._epoch !== null;
    this._epoch = epoch;
    if (isAnother) {
      this._tell(this._state(), true);
    }
  }

  _heard(message) {
    if (message.header.msg_type === "snake_changed") {
      for (const listener of [...this._changed]) {
        listener(message.content);
      }
    }
  }

  _send(op, content, channel) {
    const kernel = this._kernel;
    if (kernel === null || this._supported === null || GONE.has(kernel.status)) {
      throw lostError();
    }
    if (!this._supported) {
      throw new PanelError({
        code: "unsupported_kernel",
        message: "This kernel does not answer the panel; choose the kernel “Python (snakekernel)”.",
      });
    }
    const message = this._createMessage({
      msgType: `snake_${op}_request`,
      channel,
      username: kernel.username,
      session: kernel.clientId,
      content,
    });
    return channel === "shell"
      ? kernel.sendShellMessage(message, true, false)
      : kernel.sendControlMessage(message, true, false);
  }

  _cancel(msgId) {
    try {
      const future = this._send("cancel", { msg_id: msgId }, "control");
      future.onReply = () => future.dispose();
      future.done.catch(() => {});
    } catch (error) {
      if (!(error instanceof PanelError)) {
        throw error;
      }
      // The kernel is gone, and what ran in it with it.
    }
  }
}

function lostError() {
  return new PanelError({ code: "disconnected", message: "The kernel is not connected." });
}

function dataView(buffer) {
  if (buffer instanceof DataView) {
    return buffer;
  }
  return ArrayBuffer.isView(buffer)
    ? new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new DataView(buffer);
}

// transport_widget.js

/**
 * Requests through a widget's messages, for any host of anywidget.
 *
 * Rules: several views may share one model, and each hears all of its messages: the view's own id stands in
 * every request and every answer. A widget belongs to one kernel process and ends with it.
 */


/** A transport over the model of `snakekernel.panel()`. */
export class WidgetTransport {
  /** @param {object} model anywidget's */
  constructor(model) {
    this.insertCode = null;
    this._model = model;
    this._view = randomId();
    this._count = 0;
    /** What waits for its answer, by request id. */
    this._waiting = new Map();
    this._changed = new Set();
    this._watchers = new Set();
    this._state = { connected: false, busy: false, supported: true };
    this._received = (message, buffers) => this._take(message, buffers ?? []);
    this._lost = () => this._set({ connected: false });
    this._doubted = () => {
      this._lost();
      this._ask();
    };
    model.on("msg:custom", this._received);
    model.on("comm:close", this._lost);
    model.on("comm_live_update", this._doubted);
    this._ask();
  }

  /** As LabTransport's. */
  request(op, content = {}, { channel = "control", signal, onProgress } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        throw cancelledError();
      }
      this._count += 1;
      const id = `${this._view}-${this._count}`;
      const cancel = () => {
        this._waiting.delete(id);
        reject(cancelledError());
        this._send("cancel", { msg_id: id }, "control", `${id}-cancel`);
      };
      signal?.addEventListener("abort", cancel, { once: true });
      const settle = () => signal?.removeEventListener("abort", cancel);
      this._waiting.set(id, { resolve, reject, settle, onProgress });
      this._send(op, content, channel, id);
    });
  }

  /** Hear of changes. @returns {function(): void} ends it */
  onChanged(listener) {
    this._changed.add(listener);
    return () => this._changed.delete(listener);
  }

  /** Hear of the kernel's state, at once and when it changes. @returns {function(): void} ends it */
  onStatus(listener) {
    this._watchers.add(listener);
    listener({ ...this._state, restarted: false });
    return () => this._watchers.delete(listener);
  }

  dispose() {
    this._model.off("msg:custom", this._received);
    this._model.off("comm:close", this._lost);
    this._model.off("comm_live_update", this._doubted);
    this._set({ connected: false });
    this._changed.clear();
    this._watchers.clear();
  }

  /** Connected is what answers: a widget saved with its notebook has no kernel behind it. */
  _ask() {
    this.request("ping").then(
      () => this._set({ connected: true }),
      () => {},
    );
  }

  _send(op, content, channel, id) {
    try {
      this._model.send({ kind: "request", view: this._view, id, op, content, channel });
    } catch {
      // The host's own error of a comm that is closed.
      this._lost();
    }
  }

  _take(message, buffers) {
    if (message.kind === "changed") {
      for (const listener of [...this._changed]) {
        listener(message.content);
      }
      return;
    }
    const waiting = this._waiting.get(message.id);
    if (!waiting) {
      return;
    }
    if (message.kind === "progress") {
      waiting.onProgress?.(message.content);
      return;
    }
    this._waiting.delete(message.id);
    waiting.settle();
    if (message.content.status === "ok") {
      waiting.resolve({ content: message.content, buffers });
    } else {
      waiting.reject(errorOf(message.content));
    }
  }

  _set(change) {
    this._state = { ...this._state, ...change };
    if (!this._state.connected) {
      const lost = new PanelError({
        code: "disconnected",
        message: "The kernel of this panel is gone; run its cell again.",
      });
      for (const waiting of this._waiting.values()) {
        waiting.settle();
        waiting.reject(lost);
      }
      this._waiting.clear();
    }
    for (const listener of [...this._watchers]) {
      listener({ ...this._state, restarted: false });
    }
  }
}

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
}

// lab.js

/**
 * The plugin of JupyterLab 4 and Notebook 7: a side panel that shows the objects of the current notebook's kernel.
 *
 * Rules: each session has a panel of its own, kept while its notebook or console is open; only the current one
 * is visible, and one that is not seen sends nothing. Lab's modules are handed in, never imported.
 */


const PANEL_ID = "snakekernel-objects";
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3 jp-icon-selectable" fill="#616161" d="M12 2 3.5 6.5v11L12 22l8.5-4.5v-11zm0 2.3 5.6 2.9L12 10.2 6.4 7.2zM5.5 9l5.5 3v7.1l-5.5-2.9zm7.5 10.1V12l5.5-3v7.2z"/></svg>`;

/**
 * The plugins.
 *
 * @param {Object<string, object>} lab Lab's own modules by name
 * @param {string} style the address of the panel's style sheet
 * @returns {object[]}
 */
export function labPlugins(lab, style) {
  const { ICommandPalette } = lab["@jupyterlab/apputils"];
  const { ILabShell, ILayoutRestorer } = lab["@jupyterlab/application"];
  const { IConsoleTracker } = lab["@jupyterlab/console"];
  const { INotebookTracker } = lab["@jupyterlab/notebook"];
  return [
    {
      id: "snakekernel:objects",
      description: "A side panel with the objects of the current notebook's kernel.",
      autoStart: true,
      optional: [INotebookTracker, IConsoleTracker, ICommandPalette, ILayoutRestorer, ILabShell],
      activate(app, notebooks, consoles, palette, restorer, labShell) {
        if (notebooks || consoles) {
          activateObjects(lab, style, app, { notebooks, consoles, palette, restorer, labShell });
        }
      },
    },
  ];
}

function activateObjects(lab, style, app, { notebooks, consoles, palette, restorer, labShell }) {
  addStyle(style);
  const { LabIcon } = lab["@jupyterlab/ui-components"];
  const icon = new LabIcon({ name: "snakekernel:objects", svgstr: ICON });
  const panels = new SessionPanels(lab, {
    openView: (title, mount) => openTab(lab, app, labShell, icon, title, mount),
  });
  const side = sideWidget(lab, panels);
  side.id = PANEL_ID;
  side.title.icon = icon;
  side.title.caption = "Objects";
  app.shell.add(side, "right", { rank: 500, type: "Objects" });
  restorer?.add(side, PANEL_ID);
  for (const tracker of [notebooks, consoles]) {
    tracker?.currentChanged.connect((_, widget) => panels.follow(widget ?? currentOf(notebooks, consoles)));
  }
  panels.follow(currentOf(notebooks, consoles));
  addCommands(lab, app, palette, labShell, side, panels);
}

function currentOf(notebooks, consoles) {
  return notebooks?.currentWidget ?? consoles?.currentWidget ?? null;
}

function addCommands(lab, app, palette, labShell, side, panels) {
  const { commands, shell } = app;
  commands.addCommand("snakekernel:open-panel", {
    label: "Show Objects",
    caption: "Show the objects of the current notebook's kernel",
    execute: () => shell.activateById(side.id),
  });
  commands.addCommand("snakekernel:toggle-panel", {
    label: "Objects",
    caption: "Show or hide the objects of the current notebook's kernel",
    isToggled: () => side.isVisible,
    execute: () => {
      if (!side.isVisible) {
        shell.activateById(side.id);
      } else if (labShell) {
        shell.collapseRight();
      } else {
        shell.collapse("right");
      }
    },
  });
  commands.addCommand("snakekernel:open-table", {
    label: (args) => (args.target ? `Open ${args.title ?? args.target}` : "Open Table…"),
    caption: "Open a table of the current notebook's kernel",
    isEnabled: () => panels.transport !== null,
    execute: async ({ target, title }) => {
      const { transport } = panels;
      const chosen = target ?? (await chooseTable(lab, transport));
      if (transport && chosen) {
        panels.openTable(transport, chosen, title ?? titleOf(chosen));
      }
    },
  });
  for (const command of ["snakekernel:open-panel", "snakekernel:open-table"]) {
    palette?.addItem({ command, category: "Notebook Objects" });
  }
}

function titleOf(target) {
  const steps = Array.isArray(target) ? target : target.split(".");
  return steps.slice(1).join(".") || steps[0];
}

/** Ask which table; null where none was chosen. */
async function chooseTable(lab, transport) {
  const { InputDialog } = lab["@jupyterlab/apputils"];
  const asked = await Promise.all([
    transport.request("list_stored", { limit: 1000 }),
    transport.request("list_variables", { limit: 1000 }),
  ]);
  const targets = asked.flatMap(({ content }, i) =>
    content.objects
      .filter((object) => object.view === "table")
      .map(({ name }) => [i === 0 ? "stored" : "user", name]),
  );
  const items = targets.map((target) => target.join("."));
  const { button, value } = await InputDialog.getItem({ title: "Open table", items, okLabel: "Open" });
  return button.accept ? (targets[items.indexOf(value)] ?? null) : null;
}

/** The panels of all sessions, one of which is shown. */
class SessionPanels {
  constructor(lab, { openView }) {
    this._lab = lab;
    this._openView = openView;
    this._visible = false;
    /** By session context. */
    this._open = new Map();
    this._shown = null;
    this.node = document.createElement("div");
    this.node.className = "snk-host";
    this._empty = document.createElement("p");
    this._empty.className = "snk-host-empty";
    this._empty.textContent = "Open a notebook to see its objects.";
    this.node.append(this._empty);
    document.addEventListener("visibilitychange", () => this._update());
  }

  /** The current session's transport, or null. */
  get transport() {
    return this._shown?.transport ?? null;
  }

  /** Whether the side panel is seen. */
  setVisible(visible) {
    this._visible = visible;
    this._update();
  }

  /** Show the objects of a notebook's or console's kernel; of none for null. */
  follow(widget) {
    const context = widget?.sessionContext ?? null;
    if (context && !context.isDisposed && !this._open.has(context)) {
      this._mount(widget, context);
    }
    this._shown = this._open.get(context) ?? null;
    for (const one of this._open.values()) {
      one.node.hidden = one !== this._shown;
    }
    this._empty.hidden = this._shown !== null;
    this._update();
  }

  openTable(transport, target, title) {
    this._openView(title, (element) => mountTable(element, transport, target, { title }));
  }

  _mount(widget, context) {
    const { KernelMessage } = this._lab["@jupyterlab/services"];
    const transport = new LabTransport(context, {
      createMessage: KernelMessage.createMessage,
      insertCode: (text) => insertCode(widget, text),
    });
    const node = document.createElement("div");
    node.className = "snk-host-session";
    this.node.append(node);
    const panel = mountPanel(node, transport, {
      openView: this._openView,
      theme: "jupyter",
      storage: localSettings(),
    });
    this._open.set(context, { node, transport, panel });
    context.disposed.connect(() => {
      panel.dispose();
      transport.dispose();
      node.remove();
      const one = this._open.get(context);
      this._open.delete(context);
      if (one === this._shown) {
        this.follow(null);
      }
    });
  }

  _update() {
    const seen = this._visible && document.visibilityState !== "hidden";
    for (const one of this._open.values()) {
      one.panel.setVisible(seen && one === this._shown);
    }
  }
}

/** The side panel's widget, which tells when it is seen. */
function sideWidget(lab, panels) {
  const { Widget } = lab["@lumino/widgets"];
  class ObjectsWidget extends Widget {
    constructor() {
      super({ node: panels.node });
    }
    onAfterAttach() {
      panels.setVisible(this.isVisible);
    }
    onAfterShow() {
      panels.setVisible(true);
    }
    onBeforeHide() {
      panels.setVisible(false);
    }
    onBeforeDetach() {
      panels.setVisible(false);
    }
    onActivateRequest() {
      const first = this.node.querySelector('.snk-host-session:not([hidden]) input, [tabindex="0"]');
      first?.focus();
    }
  }
  return new ObjectsWidget();
}

let tabs = 0;

/** Open a view as a tab: in Lab's main area; below the notebook where the main area holds one widget only. */
function openTab(lab, app, labShell, icon, title, mount) {
  const { Widget } = lab["@lumino/widgets"];
  class ViewWidget extends Widget {
    onAfterAttach() {
      this.handle ??= mount(this.node);
    }
    onResize() {
      this.handle?.resized?.();
    }
    onAfterShow() {
      this.handle?.resized?.();
    }
    onCloseRequest(message) {
      super.onCloseRequest(message);
      this.dispose();
    }
    dispose() {
      this.handle?.dispose();
      this.handle = null;
      super.dispose();
    }
  }
  const widget = new ViewWidget();
  tabs += 1;
  widget.id = `snakekernel-view-${tabs}`;
  widget.addClass("snk-host-view");
  widget.title.label = title;
  widget.title.caption = title;
  widget.title.closable = true;
  widget.title.icon = icon;
  app.shell.add(widget, labShell ? "main" : "down");
  app.shell.activateById(widget.id);
}

/** Put a line into the active cell of a notebook, or the prompt of a console. */
function insertCode(widget, text) {
  const cell = widget.console?.promptCell ?? widget.content?.activeCell ?? null;
  if (!cell || cell.isDisposed) {
    return;
  }
  if (cell.editor) {
    cell.editor.replaceSelection(text);
    cell.editor.focus();
  } else {
    // Scrolled out of sight, a cell has no editor.
    const { sharedModel } = cell.model;
    const source = sharedModel.getSource();
    sharedModel.setSource(source && !source.endsWith("\n") ? `${source}\n${text}` : source + text);
  }
}

function addStyle(href) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}

// widget.js

/** The panel as an anywidget: `snakekernel.panel()`. */


/** Whether the page has Jupyter's colours. */
function themeOf(element) {
  return getComputedStyle(element).getPropertyValue("--jp-layout-color1") ? "jupyter" : "plain";
}

export default {
  render({ model, el }) {
    const transport = new WidgetTransport(model);
    el.classList.add("snk-widget");
    el.style.height = model.get("height");
    const panel = mountPanel(el, transport, {
      openView: null,
      theme: themeOf(el),
      storage: localSettings(),
    });
    let onScreen = false;
    const update = () => panel.setVisible(onScreen && document.visibilityState !== "hidden");
    const observer = new IntersectionObserver((entries) => {
      onScreen = entries[entries.length - 1].isIntersecting;
      update();
    });
    observer.observe(el);
    document.addEventListener("visibilitychange", update);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", update);
      panel.dispose();
      transport.dispose();
    };
  },
};
