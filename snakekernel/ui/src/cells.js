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
