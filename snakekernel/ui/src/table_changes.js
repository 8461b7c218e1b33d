/** What a table shows, as the kernel names it in changes and watches. Pure. */

/**
 * @param {object} content  of `snake_changed`
 * @param {string|Array} target
 * @param {string|null} sessionId  whose names the target means; kernel-wide ones are seen too
 * @returns {"changed"|"deleted"|null}
 */
export function changesOf(content, target, sessionId) {
  const parts = Array.isArray(target) ? target : target.split(".");
  const name = parts[1];
  let changes = [];
  if (parts[0] === "stored") {
    changes = (content.changes ?? []).filter((one) => one.name === name && [sessionId, null, undefined].includes(one.session_id));
  } else if (parts[0] === "user") changes = (content.variables ?? []).filter((one) => one.name === name);
  if (!changes.length) return null;
  return changes.at(-1).action === "deleted" ? "deleted" : "changed";
}

/** What to watch for a table, see `watches.js`; null where the kernel tells nothing of it. */
export function watchFor(target, sessionId) {
  const [root, name] = Array.isArray(target) ? target : target.split(".");
  if (root === "stored") return { stored: [[sessionId, name]], variables: null };
  return root === "user" ? { stored: [], variables: [name] } : null;
}
