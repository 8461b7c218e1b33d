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
