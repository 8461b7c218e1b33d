/**
 * Requests through a widget's messages, for any host of anywidget.
 *
 * Rules: several views may share one model, and each hears all of its messages: the view's own id stands in
 * every request and every answer. A widget belongs to one kernel process and ends with it.
 */

import { PanelError, cancelledError, errorOf } from "./errors.js";

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
