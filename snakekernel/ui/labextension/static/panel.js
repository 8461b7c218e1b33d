// Made by python -m snakekernel.ui.bundle --write; change snakekernel/ui/src instead.

// errors.js

/** Errors of requests, the same from every transport. */

/** A request that failed: the kernel's error reply, or what kept it from getting one. */
export class PanelError extends Error {
  /**
   * @param {{code: string, message: string, ename?: string, traceback?: string[], at?: string}} told
   *   `code` is the protocol's; besides those, `disconnected` and `unsupported_kernel` are the panel's own.
   */
  constructor({ code, message, ename = "", traceback = [], at = "" }) {
    super(message);
    this.name = "PanelError";
    this.code = code;
    this.ename = ename;
    this.traceback = traceback;
    this.at = at;
  }
}

/**
 * The error that an error reply's content tells.
 *
 * @param {object} content
 * @returns {PanelError}
 */
export function errorOf(content) {
  return new PanelError({
    code: content.code ?? "internal",
    message: content.error || content.evalue || "The request failed.",
    ename: content.ename ?? "",
    traceback: content.traceback ?? [],
    at: content.at ?? "",
  });
}

/** The error of a request that its caller gave up. */
export function cancelledError() {
  return new PanelError({ code: "cancelled", message: "The request was cancelled." });
}

// grid.js

/** The grid: a table, page by page. */

/** Show a table. */
export function mountTable(element, transport, target, { title }) {
  element.textContent = title;
  return { dispose() { element.textContent = ""; }, resized() {} };
}

// panel.js

/** The panel: stored objects and variables. */

/**
 * Show the panel in an element.
 *
 * @param {HTMLElement} element
 * @param {object} transport
 * @param {object} host
 * @returns {{setVisible(visible: boolean): void, dispose(): void}}
 */
export function mountPanel(element, transport, host) {
  element.textContent = "Objects";
  return { setVisible() {}, dispose() { element.textContent = ""; } };
}

// transport_lab.js

