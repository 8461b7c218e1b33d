/**
 * Filters as data and as words. Pure functions.
 *
 * Rules: what a person types is read by the column's kind; what cannot be read says why, and filters nothing.
 */

import { wholeText } from "./cells.js";

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
