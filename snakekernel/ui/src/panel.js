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