/**
 * Requests over JupyterLab's own connection to a kernel, for JupyterLab 4 and Notebook 7.
 *
 * Rules: nothing is sent to a kernel of another type. A request ends with its reply, not with the future's
 * `done`, which waits for a status that short requests do not publish. One transport follows one session
 * context through restarts and changes of its kernel.
 */


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
    /** Whether the kernel serves us; null as long as that is not known. */
    this._supported = null;
    this._epoch = null;
    this._awaitsRestart = false;
    this._told = "";
    this._kernelChanged = (_, { newValue }) => this._follow(newValue, true);
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
        reject(cancelledError());
        this._cancel(future.msg.header.msg_id);
      };
      signal?.addEventListener("abort", cancel, { once: true });
      const settle = () => signal?.removeEventListener("abort", cancel);
      if (onProgress) {
        future.onIOPub = (message) => {
          if (message.header.msg_type === "snake_progress") {
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
      future.done.catch(() => {
        settle();
        reject(lostError());
      });
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
    return { connected, busy: kernel?.status === "busy", supported: this._supported === true };
  }

  /** Another kernel, or none, is connected. */
  _follow(kernel, isNew) {
    this._supported = null;
    this._epoch = null;
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
    if (RESTARTING.has(this._kernel?.status)) {
      this._awaitsRestart = true;
      this._epoch = null;
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
    if (message.header.msg_type === "snake_changed") {
      for (const listener of [...this._changed]) {
        listener(message.content);
      }
    }
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

// lab.js

/**
 * The plugin of JupyterLab 4 and Notebook 7: a side panel that shows the objects of the current notebook's kernel.
 *
 * Rules: each session has a panel of its own, kept while its notebook or console is open; only the current one
 * is visible, and one that is not seen sends nothing. Lab's modules are handed in, never imported.
 */


const PANEL_ID = "snakekernel-objects";
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3 jp-icon-selectable" fill="#616161" d="M12 2 3.5 6.5v11L12 22l8.5-4.5v-11zm0 2.3 5.6 2.9L12 10.2 6.4 7.2zM5.5 9l5.5 3v7.1l-5.5-2.9zm7.5 10.1V12l5.5-3v7.2z"/></svg>`;

/**
 * The plugins.
 *
 * @param {Object<string, object>} lab Lab's own modules by name
 * @param {string} style the address of the panel's style sheet
 * @returns {object[]}
 */
export function labPlugins(lab, style) {
  const { ICommandPalette } = lab["@jupyterlab/apputils"];
  const { ILabShell, ILayoutRestorer } = lab["@jupyterlab/application"];
  const { IConsoleTracker } = lab["@jupyterlab/console"];
  const { INotebookTracker } = lab["@jupyterlab/notebook"];
  return [
    {
      id: "snakekernel:objects",
      description: "A side panel with the objects of the current notebook's kernel.",
      autoStart: true,
      optional: [INotebookTracker, IConsoleTracker, ICommandPalette, ILayoutRestorer, ILabShell],
      activate(app, notebooks, consoles, palette, restorer, labShell) {
        if (notebooks || consoles) {
          activateObjects(lab, style, app, { notebooks, consoles, palette, restorer, labShell });
        }
      },
    },
  ];
}

function activateObjects(lab, style, app, { notebooks, consoles, palette, restorer, labShell }) {
  addStyle(style);
  const { LabIcon } = lab["@jupyterlab/ui-components"];
  const icon = new LabIcon({ name: "snakekernel:objects", svgstr: ICON });
  const panels = new SessionPanels(lab, {
    openView: (title, mount) => openTab(lab, app, labShell, icon, title, mount),
  });
  const side = sideWidget(lab, panels);
  side.id = PANEL_ID;
  side.title.icon = icon;
  side.title.caption = "Objects";
  app.shell.add(side, "right", { rank: 500, type: "Objects" });
  restorer?.add(side, PANEL_ID);
  for (const tracker of [notebooks, consoles]) {
    tracker?.currentChanged.connect((_, widget) => panels.follow(widget ?? currentOf(notebooks, consoles)));
  }
  panels.follow(currentOf(notebooks, consoles));
  addCommands(lab, app, palette, labShell, side, panels);
}

function currentOf(notebooks, consoles) {
  return notebooks?.currentWidget ?? consoles?.currentWidget ?? null;
}

function addCommands(lab, app, palette, labShell, side, panels) {
  const { commands, shell } = app;
  commands.addCommand("snakekernel:open-panel", {
    label: "Show Objects",
    caption: "Show the objects of the current notebook's kernel",
    execute: () => shell.activateById(side.id),
  });
  commands.addCommand("snakekernel:toggle-panel", {
    label: "Objects",
    caption: "Show or hide the objects of the current notebook's kernel",
    isToggled: () => side.isVisible,
    execute: () => {
      if (!side.isVisible) {
        shell.activateById(side.id);
      } else if (labShell) {
        shell.collapseRight();
      } else {
        shell.collapse("right");
      }
    },
  });
  commands.addCommand("snakekernel:open-table", {
    label: (args) => (args.target ? `Open ${args.title ?? args.target}` : "Open Table…"),
    caption: "Open a table of the current notebook's kernel",
    isEnabled: () => panels.transport !== null,
    execute: async ({ target, title }) => {
      const { transport } = panels;
      const chosen = target ?? (await chooseTable(lab, transport));
      if (transport && chosen) {
        panels.openTable(transport, chosen, title ?? titleOf(chosen));
      }
    },
  });
  for (const command of ["snakekernel:open-panel", "snakekernel:open-table"]) {
    palette?.addItem({ command, category: "Notebook Objects" });
  }
}

function titleOf(target) {
  const steps = Array.isArray(target) ? target : target.split(".");
  return steps.slice(1).join(".") || steps[0];
}

/** Ask which table; null where none was chosen. */
async function chooseTable(lab, transport) {
  const { InputDialog } = lab["@jupyterlab/apputils"];
  const asked = await Promise.all([
    transport.request("list_stored", { limit: 1000 }),
    transport.request("list_variables", { limit: 1000 }),
  ]);
  const targets = asked.flatMap(({ content }, i) =>
    content.objects
      .filter((object) => object.view === "table")
      .map(({ name }) => [i === 0 ? "stored" : "user", name]),
  );
  const items = targets.map((target) => target.join("."));
  const { button, value } = await InputDialog.getItem({ title: "Open table", items, okLabel: "Open" });
  return button.accept ? (targets[items.indexOf(value)] ?? null) : null;
}

/** The panels of all sessions, one of which is shown. */
class SessionPanels {
  constructor(lab, { openView }) {
    this._lab = lab;
    this._openView = openView;
    this._visible = false;
    /** By session context. */
    this._open = new Map();
    this._shown = null;
    this.node = document.createElement("div");
    this.node.className = "snk-host";
    this._empty = document.createElement("p");
    this._empty.className = "snk-host-empty";
    this._empty.textContent = "Open a notebook to see its objects.";
    this.node.append(this._empty);
    document.addEventListener("visibilitychange", () => this._update());
  }

  /** The current session's transport, or null. */
  get transport() {
    return this._shown?.transport ?? null;
  }

  /** Whether the side panel is seen. */
  setVisible(visible) {
    this._visible = visible;
    this._update();
  }

  /** Show the objects of a notebook's or console's kernel; of none for null. */
  follow(widget) {
    const context = widget?.sessionContext ?? null;
    if (context && !context.isDisposed && !this._open.has(context)) {
      this._mount(widget, context);
    }
    this._shown = this._open.get(context) ?? null;
    for (const one of this._open.values()) {
      one.node.hidden = one !== this._shown;
    }
    this._empty.hidden = this._shown !== null;
    this._update();
  }

  openTable(transport, target, title) {
    this._openView(title, (element) => mountTable(element, transport, target, { title }));
  }

  _mount(widget, context) {
    const { KernelMessage } = this._lab["@jupyterlab/services"];
    const transport = new LabTransport(context, {
      createMessage: KernelMessage.createMessage,
      insertCode: (text) => insertCode(widget, text),
    });
    const node = document.createElement("div");
    node.className = "snk-host-session";
    this.node.append(node);
    const panel = mountPanel(node, transport, {
      openView: this._openView,
      theme: "jupyter",
      storage: localSettings(),
    });
    this._open.set(context, { node, transport, panel });
    context.disposed.connect(() => {
      panel.dispose();
      transport.dispose();
      node.remove();
      const one = this._open.get(context);
      this._open.delete(context);
      if (one === this._shown) {
        this.follow(null);
      }
    });
  }

  _update() {
    const seen = this._visible && document.visibilityState !== "hidden";
    for (const one of this._open.values()) {
      one.panel.setVisible(seen && one === this._shown);
    }
  }
}

/** The side panel's widget, which tells when it is seen. */
function sideWidget(lab, panels) {
  const { Widget } = lab["@lumino/widgets"];
  class ObjectsWidget extends Widget {
    constructor() {
      super({ node: panels.node });
    }
    onAfterAttach() {
      panels.setVisible(this.isVisible);
    }
    onAfterShow() {
      panels.setVisible(true);
    }
    onBeforeHide() {
      panels.setVisible(false);
    }
    onBeforeDetach() {
      panels.setVisible(false);
    }
    onActivateRequest() {
      const first = this.node.querySelector('.snk-host-session:not([hidden]) input, [tabindex="0"]');
      first?.focus();
    }
  }
  return new ObjectsWidget();
}

let tabs = 0;

/** Open a view as a tab: in Lab's main area; below the notebook where the main area holds one widget only. */
function openTab(lab, app, labShell, icon, title, mount) {
  const { Widget } = lab["@lumino/widgets"];
  class ViewWidget extends Widget {
    onAfterAttach() {
      this.handle ??= mount(this.node);
    }
    onResize() {
      this.handle?.resized?.();
    }
    onAfterShow() {
      this.handle?.resized?.();
    }
    onCloseRequest(message) {
      super.onCloseRequest(message);
      this.dispose();
    }
    dispose() {
      this.handle?.dispose();
      this.handle = null;
      super.dispose();
    }
  }
  const widget = new ViewWidget();
  tabs += 1;
  widget.id = `snakekernel-view-${tabs}`;
  widget.addClass("snk-host-view");
  widget.title.label = title;
  widget.title.caption = title;
  widget.title.closable = true;
  widget.title.icon = icon;
  app.shell.add(widget, labShell ? "main" : "down");
  app.shell.activateById(widget.id);
}

/** Put a line into the active cell of a notebook, or the prompt of a console. */
function insertCode(widget, text) {
  const cell = widget.console?.promptCell ?? widget.content?.activeCell ?? null;
  if (!cell || cell.isDisposed) {
    return;
  }
  if (cell.editor) {
    cell.editor.replaceSelection(text);
    cell.editor.focus();
  } else {
    // Scrolled out of sight, a cell has no editor.
    const { sharedModel } = cell.model;
    const source = sharedModel.getSource();
    sharedModel.setSource(source && !source.endsWith("\n") ? `${source}\n${text}` : source + text);
  }
}

/** Settings that outlive the page, in the browser. */
export function localSettings() {
  return {
    get(key) {
      try {
        return JSON.parse(localStorage.getItem(`snakekernel:${key}`));
      } catch {
        // Switched off, or not ours.
        return null;
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(`snakekernel:${key}`, JSON.stringify(value));
      } catch {
        // Full or switched off: the setting lasts as long as the page.
      }
    },
  };
}

function addStyle(href) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
