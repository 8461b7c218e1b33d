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
