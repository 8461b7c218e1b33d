/** Settings that outlive the page, in the browser's own storage. */

const PREFIX = "snakekernel:";

/** @returns {{get(key: string): any, set(key: string, value: any): void}} JSON values; null where none is kept */
export function localSettings() {
  return {
    get(key) {
      try {
        return JSON.parse(localStorage.getItem(PREFIX + key));
      } catch {
        // Switched off, or not ours.
        return null;
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(PREFIX + key, JSON.stringify(value));
      } catch {
        // Full or switched off: the setting lasts as long as the page.
      }
    },
  };
}
