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

/** Runs `fn` at once, and then at most every `gap()` milliseconds, however often it is asked. `cancel()` forgets what is due. */
export function paced(fn, gap) {
  let timer = 0;
  let last = -Infinity;
  const go = () => {
    timer = 0;
    last = performance.now();
    fn();
  };
  const run = () => {
    if (timer) return;
    const wait = last + gap() - performance.now();
    if (wait <= 0) go();
    else timer = setTimeout(go, wait);
  };
  run.cancel = () => {
    clearTimeout(timer);
    timer = 0;
  };
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
    { class: `snk-icon snk-icon-${name} ${className}`.trim(), viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
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

/** Seconds since the epoch as the time of day where that was today, else with the date. */
export function formatMoment(time, now) {
  if (time === null || time === undefined) return "";
  const then = new Date(time * 1000);
  const today = then.toDateString() === new Date(now * 1000).toDateString();
  return today ? then.toLocaleTimeString(undefined, { timeStyle: "medium" }) : formatTime(time);
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

/** A description by the kernel, "<DataFrame 336776x19>", with its shape written as all shapes are. */
export function formatDescription(text, shape) {
  if (!Array.isArray(shape) || !shape.length) return text;
  return text.replace(new RegExp(`(?<=^| )${shape.join("x")}(?=$|[ >])`), shape.map(formatCount).join(" × "));
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
    .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]/g, "�");
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
    .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\p{Cs}]/gu, (one) => {
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

/** The preview that a call gave, as text: its repr, a short value in Python's notation, a text as it is. */
export function resultText(result) {
  if (!result) return "";
  if (typeof result.value === "string") return result.value;
  return result.string_repr ?? pythonText(result.value) ?? "";
}

// cells.js

/**
 * Cells of a table as texts. Pure functions over values of the data grammar.
 *
 * Rules: what is missing is told apart from text that reads the same; a cell never fails to show.
 */

/** Fraction digits that a column of numbers shows at most; the cell's own window shows all. */
export const MOST_DECIMALS = 4;

const LONGEST_CELL = 300;

const MISSING_BY_KIND = { datetime: "NaT", duration: "NaT" };

/**
 * A cell for the grid, on one line.
 *
 * @param {any} value  of the data grammar
 * @param {string} kind  the column's kind
 * @param {number} [decimals]  fraction digits of the column
 * @returns {{text: string, missing: boolean}}
 */
export function cellText(value, kind, decimals = 0) {
  if (value === null || value === undefined) return { text: MISSING_BY_KIND[kind] ?? "None", missing: true };
  if (value === "") return { text: "empty", missing: true };
  if (value.$float === "nan") return { text: "NaN", missing: true };
  if (typeof value === "number") return { text: shownNumber(value, decimals), missing: false };
  const whole = wholeText(value);
  const text = whole.length > LONGEST_CELL ? `${whole.slice(0, LONGEST_CELL)}…` : whole;
  return { text: text.replace(/\s*[\r\n]+\s*/g, " ⏎ ").replace(/\t/g, " ⇥ "), missing: false };
}

/** Fraction digits that show the numbers among `values` side by side. */
export function decimalsOf(values) {
  let most = 0;
  for (const value of values) {
    if (typeof value === "number" && !Number.isInteger(value)) most = Math.max(most, ownDecimals(value));
  }
  return Math.min(most, MOST_DECIMALS);
}

function ownDecimals(value) {
  const text = String(value);
  return text.includes("e") ? 0 : text.length - text.indexOf(".") - 1;
}

function shownNumber(value, decimals) {
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 10 ** -MOST_DECIMALS)) return String(value);
  if (Number.isInteger(value)) return value.toFixed(decimals);
  return value.toFixed(Math.max(decimals, Math.min(ownDecimals(value), MOST_DECIMALS)));
}

/** The whole of a cell, as Python's `str` would mostly write it. */
export function wholeText(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map(quoted).join(", ")}]`;
  const [tag, ...others] = Object.keys(value);
  if (tag === undefined) return "{}";
  if (!others.length && Object.hasOwn(WRITERS, tag)) return WRITERS[tag](value[tag]);
  return `{${Object.entries(value).map(([key, part]) => `${quoted(key)}: ${quoted(part)}`).join(", ")}}`;
}

/** A cell for the clipboard: nothing where it is missing, so that spreadsheets see an empty cell. */
export function copiedText(value) {
  if (value === null || value === undefined || value.$float === "nan") return "";
  const text = wholeText(value);
  return /[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A column's or row's label: a MultiIndex' parts one after the other. */
export function labelText(label) {
  if (label === "") return "";
  if (label !== null && typeof label === "object" && Array.isArray(label.$tuple)) return label.$tuple.map(labelText).join(" · ");
  return cellText(label, "other").text;
}

function quoted(value) {
  return typeof value === "string" ? `'${value}'` : wholeText(value);
}

function joined(open, parts, close) {
  return `${open}${parts.map(quoted).join(", ")}${close}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

