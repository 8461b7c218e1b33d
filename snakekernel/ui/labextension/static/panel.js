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

// values.js

/**
 * Data of the protocol's grammar as Python text, what a person typed as data, and paths as either.
 *
 * Rules: pure functions. Texts are for reading and for pasting into Python; where Python has no short
 * way to write a value, null, so that the caller offers nothing rather than something wrong.
 */

const PYTHON_KEYWORDS = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield"
  ).split(" "),
);

/** Names that mean a method of the mapping `stored`, so that its objects of that name need brackets. */
const MAPPING_METHODS = new Set("clear get items keys pop popitem setdefault update values".split(" "));

/** Whether a text can stand after a dot in Python. Unicode identifiers count. */
export function isPythonName(text) {
  return /^[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*$/u.test(text) && !PYTHON_KEYWORDS.has(text);
}

/** A Python string literal. */
export function pythonString(text) {
  const escaped = text
    .replace(/\\/g, "\\\\")
    .replace(/"/g, '\\"')
    .replace(/\n/g, "\\n")
    .replace(/\r/g, "\\r")
    .replace(/\t/g, "\\t")
    .replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (one) => {
      return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
    });
  return `"${escaped}"`;
}

function textsOf(items) {
  const texts = items.map(pythonText);
  return texts.includes(null) ? null : texts;
}

function bracketed(items, open, close) {
  const texts = textsOf(items);
  return texts && open + texts.join(", ") + close;
}

function dictText(pairs) {
  const texts = pairs.map(([key, value]) => [pythonText(key), pythonText(value)]);
  if (texts.flat().includes(null)) return null;
  return `{${texts.map(([key, value]) => `${key}: ${value}`).join(", ")}}`;
}

const called = (name) => (payload) => `${name}(${pythonString(String(payload))})`;

/** Python's way to write the tagged values of the grammar. */
const TAGGED_TEXTS = {
  $tuple: (items) => (items.length === 1 ? bracketed(items, "(", ",)") : bracketed(items, "(", ")")),
  $set: (items) => (items.length ? bracketed(items, "{", "}") : "set()"),
  $frozenset: (items) => bracketed(items, "frozenset({", "})"),
  $dict: dictText,
  $int: (digits) => digits,
  $float: (name) => `float("${name}")`,
  $complex: ([re, im]) => `complex(${pythonText(re)}, ${pythonText(im)})`,
  $decimal: called("decimal.Decimal"),
  $fraction: ([over, under]) => `fractions.Fraction(${pythonText(over)}, ${pythonText(under)})`,
  $datetime: (iso) => (typeof iso === "string" ? called("datetime.datetime.fromisoformat")(iso) : null),
  $date: called("datetime.date.fromisoformat"),
  $time: (iso) => (typeof iso === "string" ? called("datetime.time.fromisoformat")(iso) : null),
  $timedelta: (parts) => `datetime.timedelta(${parts.join(", ")})`,
  $uuid: called("uuid.UUID"),
  $path: called("pathlib.Path"),
  $ref: (path) => pythonPath(["stored", ...(Array.isArray(path) ? path : [path])]),
};

/** Data as a Python expression, or null where there is no short one. */
export function pythonText(data) {
  if (data === null || data === undefined) return "None";
  if (data === true) return "True";
  if (data === false) return "False";
  if (typeof data === "number") return String(data);
  if (typeof data === "string") return pythonString(data);
  if (Array.isArray(data)) return bracketed(data, "[", "]");
  const [tag, ...others] = Object.keys(data);
  if (tag !== undefined && tag.startsWith("$")) {
    const write = !others.length && Object.hasOwn(TAGGED_TEXTS, tag) ? TAGGED_TEXTS[tag] : null;
    return write && write(data[tag]);
  }
  return dictText(Object.entries(data));
}

function stepText(step) {
  if (typeof step === "object" && step !== null && "attr" in step) {
    return isPythonName(step.attr) ? `.${step.attr}` : null;
  }
  const key = pythonText(typeof step === "object" && step !== null ? step.item : step);
  return key && `[${key}]`;
}

/**
 * The Python expression that a target stands for: `stored.df`, `stored["a b"].x[0]`, `df["a"]`.
 *
 * Null where a step cannot be written. A bare text as a step is a key of a mapping, as the kernel's
 * `inspect` gives them.
 *
 * @param {Array} target  as the protocol has it, list form
 */
export function pythonPath(target) {
  const [root, name, ...steps] = target;
  let text;
  if (root === "user") text = isPythonName(name) ? name : `globals()[${pythonString(name)}]`;
  else if (isPythonName(name) && !name.startsWith("_") && !MAPPING_METHODS.has(name)) text = `stored.${name}`;
  else text = `stored[${pythonString(name)}]`;
  for (const step of steps) {
    const next = stepText(step);
    if (next !== null) text += next;
    else if (step && typeof step === "object" && "attr" in step) text = `getattr(${text}, ${pythonString(step.attr)})`;
    else return null;
  }
  return text;
}

/** A target as short as the protocol allows: dotted text where that means the same, else its list form as JSON. */
export function targetText(target) {
  const plain = target.every((part) => typeof part === "string" && part && !part.includes("."));
  return plain ? target.join(".") : JSON.stringify(target);
}

/** JSON in which integers beyond ±2^53 keep every digit. */
function exactJson(text) {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) => {
    const whole = /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token));
    return whole ? `{"$int": "${token}"}` : token;
  });
  return JSON.parse(marked);
}

/**
 * What a person typed, as data.
 *
 * @param {string} text
 * @param {"value"|"text"|"object"} mode  JSON (Python's True, False and None too); text as it stands; the
 *   name of a stored object
 * @returns {{data: any}|{error: string}}
 */
export function typedValue(text, mode) {
  if (mode === "text") return { data: text };
  if (mode === "object") {
    const name = text.trim();
    return name ? { data: { $ref: name } } : { error: "Name a stored object." };
  }
  const words = { True: true, False: false, None: null };
  if (Object.hasOwn(words, text.trim())) return { data: words[text.trim()] };
  try {
    return { data: exactJson(text) };
  } catch {
    return { error: "This is no JSON value. Put texts in double quotes, or choose Text." };
  }
}

