/**
 * Requests over JupyterLab's own connection to a kernel, for JupyterLab 4 and Notebook 7.
 *
 * Rules: nothing is sent to a kernel of another type. A request ends with its reply, not with the future's
 * `done`, which waits for a status that short requests do not publish. One transport follows one session
 * context through restarts and changes of its kernel.
 */

import { PanelError, cancelledError, errorOf } from "./errors.js";

const FEATURE = "snakekernel";
const RESTARTING = new Set(["restarting", "autorestarting"]);
const GONE = new Set(["dead", "terminating"]);

/** A transport over the session context of a notebook or a console. */
export class LabTransport {
  /**
   * @param {object} context the `ISessionContext`
   * @param {object} lab
   * @param {function} lab.createMessage `KernelMessage.createMessage`
   * @param {null | function(string): void} lab.insertCode puts a line into a cell
   */
  constructor(context, { createMessage, insertCode = null }) {
    this.insertCode = insertCode;
    this._context = context;
    this._createMessage = createMessage;
    this._changed = new Set();
    this._watchers = new Set();
    /** Ends of control requests, whose replies are lost with the connection. */
    this._unanswered = new Set();
    /** Whether the kernel serves us; null as long as that is not known. */
    this._supported = null;
    this._epoch = null;
    this._awaitsRestart = false;
    /** What runs, by message id. The debugger's requests on control say idle in the middle of a cell. */
    this._running = new Set();
    this._told = "";
    // Lab tells it after a restart too, of the same kernel.
    this._kernelChanged = (_, { newValue }) =>
      newValue !== null && newValue === this._followed ? this._look() : this._follow(newValue, true);
    this._statusChanged = () => this._look();
    this._iopub = (_, message) => this._heard(message);
    this._disposed = () => this.dispose();
    context.kernelChanged.connect(this._kernelChanged);
    context.statusChanged.connect(this._statusChanged);
    context.connectionStatusChanged.connect(this._statusChanged);
    context.iopubMessage.connect(this._iopub);
    context.disposed.connect(this._disposed);
    this.isDisposed = false;
    this._follow(this._kernel, false);
  }

