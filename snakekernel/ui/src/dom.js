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