/** How an annotation or a default suggests that a value be typed. */
export function suggestedMode(parameter) {
  const hint = `${parameter.annotation ?? ""}`;
  if (/^(typing\.)?(Optional\[)?str\b/.test(hint) || /^['"]/.test(parameter.default ?? "")) return "text";
  return "value";
}

/** The result of a call, as text: its value in Python's notation, else its repr. */
export function resultText(result) {
  if (!result) return "";
  if ("value" in result) {
    if (typeof result.value === "string") return result.value;
    return pythonText(result.value) ?? JSON.stringify(result.value, null, 1);
  }
  return result.string_repr ?? "";
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

// grid.js

/** The grid: a table, page by page. */

/** Show a table. */
export function mountTable(element, transport, target, { title }) {
  element.textContent = title;
  return { dispose() { element.textContent = ""; }, resized() {} };
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

// layout.js

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
      } else if (key.startsWith(`${part.source.key}\u0000`) && !key.includes("\u0001")) {
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
        const { kind, source } = part.rows[0];
        if (["waiting", "note"].includes(kind) && !part.rows[0].parent) found.set(source, [0, 1]);
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

// sources.js

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

/** Milliseconds between two refreshes of what is on screen, however often it changes. */
const REFRESH_GAP = 150;

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
   */
  constructor(kind, sessionId, request, changed) {
    this.kind = kind;
    this.sessionId = sessionId;
    this.key = kind === "session" ? `session:${sessionId}` : kind;
    this.root = kind === "variables" ? "user" : "stored";
    this.request = request;
    this.changed = changed;
    this.search = "";
    this.clear();
  }

  /** Forgets everything; answers under way are dropped. */
  clear() {
    this.leave();
    /** How many objects there are; null before the first answer. */
    this.count = null;
    this.error = null;
    this.pages = new Map();
    this.positions = new Map();
    this.ticks = 0;
    this.refreshed = -Infinity;
  }

  /** Drops what is under way, and asks for nothing more on its own. */
  leave() {
    for (const controller of this.underway?.values() ?? []) controller.abort();
    this.underway = new Map();
    clearTimeout(this.timer);
    this.timer = 0;
  }

  /** Another filter: from the first page on. */
  setSearch(search) {
    if (search === this.search) return;
    this.search = search;
    const count = this.count;
    this.clear();
    // The old count holds the place until the answer, so that the list does not jump to nothing and back.
    this.count = count;
    this.stale = true;
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
    const low = Math.floor(first / SOURCE_PAGE);
    const high = Math.max(low, Math.ceil(last / SOURCE_PAGE) - 1);
    for (let page = low; page <= high; page += 1) this.#needPage(page);
    this.#forgetFarFrom((low + high) / 2);
  }

  #needPage(number) {
    const page = this.pages.get(number);
    if (this.underway.has(number) || this.underway.size >= PAGES_AT_ONCE) return;
    if (!page) {
      this.#fetch(number);
    } else if (page.tick < this.ticks) {
      const wait = this.refreshed + REFRESH_GAP - performance.now();
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
    const old = this.pages.get(number)?.objects ?? [];
    for (const object of old) this.positions.delete(object.name);
    content.objects.forEach((object, n) => this.positions.set(object.name, number * SOURCE_PAGE + n));
    this.pages.set(number, { objects: content.objects, tick });
    this.count = content.count;
    this.stale = false;
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

// tree.js

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

/** Types that never have parts, where the kernel's list does not say. */
const PARTLESS_VIEWS = new Set(["scalar", "text"]);

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
    return !PARTLESS_VIEWS.has(this.object.view);
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
    await Promise.all((this.children ?? []).filter((one) => one.children).map((one) => one.refresh(request, changed)));
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

// menu.js

/**
 * Menus and questions of the panel.
 *
 * Rules: both take the focus, keep it while they are there, and give it back; Escape always leaves them
 * without doing anything. They live in the panel's own element, so that they follow its theme.
 */


/**
 * Opens a menu at a point of the window.
 *
 * @param {HTMLElement} root  the panel
 * @param {Array<{label: string, run?: () => void, hint?: string, disabled?: boolean, checked?: boolean}|null>} items
 *   null is a separator
 * @param {number} x
 * @param {number} y
 */
export function openMenu(root, items, x, y) {
  root.querySelector(".snk-menu-back")?.remove();
  const before = document.activeElement;
  const close = () => {
    back.remove();
    before?.focus?.({ preventScroll: true });
  };
  const entries = [];
  const parts = items.map((item) => {
    if (!item) return h("div", { class: "snk-menu-line", role: "separator" });
    const entry = h(
      "button",
      {
        class: "snk-menu-item",
        role: item.checked === undefined ? "menuitem" : "menuitemcheckbox",
        "aria-checked": item.checked === undefined ? null : String(item.checked),
        tabIndex: -1,
        disabled: Boolean(item.disabled),
        onClick: () => {
          close();
          item.run();
        },
      },
      h("span", { class: "snk-menu-label" }, item.label),
      item.hint ? h("span", { class: "snk-menu-hint" }, item.hint) : null,
    );
    if (!item.disabled) entries.push(entry);
    return entry;
  });
  const menu = h("div", { class: "snk-menu", role: "menu" }, parts);
  const back = h("div", { class: "snk-menu-back", "data-lm-suppress-shortcuts": "true" }, menu);
  back.addEventListener("mousedown", (event) => {
    if (menu.contains(event.target)) return;
    event.preventDefault();
    close();
  });
  back.addEventListener("contextmenu", (event) => event.preventDefault());
  back.addEventListener("keydown", (event) => {
    event.stopPropagation();
    const at = entries.indexOf(document.activeElement);
    const next = listIndex(event, at, entries.length);
    if (next !== null) {
      const wrapped = next === at ? (event.key === "ArrowDown" ? 0 : entries.length - 1) : next;
      entries[wrapped].focus();
    } else if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) {
      const letter = event.key.toLowerCase();
      const order = [...entries.slice(at + 1), ...entries.slice(0, at + 1)];
      order.find((entry) => entry.textContent.trim().toLowerCase().startsWith(letter))?.focus();
    } else return;
    event.preventDefault();
  });
  root.append(back);
  const box = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(4, Math.min(x, window.innerWidth - box.width - 4))}px`;
  menu.style.top = `${Math.max(4, y + box.height + 4 > window.innerHeight ? Math.max(4, y - box.height) : y)}px`;
  // Where an ancestor is transformed, "fixed" counts from it.
  const off = menu.getBoundingClientRect();
  const wanted = { left: parseFloat(menu.style.left), top: parseFloat(menu.style.top) };
  menu.style.left = `${2 * wanted.left - off.left}px`;
  menu.style.top = `${2 * wanted.top - off.top}px`;
  entries[0]?.focus({ preventScroll: true });
}

/**
 * Asks before something that cannot be undone.
 *
 * @param {HTMLElement} root  the panel
 * @param {{title: string, text: string, names?: string[], action: string, run: () => Promise<string|null>}} question
 *   `run` resolves to what went wrong, or to null
 */
export function confirmFirst(root, { title, text, names = [], action, run }) {
  const before = document.activeElement;
  const ids = [freshId("snk-title"), freshId("snk-text")];
  const problem = h("p", { class: "snk-problem", role: "alert", hidden: true });
  const yes = h("button", { class: "snk-push snk-push-danger" }, action);
  const no = h("button", { class: "snk-push" }, "Cancel");
  const dialog = h(
    "div",
    { class: "snk-dialog", role: "alertdialog", "aria-modal": "true", "aria-labelledby": ids[0], "aria-describedby": ids[1] },
    h("h2", { id: ids[0] }, title),
    h("p", { id: ids[1] }, text),
    names.length ? h("ul", { class: "snk-dialog-names" }, names.map((name) => h("li", null, name))) : null,
    problem,
    h("div", { class: "snk-dialog-buttons" }, no, yes),
  );
  const back = h("div", { class: "snk-dialog-back", "data-lm-suppress-shortcuts": "true" }, dialog);
  const release = trapFocus(dialog);
  const close = () => {
    release();
    back.remove();
    before?.focus?.({ preventScroll: true });
  };
  no.addEventListener("click", close);
  yes.addEventListener("click", async () => {
    yes.disabled = true;
    const wrong = await run();
    yes.disabled = false;
    if (wrong === null) return close();
    problem.textContent = wrong;
    problem.hidden = false;
    no.focus();
  });
  back.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close();
  });
  root.append(back);
  no.focus();
}

// details.js

/**
 * What is known of the selected object: facts, preview, value, signature, documentation, history.
 *
 * Rules: asked for once the selection rests; an answer for another object is dropped. The object's own
 * code runs only when the reader asks for its repr, and can be stopped then.
 */


/** Milliseconds that a selection rests before it is asked about. */
const SELECTION_RESTS = 80;

/** Seconds that a repr may take, once asked for. */
const REPR_BUDGET = 10;

/** Height of a preview, in CSS pixels. */
const PREVIEW_HEIGHT = 320;

const ACTION_WORDS = { stored: "Stored", replaced: "Replaced", changed: "Changed", renamed: "Renamed", deleted: "Deleted" };

/** The pane below the list. */
export class Details {
  /**
   * @param {PanelState} state
   * @param {Actions} actions
   */
  constructor(state, actions) {
    this.state = state;
    this.actions = actions;
    this.node = null;
    this.inspection = null;
    this.imageUrl = null;
    this.title = h("h2", { class: "snk-details-title" });
    this.kind = h("span", { class: "snk-details-type" });
    this.buttons = h("div", { class: "snk-details-buttons" });
    this.body = h("div", { class: "snk-details-body", tabIndex: 0, role: "region", "aria-label": "About the selected object" });
    const heading = h("div", { class: "snk-details-names" }, this.title, this.kind);
    this.element = h("section", { class: "snk-details", "aria-label": "Details" }, h("header", null, heading, this.buttons), this.body);
    this.askSoon = debounce(() => this.#ask(), SELECTION_RESTS);
    this.off = state.onTouched((source, names) => this.#touched(source, names));
  }

  dispose() {
    this.off();
    this.leave();
    this.#dropImage();
  }

  /** Stops what is under way. */
  leave() {
    this.askSoon.cancel();
    this.asking?.abort();
    this.evaluating?.abort();
    this.asking = this.evaluating = null;
  }

  #touched(source, names) {
    if (!this.node) return;
    if (source !== null && !(this.node.source === source && (names === null || names.has(this.node.name)))) return;
    this.stale = true;
    if (this.state.live && source !== null) this.askSoon();
  }

  /** Shows a node; null clears the pane. */
  show(node) {
    if (node?.key === this.node?.key && node?.source === this.node?.source) {
      if (node) this.node = node;
      return;
    }
    this.leave();
    this.node = node;
    this.inspection = this.error = this.evaluated = this.preview = null;
    this.allText = false;
    this.#dropImage();
    this.body.scrollTop = 0;
    this.#draw();
    if (node?.steps && this.state.live) this.askSoon();
  }

  #dropImage() {
    if (this.imageUrl) URL.revokeObjectURL(this.imageUrl);
    this.imageUrl = null;
  }

  #content(more) {
    const content = { target: this.node.target, ...more };
    if (this.node.source.sessionId !== null) content.session_id = this.node.source.sessionId;
    return content;
  }

  async #ask() {
    if (!this.node?.steps || !this.state.live) return;
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    this.stale = false;
    try {
      const answer = await this.state.request("inspect", this.#content({ limit: 0 }), { signal });
      if (signal.aborted) return;
      this.inspection = answer.content.inspection;
      this.error = null;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.#draw();
    if (["image", "figure"].includes(this.inspection?.view) && !this.error) await this.#askPreview(signal);
  }

  async #askPreview(signal) {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const size = { width: Math.max(64, Math.round(this.body.clientWidth * scale)), height: Math.round(PREVIEW_HEIGHT * scale) };
    try {
      const { content, buffers } = await this.state.request("preview", this.#content(size), { signal });
      if (signal.aborted) return;
      this.#dropImage();
      this.preview = content.preview;
      if (this.preview) {
        const blob = new Blob([buffers[this.preview.data.$bytes]], { type: this.preview.mime });
        this.imageUrl = URL.createObjectURL(blob);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.preview = { error: error.message };
    }
    this.#draw();
  }

  /** Lets the object's own `__repr__` run. */
  async evaluate() {
    if (this.evaluating) {
      this.evaluating.abort();
      this.evaluating = null;
      this.#draw();
      return;
    }
    const { signal } = (this.evaluating = new AbortController());
    this.#draw();
    let found;
    try {
      const content = this.#content({ limit: 0, run_code: true, budget: REPR_BUDGET });
      found = { text: (await this.state.request("inspect", content, { signal })).content.inspection.string_repr };
    } catch (error) {
      found = { problem: error.message };
    }
    if (signal.aborted) return;
    this.evaluating = null;
    this.evaluated = found;
    this.#draw();
  }

  #draw() {
    const { node } = this;
    this.element.hidden = !node;
    if (!node) return;
    const about = this.inspection ?? {};
    const object = { ...node.object, ...about, view: about.view ?? node.object.view };
    setText(this.title, oneLine(node.label, 200));
    this.title.title = oneLine(this.actions.python(node) ?? node.label, 1000);
    setText(this.kind, [object.type, formatShape(object)].filter(Boolean).join(" · "));
    this.#drawButtons(node, object);
    const open = new Map([...this.body.querySelectorAll("details")].map((one) => [one.dataset.name, one.open]));
    const focused = document.activeElement?.dataset?.snkFocus;
    const held = this.body.contains(document.activeElement) && focused;
    placeChildren(this.body, this.#sections(node, object, open));
    if (held) this.body.querySelector(`[data-snk-focus="${focused}"]`)?.focus({ preventScroll: true });
  }

  #drawButtons(node, object) {
    const button = (name, label, run) => h("button", { class: "snk-button", title: label, "aria-label": label, onClick: run }, icon(name));
    const shown = [];
    if (node.steps && object.view === "table") shown.push(button("table", "Open table", () => this.actions.ui.openTable(node)));
    if (node.steps && object.view === "callable") shown.push(button("play", "Call…", () => this.actions.ui.openForm(node)));
    const more = (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      this.actions.menu([{ kind: "item", key: node.key, node }], box.left, box.bottom);
    };
    shown.push(button("more", "More", more));
    const signature = `${node.key} ${object.view}`;
    if (this.buttonsFor === signature) return;
    this.buttonsFor = signature;
    this.buttons.replaceChildren(...shown);
  }

  #sections(node, object, open) {
    if (!node.steps) return [h("p", { class: "snk-quiet" }, "No path leads to this part, so there is nothing more to ask about it.")];
    const sections = [this.#facts(object)];
    if (this.error) sections.push(this.#problem());
    if (this.imageUrl || this.preview) sections.push(this.#picture());
    if (!this.inspection) return sections;
    sections.push(this.#value(object));
    if (object.signature) sections.push(this.#fold("Signature", open, true, h("pre", { class: "snk-code" }, oneLine(object.signature, 2000))));
    if (object.docstring) {
      const text = h("pre", { class: "snk-code snk-docs" }, object.docstring);
      sections.push(this.#fold("Documentation", open, object.view === "callable", text));
    }
    if (object.stored?.history?.length) sections.push(this.#fold("History", open, false, this.#history(object.stored.history)));
    return sections;
  }

  #problem() {
    return h(
      "p",
      { class: "snk-problem", role: "alert" },
      this.error.message,
      " ",
      h("button", { class: "snk-link", "data-snk-focus": "retry", onClick: () => this.#ask() }, "Retry"),
    );
  }

  #facts(object) {
    const now = Date.now() / 1000;
    const stored = object.stored ?? {};
    const made = stored.made_by ?? object.made_by;
    const maker = made ? [made.label, made.client && `by ${made.client}`].filter(Boolean).join(" ") : "";
    const times = (time) => (time ? `${formatAge(time, now)}${formatAge(time, now) === "now" ? "" : " ago"}` : "");
    const full = object.module && object.module !== "builtins" ? `${object.module}.${object.type}` : object.type;
    const rows = [
      ["Type", oneLine(full ?? "", 200)],
      ["Data type", object.dtype && oneLine(object.dtype, 200)],
      ["Size", formatSize(object.size), object.size ? `${formatCount(object.size)} bytes, estimated` : null],
      ["Made by", oneLine(maker, 200)],
      ["Stored", times(stored.created ?? object.created), formatTime(stored.created ?? object.created)],
      ["Last used", times(stored.last_used ?? object.last_used), formatTime(stored.last_used ?? object.last_used)],
      ["Expires", formatTime(stored.expires_at ?? object.expires_at)],
    ];
    const shown = rows.filter(([, text]) => text);
    return h("dl", { class: "snk-facts" }, shown.map(([label, text, title]) => [h("dt", null, label), h("dd", { title }, text)]));
  }

  #picture() {
    if (this.preview.error) return h("p", { class: "snk-problem" }, this.preview.error);
    const { width, height, scaled } = this.preview;
    const size = width && height ? `${formatCount(width)} × ${formatCount(height)} pixels` : "";
    return h(
      "figure",
      { class: "snk-picture" },
      h("img", { src: this.imageUrl, alt: `Preview of ${oneLine(this.node.label, 100)}` }),
      size ? h("figcaption", null, scaled ? `${size}, scaled` : size) : null,
    );
  }

  #value(object) {
    const { evaluated } = this;
    const text = evaluated?.text ?? object.string_repr ?? "";
    const runs = Boolean(this.evaluating);
    const label = runs ? "Cancel" : evaluated ? "Evaluate again" : "Evaluate repr";
    const why = "Run the object's own __repr__ in the kernel";
    const asks = h("button", { class: "snk-link", title: why, "data-snk-focus": "repr", onClick: () => this.evaluate() }, label);
    return h(
      "div",
      { class: "snk-section" },
      h("div", { class: "snk-section-head" }, h("h3", null, evaluated?.text !== undefined ? "Value (evaluated)" : "Value"), asks),
      runs ? h("p", { class: "snk-quiet", role: "status" }, "Evaluating in the kernel") : null,
      evaluated?.problem ? h("p", { class: "snk-problem", role: "alert" }, evaluated.problem) : null,
      h("pre", { class: "snk-code" }, text),
    );
  }

  #fold(name, open, shown, content) {
    const fold = h("details", { class: "snk-section", "data-name": name }, h("summary", null, name), content);
    fold.open = open.get(name) ?? shown;
    return fold;
  }

  #history(entries) {
    const now = Date.now() / 1000;
    const row = ({ action, at, made_by: made, size }) =>
      h(
        "tr",
        { title: formatTime(at) },
        h("td", null, ACTION_WORDS[action] ?? oneLine(action, 20)),
        h("td", { class: "snk-history-maker" }, oneLine(made?.label ?? "", 80)),
        h("td", { class: "snk-number" }, formatSize(size)),
        h("td", { class: "snk-number" }, formatAge(at, now)),
      );
    return h("table", { class: "snk-history" }, h("tbody", null, entries.map(row)));
  }
}

// rows.js

/**
 * One row of the list as an element, made once and changed in place.
 *
 * Rules: every text of an object is on one line and cut here, so that no name or value can be slow to
 * draw, take more room or look like another.
 */


/** Pixels of indentation per level. */
const INDENT = 14;

/** What a view is called where only an icon stands for it. */
const VIEW_NAMES = {
  table: "table",
  tree: "container",
  image: "image",
  figure: "figure",
  text: "text",
  callable: "callable",
  scalar: "value",
  object: "object",
};

const ITEM_PARTS = ["name", "preview", "type", "shape", "size", "maker", "age"];

/** Creates the elements of a row; `update` fills them. */
export class RowElement {
  constructor(id) {
    this.twisty = h("span", { class: "snk-twisty" }, icon("chevron"));
    this.kind = h("span", { class: "snk-kind" });
    this.parts = Object.fromEntries(ITEM_PARTS.map((part) => [part, h("span", { class: `snk-cell snk-${part}` })]));
    this.text = h("span", { class: "snk-row-text" });
    this.open = h("button", { class: "snk-button snk-row-open", tabIndex: -1, title: "Open table" }, icon("table"));
    setAttribute(this.open, "aria-hidden", "true");
    const { name, ...rest } = this.parts;
    this.head = h("span", { class: "snk-head" }, this.twisty, this.kind, name);
    this.element = h("div", { class: "snk-row", role: "treeitem", id }, this.head, this.text, ...Object.values(rest), this.open);
    this.view = null;
    this.shown = "";
  }

  /**
   * @param {object} row  of a RowLayout
   * @param {{selected: boolean, active: boolean, mark: object|null, now: number, index: number, info: object}} how
   */
  update(row, how) {
    const classes = ["snk-row", `snk-row-${row.kind}`];
    if (how.selected) classes.push("snk-selected");
    if (how.active) classes.push("snk-active");
    if (how.mark) classes.push(`snk-mark-${how.mark.kind}`, how.mark.serial % 2 ? "snk-odd" : "snk-even");
    const className = classes.join(" ");
    if (className !== this.shown) this.element.className = this.shown = className;
    setAttribute(this.element, "aria-level", row.level);
    setAttribute(this.element, "aria-selected", String(how.selected));
    this.head.style.paddingLeft = `${Math.max(0, row.level - how.base) * INDENT}px`;
    const draw = { item: "#item", child: "#item", group: "#group" }[row.kind];
    if (draw === "#item") this.#item(row, how);
    else if (draw === "#group") this.#group(row, how);
    else this.#line(row);
  }

  #expandable(openable, open) {
    setAttribute(this.element, "aria-expanded", openable ? String(open) : null);
    this.twisty.classList.toggle("snk-hidden", !openable);
    this.twisty.classList.toggle("snk-open", openable && open);
  }

  #setKind(view) {
    if (view === this.view) return;
    this.view = view;
    this.kind.replaceChildren(...(view ? [icon(view)] : []));
    this.kind.className = `snk-kind snk-kind-${view}`;
  }

  #item(row, { now }) {
    const { node } = row;
    const object = node.object;
    const view = Object.hasOwn(VIEW_NAMES, object.view) ? object.view : "object";
    this.#expandable(node.openable, node.open);
    this.#setKind(view);
    const label = oneLine(node.label, 300) || "(empty name)";
    const shape = formatShapeShort(object);
    const maker = object.made_by?.label ?? "";
    const client = object.made_by?.client;
    const texts = {
      name: label,
      preview: oneLine(object.preview ?? object.string_repr ?? "", 160),
      type: oneLine(object.type, 60),
      shape,
      size: formatSize(object.size),
      maker: oneLine(maker, 60),
      age: object.created === undefined ? "" : formatAge(object.created, now),
    };
    for (const part of ITEM_PARTS) setText(this.parts[part], texts[part]);
    setText(this.text, "");
    setAttribute(this.open, "hidden", view !== "table" || !node.steps);
    const made = maker && `made by ${oneLine(maker, 80)}${client ? ` (${oneLine(client, 40)})` : ""}`;
    const time = object.created === undefined ? "" : formatTime(object.created);
    const about = [texts.type, shape, texts.size, made, time].filter(Boolean).join(" · ");
    setAttribute(this.element, "title", `${label}\n${about}`);
    setAttribute(this.element, "aria-label", [label, VIEW_NAMES[view], texts.type, shape, texts.preview].filter(Boolean).join(", "));
  }

  #group({ source, collapsed }, { info }) {
    this.#expandable(true, !collapsed);
    this.#setKind(null);
    const names = { stored: "Stored", variables: "Variables" };
    const name = names[source.kind] ?? `Session ${oneLine(source.sessionId, 80)}`;
    setText(this.parts.name, name);
    setText(this.text, source.count === null ? "" : formatCount(source.count));
    for (const part of ITEM_PARTS.slice(1)) setText(this.parts[part], "");
    setAttribute(this.open, "hidden", true);
    const ends = info?.expires_at ? `\nEnds ${formatTime(info.expires_at)} unless it is used` : "";
    setAttribute(this.element, "title", source.kind === "session" ? `Session ${source.sessionId.slice(0, 300)}${ends}` : null);
    setAttribute(this.element, "aria-label", source.count === null ? name : `${name}, ${plural(source.count, "object")}`);
  }

  #line(row) {
    this.#expandable(false, false);
    this.#setKind(row.kind === "error" ? "warning" : null);
    for (const part of ITEM_PARTS) setText(this.parts[part], "");
    setAttribute(this.open, "hidden", true);
    const texts = {
      waiting: () => "Loading",
      blank: () => "",
      note: () => row.text,
      more: () => `Show more (${formatCount(row.rest)} left)`,
      error: () => `${oneLine(row.error.message, 300)} Retry`,
    };
    const text = texts[row.kind]();
    setText(this.text, text);
    setAttribute(this.element, "title", row.kind === "error" ? text : null);
    setAttribute(this.element, "aria-label", text || "Loading");
  }
}

// form.js

/**
 * A form that calls an object or one of its methods, made from its parameters.
 *
 * Rules: what is left empty is left out, so that the callable's own default holds; values are sent in the
 * protocol's grammar; the call runs in the kernel's queue, after the cell that runs, and the form says so.
 */


const MODES = [
  ["value", "Value", "JSON: numbers, true, null, [1, 2], {\"a\": 1}, \"text\""],
  ["text", "Text", "Taken as it stands"],
  ["object", "Object", "A stored object, by its name"],
];

/** Names of stored objects offered at once. */
const NAMES_OFFERED = 50;

/** One argument: a field, and how what is typed in it is meant. */
class ArgumentField {
  constructor(form, parameter, { named = null } = {}) {
    this.parameter = parameter;
    this.form = form;
    const id = freshId("snk-field");
    const wanted = parameter.required ? "required" : parameter.default !== null ? `${oneLine(parameter.default, 60)}` : "";
    this.name = named;
    this.field = h("input", {
      id,
      class: "snk-field",
      placeholder: wanted,
      spellcheck: "false",
      autocomplete: "off",
      "aria-required": String(Boolean(parameter.required)),
      onInput: () => this.#typed(),
    });
    this.mode = h(
      "select",
      { class: "snk-mode", "aria-label": `How ${parameter.name} is meant`, onChange: () => this.#typed() },
      MODES.map(([value, label, title]) => h("option", { value, title }, label)),
    );
    this.mode.value = suggestedMode(parameter);
    this.problem = h("p", { class: "snk-problem", role: "alert", hidden: true, id: `${id}-problem` });
    const label = named ?? h("label", { for: id }, oneLine(parameter.name, 100));
    const note = parameter.annotation ? h("span", { class: "snk-annotation" }, oneLine(parameter.annotation, 120)) : null;
    this.element = h(
      "div",
      { class: "snk-argument" },
      h("div", { class: "snk-argument-name" }, label, note),
      h("div", { class: "snk-argument-value" }, this.field, this.mode),
      this.problem,
    );
  }

  #typed() {
    this.tell(null);
    if (this.mode.value === "object") {
      this.field.setAttribute("list", this.form.names.id);
      this.form.offerNames(this.field.value);
    } else this.field.removeAttribute("list");
  }

  tell(text) {
    setText(this.problem, text);
    this.problem.hidden = text === null;
    if (text === null) this.field.removeAttribute("aria-invalid");
    else this.field.setAttribute("aria-invalid", "true");
  }

  get empty() {
    return this.field.value === "" && !(this.parameter.required && this.mode.value === "text");
  }

  /** `{data}`, or null where nothing was typed, or undefined after having told what is wrong. */
  read() {
    if (this.empty) {
      if (!this.parameter.required) return null;
      this.tell("A value is needed here.");
      return undefined;
    }
    const found = typedValue(this.field.value, this.mode.value);
    if (found.error === undefined) return found;
    this.tell(found.error);
    return undefined;
  }
}

/** Arguments as they are typed: fields by parameter, and rows that can be added for `*args` and `**kwargs`. */
class ArgumentFields {
  constructor(form, parameters) {
    this.form = form;
    this.fields = [];
    this.extra = [];
    this.named = [];
    this.element = h("div", { class: "snk-arguments" });
    const usual = parameters ?? [
      { name: "arguments", kind: "var_positional", required: false, default: null, annotation: null },
      { name: "keywords", kind: "var_keyword", required: false, default: null, annotation: null },
    ];
    for (const parameter of usual) this.#add(parameter);
  }

  #add(parameter) {
    const kind = String(parameter.kind).toLowerCase().replace(/[ -]/g, "_");
    if (kind === "var_positional" || kind === "var_keyword") {
      this.#addRows(parameter, kind === "var_keyword");
      return;
    }
    const field = new ArgumentField(this.form, parameter);
    this.fields.push({ field, kind });
    this.element.append(field.element);
  }

  #addRows(parameter, keyed) {
    const rows = h("div", { class: "snk-more-arguments" });
    const label = keyed ? `**${parameter.name}` : `*${parameter.name}`;
    const add = () => {
      const named = keyed ? h("input", { class: "snk-field snk-keyword", placeholder: "name", "aria-label": "Name of the argument", spellcheck: "false" }) : null;
      const one = { name: keyed ? "the keyword argument" : `${parameter.name}`, required: false, default: null, annotation: null };
      const field = new ArgumentField(this.form, one, { named: named ?? h("span", { class: "snk-quiet" }, `${(keyed ? this.named : this.extra).length + 1}`) });
      field.field.setAttribute("aria-label", one.name);
      (keyed ? this.named : this.extra).push({ field, named });
      rows.append(field.element);
      (named ?? field.field).focus();
    };
    const button = h("button", { type: "button", class: "snk-link", onClick: add }, keyed ? "Add a keyword argument" : "Add an argument");
    this.element.append(h("div", { class: "snk-variadic" }, h("div", { class: "snk-argument-name" }, oneLine(label, 100)), rows, button));
  }

  /** `{args, kwargs}`, or null after having told what is wrong. */
  read() {
    const args = [];
    const kwargs = [];
    let right = true;
    let skipped = null;
    // With further positional arguments, those before them go by position too.
    const more = this.extra.filter(({ field }) => !field.empty);
    for (const { field, kind } of this.fields) {
      const found = field.read();
      const positional = kind === "positional_only" || (more.length && kind !== "keyword_only");
      if (found === undefined) right = false;
      else if (found === null) skipped ??= positional ? field : null;
      else if (!positional) kwargs.push([field.parameter.name, found.data]);
      else if (skipped) {
        skipped.tell("What comes after this goes by position, so it needs a value too.");
        right = false;
      } else args.push(found.data);
    }
    if (more.length && skipped && right) {
      skipped.tell("What comes after this goes by position, so it needs a value too.");
      right = false;
    }
    for (const { field } of more) {
      const found = field.read();
      if (found) args.push(found.data);
      else right = false;
    }
    for (const { field, named } of this.named) {
      if (field.empty && !named.value) continue;
      const found = field.read();
      if (!named.value) field.tell("The argument needs a name.");
      if (found && named.value) kwargs.push([named.value, found.data]);
      else right = false;
    }
    if (!right) {
      this.element.querySelector("[aria-invalid]")?.focus();
      return null;
    }
    return { args, kwargs: Object.fromEntries(kwargs) };
  }
}

/** The form, as a page of the panel. */
export class CallForm {
  /**
   * @param {PanelState} state
   * @param {TreeNode} node  the callable, or the object that has the method
   * @param {{onClose(), onStored(name)}} handlers
   */
  constructor(state, node, { onClose, onStored }) {
    this.state = state;
    this.node = node;
    this.onStored = onStored;
    this.method = null;
    this.direct = node.object.view === "callable";
    this.close = () => {
      this.dispose();
      onClose();
    };
    this.names = h("datalist", { id: freshId("snk-names") });
    this.offerNames = debounce((text) => this.#offerNames(text), 120);
    const label = oneLine(node.label, 100);
    this.title = h("h2", null, this.direct ? `Call ${label}` : `Call a method of ${label}`);
    this.about = h("div", { class: "snk-form-about" });
    this.holder = h("div", null);
    this.storeAs = h("input", { class: "snk-field", id: freshId("snk-store"), placeholder: "leave empty to show it only", spellcheck: "false" });
    this.wait = h("p", { class: "snk-quiet", role: "status" });
    this.run = h("button", { type: "submit", class: "snk-push snk-push-main" }, "Call");
    this.stop = h("button", { type: "button", class: "snk-push", hidden: true, onClick: () => this.controller?.abort() }, "Cancel");
    this.result = h("div", { class: "snk-form-result", role: "status" });
    this.form = h(
      "form",
      { class: "snk-form", onSubmit: (event) => this.#submit(event) },
      this.about,
      this.direct ? null : this.#methodField(),
      this.holder,
      h("div", { class: "snk-argument" }, h("label", { for: this.storeAs.id, class: "snk-argument-name" }, "Store the result as"), this.storeAs),
      h("div", { class: "snk-form-buttons" }, this.run, this.stop),
      this.wait,
      this.result,
      this.names,
    );
    const back = h("button", { class: "snk-button", title: "Back to the list", "aria-label": "Back to the list", onClick: this.close }, icon("back"));
    this.element = h("section", { class: "snk-page", "data-lm-suppress-shortcuts": "true" }, h("header", null, back, this.title), this.form);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
    this.off = state.onDraw(() => this.#tellWait());
    this.#tellWait();
    this.#load();
  }

  dispose() {
    this.off();
    this.loading?.abort();
    this.offerNames.cancel();
  }

  focus() {
    (this.form.querySelector("input") ?? this.run).focus();
  }

  get target() {
    return this.method ? [...this.node.target, { attr: this.method }] : this.node.target;
  }

  #content(more) {
    const content = { target: this.target, ...more };
    if (this.node.source.sessionId !== null) content.session_id = this.node.source.sessionId;
    return content;
  }

  #methodField() {
    const id = freshId("snk-method");
    this.methods = h("datalist", { id: `${id}-names` });
    const chosen = debounce((name) => {
      this.method = name || null;
      this.#load();
    }, 250);
    const field = h("input", { id, class: "snk-field", list: this.methods.id, spellcheck: "false", placeholder: "its name", onInput: () => chosen(field.value.trim()) });
    return h("div", { class: "snk-argument" }, h("label", { for: id, class: "snk-argument-name" }, "Method"), field, this.methods);
  }

  async #load() {
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    this.arguments = null;
    this.run.disabled = true;
    let about;
    try {
      about = await this.#inspect(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.about.replaceChildren(h("p", { class: "snk-problem", role: "alert" }, error.message));
      this.holder.replaceChildren();
      return;
    }
    if (signal.aborted) return;
    const asksMethod = !this.direct && !this.method;
    if (asksMethod) {
      const names = about.attributes.filter((name) => !name.startsWith("_"));
      this.methods.replaceChildren(...names.map((name) => h("option", { value: name })));
    }
    const first = (about.docstring ?? "").split("\n\n")[0];
    this.about.replaceChildren(
      ...(about.signature && !asksMethod ? [h("pre", { class: "snk-code" }, `${oneLine(this.method ?? this.node.label, 100)}${oneLine(about.signature, 600)}`)] : []),
      ...(first && !asksMethod ? [h("p", { class: "snk-quiet" }, oneLine(first.replace(/\s+/g, " "), 300))] : []),
    );
    if (!about.callable) {
      this.holder.replaceChildren(...(asksMethod ? [] : [h("p", { class: "snk-quiet" }, "This is no function or method: to call it gives its value.")]));
      this.run.disabled = asksMethod;
      this.arguments = new ArgumentFields(this, []);
      return;
    }
    this.arguments = new ArgumentFields(this, about.parameters);
    this.holder.replaceChildren(this.arguments.element);
    this.run.disabled = false;
  }

  /** What the target is, without running code where that suffices. */
  async #inspect(signal) {
    try {
      return (await this.state.request("inspect", this.#content({ limit: 0 }), { signal })).content.inspection;
    } catch (error) {
      if (signal.aborted || error.code !== "unresolvable") throw error;
      return (await this.state.request("inspect", this.#content({ limit: 0 }), { signal, channel: "shell" })).content.inspection;
    }
  }

  async #offerNames(text) {
    try {
      const { content } = await this.state.request("list_stored", { search: text, limit: NAMES_OFFERED });
      this.names.replaceChildren(...content.stored_objects.map((name) => h("option", { value: name })));
    } catch {
      this.names.replaceChildren(); // the names are a help, not needed
    }
  }

  #tellWait() {
    const runs = Boolean(this.controller);
    const waits = this.state.status.busy && !runs;
    setText(this.wait, waits ? "The kernel is busy: the call starts when the running cell has ended." : "");
  }

  async #submit(event) {
    event.preventDefault();
    if (this.controller || !this.arguments) return;
    const given = this.arguments.read();
    if (!given) return;
    const storeAs = this.storeAs.value.trim() || null;
    const waited = this.state.status.busy;
    this.controller = new AbortController();
    this.run.disabled = true;
    this.stop.hidden = false;
    this.result.replaceChildren(h("p", { class: "snk-quiet" }, waited ? "Waiting for the running cell" : "Running"));
    this.#tellWait();
    try {
      const { signal } = this.controller;
      const { content } = await this.state.request("call", this.#content({ ...given, store_as: storeAs }), { channel: "shell", signal });
      this.#show(content, storeAs);
    } catch (error) {
      this.#showProblem(error, this.controller.signal.aborted);
    }
    this.controller = null;
    this.run.disabled = false;
    this.stop.hidden = true;
    this.#tellWait();
  }

  #show({ result }, storeAs) {
    const text = resultText(result).slice(0, 20_000);
    const where = storeAs ? h("button", { type: "button", class: "snk-link", onClick: () => this.onStored(storeAs) }, `Stored as ${oneLine(storeAs, 60)}`) : null;
    this.result.replaceChildren(
      h("div", { class: "snk-section-head" }, h("h3", null, `Result: ${oneLine(result?.type ?? "", 60)}`), where ?? ""),
      h("pre", { class: "snk-code" }, text),
    );
  }

  #showProblem(error, cancelled) {
    const trace = (error.traceback ?? []).join("\n").replace(/\u001b\[[0-9;]*m/g, "");
    const text = cancelled ? "Cancelled." : error.message;
    this.result.replaceChildren(
      h("p", { class: "snk-problem", role: "alert" }, text),
      ...(trace && !cancelled ? [h("details", { class: "snk-section" }, h("summary", null, "Traceback"), h("pre", { class: "snk-code" }, trace.slice(0, 20_000)))] : []),
    );
  }
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

// state.js

/**
 * What the panel knows: the groups, what is open in them, what is selected, what just changed.
 *
 * Rules: no elements here. Every answer passes through one request function that belongs to one kernel
 * process: a restart ends it, and with it every late answer. Hidden, nothing is asked; what changed
 * meanwhile is only marked as out of date. The watch names what is on screen and ends with the visit.
 */


/** Seconds a watch is good for, and milliseconds after which it is renewed. */
const WATCH_LEASE = 30;
const WATCH_RENEWAL = 20_000;

/** Names that one watch may have: more than any screen shows. */
const WATCH_MOST = 200;

/** A push with more changes than these marks none of them: a flicker tells nobody anything. */
const MARKS_MOST = 200;

/** Milliseconds that a new or changed row stays marked. */
const MARK_LASTS = { new: 12_000, changed: 1_600 };

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
    this.watched = { stored: [], variables: null };
    this.sendWatch = debounce(() => this.#watch(), 250);
    this.#reset();
    this.off = [
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
    const source = new ObjectSource(kind, sessionId, this.request, this.changed);
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
    this.canWatch = true;
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
    else if (wasLive) {
      this.#stop();
      if (this.canWatch) this.transport.request("watch", { stored: [], lease: 0 }, {}).catch(() => {});
    }
    this.changed();
  }

  #stop() {
    this.sendWatch.cancel();
    clearTimeout(this.renewal);
    for (const source of [this.stored, ...this.sessions.values(), this.variables]) source.leave();
    for (const node of this.nodes.values()) node.leave();
  }

  /** Asks anew for all that is on screen. */
  refresh() {
    for (const source of this.sources) {
      source.error = null;
      source.invalidate();
      this.#touch(source, null);
    }
    this.#listSessions();
    this.sendWatch();
    this.changed();
  }

  async #listSessions() {
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
      source.count ??= info.stored_objects;
      this.sessions.set(info.session_id, source);
      this.sessionInfo.set(info.session_id, info);
    }
    for (const [id, source] of before) if (!this.sessions.has(id)) source.leave();
    this.changed();
  }

  #onChanged(content) {
    const missed = this.version !== null && content.since > this.version;
    if (typeof content.version === "number") this.version = content.version;
    const names = new Map();
    const note = (source, name, action) => {
      if (!source) return;
      if (!names.has(source)) names.set(source, new Set());
      names.get(source).add(name);
      if (action === "deleted") this.#forget(source, name);
      else if (marking) this.#mark(`${source.key}\u0000${name}`, action === "stored" ? "new" : "changed");
    };
    const marking = (content.changes?.length ?? 0) + (content.variables?.length ?? 0) <= MARKS_MOST;
    let sessions = Boolean(content.sessions?.length);
    for (const { action, name, session_id: id } of content.changes ?? []) {
      if (id !== null && id !== undefined && !this.sessions.has(id)) sessions = true;
      note(id === null || id === undefined ? this.stored : this.sessions.get(id), name, action);
    }
    for (const { action, name } of content.variables ?? []) note(this.variables, name, action);
    for (const [source, some] of names) {
      source.invalidate();
      this.#touch(source, some);
    }
    if (missed) for (const source of this.sources) source.invalidate();
    if (this.live && (sessions || missed)) this.#listSessions();
    if (this.visible) this.changed();
  }

  /** What is open in the objects of these names (null: of all) is asked for anew. */
  #touch(source, names) {
    for (const node of this.nodes.values()) {
      if (node.source !== source || !(names === null || names.has(node.name))) continue;
      if (this.live) node.refresh(this.request, this.changed);
      else node.children = null;
    }
    for (const fn of this.touched) fn(source, names);
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
    if (show) this.variables.invalidate();
    else this.variables.leave();
    this.sendWatch();
    this.changed();
  }

  /** Whether a group is folded. Sessions are at first: to read one renews its time to live. */
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

  /** What is on screen, for the watch. */
  onScreen(stored, variables) {
    const next = { stored: stored.slice(0, WATCH_MOST), variables: variables && variables.slice(0, WATCH_MOST) };
    if (JSON.stringify(next) === JSON.stringify(this.watched)) return;
    this.watched = next;
    if (this.live) this.sendWatch();
  }

  async #watch() {
    clearTimeout(this.renewal);
    if (!this.live || !this.canWatch) return;
    this.renewal = setTimeout(() => this.#watch(), WATCH_RENEWAL);
    const life = this.life;
    try {
      await this.request("watch", { ...this.watched, lease: WATCH_LEASE });
    } catch (error) {
      // A kernel without this operation still tells what is stored, replaced and deleted.
      if (life === this.life && error.code === "unknown_operation") this.canWatch = false;
    }
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

// actions.js

/**
 * What can be done with objects, as entries of a menu and as keys.
 *
 * Rules: an action that does not apply is left out, never shown to fail; what destroys is asked first; an
 * error is told where the action was begun, in the kernel's own sentence.
 */


/** Names that a question lists before it only counts. */
const NAMES_LISTED = 5;

export class Actions {
  /**
   * @param {PanelState} state
   * @param {{root: HTMLElement, list(): ObjectList, openTable(node), openForm(node), say(text, isError?)}} ui
   */
  constructor(state, ui) {
    this.state = state;
    this.ui = ui;
  }

  /** The Python that reaches a node; null where a notebook has none, as for objects of sessions. */
  python(node) {
    if (!node.steps || node.source.kind === "session") return null;
    return pythonPath(node.target);
  }

  /** Enter and double click: whether there was something better to do than to open the row. */
  open(row) {
    const { node } = row;
    if (!node?.steps) return false;
    if (node.object.view === "table") {
      this.ui.openTable(node);
      return true;
    }
    if (node.object.view === "callable") {
      this.ui.openForm(node);
      return true;
    }
    return false;
  }

  menu(rows, x, y) {
    openMenu(this.ui.root, rows.length > 1 ? this.#manyItems(rows) : this.items(rows[0]), x, y);
  }

  #manyItems(rows) {
    const names = rows.map((row) => (row.node.parent ? row.node.label : row.node.name));
    const items = [{ label: `Copy ${names.length} names`, run: () => this.#copy(names.join("\n"), "Names") }];
    const stored = this.#deletable(rows);
    if (stored.length) items.push(null, { label: `Delete ${plural(stored.length, "object")}…`, hint: "Del", run: () => this.delete(rows) });
    return items;
  }

  /** The menu's entries for one row. */
  items(row) {
    const { node } = row;
    const { view } = node.object;
    const python = this.python(node);
    const groups = [[], [], []];
    if (node.steps && view === "table") groups[0].push({ label: "Open table", hint: "Enter", run: () => this.ui.openTable(node) });
    if (node.steps && view === "callable") groups[0].push({ label: "Call…", hint: "Enter", run: () => this.ui.openForm(node) });
    else if (node.steps) groups[0].push({ label: "Call a method…", run: () => this.ui.openForm(node) });
    if (python && this.state.transport.insertCode) {
      groups[0].push({ label: "Insert in a cell", run: () => this.state.transport.insertCode(python) });
    }
    groups[1].push({ label: "Copy name", run: () => this.#copy(String(node.label), "Name") });
    if (python) groups[1].push({ label: "Copy Python", hint: "Ctrl C", run: () => this.#copy(python, "Python") });
    if (node.steps) groups[1].push({ label: "Copy path", run: () => this.#copy(targetText(node.shortTarget), "Path") });
    if (this.#deletable([row]).length) {
      groups[2].push({ label: "Rename…", hint: "F2", run: () => this.rename(row) });
      groups[2].push({ label: "Delete…", hint: "Del", run: () => this.delete([row]) });
    }
    return groups.filter((group) => group.length).flatMap((group, n) => (n ? [null, ...group] : group));
  }

  /** Keys beyond those of every list. Whether the key was one. */
  key(event, rows) {
    const copies = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "c" && !event.shiftKey;
    if (!rows.length) return false;
    if (event.key === "F2" && rows.length === 1) this.rename(rows[0]);
    else if (event.key === "Delete" || (event.key === "Backspace" && event.metaKey)) this.delete(rows);
    else if (copies) this.#copy(rows.map((row) => this.python(row.node) ?? String(row.node.label)).join("\n"), "Python");
    else return false;
    return true;
  }

  async #copy(text, what) {
    const done = await copyText(text);
    this.ui.say(done ? `${what} copied` : "The browser did not let the text be copied.", !done);
  }

  copyPython(node) {
    return this.#copy(this.python(node) ?? targetText(node.shortTarget), "Python");
  }

  #deletable(rows) {
    return rows.filter((row) => row.node && !row.node.parent && row.node.source.kind !== "variables");
  }

  #content(node, more) {
    const content = { id: node.name, ...more };
    if (node.source.sessionId !== null) content.session_id = node.source.sessionId;
    return content;
  }

  rename(row) {
    if (!this.#deletable([row]).length) return;
    const { node } = row;
    this.ui.list().edit(row, async (to) => {
      if (to === node.name) return null;
      if (!to) return "A name has at least one character.";
      if (to.startsWith("~")) return "Names that begin with ~ are the kernel's own.";
      try {
        await this.state.request("rename_stored", this.#content(node, { to }));
        this.state.touchSource(node.source);
        this.ui.list().revealLater(`${node.source.key}\u0000${to}`);
        return null;
      } catch (error) {
        return error.message;
      }
    });
  }

  delete(rows) {
    const targets = this.#deletable(rows);
    if (!targets.length) {
      if (rows.length) this.ui.say("Only stored objects can be deleted here.");
      return;
    }
    const one = targets.length === 1;
    const names = targets.map(({ node }) => oneLine(node.name, 60));
    const more = names.length - NAMES_LISTED;
    confirmFirst(this.ui.root, {
      title: one ? `Delete ${names[0]}?` : `Delete ${plural(names.length, "object")}?`,
      text: `The kernel forgets ${one ? "it" : "them"}. This cannot be undone. What variables hold stays.`,
      names: one ? [] : [...names.slice(0, NAMES_LISTED), ...(more > 0 ? [`and ${more} more`] : [])],
      action: "Delete",
      run: () => this.#deleteAll(targets),
    });
  }

  async #deleteAll(targets) {
    const problems = [];
    for (const { node } of targets) {
      try {
        await this.state.request("delete_stored", this.#content(node));
      } catch (error) {
        // Gone already is as good as deleted.
        if (error.code !== "not_found") problems.push(error.message);
      }
    }
    for (const source of new Set(targets.map(({ node }) => node.source))) this.state.touchSource(source);
    if (!problems.length) return null;
    return problems.length === 1 ? problems[0] : `${plural(problems.length, "object")} could not be deleted: ${problems[0]}`;
  }
}

// list.js

/**
 * The list on screen: a tree of which only the visible rows exist, with its selection and its keys.
 *
 * Rules: focus stays on the list itself, which names its active row; elements are kept by the key of what
 * they show and changed in place; the first visible row stays where it is when rows come or go above.
 */


/** Height of a row, in pixels; panel.css has the same. */
export const ROW_HEIGHT = 24;

/** Rows made beyond what is seen. */
const OVERSCAN = 6;

let listSerial = 0;

export class ObjectList {
  /**
   * @param {PanelState} state
   * @param {{onSelect(rows, active), onOpen(row), onMenu(rows, x, y), onKey(event, rows): boolean}} handlers
   */
  constructor(state, handlers) {
    this.state = state;
    this.handlers = handlers;
    this.id = `snk-list-${(listSerial += 1)}`;
    this.elements = new Map();
    this.rowOf = new WeakMap();
    /** Selected rows by key; the active one is where the keys act. */
    this.selected = new Map();
    this.active = null;
    this.activeIndex = -1;
    this.anchor = null;
    this.editing = null;
    this.draw = perFrame(() => this.drawNow());
    this.spacer = h("div", { class: "snk-spacer", role: "presentation" });
    this.element = h(
      "div",
      {
        class: "snk-list",
        role: "tree",
        tabIndex: 0,
        "aria-label": "Objects in the kernel",
        "aria-multiselectable": "true",
        onScroll: () => this.draw(),
        onClick: (event) => this.#onClick(event),
        onDblclick: (event) => this.#onDoubleClick(event),
        onContextmenu: (event) => this.#onContextMenu(event),
        onKeydown: (event) => this.#onKey(event),
        onFocus: () => this.#onFocus(),
      },
      this.spacer,
    );
    this.resizes = new ResizeObserver(() => this.draw());
    this.resizes.observe(this.element);
    this.off = state.onDraw(() => this.draw());
    this.layout = new RowLayout(state);
  }

  dispose() {
    this.off();
    this.draw.cancel();
    this.resizes.disconnect();
  }

  /** Draws at once what is on screen, and asks for what is missing of it. */
  drawNow() {
    if (!this.state.visible) return;
    const layout = (this.layout = new RowLayout(this.state));
    const { element } = this;
    const height = layout.length * ROW_HEIGHT;
    this.spacer.style.height = `${height}px`;
    this.#keepPlace();
    const top = Math.min(element.scrollTop, Math.max(0, height - element.clientHeight));
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN);
    const last = Math.min(layout.length, Math.ceil((top + element.clientHeight) / ROW_HEIGHT) + OVERSCAN);
    this.#follow();
    this.#drawRows(first, last);
    const topRow = layout.at(Math.floor(top / ROW_HEIGHT));
    this.anchor = topRow && top > 0 ? { key: topRow.key, offset: top - Math.floor(top / ROW_HEIGHT) * ROW_HEIGHT, top } : null;
    if (this.state.live) this.#ask(first + OVERSCAN * (first > 0), last);
    this.#revealAwaited();
  }

  #keepPlace() {
    if (!this.anchor || this.anchor.top !== this.element.scrollTop) return;
    const at = this.layout.indexOf(this.anchor.key);
    if (at < 0) return;
    const top = at * ROW_HEIGHT + this.anchor.offset;
    if (top !== this.element.scrollTop) this.element.scrollTop = top;
  }

  /** The active row may have moved or gone; then the one in its place is active. */
  #follow() {
    if (this.active === null) return;
    const at = this.layout.indexOf(this.active);
    if (at >= 0) {
      this.activeIndex = at;
      const row = this.layout.at(at);
      if (this.selected.has(this.active)) this.selected.set(this.active, row);
      return;
    }
    const name = this.active.split("\u0000");
    const source = this.state.sources.find((one) => one.key === name[0]);
    const waiting = source && (source.busy || source.ticks > 0) && !source.error && source.indexOf(name[1]) < 0 && source.count > source.positions.size;
    if (waiting) return;
    const row = this.layout.at(Math.min(this.activeIndex, this.layout.length - 1));
    this.#setActive(row && row.kind !== "blank" ? row : null, Math.min(this.activeIndex, this.layout.length - 1));
  }

  #drawRows(first, last) {
    const now = Date.now() / 1000;
    const wanted = new Map();
    for (let index = first; index < last; index += 1) {
      const row = this.layout.at(index);
      wanted.set(row.key, { row, index });
    }
    const spare = [];
    for (const [key, one] of this.elements) {
      if (wanted.has(key) || one === this.editing?.one) continue;
      this.elements.delete(key);
      spare.push(one);
    }
    let active = "";
    for (const [key, { row, index }] of wanted) {
      let one = this.elements.get(key);
      if (!one) {
        one = spare.pop() ?? this.#newRow();
        this.elements.set(key, one);
      }
      one.update(row, {
        now,
        selected: this.selected.has(key),
        active: key === this.active,
        mark: this.state.marks.get(key) ?? null,
        info: row.kind === "group" ? this.state.sessionInfo.get(row.source.sessionId) : null,
        base: this.layout.grouped ? 1 : 2,
      });
      if (row.kind === "item") {
        one.element.setAttribute("aria-posinset", row.position + 1);
        one.element.setAttribute("aria-setsize", row.source.count);
      } else {
        one.element.removeAttribute("aria-posinset");
        one.element.removeAttribute("aria-setsize");
      }
      one.element.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
      this.rowOf.set(one.element, row);
      if (key === this.active) active = one.element.id;
    }
    for (const one of spare) one.element.remove();
    if (active) this.element.setAttribute("aria-activedescendant", active);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #newRow() {
    this.rowSerial = (this.rowSerial ?? 0) + 1;
    const one = new RowElement(`${this.id}-${this.rowSerial}`);
    this.spacer.append(one.element);
    return one;
  }

  #ask(first, last) {
    const stored = [];
    let variables = null;
    for (const [source, from, to] of this.layout.ranges(first, last)) {
      if (source.stale) source.need(0, 1);
      else source.need(from, to);
      for (let position = from; position < to; position += 1) {
        const name = source.at(position)?.name;
        if (name === undefined) continue;
        if (source.kind === "variables") (variables ??= []).push(name);
        else stored.push([source.sessionId, name]);
      }
    }
    if (this.state.showVariables && !this.state.isCollapsed(this.state.variables)) variables ??= [];
    this.state.onScreen(stored, variables);
  }

  /** Selects the row of a key once it is there, and brings it into view. */
  revealLater(key) {
    this.awaited = key;
    this.draw();
  }

  #revealAwaited() {
    const at = this.awaited ? this.layout.indexOf(this.awaited) : -1;
    if (at < 0) return;
    this.awaited = null;
    this.#move(at, {});
  }

  get activeRow() {
    return this.active === null ? null : this.layout.at(this.layout.indexOf(this.active));
  }

  /** The rows that an action means: those selected, or the active one. */
  get chosen() {
    const rows = [...this.selected.values()].filter((row) => row.node);
    return rows.length ? rows : [this.activeRow].filter((row) => row?.node);
  }

  #onFocus() {
    if (this.active === null && this.layout.length) this.#move(this.#firstItem(), { quiet: true });
  }

  #firstItem() {
    for (let index = 0; index < Math.min(this.layout.length, 50); index += 1) if (this.layout.at(index).node) return index;
    return 0;
  }

  #setActive(row, index) {
    this.active = row?.key ?? null;
    this.activeIndex = index;
    this.selected = new Map(row ? [[row.key, row]] : []);
    this.pivot = row?.key ?? null;
    this.handlers.onSelect(this.chosen, row);
  }

  #move(index, { extend = false, toggle = false }) {
    const row = this.layout.at(index);
    if (!row) return;
    if (extend && this.pivot) {
      const from = this.layout.indexOf(this.pivot);
      const [low, high] = from < index ? [from, index] : [index, from];
      this.selected = new Map();
      for (let at = Math.max(0, low); at <= high; at += 1) {
        const one = this.layout.at(at);
        if (one.node) this.selected.set(one.key, one);
      }
    } else if (toggle) {
      if (!this.selected.delete(row.key)) this.selected.set(row.key, row);
      this.pivot = row.key;
    } else {
      this.selected = new Map([[row.key, row]]);
      this.pivot = row.key;
    }
    this.awaited = null;
    this.active = row.key;
    this.activeIndex = index;
    this.#intoView(index);
    this.handlers.onSelect(this.chosen, row);
    this.drawNow();
  }

  #intoView(index) {
    const top = index * ROW_HEIGHT;
    const { element } = this;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW_HEIGHT - element.clientHeight;
    this.anchor = null;
  }

  #rowAtEvent(event) {
    const element = event.target.closest(".snk-row");
    return element ? this.rowOf.get(element) : null;
  }

  #onClick(event) {
    const row = this.#rowAtEvent(event);
    if (!row || event.target.closest(".snk-edit")) return;
    this.#move(this.layout.indexOf(row.key), { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey });
    if (event.target.closest(".snk-row-open")) this.handlers.onOpen(row);
    else if (event.target.closest(".snk-twisty") || row.kind === "group") this.#toggle(row);
    else if (row.kind === "more" || row.kind === "error") this.#activate(row);
  }

  #onDoubleClick(event) {
    const row = this.#rowAtEvent(event);
    if (!row?.node || event.target.closest(".snk-twisty, .snk-edit, .snk-row-open")) return;
    this.#activate(row);
  }

  #onContextMenu(event) {
    const row = this.#rowAtEvent(event);
    if (event.target.closest(".snk-edit")) return;
    event.preventDefault();
    if (!row?.node) return;
    if (!this.selected.has(row.key)) this.#move(this.layout.indexOf(row.key), {});
    this.handlers.onMenu(this.chosen, event.clientX, event.clientY);
  }

  /** Opens the menu of the active row beside it. */
  #menuAtRow() {
    const one = this.elements.get(this.active);
    if (!one || !this.chosen.length) return;
    const box = one.element.getBoundingClientRect();
    this.handlers.onMenu(this.chosen, box.left + 24, box.bottom);
  }

  #toggle(row) {
    if (row.kind === "group") this.state.setCollapsed(row.source, !row.collapsed);
    else if (row.node?.openable) this.state.setOpen(row.node, !row.node.open);
  }

  /** Enter and double click. */
  #activate(row) {
    if (row.kind === "more") this.state.more(row.parent);
    else if (row.kind === "error") row.parent ? this.state.more(row.parent) : row.source.retry();
    else if (row.kind === "group") this.#toggle(row);
    else if (row.node) this.handlers.onOpen(row) || this.#toggle(row);
  }

  #onKey(event) {
    if (event.target !== this.element) return;
    const row = this.activeRow;
    const index = this.active === null ? -1 : this.layout.indexOf(this.active);
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_HEIGHT) - 1);
    const next = listIndex(event, index, this.layout.length, page);
    let done = true;
    if (next !== null) this.#move(next, { extend: event.shiftKey });
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) this.#menuAtRow();
    else if (row && event.key === "ArrowRight" && !event.altKey) this.#right(row, index);
    else if (row && event.key === "ArrowLeft" && !event.altKey) this.#left(row);
    else if (row && event.key === "Enter") this.#activate(row);
    else if (row && event.key === " ") this.#move(index, { toggle: true });
    else if (event.key === "Escape" && this.selected.size > 1) this.#move(index, {});
    else done = this.handlers.onKey(event, this.chosen);
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #right(row, index) {
    const shut = row.kind === "group" ? row.collapsed : row.node?.openable && !row.node.open;
    const open = row.kind === "group" ? !row.collapsed : row.node?.open;
    if (shut) this.#toggle(row);
    else if (open && this.layout.at(index + 1)?.level > row.level) this.#move(index + 1, {});
  }

  #left(row) {
    const open = row.kind === "group" ? !row.collapsed : row.node?.open && row.node.openable;
    if (open) {
      this.#toggle(row);
      return;
    }
    const parent = row.parent ?? row.node?.parent;
    const at = this.layout.indexOf(parent ? parent.key : `group ${row.source.key}`);
    if (at >= 0) this.#move(at, {});
  }

  /**
   * Lets the reader edit a row's name in place. `commit(text)` resolves to an error text, or to null when
   * it is done.
   */
  edit(row, commit) {
    this.editing?.end();
    const one = this.elements.get(row.key);
    if (!one) return;
    const name = one.parts.name;
    const field = h("input", { class: "snk-edit", value: row.node.name, "aria-label": "New name", spellcheck: "false" });
    const hint = h("span", { class: "snk-edit-hint", role: "alert", hidden: true });
    const end = () => {
      if (this.editing?.end !== end) return;
      this.editing = null;
      const focused = document.activeElement === field;
      field.remove();
      hint.remove();
      one.element.classList.remove("snk-editing");
      if (focused) this.element.focus({ preventScroll: true });
      this.draw();
    };
    const tryIt = async () => {
      field.readOnly = true;
      const problem = await commit(field.value);
      field.readOnly = false;
      if (problem === null) return end();
      hint.textContent = problem;
      hint.hidden = false;
      field.setAttribute("aria-invalid", "true");
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") tryIt();
      else if (event.key === "Escape") end();
      else return;
      event.preventDefault();
    });
    field.addEventListener("blur", end);
    this.editing = { one, end };
    one.element.classList.add("snk-editing");
    name.after(field, hint);
    field.focus();
    field.select();
  }
}

// panel.js

/**
 * The panel: a filter, the list of objects, the details of the selected one, and pages over them.
 *
 * Rules: what kind of kernel there is decides what is seen: a sentence that says what to do, or the list.
 * One page (a form, a table) covers the list at a time and gives the focus back where it was.
 */


/** Milliseconds between two looks at the clock, for ages. */
const AGES_STEP = 5_000;

/** Milliseconds that a message at the foot stays. */
const SAID_STAYS = 4_000;

/** Least height of list and details, in pixels. */
const LEAST_HEIGHT = 80;

/**
 * Shows the panel in an element. It is hidden, and asks nothing, until `setVisible(true)`.
 *
 * @param {HTMLElement} element
 * @param {object} transport  `{request, onChanged, onStatus, insertCode, dispose}`
 * @param {{openView: null|function, theme: string, storage: {get, set}}} host
 * @returns {{setVisible(visible: boolean): void, dispose(): void}}
 */
export function mountPanel(element, transport, host) {
  const panel = new Panel(transport, host ?? {});
  element.append(panel.element);
  return { setVisible: (visible) => panel.setVisible(visible), dispose: () => panel.dispose() };
}

class Panel {
  constructor(transport, host) {
    this.transport = transport;
    this.host = host;
    this.page = null;
    this.state = new PanelState(transport, host.storage);
    this.filter = this.#makeFilter();
    this.variables = h(
      "button",
      { class: "snk-toggle", title: "Show the notebook's variables too", onClick: () => this.#toggleVariables() },
      "Variables",
    );
    this.banner = h("p", { class: "snk-banner", role: "status", hidden: true });
    this.notice = h("div", { class: "snk-notice", hidden: true });
    this.hint = h("p", { class: "snk-hint", hidden: true });
    this.said = h("p", { class: "snk-said", role: "status" });
    this.list = new ObjectList(this.state, {
      onSelect: (rows, active) => this.#select(rows, active),
      onOpen: (row) => this.actions.open(row),
      onMenu: (rows, x, y) => this.actions.menu(rows, x, y),
      onKey: (event, rows) => this.#listKey(event, rows),
    });
    this.list.spacer.append(this.hint);
    this.element = h("div", { class: "snk-panel" });
    this.actions = new Actions(this.state, {
      root: this.element,
      list: () => this.list,
      openTable: (node) => this.#openTable(node),
      openForm: (node) => this.#openForm(node),
      say: (text, isError) => this.#say(text, isError),
    });
    this.details = new Details(this.state, this.actions);
    this.details.element.hidden = true;
    this.splitter = this.#makeSplitter();
    this.main = h(
      "div",
      { class: "snk-main" },
      h("div", { class: "snk-toolbar" }, this.filter.box, this.variables),
      this.banner,
      columnHeads(),
      this.list.element,
      this.splitter,
      this.details.element,
    );
    this.element.append(this.main, this.notice, this.said);
    this.off = this.state.onDraw(() => this.#draw());
    this.#setSplit(host.storage?.get("split") ?? 0.45);
    this.#draw();
  }

  setVisible(visible) {
    this.state.setVisible(visible);
    clearInterval(this.ages);
    if (visible) this.ages = setInterval(() => this.list.draw(), AGES_STEP);
    if (visible) this.list.draw();
    else this.details.leave();
  }

  dispose() {
    this.setVisible(false);
    this.off();
    this.search.cancel();
    clearTimeout(this.saying);
    this.#closePage();
    this.details.dispose();
    this.list.dispose();
    this.state.dispose();
    this.element.remove();
  }

  #makeFilter() {
    this.search = debounce((text) => {
      this.list.element.scrollTop = 0;
      this.state.setSearch(text);
    }, 120);
    const field = h("input", {
      class: "snk-filter",
      type: "text",
      placeholder: "Filter by name",
      "aria-label": "Filter by name",
      spellcheck: "false",
      onInput: () => {
        clear.hidden = !field.value;
        this.search(field.value);
      },
      onKeydown: (event) => {
        if (event.key === "Escape" && field.value) empty();
        else if (event.key === "ArrowDown") this.list.element.focus();
        else return;
        event.preventDefault();
        event.stopPropagation();
      },
    });
    const empty = () => {
      field.value = "";
      clear.hidden = true;
      this.search("");
      field.focus();
    };
    const clear = h("button", { class: "snk-button snk-filter-clear", title: "Clear the filter", "aria-label": "Clear the filter", hidden: true, onClick: empty }, icon("close"));
    return { field, box: h("div", { class: "snk-filter-box" }, icon("search"), field, clear) };
  }

  #toggleVariables() {
    this.state.setShowVariables(!this.state.showVariables);
  }

  #listKey(event, rows) {
    if (event.key === "/" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f")) {
      this.filter.field.focus();
      this.filter.field.select();
      return true;
    }
    return this.actions.key(event, rows);
  }

  #select(rows, active) {
    const node = rows.length === 1 ? (active?.node ?? rows[0].node) : null;
    this.details.show(node ?? null);
    this.splitter.hidden = this.details.element.hidden;
  }

  /** What is seen, from the state of the kernel. */
  #draw() {
    const { connected, supported } = this.state.status;
    const known = this.state.stored.count !== null;
    const stranger = connected && !supported;
    this.main.hidden = stranger || (!connected && !known);
    this.notice.hidden = !this.main.hidden;
    if (stranger) this.#notify("Not a snakekernel kernel", ["Objects of this notebook's kernel cannot be shown here. Choose ", h("strong", null, "Python (snakekernel)"), " in the Kernel menu under Change Kernel. If it is not there, run ", h("code", null, "snakekernel install --user"), " in a terminal."]);
    else if (!connected) this.#notify("No kernel", ["Stored objects and variables appear here once a kernel runs."]);
    else this.notified = null;
    this.banner.hidden = connected || this.main.hidden;
    setText(this.banner, this.banner.hidden ? "" : "Not connected to the kernel. This is what was last known.");
    this.main.classList.toggle("snk-offline", !connected);
    setAttribute(this.variables, "aria-pressed", String(this.state.showVariables));
    this.#drawHint();
    const { page } = this;
    if (page?.life && page.life !== this.state.life) this.#closePage();
    if (this.details.node && this.details.life !== this.state.life) {
      this.details.show(null);
      this.splitter.hidden = true;
    }
    this.details.life = this.state.life;
  }

  #notify(title, text) {
    if (this.notified === title) return;
    this.notified = title;
    this.notice.replaceChildren(h("h2", null, title), h("p", null, text));
  }

  #drawHint() {
    const { stored, search } = this.state;
    this.hint.hidden = stored.count !== 0 || Boolean(search) || this.state.isCollapsed(stored);
    if (this.hint.hidden || this.hint.firstChild) return;
    this.hint.append("To keep an object for other cells and programs, run ", h("code", null, "stored.name = value"), " in a cell.");
  }

  #say(text, isError = false) {
    clearTimeout(this.saying);
    setText(this.said, text);
    this.said.classList.toggle("snk-problem", isError);
    this.said.classList.add("snk-shown");
    this.saying = setTimeout(() => this.said.classList.remove("snk-shown"), SAID_STAYS);
  }

  #openTable(node) {
    const title = oneLine(this.actions.python(node) ?? node.label, 60);
    const options = { title };
    if (node.source.sessionId !== null) options.sessionId = node.source.sessionId;
    if (this.host.openView) {
      this.host.openView(title, (element) => mountTable(element, this.transport, node.target, options));
      return;
    }
    const place = h("div", { class: "snk-page-table" });
    const back = h("button", { class: "snk-button", title: "Back to the list", "aria-label": "Back to the list", onClick: () => this.#closePage() }, icon("back"));
    const page = h("section", { class: "snk-page" }, h("header", null, back, h("h2", null, title)), place);
    this.#openPage(page, () => back.focus());
    const table = mountTable(place, this.transport, node.target, { ...options, onClose: () => this.#closePage() });
    const resizes = new ResizeObserver(() => table.resized());
    resizes.observe(place);
    this.page.dispose = () => {
      resizes.disconnect();
      table.dispose();
    };
  }

  #openForm(node) {
    const form = new CallForm(this.state, node, {
      onClose: () => this.#closePage(),
      onStored: (name) => {
        this.#closePage();
        this.list.revealLater(`${node.source.kind === "session" ? node.source.key : "stored"}\u0000${name}`);
      },
    });
    this.#openPage(form.element, () => form.focus());
    this.page.dispose = () => form.dispose();
    this.page.life = this.state.life;
  }

  #openPage(element, focus) {
    this.#closePage();
    this.page = { element, dispose: () => {}, before: document.activeElement };
    this.main.inert = true;
    this.element.append(element);
    focus();
  }

  #closePage() {
    const { page } = this;
    if (!page) return;
    this.page = null;
    const held = hasFocus(page.element) || document.activeElement === document.body;
    page.dispose();
    page.element.remove();
    this.main.inert = false;
    if (held) (page.before?.isConnected ? page.before : this.list.element).focus({ preventScroll: true });
  }

  #makeSplitter() {
    const drag = (event) => {
      const box = this.main.getBoundingClientRect();
      this.#setSplit((box.bottom - event.clientY) / box.height);
    };
    const splitter = h("div", {
      class: "snk-splitter",
      role: "separator",
      "aria-orientation": "horizontal",
      "aria-label": "Height of the details",
      tabIndex: 0,
      hidden: true,
      onPointerdown: (event) => {
        event.preventDefault();
        splitter.setPointerCapture(event.pointerId);
        splitter.addEventListener("pointermove", drag);
      },
      onPointerup: () => {
        splitter.removeEventListener("pointermove", drag);
        this.host.storage?.set("split", this.split);
      },
      onKeydown: (event) => {
        const step = { ArrowUp: 0.05, ArrowDown: -0.05 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.#setSplit(this.split + step);
        this.host.storage?.set("split", this.split);
      },
    });
    return splitter;
  }

  /** Which share of the height the details have. */
  #setSplit(share) {
    const height = this.main?.clientHeight || 800;
    const least = Math.min(0.5, LEAST_HEIGHT / height);
    this.split = Math.max(least, Math.min(1 - least * 2, Number(share) || 0.45));
    this.details.element.style.flexBasis = `${100 * this.split}%`;
    this.splitter.setAttribute("aria-valuenow", Math.round(100 * this.split));
  }
}

/** Names of the columns, which a wide panel shows. */
function columnHeads() {
  const names = { name: "Name", preview: "Value", type: "Type", shape: "Shape", size: "Size", maker: "Made by", age: "Age" };
  const heads = Object.entries(names).map(([part, name]) => h("span", { class: `snk-cell snk-${part}` }, name));
  return h("div", { class: "snk-heads", "aria-hidden": "true" }, heads);
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
