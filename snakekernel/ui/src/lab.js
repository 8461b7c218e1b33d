/**
 * The plugin of JupyterLab 4 and Notebook 7: a side panel that shows the objects of the current notebook's kernel.
 *
 * Rules: each session has a panel of its own, kept while its notebook or console is open; only the current one
 * is visible, and one that is not seen sends nothing. Lab's modules are handed in, never imported.
 */

import { mountTable } from "./grid.js";
import { sideWidget, tabWidget } from "./lab_widgets.js";
import { mountPanel } from "./panel.js";
import { localSettings } from "./settings.js";
import { LabTransport } from "./transport_lab.js";

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
    openTab: (title, mount) => {
      // Notebook's main area holds the notebook and nothing else.
      const widget = tabWidget(lab, { icon, title, mount, isBelow: !labShell });
      app.shell.add(widget, labShell ? "main" : "down");
      return widget;
    },
    activate: (widget) => app.shell.activateById(widget.id),
    addCell: () => app.commands.execute("notebook:insert-cell-below"),
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
  // A tracker tells nothing when its own current widget comes to the front again.
  app.shell.currentChanged?.connect((_, { newValue }) => {
    if (newValue && (notebooks?.has(newValue) || consoles?.has(newValue))) {
      panels.follow(newValue);
    }
  });
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
    isEnabled: () => panels.shown !== null,
    execute: async ({ target, title }) => {
      // The notebook may be another one when the choice is made.
      const { shown } = panels;
      const chosen = target ?? (await chooseTable(lab, shown.transport));
      if (chosen) {
        const { transport, openView } = shown;
        openView(title ?? titleOf(chosen), (element) => mountTable(element, transport, chosen, { title: title ?? titleOf(chosen) }), JSON.stringify([null, chosen]));
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
  /**
   * `openTab(title, mount)` makes a view and gives its widget; `activate` brings a widget to the front;
   * `addCell()` adds a cell to the current notebook.
   */
  constructor(lab, { openTab, activate, addCell }) {
    this._lab = lab;
    this._addCell = addCell;
    this._openTab = openTab;
    this._activate = activate;
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

  /** The current session: `{transport, openView}`; null where there is none. */
  get shown() {
    return this._shown;
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

  _mount(widget, context) {
    const { KernelMessage } = this._lab["@jupyterlab/services"];
    const transport = new LabTransport(context, {
      createMessage: KernelMessage.createMessage,
      insertCode: (text) => insertCode(widget, text, this._addCell),
    });
    const node = document.createElement("div");
    node.className = "snk-host-session";
    this.node.append(node);
    const views = new Map();
    const openView = (title, mount, key = title) => {
      const known = views.get(key);
      const view = known ?? this._openTab(title, mount);
      if (!known) {
        views.set(key, view);
        view.disposed.connect(() => views.delete(key));
      }
      this._activate(view);
    };
    const panel = mountPanel(node, transport, {
      openView,
      theme: "jupyter",
      storage: localSettings(),
    });
    this._open.set(context, { node, transport, panel, openView });
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

/** Put a line into the active cell of a notebook, or the prompt of a console. */
async function insertCode(widget, text, addCell) {
  if (widget.content?.activeCell && widget.content.activeCell.model.type !== "code") {
    await addCell();
  }
  const cell = widget.console?.promptCell ?? widget.content?.activeCell;
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

function addStyle(href) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
