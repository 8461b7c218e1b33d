/**
 * The keys of the list, as trees have them: arrows move, Right opens and goes in, Left shuts and goes out.
 *
 * Rules: a key that means nothing here is left to the page.
 */

import { listIndex } from "./dom.js";

/** A key was pressed in the list. */
export function pressedInList(list, event) {
  if (event.target !== list.element || !acted(list, event)) return;
  event.preventDefault();
  event.stopPropagation();
}

/** Whether the key meant something. */
function acted(list, event) {
  const row = list.activeRow;
  const index = row ? list.layout.indexOf(row.key) : -1;
  const next = listIndex(event, index, list.layout.length, list.page);
  if (next !== null) list.move(next, { extend: event.shiftKey });
  else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) list.menuAtRow();
  else if (row && event.key === "ArrowRight" && !event.altKey) goIn(list, row, index);
  else if (row && event.key === "ArrowLeft" && !event.altKey) goOut(list, row);
  else if (row && event.key === "Enter") list.activate(row);
  else if (row && event.key === " ") list.move(index, { toggle: true });
  else if (event.key === "Escape" && list.selected.size > 1) list.move(index, {});
  else return list.handlers.onKey(event, list.chosen);
  return true;
}

/** Whether a row is open; null for one that cannot be. */
function isOpen(row) {
  if (row.kind === "group") return !row.collapsed;
  return row.node?.openable ? row.node.open : null;
}

function goIn(list, row, index) {
  const open = isOpen(row);
  if (open === false) list.toggle(row);
  else if (open && list.layout.at(index + 1)?.level > row.level) list.move(index + 1, {});
}

function goOut(list, row) {
  if (isOpen(row)) {
    list.toggle(row);
    return;
  }
  const parent = row.parent ?? row.node?.parent;
  const at = list.layout.indexOf(parent ? parent.key : `group ${row.source.key}`);
  if (at >= 0) list.move(at, {});
}