function durationText([days, seconds, microseconds]) {
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${days} days ${clock}${microseconds ? `.${String(microseconds).padStart(6, "0")}` : ""}`;
}

const WRITERS = {
  $float: (text) => text,
  $int: (text) => text,
  $decimal: (text) => text,
  $fraction: ([over, under]) => `${wholeText(over)}/${wholeText(under)}`,
  $complex: ([real, imaginary]) => `(${wholeText(real)}+${wholeText(imaginary)}j)`.replace("+-", "-"),
  $str: (points) => points.map((point) => (point >= 0xd800 && point <= 0xdfff ? "�" : String.fromCodePoint(point))).join(""),
  $tuple: (parts) => (parts.length === 1 ? `(${quoted(parts[0])},)` : joined("(", parts, ")")),
  $set: (parts) => (parts.length ? joined("{", parts, "}") : "set()"),
  $frozenset: (parts) => joined("frozenset({", parts, "})"),
  $dict: (pairs) => `{${pairs.map(([key, part]) => `${quoted(key)}: ${quoted(part)}`).join(", ")}}`,
  $datetime: (moment) => (typeof moment === "string" ? moment : moment.iso).replace("T", " "),
  $date: (text) => text,
  $time: (text) => (typeof text === "string" ? text : text.iso),
  $timedelta: durationText,
  $zoneinfo: (text) => text,
  $uuid: (text) => text,
  $path: (text) => text,
  $enum: (member) => `${member.class.split(":").pop()}.${member.name}`,
  $npscalar: (scalar) => wholeText(scalar.value),
  $bytes: () => "bytes",
  $ellipsis: () => "...",
};

// grid_data.js

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

// grid_axis.js

/**
 * Where rows and columns lie, and how a scroll bar of bounded length reaches all of them. No elements here.
 *
 * Rules: positions are pixels of the whole table, however long; only `ScrollMap` knows that an element may
 * not be that long.
 */

/** Browsers stop at 16 to 33 million pixels, divided by the page's zoom. */
const LONGEST_ELEMENT = 6_000_000;

/** Pixels at both ends of a longer table along which its scroll bar is not scaled. */
const NEAR_END = 100_000;

/** Places along one axis: all of one size, but for those set apart. */
export class GridAxis {
  /** @param {number} size  pixels of an entry that none was set for */
  constructor(size) {
    this.standard = size;
    this.count = 0;
    /** Positions with a size of their own, ascending; `extra[i]` is what those up to `i` add to the standard. */
    this.places = [];
    this.sizes = [];
    this.extra = [];
  }

  get total() {
    return this.offset(this.count);
  }

  /** How many places set apart lie before `index`. */
  _before(index) {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle] < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Pixels before entry `index`. */
  offset(index) {
    const before = this._before(index);
    return index * this.standard + (before ? this.extra[before - 1] : 0);
  }

  size(index) {
    const at = this._before(index);
    return this.places[at] === index ? this.sizes[at] : this.standard;
  }

  setSize(index, size) {
    const at = this._before(index);
    const known = this.places[at] === index;
    this.places.splice(at, known ? 1 : 0, index);
    this.sizes.splice(at, known ? 1 : 0, size);
    this.extra.splice(at, known ? 1 : 0, 0);
    for (let n = at; n < this.places.length; n += 1) {
      this.extra[n] = (n ? this.extra[n - 1] : 0) + this.sizes[n] - this.standard;
    }
  }

  /** The entry at a pixel; the first or last beyond the ends. */
  at(pixel) {
    let low = 0;
    let high = Math.max(this.count - 1, 0);
    while (low < high) {
      const middle = Math.floor((low + high + 1) / 2);
      if (this.offset(middle) <= pixel) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  clear() {
    this.places = [];
    this.sizes = [];
    this.extra = [];
  }
}

/**
 * One direction's scrolling. Small moves are the user's pixels exactly; a jump of the scroll bar goes to the
 * same share of the whole. Near both ends the bar moves with the pixels, so that they can be reached slowly.
 */
export class ScrollMap {
  constructor() {
    this.total = 0;
    this.view = 0;
    this.place = 0;
    this.scroll = 0;
  }

  /** The length of the element that is scrolled. */
  get length() {
    return Math.min(this.total, LONGEST_ELEMENT);
  }

  get last() {
    return Math.max(this.total - this.view, 0);
  }

  /** Take over new sizes. Returns the scroll position that belongs to the place kept. */
  resize(total, view) {
    this.total = total;
    this.view = Math.max(view, 0);
    return this.goTo(this.place);
  }

  /** The user scrolled; sets `place`. */
  scrolled(scroll) {
    const moved = scroll - this.scroll;
    this.scroll = scroll;
    const end = this.length - this.view;
    const free = scroll > 0 && scroll < end - 1;
    this.place = this._within(free && Math.abs(moved) <= this.view ? this.place + moved : this._placeAt(scroll, end));
  }

  /** Go to a place. Returns the scroll position to set. */
  goTo(place) {
    this.place = this._within(place);
    const end = this.length - this.view;
    const left = this.last - this.place;
    if (this.length === this.total || this.place <= NEAR_END) this.scroll = Math.max(Math.min(this.place, end), 0);
    else if (left <= NEAR_END) this.scroll = end - left;
    else this.scroll = NEAR_END + ((this.place - NEAR_END) * (end - 2 * NEAR_END)) / (this.last - 2 * NEAR_END);
    return this.scroll;
  }

  _placeAt(scroll, end) {
    if (this.length === this.total || scroll <= NEAR_END) return scroll;
    if (end - scroll <= NEAR_END) return this.last - (end - scroll);
    return NEAR_END + ((scroll - NEAR_END) * (this.last - 2 * NEAR_END)) / (end - 2 * NEAR_END);
  }

  _within(place) {
    return Math.max(0, Math.min(place, this.last));
  }
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

// table_changes.js

/** What a table shows, as the kernel names it in changes and watches. Pure. */

/**
 * @param {object} content  of `snake_changed`
 * @param {string|Array} target
 * @param {string|null} sessionId  whose names the target means; kernel-wide ones are seen too
 * @returns {"changed"|"deleted"|null}
 */
export function changesOf(content, target, sessionId) {
  const parts = Array.isArray(target) ? target : target.split(".");
  const name = parts[1];
  let changes = [];
  if (parts[0] === "stored") {
    changes = (content.changes ?? []).filter((one) => one.name === name && [sessionId, null, undefined].includes(one.session_id));
  } else if (parts[0] === "user") changes = (content.variables ?? []).filter((one) => one.name === name);
  if (!changes.length) return null;
  return changes.at(-1).action === "deleted" ? "deleted" : "changed";
}

/** What to watch for a table, see `watches.js`; null where the kernel tells nothing of it. */
export function watchFor(target, sessionId) {
  const [root, name] = Array.isArray(target) ? target : target.split(".");
  if (root === "stored") return { stored: [[sessionId, name]], variables: null };
  return root === "user" ? { stored: [], variables: [name] } : null;
}

// list_keys.js

/**
 * The keys of the list, as trees have them: arrows move, Right opens and goes in, Left shuts and goes out.
 *
 * Rules: a key that means nothing here is left to the page.
 */


/** A key was pressed in the list. */
export function pressedInList(list, event) {
  if (event.target !== list.element || !acted(list, event)) return;
  event.preventDefault();
  event.stopPropagation();
}

/** Whether the key meant something. */
function acted(list, event) {
  const row = list.activeRow;
  const index = row ? list.layout.indexOf(row.key) : -1;
  const next = listIndex(event, index, list.layout.length, list.page);
  if (next !== null) list.move(next, { extend: event.shiftKey });
  else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) list.menuAtRow();
  else if (row && event.key === "ArrowRight" && !event.altKey) goIn(list, row, index);
  else if (row && event.key === "ArrowLeft" && !event.altKey) goOut(list, row);
  else if (row && event.key === "Enter") list.activate(row);
  else if (row && event.key === " ") list.move(index, { toggle: true });
  else if (event.key === "Escape" && list.selected.size > 1) list.move(index, {});
  else return list.handlers.onKey(event, list.chosen);
  return true;
}

/** Whether a row is open; null for one that cannot be. */
function isOpen(row) {
  if (row.kind === "group") return !row.collapsed;
  return row.node?.openable ? row.node.open : null;
}

function goIn(list, row, index) {
  const open = isOpen(row);
  if (open === false) list.toggle(row);
  else if (open && list.layout.at(index + 1)?.level > row.level) list.move(index + 1, {});
}

function goOut(list, row) {
  if (isOpen(row)) {
    list.toggle(row);
    return;
  }
  const parent = row.parent ?? row.node?.parent;
  const at = list.layout.indexOf(parent ? parent.key : `group ${row.source.key}`);
  if (at >= 0) list.move(at, {});
}

// menu.js

/**
 * Menus and questions of the panel.
 *
 * Rules: each is a modal dialog of the browser, which lies above everything, keeps the focus and gives it
 * back; Escape and a click outside always leave it without doing anything.
 */


/** Shows a dialog in `root`. Returns what closes it. */
function showModal(root, dialog) {
  const before = document.activeElement;
  const close = () => {
    dialog.close();
    dialog.remove();
    before?.focus?.({ preventScroll: true });
  };
  dialog.setAttribute("data-lm-suppress-shortcuts", "true");
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  // At the end of the press, so that it does not go on to what lies below.
  dialog.addEventListener("click", (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX < box.right && event.clientY >= box.top && event.clientY < box.bottom;
    if (!inside) close();
  });
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  root.append(dialog);
  dialog.showModal();
  return close;
}

/**
 * Opens a menu at a point of the window.
 *
 * @param {HTMLElement} root  the panel
 * @param {Array<{label: string, run: () => void, hint?: string}|null>} items  null is a separator
 * @param {number} x
 * @param {number} y
 */
export function openContextMenu(root, items, x, y) {
  const entries = [];
  const parts = items.map((item) => {
    if (!item) return h("div", { class: "snk-actions-line", role: "separator" });
    const run = () => {
      close();
      item.run();
    };
    const hint = item.hint ? h("span", { class: "snk-actions-hint" }, item.hint) : null;
    const entry = h("button", { class: "snk-actions-item", role: "menuitem", tabIndex: -1, onClick: run }, h("span", { class: "snk-actions-label" }, item.label), hint);
    entries.push(entry);
    return entry;
  });
  const menu = h("div", { role: "menu", "aria-label": "What can be done" }, parts);
  const dialog = h("dialog", { class: "snk-actions", onContextmenu: (event) => event.preventDefault() }, menu);
  dialog.addEventListener("keydown", (event) => {
    const at = entries.indexOf(document.activeElement);
    const next = listIndex(event, at, entries.length);
    if (next !== null) {
      const turns = next === at && event.key.startsWith("Arrow");
      entries[turns ? (at ? 0 : entries.length - 1) : next].focus();
    } else if (event.key === "Tab") close();
    else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) {
      const order = [...entries.slice(at + 1), ...entries.slice(0, at + 1)];
      order.find((entry) => entry.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    } else return;
    event.preventDefault();
  });
  const close = showModal(root, dialog);
  const { width, height } = dialog.getBoundingClientRect();
  const above = y + height + 4 > window.innerHeight;
  dialog.style.left = `${Math.max(4, Math.min(x, window.innerWidth - width - 4))}px`;
  dialog.style.top = `${Math.max(4, above ? y - height : y)}px`;
  entries[0].focus({ preventScroll: true });
}

/**
 * Asks before something that cannot be undone.
 *
 * @param {HTMLElement} root  the panel
 * @param {{title: string, text: string, names?: string[], action: string, run: () => Promise<string|null>}} question
 *   `run` resolves to what went wrong, or to null
 */
export function confirmFirst(root, { title, text, names = [], action, run }) {
  const ids = [freshId("snk-title"), freshId("snk-text")];
  const problem = h("p", { class: "snk-failure", role: "alert", hidden: true });
  const yes = h("button", { class: "snk-push snk-push-danger" }, action);
  const no = h("button", { class: "snk-push" }, "Cancel");
  const dialog = h(
    "dialog",
    { class: "snk-dialog", role: "alertdialog", "aria-labelledby": ids[0], "aria-describedby": ids[1] },
    h("h2", { id: ids[0] }, title),
    h("p", { id: ids[1] }, text),
    names.length ? h("ul", { class: "snk-dialog-names" }, names.map((name) => h("li", null, name))) : null,
    problem,
    h("div", { class: "snk-dialog-buttons" }, no, yes),
  );
  const close = showModal(root, dialog);
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
  no.focus();
}

// rename.js

/** A row's name as a field, for as long as it is edited. */


/**
 * Puts a field in place of a row's name. Enter commits, Escape and leaving it do not.
 *
 * @param {RowElement} one
 * @param {string} text
 * @param {(text: string) => Promise<string|null>} commit  resolves to what is wrong, or to null
 * @param {(focused: boolean) => void} onEnd  told whether the field had the focus
 * @returns {{one: RowElement, end: () => void}}
 */
export function editName(one, text, commit, onEnd) {
  const field = h("input", { class: "snk-edit", value: text, "aria-label": "New name", spellcheck: "false" });
  const hint = h("span", { class: "snk-edit-hint", role: "alert", hidden: true });
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    const focused = document.activeElement === field;
    field.remove();
    hint.remove();
    one.element.classList.remove("snk-editing");
    onEnd(focused);
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
  one.element.classList.add("snk-editing");
  one.parts.name.after(field, hint);
  field.focus();
  field.select();
  return { one, end };
}

// sparkline.js

/**
 * A column's distribution as a tiny picture for its header.
 *
 * Rules: shapes only, no words: the numbers are in the statistics; colours come from the style sheet.
 */


const WIDE = 100;
const HIGH = 22;

/** Bars of a summary: its histogram, else its true and false, else its most frequent values. */
export function sparkline(summary) {
  const frame = { class: "snk-t-spark", viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", focusable: "false" };
  const known = summary.count + summary.missing;
  const share = known ? summary.missing / known : 0;
  return svg("svg", frame, sparkBars(summary, WIDE * (1 - share)), share > 0 ? missingBar(share) : null);
}

function sparkBars(summary, width) {
  if (summary.histogram) return upright(summary.histogram.counts, width);
  if (summary.true !== null && summary.true !== undefined) return lying([summary.true, summary.false], summary.count, width);
  const counts = (summary.top ?? []).map(([, count]) => count);
  return counts.length ? lying(counts, summary.count, width) : [];
}

/** A bar of any height for what is there, so that rare values are seen. */
function upright(counts, width) {
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  return counts.map((count, n) => {
    const high = count ? Math.max(1.5, (count / most) * HIGH) : 0;
    return svg("rect", { class: "snk-t-spark-bar", x: n * step, y: HIGH - high, width: Math.max(step - 0.6, 0.4), height: high });
  });
}

/** One line, cut by the shares of the values; the rest is one piece. */
function lying(counts, total, width) {
  let left = 0;
  const known = counts.reduce((sum, count) => sum + count, 0);
  const pieces = total > known ? [...counts, total - known] : counts;
  return pieces.map((count, n) => {
    const wide = total ? (count / total) * width : 0;
    const rest = n >= counts.length;
    const shade = rest ? 0.25 : Math.max(0.35, 1 - 0.13 * n);
    const piece = svg("rect", { class: "snk-t-spark-bar", x: left, y: 8, width: Math.max(wide - 0.6, 0), height: HIGH - 8, opacity: shade });
    left += wide;
    return piece;
  });
}

function missingBar(share) {
  const wide = Math.max(share * WIDE, 1);
  return svg("rect", { class: "snk-t-spark-missing", x: WIDE - wide, y: 0, width: wide, height: HIGH });
}

// watches.js

/**
 * The one watch that a connection to a kernel has, shared by all views over it.
 *
 * Rules: the kernel keeps one watch per client, and a new one replaces it, so what all views look at is sent
 * as one; it is renewed while anybody looks, and ended when nobody does. Without it the kernel still tells
 * what is stored, replaced and deleted.
 */


/** Seconds a watch is good for, and milliseconds after which it is renewed. */
const SHARED_LEASE = 30;
const SHARED_RENEWAL = 20_000;
const SHARED_WAIT = 250;

/** Names that one watch may have: more than any screen shows. */
const SHARED_MOST = 400;

const watchesByTransport = new WeakMap();

/** The shared watch of a transport. @returns {SharedWatch} */
export function watchOf(transport) {
  if (!watchesByTransport.has(transport)) watchesByTransport.set(transport, new SharedWatch(transport));
  return watchesByTransport.get(transport);
}

class SharedWatch {
  constructor(transport) {
    this.transport = transport;
    this.wants = new Map();
    this.serves = true;
    this.connected = false;
    this.forget = null;
    this.renewal = 0;
    /** What the kernel looks at: JSON of each `[session id, name]` and variable's name; `variables` for their coming. */
    this.begun = new Set();
    this.began = new Set();
    this.due = debounce(() => this._send(), SHARED_WAIT);
  }

  /**
   * Say what a view looks at.
   *
   * @param {object} owner  the view
   * @param {{stored: Array<[string|null, string]>, variables: string[]|null}|null} wanted  null: nothing any more
   */
  set(owner, wanted) {
    const before = JSON.stringify(this.wants.get(owner) ?? null);
    if (before === JSON.stringify(wanted)) return;
    if (wanted) this.wants.set(owner, wanted);
    else this.wants.delete(owner);
    if (wanted && !this.forget) this.forget = this.transport.onStatus((status) => this._status(status));
    if (this.wants.size) this.due();
    else this._end();
  }

  /**
   * `fn` is called with `{stored, variables, coming}` once the kernel looks at these anew, and at variables' coming:
   * what changed before then was not told. Returns what ends that.
   */
  onBegan(fn) {
    this.began.add(fn);
    return () => this.began.delete(fn);
  }

  _status({ connected, supported, restarted }) {
    const back = connected && supported && (restarted || !this.connected);
    this.connected = connected && supported;
    if (restarted) this.serves = true;
    if (back) {
      this.begun.clear();
      this.due();
    }
  }

  async _send() {
    clearTimeout(this.renewal);
    if (!this.connected || !this.serves || !this.wants.size) return;
    this.renewal = setTimeout(() => this._send(), SHARED_RENEWAL);
    const wants = [...this.wants.values()];
    const variables = wants.filter((one) => one.variables).flatMap((one) => one.variables);
    const watched = {
      stored: wants.flatMap((one) => one.stored).slice(0, SHARED_MOST),
      variables: wants.some((one) => one.variables) ? [...new Set(variables)].slice(0, SHARED_MOST) : null,
    };
    try {
      await this.transport.request("watch", { ...watched, lease: SHARED_LEASE });
      if (this.wants.size) this._begin(watched);
    } catch (error) {
      if (error.code === "unknown_operation") this.serves = false;
    }
  }

  _begin({ stored, variables }) {
    const before = this.begun;
    const named = variables ?? [];
    this.begun = new Set([...stored, ...named].map((one) => JSON.stringify(one)));
    if (variables) this.begun.add("variables");
    const isNew = (one) => !before.has(JSON.stringify(one));
    const coming = variables !== null && !before.has("variables");
    const anew = { stored: stored.filter(isNew), variables: named.filter(isNew), coming };
    if (coming || anew.stored.length || anew.variables.length) for (const fn of this.began) fn(anew);
  }

  _end() {
    this.begun.clear();
    this.due.cancel();
    clearTimeout(this.renewal);
    const { connected } = this;
    this.forget?.();
    this.forget = null;
    this.connected = false;
    // It ends by itself where this is not heard.
    if (connected && this.serves) this.transport.request("watch", { stored: [], lease: 0 }).catch(() => {});
  }
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
    this.askAgain = paced(() => this.#ask(), state.gap);
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
    this.askAgain.cancel();
    this.asking?.abort();
    this.evaluating?.abort();
    this.asking = this.evaluating = null;
  }

  #touched(source, names) {
    if (!this.node) return;
    if (source !== null && !(this.node.source === source && (names === null || names.has(this.node.name)))) return;
    if (this.state.live && source !== null) this.askAgain();
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
    const button = (name, label, run) => h("button", { class: "snk-icon-button", title: label, "aria-label": label, onClick: run }, icon(name));
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
    // What a list or a text is needs no explaining.
    if (object.docstring && (object.module !== "builtins" || object.view === "callable")) {
      const text = h("pre", { class: "snk-code snk-docs" }, object.docstring);
      sections.push(this.#fold("Documentation", open, object.view === "callable", text));
    }
    // The first version of a name is told by the facts.
    if (object.stored?.history?.length > 1) sections.push(this.#fold("History", open, false, this.#history(object.stored.history)));
    return sections;
  }

  #problem() {
    return h(
      "p",
      { class: "snk-failure", role: "alert" },
      this.error.message,
      " ",
      h("button", { class: "snk-text-button", "data-snk-focus": "retry", onClick: () => this.#ask() }, "Retry"),
    );
  }

  #facts(object) {
    const now = Date.now() / 1000;
    const stored = object.stored ?? {};
    const made = stored.made_by ?? object.made_by;
    const maker = made ? [made.label, made.client && `by ${made.client}`].filter(Boolean).join(" ") : "";
    const full = object.module && object.module !== "builtins" ? `${object.module}.${object.type}` : object.type;
    const path = this.node.parent ? this.actions.python(this.node) : null;
    const rows = [
      ["Path", path && oneLine(path, 300), path],
      ["Type", oneLine(full ?? "", 200)],
      ["Data type", object.dtype && oneLine(object.dtype, 200)],
      ["Size", formatSize(object.size), object.size ? `${formatCount(object.size)} bytes, estimated` : null],
      ["Made by", oneLine(maker, 200)],
      ["Stored", formatMoment(stored.created ?? object.created, now), formatTime(stored.created ?? object.created)],
      ["Last used", formatMoment(stored.last_used ?? object.last_used, now), formatTime(stored.last_used ?? object.last_used)],
      ["Expires", formatMoment(stored.expires_at ?? object.expires_at, now)],
    ];
    const shown = rows.filter(([, text]) => text);
    return h("dl", { class: "snk-about" }, shown.map(([label, text, title]) => [h("dt", null, label), h("dd", { title }, text)]));
  }

  #picture() {
    if (this.preview.error) return h("p", { class: "snk-failure" }, this.preview.error);
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
    const text = evaluated?.text ?? formatDescription(object.string_repr ?? "", object.shape);
    const runs = Boolean(this.evaluating);
    const label = runs ? "Cancel" : evaluated ? "Evaluate again" : "Evaluate repr";
    const why = "Run the object's own __repr__ in the kernel";
    const asks = h("button", { class: "snk-text-button", title: why, "data-snk-focus": "repr", onClick: () => this.evaluate() }, label);
    return h(
      "div",
      { class: "snk-section" },
      h("div", { class: "snk-section-head" }, h("h3", null, evaluated?.text !== undefined ? "Value (evaluated)" : "Value"), asks),
      runs ? h("p", { class: "snk-quiet", role: "status" }, "Evaluating in the kernel") : null,
      evaluated?.problem ? h("p", { class: "snk-failure", role: "alert" }, evaluated.problem) : null,
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
        h("td", { class: "snk-number" }, formatMoment(at, now)),
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
    this.kind = h("span", { class: "snk-row-kind" });
    this.parts = Object.fromEntries(ITEM_PARTS.map((part) => [part, h("span", { class: `snk-part snk-${part}` })]));
    this.text = h("span", { class: "snk-row-text" });
    this.open = h("button", { class: "snk-icon-button snk-row-open", tabIndex: -1, title: "Open table" }, icon("table"));
    setAttribute(this.open, "aria-hidden", "true");
    const { name, ...rest } = this.parts;
    this.head = h("span", { class: "snk-row-head" }, this.twisty, this.kind, name, this.open);
    this.element = h("div", { class: "snk-row", role: "treeitem", id }, this.head, this.text, ...Object.values(rest));
    this.view = null;
    this.shown = "";
  }

  /**
   * @param {object} row  of a RowLayout
   * @param {{selected: boolean, active: boolean, mark: object|null, now: number, index: number, info: object}} how
   */
  update(row, how) {
    const classes = ["snk-row", `snk-row-${row.kind}`];
    if (how.selected) classes.push("snk-row-selected");
    if (how.active) classes.push("snk-row-active");
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
    this.kind.className = `snk-row-kind snk-row-kind-${view}`;
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
    const preview = oneLine(object.preview ?? object.string_repr ?? "", 160);
    // "<DataFrame 3000x3>" is the kernel's description where there is no short value.
    const described = object.type === "str" ? null : /^<(.*)>$/.exec(preview);
    const texts = {
      name: label,
      preview: described ? formatDescription(described[1], object.shape) : preview,
      type: oneLine(object.type, 60),
      shape,
      size: formatSize(object.size),
      maker: oneLine(maker, 60),
      age: object.created === undefined ? "" : formatAge(object.created, now),
    };
    for (const part of ITEM_PARTS) setText(this.parts[part], texts[part]);
    this.element.classList.toggle("snk-described", described !== null);
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

// table_notices.js

/**
 * What a table view says beside its cells: work under way, errors, changes, and one cell as a whole.
 *
 * Rules: all of it in place, nothing pops up by itself; an error says what happened and offers what can be done.
 */


const SLOW = 350;
const SHOWN = 4000;

/** The line between the bar and the grid. Empty and without height most of the time. */
export class Notices {
  /**
   * @param {object} asks
   * @param {function(): void} asks.onRetry
   * @param {function(): void} asks.onUndo  go back to the last query that was answered
   * @param {function(): void} asks.onStop
   * @param {null|function(): void} asks.onClose  leave the view
   */
  constructor({ onRetry, onUndo, onStop, onClose }) {
    this.text = h("span", { class: "snk-t-notice-text" });
    this.undo = h("button", { class: "snk-t-link", type: "button", onClick: onUndo }, "Undo");
    this.leave = h("button", { class: "snk-t-link", type: "button", onClick: onClose }, "Close");
    this.canLeave = !!onClose;
    const retry = h("button", { class: "snk-t-link", type: "button", onClick: onRetry }, "Try again");
    this.error = h("div", { class: "snk-t-notice snk-t-notice-error", role: "alert", hidden: true }, this.text, retry, this.undo, this.leave);
    this.workText = h("span", { class: "snk-t-notice-text" });
    this.workBar = h("progress", { class: "snk-t-progress", "aria-label": "Progress" });
    this.work = h("div", { class: "snk-t-notice", role: "status", hidden: true }, this.workBar, this.workText, h("button", { class: "snk-t-link", type: "button", onClick: onStop }, "Cancel"));
    this.toldText = h("span", { class: "snk-t-notice-text" });
    this.told = h("div", { class: "snk-t-toast", role: "status", hidden: true }, this.toldText);
    this.element = h("div", { class: "snk-t-notices" }, this.error, this.work);
    this.slowTimer = 0;
    this.toldTimer = 0;
  }

  /**
   * Show an error until the next state; null hides it.
   *
   * @param {{message: string}|null} error
   * @param {{gone: boolean, undo: boolean}} can  the object is gone; there is a query to go back to
   */
  showError(error, { gone, undo }) {
    this.error.hidden = !error;
    if (!error) return;
    setText(this.text, sentence(error.message));
    this.undo.hidden = !undo;
    this.leave.hidden = !gone || !this.canLeave;
  }

  /** Show that work is under way once it takes long; `progress` is the kernel's, `queued` that another one ends first. */
  showWork({ loading, progress, queued }) {
    if (!loading) {
      clearTimeout(this.slowTimer);
      this.slowTimer = 0;
      this.work.hidden = true;
    } else if (!this.slowTimer) {
      this.slowTimer = setTimeout(() => (this.work.hidden = false), SLOW);
    }
    const words = sentence(progress?.text || (queued ? "waiting for the previous request to end" : "waiting for the kernel"));
    const counted = progress?.total > 1;  // one step is no measure of anything
    setText(this.workText, counted ? `${words} · ${formatShare(progress.done, progress.total)}` : words);
    if (counted) this.workBar.value = progress.done / progress.total;
    else this.workBar.removeAttribute("value");
  }

  /** Say something for a while. */
  say(text) {
    clearTimeout(this.toldTimer);
    setText(this.toldText, text);
    this.told.hidden = false;
    this.toldTimer = setTimeout(() => (this.told.hidden = true), SHOWN);
  }

  dispose() {
    clearTimeout(this.slowTimer);
    clearTimeout(this.toldTimer);
  }
}

/** The kernel's words begin small. */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * A cell as a whole, in a small window.
 *
 * @param {HTMLElement} root
 * @param {{left: number, top: number}} at
 * @param {{title: string, about: string, text: string, missing: boolean}} cell
 * @param {function(): void} onClose  gives the focus back
 * @returns {function(): void} closes it
 */
export function openCellWindow(root, at, { title, about, text, missing }, onClose) {
  const copy = h("button", { class: "snk-t-button", type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    setText(copy, (await copyText(text)) ? "Copied" : "Copying failed");
    copy.focus();
  });
  const done = h("button", { class: "snk-t-button", type: "button", onClick: () => close(true) }, "Close");
  const window = h(
    "div",
    { class: "snk-t-window snk-t-cell-window", role: "dialog", "aria-label": title },
    h("div", { class: "snk-t-window-title" }, title),
    h("div", { class: "snk-t-muted" }, about),
    h("pre", { class: missing ? "snk-t-cell-whole snk-t-muted" : "snk-t-cell-whole", tabIndex: 0 }, text),
    h("div", { class: "snk-t-window-ends" }, copy, done),
  );
  let open = true;
  const close = (focusBack) => {
    if (!open) return;
    open = false;
    untrap();
    document.removeEventListener("pointerdown", outside, true);
    window.remove();
    if (focusBack) onClose();
  };
  const outside = (event) => {
    if (!window.contains(event.target)) close(false);
  };
  window.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close(true);
  });
  const untrap = trapFocus(window);
  document.addEventListener("pointerdown", outside, true);
  root.append(window);
  window.style.left = `${Math.max(4, Math.min(at.left, root.clientWidth - window.offsetWidth - 8))}px`;
  window.style.top = `${Math.max(4, Math.min(at.top, root.clientHeight - window.offsetHeight - 8))}px`;
  done.focus();
  return () => close(false);
}

// arguments.js

/**
 * Fields for the arguments of a call, made from the parameters of a callable.
 *
 * Rules: what is left empty is left out, so that the callable's own default holds; what is wrong is told at
 * its field, and nothing is sent until all is right.
 */


const MODES = [
  ["value", "Value", "JSON: numbers, true, null, [1, 2], {\"a\": 1}, \"text\""],
  ["text", "Text", "Taken as it stands"],
  ["object", "Object", "A stored object, by its name"],
];

/** One argument: a field, and how what is typed in it is meant. */
class ArgumentField {
  constructor(form, parameter, { named = null } = {}) {
    this.parameter = parameter;
    this.form = form;
    const id = freshId("snk-input");
    const wanted = parameter.required ? "required" : parameter.default !== null ? `${oneLine(parameter.default, 60)}` : "";
    this.name = named;
    this.field = h("input", {
      id,
      class: "snk-input",
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
    this.problem = h("p", { class: "snk-failure", role: "alert", hidden: true, id: `${id}-problem` });
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
    return this.field.value === "";
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
export class ArgumentFields {
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
      const named = keyed ? h("input", { class: "snk-input snk-keyword", placeholder: "name", "aria-label": "Name of the argument", spellcheck: "false" }) : null;
      const one = { name: keyed ? "the keyword argument" : `${parameter.name}`, required: false, default: null, annotation: null };
      const field = new ArgumentField(this.form, one, { named: named ?? h("span", { class: "snk-quiet" }, `${(keyed ? this.named : this.extra).length + 1}`) });
      field.field.setAttribute("aria-label", one.name);
      (keyed ? this.named : this.extra).push({ field, named });
      rows.append(field.element);
      (named ?? field.field).focus();
    };
    const button = h("button", { type: "button", class: "snk-text-button", onClick: add }, keyed ? "Add a keyword argument" : "Add an argument");
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

// filter_words.js

/**
 * Filters as data and as words. Pure functions.
 *
 * Rules: what a person types is read by the column's kind; what cannot be read says why, and filters nothing.
 */


const COMPARED = [
  ["eq", "="],
  ["ne", "≠"],
  ["lt", "<"],
  ["le", "≤"],
  ["gt", ">"],
  ["ge", "≥"],
  ["between", "between"],
];
const WRITTEN = [
  ["contains", "contains"],
  ["eq", "is"],
  ["ne", "is not"],
  ["starts", "starts with"],
  ["ends", "ends with"],
  ["regex", "matches"],
  ["in", "is one of"],
];
const PRESENCE = [
  ["missing", "is missing"],
  ["present", "is present"],
];
const TRUTH = [["eq", "is"]];

const OPS_BY_KIND = {
  integer: [...COMPARED, ...PRESENCE],
  number: [...COMPARED, ...PRESENCE],
  datetime: [...COMPARED, ...PRESENCE],
  duration: [...COMPARED, ...PRESENCE],
  boolean: [...TRUTH, ...PRESENCE],
};

/** `[op, words]` that suit a column's kind, the most usual first. */
export function opsOf(kind) {
  return OPS_BY_KIND[kind] ?? [...WRITTEN, ...PRESENCE];
}

/** How many values an operation takes: none, one, two, or many (`Infinity`). */
export function valuesOf(op) {
  if (op === "missing" || op === "present") return 0;
  if (op === "between") return 2;
  return op === "in" ? Infinity : 1;
}

/** Whether an operation finds texts in either case unless told otherwise; the others compare exactly. */
export function canMatchCase(op) {
  return ["contains", "starts", "ends", "regex"].includes(op);
}

/** Whether values of a kind are typed as they are, rather than read as numbers or words of Python. */
function isWritten(kind) {
  return !["integer", "number", "boolean"].includes(kind);
}

/**
 * A value as typed, read by the column's kind.
 *
 * @param {string} text
 * @param {string} kind
 * @returns {{value: any}|{error: string}}
 */
export function readValue(text, kind) {
  const trimmed = text.trim();
  if (kind === "boolean") {
    if (/^(true|false)$/i.test(trimmed)) return { value: /^true$/i.test(trimmed) };
    return { error: "Type True or False." };
  }
  if (kind === "duration") return readDuration(trimmed);
  if (isWritten(kind)) {
    const cut = kind === "datetime" ? trimmed : text;
    return cut ? { value: cut } : { error: "Type a value." };
  }
  const plain = trimmed.replace(/[\u202f\u00a0_ ,](?=\d{3}(\D|$))/g, "");
  if (/^[+-]?\d+$/.test(plain)) {
    const number = Number(plain);
    return { value: Number.isSafeInteger(number) ? number : { $int: plain.replace("+", "") } };
  }
  const infinite = /^([+-]?)inf(inity)?$/i.exec(plain);
  if (infinite) return { value: { $float: `${infinite[1] === "-" ? "-" : ""}inf` } };
  const number = Number(plain);
  return plain && Number.isFinite(number) ? { value: number } : { error: "Type a number." };
}

/** Seconds, or what a cell shows: `1 days 12:30:00`. */
function readDuration(text) {
  if (text && Number.isFinite(Number(text))) return { value: Number(text) };
  const found = /^(?:(-?\d+) days?,? ?)?(?:(\d+):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)?)?$/.exec(text);
  if (!text || !found) return { error: "Type seconds, or a duration such as 1 days 12:30:00." };
  const [days, hours, minutes, seconds] = found.slice(1, 5).map((part) => Number(part ?? 0));
  return { value: { $timedelta: [days, hours * 3600 + minutes * 60 + seconds, Number((found[5] ?? "").padEnd(6, "0"))] } };
}

/**
 * The filter of a form's fields.
 *
 * @returns {{filter: object}|{error: string}}
 */
export function readFilter(column, kind, op, texts, matchCase) {
  const filter = { column, op };
  const count = valuesOf(op);
  if (count) {
    const parts = count === Infinity ? texts[0].split(",").map((part) => part.trim()).filter(Boolean) : texts.slice(0, count);
    if (!parts.length) return { error: "Type a value." };
    const read = parts.map((part) => readValue(part, kind));
    const failed = read.find((one) => "error" in one);
    if (failed) return failed;
    const values = read.map((one) => one.value);
    filter.value = count === 1 ? values[0] : values;
    if (matchCase && canMatchCase(op)) filter.case = true;
  }
  return { filter };
}

/** A filter's values as a person would type them. */
export function typedTexts(filter) {
  const count = valuesOf(filter.op);
  if (!count) return ["", ""];
  if (count === Infinity) return [filter.value.map(typedText).join(", "), ""];
  return count === 2 ? filter.value.map(typedText) : [typedText(filter.value), ""];
}

function typedText(value) {
  if (value?.$timedelta) return wholeText(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value?.$int ?? value?.$float ?? value);
}

function shownValue(value, kind) {
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return typeof value === "string" && kind !== "datetime" ? `“${value}”` : typedText(value);
}

/** A filter in words: `dep_delay > 60`. */
export function filterWords(filter, name, kind) {
  const words = opsOf(kind).find(([op]) => op === filter.op)?.[1] ?? filter.op;
  const count = valuesOf(filter.op);
  if (!count) return `${name} ${words}`;
  if (count === 2) return `${shownValue(filter.value[0], kind)} ≤ ${name} ≤ ${shownValue(filter.value[1], kind)}`;
  const values = count === Infinity ? filter.value.map((one) => shownValue(one, kind)).join(", ") : shownValue(filter.value, kind);
  return `${name} ${words} ${values}`;
}

/**
 * Filters as chips: a lower and an upper bound of one column, set together, are one.
 *
 * @returns {Array<{text: string, from: number, count: number, filter: object}>}
 */
export function chipsOf(filters, columnOf) {
  const chips = [];
  for (let n = 0; n < filters.length; n += 1) {
    const [one, next] = [filters[n], filters[n + 1]];
    const { name, kind } = columnOf(one.column);
    const paired = one.op === "ge" && next?.column === one.column && (next.op === "lt" || next.op === "le");
    if (paired) {
      const text = `${shownValue(one.value, kind)} ≤ ${name} ${next.op === "lt" ? "<" : "≤"} ${shownValue(next.value, kind)}`;
      chips.push({ text, from: n, count: 2, filter: one });
      n += 1;
    } else chips.push({ text: filterWords(one, name, kind), from: n, count: 1, filter: one });
  }
  return chips;
}

// selection.js

/**
 * Which cells are selected, and how they are copied.
 *
 * Rules: one rectangle, from an anchor to the active cell; row -1 is the header. Copying fetches what is not
 * here block by block, and is bounded: what was left out is said.
 */


const MOST_COPIED = 100_000;

export class Selection {
  constructor() {
    this.active = { row: 0, column: 0 };
    this.anchor = { row: 0, column: 0 };
    /** Whole rows or columns, whatever the active cell is. */
    this.whole = null;
  }

  moveTo(row, column, extend = false) {
    this.active = { row, column };
    this.whole = null;
    if (!extend) this.anchor = { row, column };
  }

  /** All of a row, or of everything. */
  selectRows(first, last, column) {
    this.active = { row: last, column };
    this.anchor = { row: first, column };
    this.whole = "rows";
  }

  selectColumn(column, rowCount) {
    this.active = { row: 0, column };
    this.anchor = { row: Math.max(rowCount - 1, 0), column };
    this.whole = "columns";
  }

  /** Half-open ranges. */
  range(columnCount) {
    const rows = [Math.min(this.anchor.row, this.active.row), Math.max(this.anchor.row, this.active.row) + 1];
    const columns = [Math.min(this.anchor.column, this.active.column), Math.max(this.anchor.column, this.active.column) + 1];
    return { rows: [Math.max(rows[0], 0), rows[1]], columns: this.whole === "rows" ? [0, columnCount] : [Math.max(columns[0], 0), columns[1]] };
  }

  has(row, column) {
    if (row < Math.min(this.anchor.row, this.active.row) || row > Math.max(this.anchor.row, this.active.row)) return false;
    if (this.whole === "rows") return true;
    const single = this.anchor.row === this.active.row && this.anchor.column === this.active.column;
    if (single) return false;
    return column >= Math.min(this.anchor.column, this.active.column) && column <= Math.max(this.anchor.column, this.active.column);
  }

  /** Keep within a table that became smaller. */
  clamp(rowCount, columnCount) {
    for (const end of [this.active, this.anchor]) {
      end.row = Math.min(end.row, rowCount - 1);
      end.column = Math.max(Math.min(end.column, columnCount - 1), 0);
    }
  }
}

/**
 * Copy a range as tab-separated text.
 *
 * @param {TableData} data
 * @param {{rows: [number, number], columns: [number, number]}} range
 * @param {function(number): boolean} isHidden  columns to leave out
 * @param {boolean} withNames  the columns' names above, and the rows' labels in front
 * @returns {Promise<string>} what was copied, in words; rejects as a request does
 */
export async function copyRange(data, { rows, columns }, isHidden, withNames) {
  const wanted = [];
  for (let column = columns[0]; column < columns[1] && wanted.length < MOST_COPIED; column += 1) if (!isHidden(column)) wanted.push(column);
  const end = Math.min(rows[1], rows[0] + Math.max(Math.floor(MOST_COPIED / Math.max(wanted.length, 1)), 1));
  const lines = [];
  for (let row = rows[0]; row < end; row += 1) {
    const parts = [];
    for (const column of wanted) {
      const block = await blockOf(data, row, column);
      if (withNames && !parts.length) parts.push(labelText(block.index[row - block.row]));
      parts.push(copiedText(block.data[column - block.column]?.[row - block.row]));
    }
    lines.push(parts.join("\t"));
  }
  if (withNames) lines.unshift(["", ...wanted.map((column) => labelText(data.columns.get(column)?.name))].join("\t"));
  if (!(await copyText(lines.join("\n")))) return "The browser did not let the cells be copied";
  const cells = (end - rows[0]) * wanted.length;
  const told = cells === 1 ? "Copied the cell" : `Copied ${plural(end - rows[0], "row")} × ${plural(wanted.length, "column")}`;
  return end < rows[1] ? `${told}, the first of ${formatCount(rows[1] - rows[0])} rows selected` : told;
}

/** Without a turn of the event loop where the block is here. */
function blockOf(data, row, column) {
  return data.blockAt(row, column) ?? data.page(row, column);
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
    /** What runs, by message id. The debugger's requests on control say idle in the middle of a cell. */
    this._running = new Set();
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
          if (message.header.msg_type === "snake_progress" && !signal?.aborted) {
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
    return { connected, busy: connected && (this._running.size > 0 || kernel.status === "busy"), supported: this._supported === true };
  }

  /** Another kernel, or none, is connected. */
  _follow(kernel, isNew) {
    this._followed = kernel;
    this._supported = null;
    this._epoch = null;
    this._running.clear();
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
    if (!state.connected) {
      this._running.clear();
    }
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
    if (message.header.msg_type === "status") {
      this._runs(message.parent_header, message.content.execution_state);
    }
    if (message.header.msg_type === "snake_changed") {
      for (const listener of [...this._changed]) {
        listener(message.content);
      }
    }
  }

  /** A cell or a call began or ended. */
  _runs({ msg_id: id, msg_type: type }, state) {
    if (state === "busy" && (type === "execute_request" || type?.startsWith("snake_"))) {
      this._running.add(id);
    } else if (state === "idle") {
      this._running.delete(id);
    }
    this._look();
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
    this._isDisposed = false;
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
      if (this._isDisposed) {
        throw goneError();
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
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._tell({ kind: "gone", view: this._view });
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
    this._tell({ kind: "request", view: this._view, id, op, content, channel });
  }

  _tell(message) {
    try {
      this._model.send(message);
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
      const lost = goneError();
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

function goneError() {
  return new PanelError({ code: "disconnected", message: "The kernel of this panel is gone; run its cell again." });
}

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
}

// lab_widgets.js

/**
 * The Lumino widgets of the panel and of the views that it opens; they tell what they hold when it is seen.
 */


/** Pixels that the panel is wide at first, where there is room. */
const WIDTH = 340;

/** Pixels of the area below the notebook that show something of a table. */
const LEAST_BELOW = 200;

/** The side panel's widget, which tells when it is seen. */
export function sideWidget(lab, panels) {
  const { Widget } = lab["@lumino/widgets"];
  const settings = localSettings();
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
    onResize({ width }) {
      if (this.isVisible && width > 0 && !settings.get("width")) {
        settings.set("width", WIDTH);
        // Not while what is around it still computes its own sizes.
        requestAnimationFrame(() => widen(this));
      }
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

/** Give the side panel a width that shows its columns, when it is seen for the first time. */
function widen(side) {
  const width = side.node.clientWidth;
  let split = side.parent;
  while (split && !(split.relativeSizes && split.orientation === "horizontal")) {
    split = split.parent;
  }
  const sizes = split?.relativeSizes() ?? [];
  const more = (WIDTH - width) / (split?.node.clientWidth || WIDTH);
  if (sizes.length > 1 && more > 0 && sizes[sizes.length - 2] > more * 2) {
    sizes[sizes.length - 1] += more;
    sizes[sizes.length - 2] -= more;
    split.setRelativeSizes(sizes);
  }
}

let viewCount = 0;

/**
 * A view as a tab.
 *
 * `mount(element)` gives what is disposed of with it; `isBelow` tells that it opens in the area below a notebook.
 */
export function tabWidget(lab, { icon, title, mount, isBelow }) {
  const { Widget } = lab["@lumino/widgets"];
  class ViewWidget extends Widget {
    onAfterAttach() {
      this.handle ??= mount(this.node);
    }
    onResize() {
      if (isBelow && !this.hasRoom) {
        this.hasRoom = true;
        giveRoom(this);
      }
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
  viewCount += 1;
  widget.id = `snakekernel-view-${viewCount}`;
  widget.addClass("snk-host-view");
  widget.title.label = title;
  widget.title.caption = title;
  widget.title.closable = true;
  if (!isBelow) {
    widget.title.icon = icon;
  }
  return widget;
}

/** The area below the notebook begins with no height. */
function giveRoom(widget) {
  // Its parents: a stack, the tabs, what splits the page.
  const area = widget.parent?.parent;
  const split = area?.parent;
  if (split?.setRelativeSizes && area.node.clientHeight < LEAST_BELOW) {
    split.setRelativeSizes([1, 1]);
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
    openContextMenu(this.ui.root, rows.length > 1 ? this.#manyItems(rows) : this.items(rows[0]), x, y);
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
      text: `Variables and other objects that hold ${one ? "it" : "them"} keep ${one ? "it" : "them"}. The deletion cannot be undone.`,
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

// columns.js

/**
 * Column headers of the grid: kind, name, dtype, sort mark, tiny histogram, and the column's menu.
 *
 * Rules: a header is an element made once and filled again as columns scroll by; it changes only where
 * what it shows differs.
 */


/** What each kind is called, and the mark in front of the name. */
export const KINDS = {
  integer: { word: "Whole numbers", mark: "123" },
  number: { word: "Numbers", mark: "1.2" },
  text: { word: "Text", mark: "abc" },
  boolean: { word: "True or false", mark: "T/F" },
  datetime: { word: "Dates and times", path: "M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 2v3M10.5 2v3" },
  duration: { word: "Durations", path: "M8 14a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM8 5.5V8.5l2 1.5" },
  category: { word: "Categories", path: "M2.5 2.5h5l6 6-5 5-6-6zM5.2 5.2h.01" },
  other: { word: "Objects", path: "M8 2.2l5 2.9v5.8l-5 2.9-5-2.9V5.1zM3 5.1L8 8l5-2.9M8 8v5.8" },
};

/** The mark of a kind. */
export function kindMark(kind) {
  const { mark, path } = KINDS[kind] ?? KINDS.other;
  if (mark) return h("span", { class: "snk-t-kind", "aria-hidden": "true" }, mark);
  return svg("svg", { class: "snk-t-kind", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: path }));
}

/** Kinds whose cells line up on the right. */
export function isNumeric(kind) {
  return kind === "integer" || kind === "number" || kind === "duration";
}

/** A column's name as shown: never empty, so that it can be seen and clicked. */
export function columnName(column, position) {
  if (!column) return "";
  return labelText(column.name).trim() || `column ${position}`;
}

/** One header cell. */
export class HeaderCell {
  constructor() {
    this.position = -1;
    this.told = "";
    this.mark = h("span", { class: "snk-t-head-mark" });
    this.name = h("span", { class: "snk-t-head-name" });
    this.sort = h("span", { class: "snk-t-head-sort", "aria-hidden": "true" });
    this.menu = h("span", { class: "snk-t-head-menu", title: "Column menu", "aria-hidden": "true" }, icon("more"));
    this.dtype = h("span", { class: "snk-t-head-dtype" });
    this.missing = h("span", { class: "snk-t-head-missing" });
    this.plot = h("span", { class: "snk-t-head-plot", "aria-hidden": "true" });
    this.grip = h("span", { class: "snk-t-head-grip", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: "snk-t-head", role: "columnheader", id: freshId("snk-t-head") },
      h("div", { class: "snk-t-head-line" }, this.mark, this.sort, this.name, this.menu),
      h("div", { class: "snk-t-head-line snk-t-head-second" }, this.dtype, this.missing),
      this.plot,
      this.grip,
    );
  }

  /**
   * @param {number} position
   * @param {object|undefined} column  undefined while it is not here
   * @param {{order: "ascending"|"descending", key: number, keys: number}|null} sorted
   * @param {object|null|undefined} summary
   * @param {boolean} filtered
   */
  fill(position, column, sorted, summary, filtered) {
    const told = JSON.stringify([position, column, sorted, filtered]);
    if (told !== this.told) {
      this.told = told;
      if (this.position !== position) this._summarise(null);
      this.position = position;
      this.element.classList.toggle("snk-t-wait", !column);
      this.element.classList.toggle("snk-t-right", !!column && isNumeric(column.kind));
      this.element.classList.toggle("snk-t-filtered", filtered);
      this.mark.replaceChildren(...(column ? [kindMark(column.kind)] : []));
      setText(this.name, columnName(column, position));
      setText(this.dtype, column?.dtype ?? "");
      setText(this.sort, sorted ? `${sorted.order === "ascending" ? "↑" : "↓"}${sorted.keys > 1 ? sorted.key + 1 : ""}` : "");
      setAttribute(this.element, "aria-colindex", position + 2);
      setAttribute(this.element, "aria-sort", sorted?.order ?? "none");
      setAttribute(this.element, "title", column ? `${columnName(column, position)} (${column.dtype})` : null);
    }
    // While a new one is fetched, the last stays: the header would flicker with every filter.
    if (summary !== undefined && summary !== this.summary) this._summarise(summary);
  }

  _summarise(summary) {
    this.summary = summary;
    this.plot.replaceChildren(...(summary ? [sparkline(summary)] : []));
    const some = summary && summary.missing > 0;
    const share = some ? formatShare(summary.missing, summary.count + summary.missing) : "";
    setText(this.missing, some ? `${share} NA` : "");
    setAttribute(this.missing, "title", some ? `${share} missing` : null);
  }
}

/** The menu of a column, or of the cells selected in it. */
export function columnMenu(table, row, column, box) {
  const name = columnName(table.data.columns.get(column), column);
  const items = [
    { label: "Sort ascending", run: () => table.sortOnly(column, false) },
    { label: "Sort descending", run: () => table.sortOnly(column, true) },
    { label: "Do not sort", run: () => table.setQuery({ sort: [] }) },
    null,
    { label: "Filter…", run: () => table.windows.filter(box, column) },
    { label: "Statistics", run: () => table.showStatistics(true) },
    null,
    { label: "Fit width", run: () => table.fit(column) },
    { label: "Hide column", run: () => table.hide(column) },
    null,
  ];
  if (row < 0) return [...items, { label: "Copy name", hint: name.length > 24 ? `${name.slice(0, 23)}…` : name, run: () => table.copy(false) }];
  return [
    ...items,
    { label: "Show the whole cell", hint: "Enter", run: () => table.windows.cell() },
    { label: "Copy", hint: "Ctrl+C", run: () => table.copy(false) },
    { label: "Copy with names", hint: "Ctrl+Shift+C", run: () => table.copy(true) },
  ];
}

// state.js

/**
 * What the panel knows: the groups, what is open in them, what is selected, what just changed.
 *
 * Rules: no elements here. Every answer passes through one request function that belongs to one kernel
 * process: a restart ends it, and with it every late answer. Hidden, nothing is asked; what changed
 * meanwhile is only marked as out of date. The watch names what is on screen and ends with the visit.
 */


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

// table_life.js

/**
 * What becomes of the object that a table shows, and of the view itself: seen or not, changed, gone, lost.
 *
 * Rules: nothing is asked of the kernel while the table is not seen, and what changed meanwhile is not known
 * then, so all in view is fetched anew; cells that were fetched stay until others come, with words to them.
 */


export class TableLife {
  /** @param {object} table  see `grid.js` */
  constructor(table) {
    this.table = table;
    /** Why there is nothing to fetch, or null. */
    this.gone = null;
    this.seen = false;
    this.onVisibility = () => {
      if (document.visibilityState === "hidden") this.see(false);  // no frame comes that would notice
      else table.resized();
    };
    this.forget = [];
  }

  begin() {
    const { transport } = this.table;
    document.addEventListener("visibilitychange", this.onVisibility);
    this.forget = [
      transport.onChanged((content) => this._heard(content)),
      transport.onStatus((status) => this._status(status)),
    ];
  }

  dispose() {
    this.forget.forEach((forget) => forget());
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.see(false);
  }

  /** Whether the table is seen. */
  see(seen) {
    if (seen === this.seen) return;
    this.seen = seen;
    const { transport, target, sessionId } = this.table;
    watchOf(transport).set(this, seen ? watchFor(target, sessionId) : null);
    const { totals, error } = this.table.data;
    if (!seen) this.table.rest();
    else if (!this.gone && (totals || error)) this._anew();
  }

  /** Ask again for all in view, with more time: the person asked for it. */
  retry() {
    this.gone = null;
    this.table.data.patient = true;
    this._anew();
  }

  _anew() {
    this.table.data.refresh();
    this.table.summaries.refresh();
  }

  _heard(content) {
    const change = changesOf(content, this.table.target, this.table.sessionId);
    if (change === "deleted") this._lose(`${this.table.title} was deleted. What is shown was fetched before.`);
    else if (change === "changed") {
      this.gone = null;
      if (!this.seen) return;
      this._anew();
      this.table.notices.say("Changed, updated now");
    }
  }

  _status({ connected, restarted }) {
    if (restarted) {
      this.table.data.stop();
      this._lose("The kernel was restarted, and the table is gone with its memory.");
    } else if (!connected && !this.gone) this._lose("There is no connection to the kernel.", true);
    else if (connected && this.gone?.passing) {
      this.gone = null;
      this._anew();
    }
  }

  _lose(message, passing = false) {
    this.gone = { message, passing };
    this.table.rest();
    this.table.showError();
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
const LIST_ROW = 24;

/** Rows made beyond what is seen. */
const OVERSCAN = 6;

let listSerial = 0;

export class ObjectList {
  /**
   * @param {PanelState} state
   * @param {{onSelect(rows, active), onOpen(row), onMenu(rows, x, y), onKey(event, rows): boolean}} handlers
   * @param {HTMLElement[]} footers  below the last row
   */
  constructor(state, handlers, footers) {
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
    this.footers = footers;
    this.spacer = h("div", { class: "snk-spacer", role: "presentation" }, footers);
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
        onKeydown: (event) => pressedInList(this, event),
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
    const height = layout.length * LIST_ROW;
    this.spacer.style.height = `${height}px`;
    this.#keepPlace();
    const top = Math.min(element.scrollTop, Math.max(0, height - element.clientHeight));
    const first = Math.max(0, Math.floor(top / LIST_ROW) - OVERSCAN);
    const last = Math.min(layout.length, Math.ceil((top + element.clientHeight) / LIST_ROW) + OVERSCAN);
    this.#follow();
    this.#drawRows(first, last);
    const topRow = layout.at(Math.floor(top / LIST_ROW));
    this.anchor = topRow && top > 0 ? { key: topRow.key, offset: top - Math.floor(top / LIST_ROW) * LIST_ROW, top } : null;
    if (this.state.live) this.#ask(first + OVERSCAN * (first > 0), last);
    this.#revealAwaited();
  }

  #keepPlace() {
    if (!this.anchor || this.anchor.top !== this.element.scrollTop) return;
    const at = this.layout.indexOf(this.anchor.key);
    if (at < 0) return;
    const top = at * LIST_ROW + this.anchor.offset;
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
    const source = this.state.sources.find((one) => this.active.startsWith(`${one.key}\u0000`));
    const waiting = source && (source.busy || source.ticks > 0) && !source.error && source.indexOf(this.active.slice(source.key.length + 1)) < 0 && source.count > source.positions.size;
    if (waiting) return;
    const index = Math.min(this.activeIndex, this.layout.length - 1);
    const row = this.layout.at(index);
    this.#setActive(row?.node ? row : null, index);
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
      one.element.style.transform = `translateY(${index * LIST_ROW}px)`;
      this.rowOf.set(one.element, row);
      if (key === this.active) active = one.element.id;
    }
    for (const one of spare) one.element.remove();
    // In the order of reading; a field that is moved would lose the focus.
    if (!this.editing) placeChildren(this.spacer, [...[...wanted.keys()].map((key) => this.elements.get(key).element), ...this.footers]);
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
      source.need(from, to);
      for (let position = from; position < to; position += 1) {
        const name = source.at(position)?.name;
        if (name === undefined) continue;
        if (source.kind === "variables") (variables ??= []).push(name);
        else stored.push([source.sessionId, name]);
      }
    }
    if (this.state.showVariables) variables ??= [];
    this.state.onScreen(stored, variables);
  }

  /** Selects the row of a key once it is there, and brings it into view. */
  revealLater(key) {
    this.awaited = key;
    this.draw();
  }

  #revealAwaited() {
    if (!this.awaited) return;
    const at = this.layout.indexOf(this.awaited);
    if (at >= 0) {
      this.move(at, {});
      return;
    }
    // What is new comes last.
    const source = this.state.sources.find((one) => this.awaited.startsWith(`${one.key}\u0000`));
    if (source?.count && this.state.live) source.need(source.count - 1, source.count);
  }

  /** Rows that are seen at once. */
  get page() {
    return Math.max(1, Math.floor(this.element.clientHeight / LIST_ROW) - 1);
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
    if (this.active === null && this.layout.length) this.move(this.#firstItem(), { quiet: true });
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

  /** Makes a row the active one; `extend` selects up to it, `toggle` changes whether it is selected. */
  move(index, { extend = false, toggle = false }) {
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
    const top = index * LIST_ROW;
    const { element } = this;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + LIST_ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + LIST_ROW - element.clientHeight;
    this.anchor = null;
  }

  #rowAtEvent(event) {
    const element = event.target.closest(".snk-row");
    return element ? this.rowOf.get(element) : null;
  }

  #onClick(event) {
    const row = this.#rowAtEvent(event);
    if (!row || event.target.closest(".snk-edit")) return;
    this.move(this.layout.indexOf(row.key), { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey });
    if (event.target.closest(".snk-row-open")) this.handlers.onOpen(row);
    else if (event.target.closest(".snk-twisty") || row.kind === "group") this.toggle(row);
    else if (row.kind === "more" || row.kind === "error") this.activate(row);
  }

  #onDoubleClick(event) {
    const row = this.#rowAtEvent(event);
    if (!row?.node || event.target.closest(".snk-twisty, .snk-edit, .snk-row-open")) return;
    this.activate(row);
  }

  #onContextMenu(event) {
    const row = this.#rowAtEvent(event);
    if (event.target.closest(".snk-edit")) return;
    event.preventDefault();
    if (!row?.node) return;
    if (!this.selected.has(row.key)) this.move(this.layout.indexOf(row.key), {});
    this.handlers.onMenu(this.chosen, event.clientX, event.clientY);
  }

  /** Opens the menu of the active row beside it. */
  menuAtRow() {
    const one = this.elements.get(this.active);
    if (!one || !this.chosen.length) return;
    const box = one.element.getBoundingClientRect();
    this.handlers.onMenu(this.chosen, box.left + 24, box.bottom);
  }

  /** Opens or shuts a group or an object. */
  toggle(row) {
    if (row.kind === "group") this.state.setCollapsed(row.source, !row.collapsed);
    else if (row.node?.openable) this.state.setOpen(row.node, !row.node.open);
  }

  /** Enter and double click. */
  activate(row) {
    if (row.kind === "more") this.state.more(row.parent);
    else if (row.kind === "error") row.parent ? this.state.more(row.parent) : row.source.retry();
    else if (row.kind === "group") this.toggle(row);
    else if (row.node) this.handlers.onOpen(row) || this.toggle(row);
  }

  /**
   * Lets the reader edit a row's name in place. `commit(text)` resolves to an error text, or to null when
   * it is done.
   */
  edit(row, commit) {
    this.editing?.end();
    this.move(this.layout.indexOf(row.key), {});
    const one = this.elements.get(row.key);
    if (!one) return;
    this.editing = editName(one, row.node.name, commit, (focused) => {
      this.editing = null;
      if (focused) this.element.focus({ preventScroll: true });
      this.draw();
    });
  }
}

// form.js

/**
 * A form that calls an object or one of its methods, made from its parameters.
 *
 * Rules: values are sent in the protocol's grammar; the call runs in the kernel's queue, after the cell that
 * runs, and the form says so.
 */


/** Names of stored objects offered at once. */
const NAMES_OFFERED = 50;

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
    this.storeAs = h("input", { class: "snk-input", id: freshId("snk-store"), placeholder: "leave empty to show it only", spellcheck: "false" });
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
    const back = h("button", { class: "snk-icon-button", title: "Back to the list", "aria-label": "Back to the list", onClick: this.close }, icon("back"));
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
    this.chosen?.cancel();
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
    this.chosen = debounce((name) => {
      this.method = name || null;
      this.#load();
    }, 250);
    const field = h("input", { id, class: "snk-input", list: this.methods.id, spellcheck: "false", placeholder: "its name", onInput: () => this.chosen(field.value.trim()) });
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
      this.about.replaceChildren(h("p", { class: "snk-failure", role: "alert" }, error.message));
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
    if (document.activeElement === this.run || document.activeElement === this.storeAs) this.focus();
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
      const { content } = await this.state.request("call", this.#content({ ...given, store_as: storeAs, returns: "preview" }), { channel: "shell", signal });
      this.#show(content, storeAs);
    } catch (error) {
      this.#showProblem(error, this.controller.signal.aborted);
    }
    this.controller = null;
    this.run.disabled = false;
    const lost = document.activeElement === document.body || document.activeElement === this.stop;
    if (lost && this.element.isConnected) this.run.focus(); // a button that is disabled or hidden loses the focus
    this.stop.hidden = true;
    this.#tellWait();
  }

  #show({ result }, storeAs) {
    const text = resultText(result).slice(0, 20_000);
    const where = storeAs ? h("button", { type: "button", class: "snk-text-button", onClick: () => this.onStored(storeAs) }, `Stored as ${oneLine(storeAs, 60)}`) : null;
    this.result.replaceChildren(
      h("div", { class: "snk-section-head" }, h("h3", null, `Result: ${oneLine(result?.type ?? "", 60)}`), where ?? ""),
      h("pre", { class: "snk-code" }, text),
    );
  }

  #showProblem(error, cancelled) {
    const trace = (error.traceback ?? []).join("\n").replace(/\u001b\[[0-9;]*m/g, "");
    const text = cancelled ? "Cancelled." : error.message;
    this.result.replaceChildren(
      h("p", { class: "snk-failure", role: "alert" }, text),
      ...(trace && !cancelled ? [h("details", { class: "snk-section" }, h("summary", null, "Traceback"), h("pre", { class: "snk-code" }, trace.slice(0, 20_000)))] : []),
    );
  }
}

// column_fit.js

/**
 * Column widths and decimals from what the columns hold.
 *
 * Rules: a column is measured once, from the first block of it that comes; a width that the user chose stays.
 */


const PADDING = 18;
const LEAST = 64;
const MOST = 300;
const MOST_LABEL = 220;
/** Room of the kind's mark and the sort arrow beside a name. */
const HEAD_ROOM = 62;

export class ColumnFit {
  constructor(data, view) {
    this.data = data;
    this.view = view;
    this.fitted = new Map();
    this.pen = document.createElement("canvas").getContext("2d");
    this.labelled = "";
  }

  forget(column) {
    this.fitted.delete(column);
  }

  /** Measure columns in view that came. Returns whether a width changed. */
  fitVisible(chosen, hidden) {
    const { rows, columns } = this.view.visible();
    const { fontSize, fontFamily } = getComputedStyle(this.view.scroller);
    this.plain = `${fontSize} ${fontFamily}`;
    this.bold = `600 ${this.plain}`;
    let changed = this._fitLabels(rows[0], columns[0]);
    for (let column = columns[0]; column < columns[1]; column += 1) {
      const about = this.data.columns.get(column);
      if (!about || hidden.has(column)) continue;
      const mark = `${JSON.stringify(about.name)} ${about.dtype}`;
      if (this.fitted.get(column) === mark) continue;
      const block = this.data.blockAt(rows[0], column);
      const values = block?.data[column - block.column];
      if (!values) continue;
      this.fitted.set(column, mark);
      this.view.decimals.set(column, about.kind === "number" ? decimalsOf(values) : 0);
      if (chosen.has(column)) continue;
      this.view.setWidth(column, this._width(about, column, values));
      changed = true;
    }
    return changed;
  }

  _width(about, column, values) {
    const decimals = this.view.decimals.get(column);
    const longest = longestOf(values.slice(0, BLOCK_ROWS).map((value) => cellText(value, about.kind, decimals).text));
    const cells = this._measure(longest, this.plain) + PADDING;
    const name = this._measure(columnName(about, column), this.bold) + HEAD_ROOM;
    return Math.ceil(Math.max(LEAST, Math.min(Math.max(cells, name), MOST)));
  }

  _measure(text, font) {
    this.pen.font = font;
    return this.pen.measureText(text).width;
  }

  _fitLabels(row, column) {
    const block = this.data.blockAt(row, column);
    if (!block) return false;
    const mark = `${block.row}:${block.column}:${block.index.length}:${this.view.rowCount}`;
    if (this.labelled === mark) return false;
    this.labelled = mark;
    const numbered = block.index.every((label) => typeof label === "number");
    const longest = numbered ? String(Math.max(this.view.rowCount - 1, ...block.index)) : longestOf(block.index.map(labelText));
    const width = Math.ceil(Math.max(44, Math.min(this._measure(longest, this.plain) + PADDING, MOST_LABEL)));
    if (width <= this.view.indexWidth && numbered === this.numbered) return false;
    this.numbered = numbered;
    this.view.indexWidth = width;
    return true;
  }
}

function longestOf(texts) {
  return texts.reduce((longest, text) => (text.length > longest.length ? text : longest), "");
}

// filters.js

/**
 * The bar above the grid: search, filters as chips, what the table holds; and the form that makes a filter.
 *
 * Rules: the bar shows the query it is given and tells what the person wants of it; it holds no query itself.
 */


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

// grid_view.js

/**
 * The grid's elements: rows and cells for what is in view, filled again as the table scrolls by.
 *
 * Rules: nothing is measured while drawing; cells exist for the visible part and a small margin only; places
 * are relative to a base near the view, so that they stay exact in tables of any length.
 */


export const LINE_HEIGHT = 24;
export const HEAD_HEIGHT = 66;
const STANDARD_WIDTH = 104;
const MARGIN_ROWS = 4;
const MARGIN_PIXELS = 80;
const BASE_ROWS = 50_000;
const BASE_PIXELS = 500_000;

/** Gives each wanted key a slot: those that had one keep it. */
function assignSlots(slots, wanted) {
  const free = [];
  const kept = new Set();
  slots.forEach((key, slot) => {
    if (wanted.has(key)) kept.add(key);
    else free.push(slot);
  });
  for (const key of wanted) if (!kept.has(key)) slots[free.length ? free.shift() : slots.length] = key;
  for (const slot of free) slots[slot] = -1;
}

export class GridView {
  /**
   * @param {TableData} data
   * @param {object} look  what is drawn besides the data: `selected(row, column)`, `active`, `sorted(column)`,
   *   `summary(column)`, `filtered(column)`
   */
  constructor(data, look) {
    this.data = data;
    this.look = look;
    this.rows = new ScrollMap();
    this.across = new ScrollMap();
    this.axis = new GridAxis(STANDARD_WIDTH);
    this.indexWidth = 56;
    this.decimals = new Map();
    this.rowSlots = [];
    this.columnSlots = [];
    this.lines = [];
    this.heads = [];
    this.first = this.end = this.firstColumn = this.endColumn = 0;
    this.corner = h("div", { class: "snk-t-corner", role: "columnheader", "aria-colindex": 1, "aria-label": "Row" });
    this.headRow = h("div", { class: "snk-t-head-row", role: "row", "aria-rowindex": 1 }, this.corner);
    this.body = h("div", { class: "snk-t-body", role: "rowgroup" });
    this.window = h("div", { class: "snk-t-body-window", role: "presentation" }, this.body);
    this.layer = h("div", { class: "snk-t-layer", role: "presentation" }, h("div", { class: "snk-t-head-window", role: "rowgroup" }, this.headRow), this.window);
    this.sizer = h("div", { class: "snk-t-sizer", role: "presentation" }, this.layer);
    this.scroller = h("div", { class: "snk-grid", role: "grid", tabIndex: 0, "aria-multiselectable": "true" }, this.sizer);
    this.scroller.style.setProperty("--snk-t-head-height", `${HEAD_HEIGHT}px`);
  }

  get rowCount() {
    return this.data.totals?.matched ?? 0;
  }

  get columnCount() {
    return this.data.totals?.columns ?? 0;
  }

  /** Pixels of the part that shows cells. */
  get wide() {
    return Math.max(this.layerWidth - this.indexWidth, 0);
  }

  get high() {
    return Math.max(this.layerHeight - HEAD_HEIGHT, 0);
  }

  /** Take over sizes: of the view, and of the table. The only place where the page's layout is read. */
  measure() {
    this.axis.count = this.columnCount;
    for (let turn = 0; turn < 2; turn += 1) {  // scroll bars appear with the first size, and take room
      this.layerWidth = this.scroller.clientWidth;
      this.layerHeight = this.scroller.clientHeight;
      this._resizeMaps();
    }
    this.layer.style.width = `${this.layerWidth}px`;
    this.layer.style.height = `${this.layerHeight}px`;
    setAttribute(this.scroller, "aria-rowcount", this.rowCount + 1);
    setAttribute(this.scroller, "aria-colcount", this.columnCount + 1);
  }

  _resizeMaps() {
    const top = this.rows.resize(this.rowCount * LINE_HEIGHT, this.high);
    const left = this.across.resize(this.axis.total, this.wide);
    this.sizer.style.height = `${HEAD_HEIGHT + this.rows.length}px`;
    this.sizer.style.width = `${this.indexWidth + this.across.length}px`;
    this._setScroll(top, left);
  }

  _setScroll(top, left) {
    if (Math.abs(this.scroller.scrollTop - top) >= 1) this.scroller.scrollTop = top;
    if (Math.abs(this.scroller.scrollLeft - left) >= 1) this.scroller.scrollLeft = left;
    this.rows.scroll = this.scroller.scrollTop;
    this.across.scroll = this.scroller.scrollLeft;
  }

  /** The element scrolled. */
  scrolled() {
    if (Math.abs(this.scroller.scrollTop - this.rows.scroll) >= 1) this.rows.scrolled(this.scroller.scrollTop);
    if (Math.abs(this.scroller.scrollLeft - this.across.scroll) >= 1) this.across.scrolled(this.scroller.scrollLeft);
  }

  /** Go to a place in pixels of the whole table; also brings the scroll bar back to where it belongs. */
  scrollTo(top = this.rows.place, left = this.across.place) {
    this._setScroll(this.rows.goTo(top), this.across.goTo(left));
  }

  /** Scroll as little as shows a cell wholly. */
  reveal(row, column) {
    let top = this.rows.place;
    let left = this.across.place;
    if (row >= 0) top = Math.min(Math.max(top, (row + 1) * LINE_HEIGHT - this.high), row * LINE_HEIGHT);
    if (column >= 0) {
      const start = this.axis.offset(column);
      left = Math.min(Math.max(left, start + this.axis.size(column) - this.wide), start);
    }
    this.scrollTo(top, left);
  }

  /** Set a column's width, keeping what is in view where it is. */
  setWidth(column, width) {
    const change = width - this.axis.size(column);
    if (!change) return;
    const before = column < this.axis.at(this.across.place);
    this.axis.setSize(column, width);
    if (before) this.across.place += change;
    this._resizeMaps();
  }

  /** Which cell is at a point of the page: row -1 is the header, column -1 the row labels. */
  hit(x, y) {
    const box = this.layer.getBoundingClientRect();
    const down = y - box.top - HEAD_HEIGHT;
    const right = x - box.left - this.indexWidth;
    const row = down < 0 ? -1 : Math.min(Math.floor((down + this.rows.place) / LINE_HEIGHT), this.rowCount - 1);
    const column = right < 0 ? -1 : Math.min(this.axis.at(right + this.across.place), this.columnCount - 1);
    return { row, column };
  }

  /** Where a cell lies within the layer. */
  placeOf(row, column) {
    return {
      left: this.indexWidth + (column < 0 ? -this.indexWidth : this.axis.offset(column) - this.across.place),
      top: row < 0 ? 0 : HEAD_HEIGHT + row * LINE_HEIGHT - this.rows.place,
      width: column < 0 ? this.indexWidth : this.axis.size(column),
    };
  }

  /** The element of a cell in view, or null. */
  elementOf(row, column) {
    const at = this.columnSlots.indexOf(column);
    if (row < 0) return column < 0 ? this.corner : this.heads[at]?.element ?? null;
    const line = this.lines[this.rowSlots.indexOf(row)];
    if (!line) return null;
    return column < 0 ? line.label : line.cells[at]?.element ?? null;
  }

  /** Rows and columns wholly or partly in view, half-open. */
  visible() {
    const top = this.rows.place;
    const left = this.across.place;
    const columns = this.columnCount;
    return {
      rows: [Math.floor(top / LINE_HEIGHT), Math.min(Math.ceil((top + this.high) / LINE_HEIGHT), this.rowCount)],
      columns: columns ? [this.axis.at(left), Math.min(this.axis.at(left + this.wide) + 1, columns)] : [0, 0],
    };
  }

  /** Whether a column is wholly in view. */
  shows(column) {
    const left = this.axis.offset(column) - this.across.place;
    return left >= 0 && left + this.axis.size(column) <= this.wide;
  }

  /** Draw what is in view. */
  draw() {
    const { rows } = this.visible();
    const left = this.across.place;
    const columns = this.columnCount;
    this.first = Math.max(rows[0] - MARGIN_ROWS, 0);
    this.end = Math.min(rows[1] + MARGIN_ROWS, this.rowCount);
    this.firstColumn = columns ? this.axis.at(left - MARGIN_PIXELS) : 0;
    this.endColumn = columns ? Math.min(this.axis.at(left + this.wide + MARGIN_PIXELS) + 1, columns) : 0;
    const baseRow = Math.floor(this.first / BASE_ROWS) * BASE_ROWS;
    const basePixel = Math.floor(left / BASE_PIXELS) * BASE_PIXELS;
    this._assign();
    const places = this.columnSlots.map((column) =>
      column < 0 ? null : { left: this.indexWidth + this.axis.offset(column) - basePixel, width: this.axis.size(column) },
    );
    const shift = left - basePixel;
    this.body.style.transform = `translate3d(${-shift}px, ${baseRow * LINE_HEIGHT - this.rows.place}px, 0)`;
    this.headRow.style.transform = `translate3d(${-shift}px, 0, 0)`;
    this.layer.style.setProperty("--snk-t-shift", `${shift}px`);
    this._drawHeads(places);
    this.lines.forEach((line, slot) => this._drawLine(line, this.rowSlots[slot], baseRow, places));
    const active = this.elementOf(this.look.active.row, this.look.active.column);
    setAttribute(this.scroller, "aria-activedescendant", active?.id ?? null);
  }

  _assign() {
    const rows = new Set();
    for (let row = this.first; row < this.end; row += 1) rows.add(row);
    const columns = new Set();
    for (let column = this.firstColumn; column < this.endColumn; column += 1) if (this.axis.size(column)) columns.add(column);
    assignSlots(this.rowSlots, rows);
    assignSlots(this.columnSlots, columns);
    while (this.heads.length < this.columnSlots.length) {
      const head = new HeaderCell();
      this.heads.push(head);
      this.headRow.append(head.element);
    }
    while (this.lines.length < this.rowSlots.length) {
      const label = h("div", { class: "snk-t-label", role: "rowheader", "aria-colindex": 1, id: freshId("snk-t-label") });
      const element = h("div", { class: "snk-t-line", role: "row" }, label);
      this.lines.push({ element, label, cells: [], row: -1, top: -1, text: "" });
      this.body.append(element);
    }
    for (const line of this.lines) {
      while (line.cells.length < this.columnSlots.length) {
        const element = h("div", { class: "snk-t-cell", role: "gridcell", id: freshId("snk-t-cell") });
        line.cells.push({ element, left: -1, width: -1, column: -1, shown: null, look: "snk-t-cell" });
        line.element.append(element);
      }
    }
  }

  _drawHeads(places) {
    this.corner.style.width = `${this.indexWidth}px`;
    this.heads.forEach((head, slot) => {
      const column = this.columnSlots[slot];
      head.element.hidden = column < 0;
      if (column < 0) return;
      placeElement(head, places[slot]);
      head.fill(column, this.data.columns.get(column), this.look.sorted(column), this.look.summary(column), this.look.filtered(column));
      head.element.classList.toggle("snk-t-active", this.look.active.row === -1 && this.look.active.column === column);
      head.element.classList.toggle("snk-t-inspected", this.look.inspected === column);
    });
  }

  _drawLine(line, row, baseRow, places) {
    line.element.hidden = row < 0;
    if (row < 0) return;
    const top = (row - baseRow) * LINE_HEIGHT;
    if (line.top !== top) {
      line.top = top;
      line.element.style.top = `${top}px`;
    }
    const moved = line.row !== row;
    if (moved) {
      line.row = row;
      line.element.setAttribute("aria-rowindex", row + 2);
    }
    const known = this.data.label(row, this.firstColumn) ?? this.data.label(row, this.endColumn - 1);
    const text = known === undefined ? "" : labelText(known);
    if (line.text !== text && (moved || known !== undefined)) {
      line.text = text;
      line.label.textContent = text;
    }
    line.label.style.width = `${this.indexWidth}px`;
    setAttribute(line.label, "class", this.look.active.row === row && this.look.active.column === -1 ? "snk-t-label snk-t-active" : "snk-t-label");
    line.cells.forEach((cell, slot) => this._drawCell(cell, row, this.columnSlots[slot], places[slot]));
  }

  _drawCell(cell, row, column, place) {
    if (!place) {
      if (cell.column !== -1) cell.element.hidden = true;
      cell.column = -1;
      return;
    }
    if (cell.column !== column) {
      cell.element.hidden = false;
      cell.column = column;
      cell.element.setAttribute("aria-colindex", column + 2);
    }
    placeElement(cell, place);
    const value = this.data.cell(row, column);
    const kind = this.data.columns.get(column)?.kind;
    let look = "snk-t-cell";
    if (value === undefined) {
      look += " snk-t-wait";
      if (cell.shown !== "") cell.element.textContent = cell.shown = "";
    } else {
      const { text, missing } = cellText(value, kind, this.decimals.get(column));
      if (missing) look += " snk-t-missing";
      if (cell.shown !== text) cell.element.textContent = cell.shown = text;
    }
    if (isNumeric(kind)) look += " snk-t-right";
    if (this.look.selected(row, column)) look += " snk-t-selected";
    if (this.look.active.row === row && this.look.active.column === column) look += " snk-t-active";
    if (cell.look !== look) cell.element.className = cell.look = look;
  }
}

function placeElement(one, { left, width }) {
  if (one.left !== left) one.element.style.left = `${(one.left = left)}px`;
  if (one.width !== width) one.element.style.width = `${(one.width = width)}px`;
}

// summary.js

/**
 * What the columns hold: fetched for the columns in view once scrolling stops, and shown at the side.
 *
 * Rules: one request at a time, for columns in view that have no summary yet; a new query or a changed table
 * forgets all of them.
 */


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

// grid_keys.js

/**
 * What keys and the pointer do in the grid.
 *
 * Rules: the grid element itself keeps the focus and names the active cell (`aria-activedescendant`), since
 * cells are filled with others as the table scrolls; every key that is used goes no further.
 */


const WIDTH_STEP = 16;
const LEAST_WIDTH = 40;
const MOST_WIDTH = 1200;

/** Listens to one grid. `table` is the mounted table, see `grid.js`. */
export class GridKeys {
  constructor(table) {
    this.table = table;
    this.view = table.view;
    this.drag = null;
    const grid = this.view.scroller;
    grid.addEventListener("keydown", (event) => this._key(event));
    grid.addEventListener("copy", (event) => {
      event.preventDefault();
      table.copy(false);
    });
    grid.addEventListener("pointerdown", (event) => this._down(event));
    grid.addEventListener("pointermove", (event) => this._move(event));
    grid.addEventListener("pointerup", () => this._up());
    grid.addEventListener("pointercancel", () => this._up());
    grid.addEventListener("dblclick", (event) => this._double(event));
    grid.addEventListener("contextmenu", (event) => this._context(event));
  }

  _key(event) {
    if (event.target !== this.view.scroller) return;
    const inHead = this.table.selection.active.row < 0;
    const used = this._moves(event) || this._common(event) || (inHead ? this._inHead(event) : this._inCells(event));
    if (!used) return;
    event.preventDefault();
    event.stopPropagation();
  }

  _moves(event) {
    if (event.altKey) return false;
    const { rowCount, columnCount } = this.view;
    const { row, column } = this.table.selection.active;
    const far = event.ctrlKey || event.metaKey;
    const page = Math.max(Math.floor(this.view.high / LINE_HEIGHT) - 1, 1);
    const last = rowCount - 1;
    const to = {
      ArrowUp: () => [far ? Math.min(row, 0) : row - 1, column],
      ArrowDown: () => [far ? last : row + 1, column],
      ArrowLeft: () => [row, far ? this._next(-1, 1) : this._next(column, -1)],
      ArrowRight: () => [row, far ? this._next(columnCount, -1) : this._next(column, 1)],
      PageUp: () => [row < 0 ? row : Math.max(row - page, 0), column],
      PageDown: () => [row + page, column],
      Home: () => [far ? 0 : row, this._next(-1, 1)],
      End: () => [far ? last : row, this._next(columnCount, -1)],
    }[event.key];
    if (!to || !columnCount) return false;
    const [toRow, toColumn] = to();
    const least = event.shiftKey && row >= 0 ? 0 : -1;
    this.table.activate(Math.max(Math.min(toRow, last), least), toColumn, event.shiftKey && row >= 0);
    return true;
  }

  /** The next column that is not hidden, or the same. */
  _next(column, step) {
    const { columnCount, axis } = this.view;
    let next = column + step;
    while (next >= 0 && next < columnCount && !axis.size(next)) next += step;
    return next >= 0 && next < columnCount ? next : column;
  }

  _common(event) {
    const command = event.ctrlKey || event.metaKey;
    const { row, column } = this.table.selection.active;
    if (command && event.key.toLowerCase() === "a") this.table.selectAll();
    else if (command && event.key === " ") this.table.selectColumn(column);
    else if (event.shiftKey && event.key === " " && row >= 0) this.table.selectRows(this.table.selection.anchor.row, row);
    else if (command && event.key.toLowerCase() === "c" && event.shiftKey) this.table.copy(true);
    else if (command && event.key.toLowerCase() === "g") this.table.focusRowField();
    else if (event.altKey && event.key === "ArrowLeft") this.resize(column, this.view.axis.size(column) - WIDTH_STEP);
    else if (event.altKey && event.key === "ArrowRight") this.resize(column, this.view.axis.size(column) + WIDTH_STEP);
    else if (event.key === "ContextMenu" || (event.shiftKey && event.key === "F10") || (event.altKey && event.key === "ArrowDown")) {
      this.table.windows.menu(row, column, null);
    } else if (!command && event.key === "/") this.table.focusSearch();
    else return false;
    return true;
  }

  _inHead(event) {
    if (event.key !== "Enter" && event.key !== " ") return false;
    this.table.sortBy(this.table.selection.active.column, event.shiftKey);
    return true;
  }

  _inCells(event) {
    if (event.key === "Escape") {
      const { row, column } = this.table.selection.active;
      this.table.activate(row, column, false);
    } else if (event.key === "Enter" || event.key === " ") this.table.windows.cell();
    else return false;
    return true;
  }

  /** Set a width that the user chose. */
  resize(column, width) {
    this.table.setWidth(column, Math.max(LEAST_WIDTH, Math.min(width, MOST_WIDTH)));
  }

  _down(event) {
    if (event.button !== 0 || !event.target.closest(".snk-t-layer")) return;
    const at = this.view.hit(event.clientX, event.clientY);
    const grip = event.target.closest(".snk-t-head-grip");
    if (grip) {
      const column = this.view.columnSlots[this.view.heads.findIndex((head) => head.grip === grip)];
      this.drag = { kind: "width", column, from: event.clientX, width: this.view.axis.size(column), grip };
      grip.classList.add("snk-t-dragged");
      this.view.scroller.setPointerCapture(event.pointerId);
      event.preventDefault();
      return;
    }
    if (at.row < 0 && at.column >= 0) {
      if (event.target.closest(".snk-t-head-menu")) {
        event.preventDefault();
        this.table.windows.menu(-1, at.column, null);
      } else this.table.sortBy(at.column, event.shiftKey);
      return;
    }
    if (at.column < 0) {
      if (at.row < 0) this.table.selectAll();
      else this.table.selectRows(event.shiftKey ? this.table.selection.anchor.row : at.row, at.row);
      return;
    }
    this.table.activate(at.row, at.column, event.shiftKey);
    this.drag = { kind: "cells" };
    this.view.scroller.setPointerCapture(event.pointerId);
  }

  _move(event) {
    if (!this.drag) return;
    if (this.drag.kind === "width") {
      this.resize(this.drag.column, this.drag.width + event.clientX - this.drag.from);
      return;
    }
    const { row, column } = this.view.hit(event.clientX, event.clientY);
    const { active } = this.table.selection;
    const to = { row: Math.max(row < 0 ? this.view.visible().rows[0] - 1 : row, 0), column: Math.max(column, 0) };
    if (to.row !== active.row || to.column !== active.column) this.table.activate(to.row, to.column, true);
  }

  _up() {
    this.drag?.grip?.classList.remove("snk-t-dragged");
    this.drag = null;
  }

  _double(event) {
    const at = this.view.hit(event.clientX, event.clientY);
    // The pointer was captured, so the event itself names the grid only.
    const grip = document.elementFromPoint(event.clientX, event.clientY)?.closest(".snk-t-head-grip");
    if (grip) this.table.fit(this.view.columnSlots[this.view.heads.findIndex((head) => head.grip === grip)]);
    else if (at.row >= 0 && at.column >= 0) this.table.windows.cell();
  }

  _context(event) {
    if (!event.target.closest(".snk-t-layer")) return;
    const at = this.view.hit(event.clientX, event.clientY);
    if (at.column < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (at.row >= 0 && !this.table.selection.has(at.row, at.column)) this.table.activate(at.row, at.column, false);
    this.table.windows.menu(at.row, at.column, event);
  }
}

// table_windows.js

/**
 * The small windows and menus of a mounted table: a cell as a whole, a filter's form, a column's menu.
 *
 * Rules: one window at a time; each gives the focus back to the grid.
 */


/** Pixels below a header's top where its menu opens. */
const UNDER_NAME = 22;

export class TableWindows {
  /** @param {object} table  see `grid.js` */
  constructor(table) {
    this.table = table;
    this.close = () => {};
  }

  /** The form of a filter, below a part of the page. `place`: the filter's among all, -1 for a new one. */
  filter(box, column, filter = null, place = -1) {
    const { table } = this;
    const { query, columns } = table.data;
    const origin = table.root.getBoundingClientRect();
    const at = { left: box.left - origin.left, top: box.bottom - origin.top + 4 };
    const done = (made) => {
      const filters = [...query.filter];
      filters.splice(place < 0 ? filters.length : place, place < 0 ? 0 : 1, made);
      table.setQuery({ filter: filters });
    };
    this.close();
    this.close = openFilterForm(table.root, at, { columns, column, filter }, done, () => table.focus());
  }

  /** The active cell as a whole. */
  cell() {
    const { table } = this;
    const { row, column } = table.selection.active;
    const value = table.data.cell(row, column);
    if (value === undefined) return;
    const about = table.data.columns.get(column);
    const shown = cellText(value, about?.kind);
    const cell = {
      title: `${columnName(about, column)}, row ${labelText(table.data.label(row, column))}`,
      about: about?.dtype ?? "",
      text: shown.missing ? shown.text : wholeText(value),
      missing: shown.missing,
    };
    const origin = table.root.getBoundingClientRect();
    const box = this._boxOf(row, column);
    this.close();
    this.close = openCellWindow(table.root, { left: box.left - origin.left, top: box.bottom - origin.top }, cell, () => table.focus());
  }

  /** The menu of a header (row -1) or of the cells selected; at the pointer, or below the cell. */
  menu(row, column, event) {
    const { table } = this;
    const box = this._boxOf(row, column);
    if (row < 0) table.selection.moveTo(-1, column);
    table.inspect(column);
    table.draw();
    table.focus();
    openContextMenu(table.root, columnMenu(table, row, column, box), event?.clientX ?? box.left, event?.clientY ?? box.bottom);
  }

  _boxOf(row, column) {
    const { view } = this.table;
    const place = view.placeOf(row, column);
    const layer = view.layer.getBoundingClientRect();
    return { left: layer.left + place.left, bottom: layer.top + place.top + (row < 0 ? UNDER_NAME : LINE_HEIGHT) };
  }
}

// grid.js

/**
 * A table as a view of its own: bar, grid and statistics, over one object in the kernel.
 *
 * Rules: everything is drawn once per frame at most; what scrolls by in a hurry is not fetched; the query is
 * held by `TableData` alone, and bar, headers and statistics are drawn from it.
 */


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
    this.notice = h("div", { class: "snk-sentence", hidden: true });
    this.hint = h("p", { class: "snk-hint", hidden: true });
    this.said = h("p", { class: "snk-said", role: "status" });
    this.list = new ObjectList(this.state, {
      onSelect: (rows, active) => this.#select(rows, active),
      onOpen: (row) => this.actions.open(row),
      onMenu: (rows, x, y) => this.actions.menu(rows, x, y),
      onKey: (event, rows) => this.#listKey(event, rows),
    }, [this.hint]);
    // Within a notebook's output, keys would be the notebook's.
    const embedded = !host.openView;
    this.element = h("div", { class: "snk-panel", "data-lm-suppress-shortcuts": embedded ? "true" : null });
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
      { class: "snk-panel-main" },
      h("div", { class: "snk-toolbar" }, this.filter.box, this.variables),
      this.banner,
      columnHeads(),
      this.list.element,
      this.splitter,
      this.details.element,
    );
    this.element.append(this.main, this.notice, this.said);
    this.off = this.state.onDraw(() => this.#draw());
    this.chosen = host.storage?.get("split") ?? 0.45;
    this.#setSplit(this.chosen);
    // The panel's height bounds the share: it is known only once it is laid out, and changes.
    this.resizes = new ResizeObserver(() => this.#setSplit(this.chosen));
    this.resizes.observe(this.main);
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
    this.resizes.disconnect();
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
    const clear = h("button", { class: "snk-icon-button snk-filter-clear", title: "Clear the filter", "aria-label": "Clear the filter", hidden: true, onClick: empty }, icon("close"));
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
    for (const row of rows) this.state.seen(row.key);
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
    this.said.classList.toggle("snk-failure", isError);
    this.said.classList.add("snk-shown");
    this.saying = setTimeout(() => this.said.classList.remove("snk-shown"), SAID_STAYS);
  }

  #openTable(node) {
    const title = oneLine(pythonPath(node.target) ?? node.label, 60);
    const options = { title };
    if (node.source.sessionId !== null) options.sessionId = node.source.sessionId;
    if (this.host.openView) {
      const key = JSON.stringify([node.source.sessionId, node.target]);
      this.host.openView(title, (element) => mountTable(element, this.transport, node.target, options), key);
      return;
    }
    const place = h("div", { class: "snk-page-table" });
    const back = h("button", { class: "snk-icon-button", title: "Back to the list", "aria-label": "Back to the list", onClick: () => this.#closePage() }, icon("back"));
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
      onLostpointercapture: () => {
        splitter.removeEventListener("pointermove", drag);
        this.#keepSplit();
      },
      onKeydown: (event) => {
        const step = { ArrowUp: 0.05, ArrowDown: -0.05 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.#setSplit(this.split + step);
        this.#keepSplit();
      },
    });
    return splitter;
  }

  #keepSplit() {
    this.chosen = this.split;
    this.host.storage?.set("split", this.split);
  }

  /** Which share of the height the details have. */
  #setSplit(share) {
    const height = this.main.clientHeight || 800;
    const least = Math.min(0.5, LEAST_HEIGHT / height);
    this.split = Math.max(least, Math.min(1 - least * 2, Number(share) || 0.45));
    this.details.element.style.flexBasis = `${100 * this.split}%`;
    this.splitter.setAttribute("aria-valuenow", Math.round(100 * this.split));
  }
}

/** Names of the columns, which a wide panel shows. */
function columnHeads() {
  const names = { name: "Name", preview: "Value", type: "Type", shape: "Shape", size: "Size", maker: "Made by", age: "Age" };
  const heads = Object.entries(names).map(([part, name]) => h("span", { class: `snk-part snk-${part}` }, name));
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
    openTab: (title, mount) => {
      // Notebook's main area holds the notebook and nothing else.
      const widget = tabWidget(lab, { icon, title, mount, isBelow: !labShell });
      app.shell.add(widget, labShell ? "main" : "down");
      return widget;
    },
    activate: (widget) => app.shell.activateById(widget.id),
    addCell: () => app.commands.execute("notebook:insert-cell-below"),
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
  // A tracker tells nothing when its own current widget comes to the front again.
  app.shell.currentChanged?.connect((_, { newValue }) => {
    if (newValue && (notebooks?.has(newValue) || consoles?.has(newValue))) {
      panels.follow(newValue);
    }
  });
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
    isEnabled: () => panels.shown !== null,
    execute: async ({ target, title }) => {
      // The notebook may be another one when the choice is made.
      const { shown } = panels;
      const chosen = target ?? (await chooseTable(lab, shown.transport));
      if (chosen) {
        const { transport, openView } = shown;
        openView(title ?? titleOf(chosen), (element) => mountTable(element, transport, chosen, { title: title ?? titleOf(chosen) }), JSON.stringify([null, chosen]));
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
  /**
   * `openTab(title, mount)` makes a view and gives its widget; `activate` brings a widget to the front;
   * `addCell()` adds a cell to the current notebook.
   */
  constructor(lab, { openTab, activate, addCell }) {
    this._lab = lab;
    this._addCell = addCell;
    this._openTab = openTab;
    this._activate = activate;
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

  /** The current session: `{transport, openView}`; null where there is none. */
  get shown() {
    return this._shown;
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

  _mount(widget, context) {
    const { KernelMessage } = this._lab["@jupyterlab/services"];
    const transport = new LabTransport(context, {
      createMessage: KernelMessage.createMessage,
      insertCode: (text) => insertCode(widget, text, this._addCell),
    });
    const node = document.createElement("div");
    node.className = "snk-host-session";
    this.node.append(node);
    const views = new Map();
    const openView = (title, mount, key = title) => {
      const known = views.get(key);
      const view = known ?? this._openTab(title, mount);
      if (!known) {
        views.set(key, view);
        view.disposed.connect(() => views.delete(key));
      }
      this._activate(view);
    };
    const panel = mountPanel(node, transport, {
      openView,
      theme: "jupyter",
      storage: localSettings(),
    });
    this._open.set(context, { node, transport, panel, openView });
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

/** Put a line into the active cell of a notebook, or the prompt of a console. */
async function insertCode(widget, text, addCell) {
  if (widget.content?.activeCell && widget.content.activeCell.model.type !== "code") {
    await addCell();
  }
  const cell = widget.console?.promptCell ?? widget.content?.activeCell;
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
    // As a property of ours: the front-end sets the element's own styles by the widget's layout, sooner or later.
    el.style.setProperty("--snk-height", model.get("height"));
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
