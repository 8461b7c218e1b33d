/**
 * A form that calls an object or one of its methods, made from its parameters.
 *
 * Rules: values are sent in the protocol's grammar; the call runs in the kernel's queue, after the cell that
 * runs, and the form says so.
 */

import { ArgumentFields } from "./arguments.js";
import { debounce, freshId, h, icon, setText } from "./dom.js";
import { oneLine } from "./format.js";
import { resultText } from "./values.js";

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
