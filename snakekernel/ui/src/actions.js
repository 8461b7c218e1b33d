/**
 * What can be done with objects, as entries of a menu and as keys.
 *
 * Rules: an action that does not apply is left out, never shown to fail; what destroys is asked first; an
 * error is told where the action was begun, in the kernel's own sentence.
 */

import { copyText } from "./dom.js";
import { oneLine, plural } from "./format.js";
import { confirmFirst, openContextMenu } from "./menu.js";
import { pythonPath, targetText } from "./values.js";

/** Names that a question lists before it only counts. */
const NAMES_LISTED = 5;

export class Actions {
  /**
   * @param {PanelState} state
   * @param {{root: HTMLElement, list(): ObjectList, openTable(node), openForm(node), say(text, isError?)}} ui
   */
  constructor(state, ui) {
    this.state = state;
    this.ui = ui;
  }

  /** The Python that reaches a node; null where a notebook has none, as for objects of sessions. */
  python(node) {
    if (!node.steps || node.source.kind === "session") return null;
    return pythonPath(node.target);
  }

  /** Enter and double click: whether there was something better to do than to open the row. */
  open(row) {
    const { node } = row;
    if (!node?.steps) return false;
    if (node.object.view === "table") {
      this.ui.openTable(node);
      return true;
    }
    if (node.object.view === "callable") {
      this.ui.openForm(node);
      return true;
    }
    return false;
  }

  menu(rows, x, y) {
    openContextMenu(this.ui.root, rows.length > 1 ? this.#manyItems(rows) : this.items(rows[0]), x, y);
  }

  #manyItems(rows) {
    const names = rows.map((row) => (row.node.parent ? row.node.label : row.node.name));
    const items = [{ label: `Copy ${names.length} names`, run: () => this.#copy(names.join("\n"), "Names") }];
    const stored = this.#deletable(rows);
    if (stored.length) items.push(null, { label: `Delete ${plural(stored.length, "object")}…`, hint: "Del", run: () => this.delete(rows) });
    return items;
  }

  /** The menu's entries for one row. */
  items(row) {
    const { node } = row;
    const { view } = node.object;
    const python = this.python(node);
    const groups = [[], [], []];
    if (node.steps && view === "table") groups[0].push({ label: "Open table", hint: "Enter", run: () => this.ui.openTable(node) });
    if (node.steps && view === "callable") groups[0].push({ label: "Call…", hint: "Enter", run: () => this.ui.openForm(node) });
    else if (node.steps) groups[0].push({ label: "Call a method…", run: () => this.ui.openForm(node) });
    if (python && this.state.transport.insertCode) {
      groups[0].push({ label: "Insert in a cell", run: () => this.state.transport.insertCode(python) });
    }
    groups[1].push({ label: "Copy name", run: () => this.#copy(String(node.label), "Name") });
    if (python) groups[1].push({ label: "Copy Python", hint: "Ctrl C", run: () => this.#copy(python, "Python") });
    if (node.steps) groups[1].push({ label: "Copy path", run: () => this.#copy(targetText(node.shortTarget), "Path") });
    if (this.#deletable([row]).length) {
      groups[2].push({ label: "Rename…", hint: "F2", run: () => this.rename(row) });
      groups[2].push({ label: "Delete…", hint: "Del", run: () => this.delete([row]) });
    }
    return groups.filter((group) => group.length).flatMap((group, n) => (n ? [null, ...group] : group));
  }

  /** Keys beyond those of every list. Whether the key was one. */
  key(event, rows) {
    const copies = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "c" && !event.shiftKey;
    if (!rows.length) return false;
    if (event.key === "F2" && rows.length === 1) this.rename(rows[0]);
    else if (event.key === "Delete" || (event.key === "Backspace" && event.metaKey)) this.delete(rows);
    else if (copies) this.#copy(rows.map((row) => this.python(row.node) ?? String(row.node.label)).join("\n"), "Python");
    else return false;
    return true;
  }

  async #copy(text, what) {
    const done = await copyText(text);
    this.ui.say(done ? `${what} copied` : "The browser did not let the text be copied.", !done);
  }

  copyPython(node) {
    return this.#copy(this.python(node) ?? targetText(node.shortTarget), "Python");
  }

  #deletable(rows) {
    return rows.filter((row) => row.node && !row.node.parent && row.node.source.kind !== "variables");
  }

  #content(node, more) {
    const content = { id: node.name, ...more };
    if (node.source.sessionId !== null) content.session_id = node.source.sessionId;
    return content;
  }

  rename(row) {
    if (!this.#deletable([row]).length) return;
    const { node } = row;
    this.ui.list().edit(row, async (to) => {
      if (to === node.name) return null;
      if (!to) return "A name has at least one character.";
      if (to.startsWith("~")) return "Names that begin with ~ are the kernel's own.";
      try {
        await this.state.request("rename_stored", this.#content(node, { to }));
        this.state.touchSource(node.source);
        this.ui.list().revealLater(`${node.source.key}\u0000${to}`);
        return null;
      } catch (error) {
        return error.message;
      }
    });
  }

  delete(rows) {
    const targets = this.#deletable(rows);
    if (!targets.length) {
      if (rows.length) this.ui.say("Only stored objects can be deleted here.");
      return;
    }
    const one = targets.length === 1;
    const names = targets.map(({ node }) => oneLine(node.name, 60));
    const more = names.length - NAMES_LISTED;
    confirmFirst(this.ui.root, {
      title: one ? `Delete ${names[0]}?` : `Delete ${plural(names.length, "object")}?`,
      text: `Variables and other objects that hold ${one ? "it" : "them"} keep ${one ? "it" : "them"}. The deletion cannot be undone.`,
      names: one ? [] : [...names.slice(0, NAMES_LISTED), ...(more > 0 ? [`and ${more} more`] : [])],
      action: "Delete",
      run: () => this.#deleteAll(targets),
    });
  }

  async #deleteAll(targets) {
    const problems = [];
    for (const { node } of targets) {
      try {
        await this.state.request("delete_stored", this.#content(node));
      } catch (error) {
        // Gone already is as good as deleted.
        if (error.code !== "not_found") problems.push(error.message);
      }
    }
    for (const source of new Set(targets.map(({ node }) => node.source))) this.state.touchSource(source);
    if (!problems.length) return null;
    return problems.length === 1 ? problems[0] : `${plural(problems.length, "object")} could not be deleted: ${problems[0]}`;
  }
}
