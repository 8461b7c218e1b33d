/** The grid: a table, page by page. */

/** Show a table. */
export function mountTable(element, transport, target, { title }) {
  element.textContent = title;
  return { dispose() { element.textContent = ""; }, resized() {} };
}