  /**
   * Ask the kernel.
   *
   * @param {string} op
   * @param {object} content
   * @param {{channel?: "control" | "shell", signal?: AbortSignal, onProgress?: function(object): void}} options
   * @returns {Promise<{content: object, buffers: DataView[]}>} rejects with a PanelError
   */
  request(op, content = {}, { channel = "control", signal, onProgress } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        throw cancelledError();
      }
      const future = this._send(op, content, channel);
      const cancel = () => {
        settle();
        reject(cancelledError());
        this._cancel(future.msg.header.msg_id);
      };
      signal?.addEventListener("abort", cancel, { once: true });
      const lost = () => {
        settle();
        reject(lostError());
      };
      const settle = () => {
        signal?.removeEventListener("abort", cancel);
        this._unanswered.delete(lost);
      };
      if (channel === "control") {
        this._unanswered.add(lost);
      }
      if (onProgress) {
        future.onIOPub = (message) => {
          if (message.header.msg_type === "snake_progress" && !signal?.aborted) {
            onProgress(message.content);
          }
        };
      }
      future.onReply = (reply) => {
        settle();
        future.dispose();
        this._seeEpoch(reply.content.epoch);
        if (reply.content.status === "ok") {
          resolve({ content: reply.content, buffers: (reply.buffers ?? []).map(dataView) });
        } else {
          reject(errorOf(reply.content));
        }
      };
      // Lab disposes of what waits when the kernel restarts or is lost.
      future.done.catch(lost);
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
    listener({ ...this._state(), restarted: false });
    return () => this._watchers.delete(listener);
  }

  dispose() {
    if (this.isDisposed) {
      return;
    }
    this.isDisposed = true;
    this._context.kernelChanged.disconnect(this._kernelChanged);
    this._context.statusChanged.disconnect(this._statusChanged);
    this._context.connectionStatusChanged.disconnect(this._statusChanged);
    this._context.iopubMessage.disconnect(this._iopub);
    this._context.disposed.disconnect(this._disposed);
    this._look();
    this._changed.clear();
    this._watchers.clear();
  }

  get _kernel() {
    return this.isDisposed ? null : (this._context.session?.kernel ?? null);
  }

  _state() {
    const kernel = this._kernel;
    const connected =
      kernel !== null &&
      this._supported !== null &&
      kernel.connectionStatus === "connected" &&
      !GONE.has(kernel.status) &&
      !RESTARTING.has(kernel.status);
    return { connected, busy: connected && (this._running.size > 0 || kernel.status === "busy"), supported: this._supported === true };
  }

  /** Another kernel, or none, is connected. */
  _follow(kernel, isNew) {
    this._followed = kernel;
    this._supported = null;
    this._epoch = null;
    this._running.clear();
    this._awaitsRestart = isNew && kernel !== null;
    if (kernel?.name === FEATURE) {
      // Known by its kernelspec: `info` waits for the cell that may be running.
      this._supported = true;
    } else if (kernel) {
      const settle = (supported) => {
        if (this._kernel === kernel) {
          this._supported = supported;
          this._look();
        }
      };
      kernel.info.then(
        (info) => settle((info.supported_features ?? []).includes(FEATURE)),
        () => settle(false),
      );
    }
    this._look();
  }

  /** Tell the state where it changed; the first one of a new kernel process says `restarted`. */
  _look() {
    const state = this._state();
    if (!state.connected) {
      this._running.clear();
    }
    if (RESTARTING.has(this._kernel?.status)) {
      this._awaitsRestart = true;
      this._epoch = null;
    }
    if (this._kernel?.connectionStatus !== "connected") {
      [...this._unanswered].forEach((lost) => lost());
    }
    const restarted = this._awaitsRestart && state.connected;
    if (restarted) {
      this._awaitsRestart = false;
    }
    this._tell(state, restarted);
  }

  _tell(state, restarted) {
    const told = JSON.stringify(state);
    if (told === this._told && !restarted) {
      return;
    }
    this._told = told;
    for (const listener of [...this._watchers]) {
      listener({ ...state, restarted });
    }
  }

  /** A reply of another process than the one before: the kernel restarted where Lab did not see it. */
  _seeEpoch(epoch) {
    if (!epoch || epoch === this._epoch) {
      return;
    }
    const isAnother = this._epoch !== null;
    this._epoch = epoch;
    if (isAnother) {
      this._tell(this._state(), true);
    }
  }

  _heard(message) {
    if (message.header.msg_type === "status") {
      this._runs(message.parent_header, message.content.execution_state);
    }
    if (message.header.msg_type === "snake_changed") {
      for (const listener of [...this._changed]) {
        listener(message.content);
      }
    }
  }

  /** A cell or a call began or ended. */
  _runs({ msg_id: id, msg_type: type }, state) {
    if (state === "busy" && (type === "execute_request" || type?.startsWith("snake_"))) {
      this._running.add(id);
    } else if (state === "idle") {
      this._running.delete(id);
    }
    this._look();
  }

  _send(op, content, channel) {
    const kernel = this._kernel;
    if (kernel === null || this._supported === null || GONE.has(kernel.status)) {
      throw lostError();
    }
    if (!this._supported) {
      throw new PanelError({
        code: "unsupported_kernel",
        message: "This kernel does not answer the panel; choose the kernel “Python (snakekernel)”.",
      });
    }
    const message = this._createMessage({
      msgType: `snake_${op}_request`,
      channel,
      username: kernel.username,
      session: kernel.clientId,
      content,
    });
    return channel === "shell"
      ? kernel.sendShellMessage(message, true, false)
      : kernel.sendControlMessage(message, true, false);
  }

  _cancel(msgId) {
    try {
      const future = this._send("cancel", { msg_id: msgId }, "control");
      future.onReply = () => future.dispose();
      future.done.catch(() => {});
    } catch (error) {
      if (!(error instanceof PanelError)) {
        throw error;
      }
      // The kernel is gone, and what ran in it with it.
    }
  }
}

function lostError() {
  return new PanelError({ code: "disconnected", message: "The kernel is not connected." });
}

function dataView(buffer) {
  if (buffer instanceof DataView) {
    return buffer;
  }
  return ArrayBuffer.isView(buffer)
    ? new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new DataView(buffer);
}
