/**
 * One row of the list as an element, made once and changed in place.
 *
 * Rules: every text of an object is on one line and cut here, so that no name or value can be slow to
 * draw, take more room or look like another.
 */

import { h, icon, setAttribute, setText } from "./dom.js";
import { formatAge, formatCount, formatDescription, formatShapeShort, formatSize, formatTime, oneLine, plural } from "./format.js";

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
