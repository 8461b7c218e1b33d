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
