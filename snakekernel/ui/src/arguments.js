/**
 * Fields for the arguments of a call, made from the parameters of a callable.
 *
 * Rules: what is left empty is left out, so that the callable's own default holds; what is wrong is told at
 * its field, and nothing is sent until all is right.
 */

import { freshId, h, setText } from "./dom.js";
import { oneLine } from "./format.js";
import { suggestedMode, typedValue } from "./values.js";

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
