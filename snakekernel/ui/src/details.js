/**
 * What is known of the selected object: facts, preview, value, signature, documentation, history.
 *
 * Rules: asked for once the selection rests; an answer for another object is dropped. The object's own
 * code runs only when the reader asks for its repr, and can be stopped then.
 */

import { debounce, h, icon, paced, placeChildren, setText } from "./dom.js";
import { formatCount, formatDescription, formatMoment, formatShape, formatSize, formatTime, oneLine } from "./format.js";

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
