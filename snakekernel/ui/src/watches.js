/**
 * The one watch that a connection to a kernel has, shared by all views over it.
 *
 * Rules: the kernel keeps one watch per client, and a new one replaces it, so what all views look at is sent
 * as one; it is renewed while anybody looks, and ended when nobody does. Without it the kernel still tells
 * what is stored, replaced and deleted.
 */

import { debounce } from "./dom.js";

/** Seconds a watch is good for, and milliseconds after which it is renewed. */
const SHARED_LEASE = 30;
const SHARED_RENEWAL = 20_000;
const SHARED_WAIT = 250;

/** Names that one watch may have: more than any screen shows. */
const SHARED_MOST = 400;

const watchesByTransport = new WeakMap();

/** The shared watch of a transport. @returns {SharedWatch} */
export function watchOf(transport) {
  if (!watchesByTransport.has(transport)) watchesByTransport.set(transport, new SharedWatch(transport));
  return watchesByTransport.get(transport);
}

class SharedWatch {
  constructor(transport) {
    this.transport = transport;
    this.wants = new Map();
    this.serves = true;
    this.connected = false;
    this.forget = null;
    this.renewal = 0;
    this.begun = "";
    this.began = new Set();
    this.due = debounce(() => this._send(), SHARED_WAIT);
  }

  /**
   * Say what a view looks at.
   *
   * @param {object} owner  the view
   * @param {{stored: Array<[string|null, string]>, variables: string[]|null}|null} wanted  null: nothing any more
   */
  set(owner, wanted) {
    const before = JSON.stringify(this.wants.get(owner) ?? null);
    if (before === JSON.stringify(wanted)) return;
    if (wanted) this.wants.set(owner, wanted);
    else this.wants.delete(owner);
    if (wanted && !this.forget) this.forget = this.transport.onStatus((status) => this._status(status));
    if (this.wants.size) this.due();
    else this._end();
  }

  /** `fn` is called once the kernel looks at something new: what changed before then was not told. Returns what ends that. */
  onBegan(fn) {
    this.began.add(fn);
    return () => this.began.delete(fn);
  }

  _status({ connected, supported, restarted }) {
    const back = connected && supported && (restarted || !this.connected);
    this.connected = connected && supported;
    if (restarted) this.serves = true;
    if (back) this.begun = "";
    if (back) this.due();
  }

  async _send() {
    clearTimeout(this.renewal);
    if (!this.connected || !this.serves || !this.wants.size) return;
    this.renewal = setTimeout(() => this._send(), SHARED_RENEWAL);
    const wants = [...this.wants.values()];
    const variables = wants.filter((one) => one.variables).flatMap((one) => one.variables);
    const watched = {
      stored: wants.flatMap((one) => one.stored).slice(0, SHARED_MOST),
      variables: wants.some((one) => one.variables) ? [...new Set(variables)].slice(0, SHARED_MOST) : null,
    };
    try {
      await this.transport.request("watch", { ...watched, lease: SHARED_LEASE });
      const begun = JSON.stringify(watched);
      if (begun !== this.begun) for (const fn of this.began) fn();
      this.begun = begun;
    } catch (error) {
      if (error.code === "unknown_operation") this.serves = false;
    }
  }

  _end() {
    this.due.cancel();
    clearTimeout(this.renewal);
    const { connected } = this;
    this.forget?.();
    this.forget = null;
    this.connected = false;
    // It ends by itself where this is not heard.
    if (connected && this.serves) this.transport.request("watch", { stored: [], lease: 0 }).catch(() => {});
  }
}
