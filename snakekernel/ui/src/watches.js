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
    /** What the kernel looks at: JSON of each `[session id, name]` and variable's name; `variables` for their coming. */
    this.begun = new Set();
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

  /**
   * `fn` is called with `{stored, variables, coming}` once the kernel looks at these anew, and at variables' coming:
   * what changed before then was not told. Returns what ends that.
   */
  onBegan(fn) {
    this.began.add(fn);
    return () => this.began.delete(fn);
  }

  _status({ connected, supported, restarted }) {
    const back = connected && supported && (restarted || !this.connected);
    this.connected = connected && supported;
    if (restarted) this.serves = true;
    if (back) {
      this.begun.clear();
      this.due();
    }
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
      if (this.wants.size) this._begin(watched);
    } catch (error) {
      if (error.code === "unknown_operation") this.serves = false;
    }
  }

  _begin({ stored, variables }) {
    const before = this.begun;
    const named = variables ?? [];
    this.begun = new Set([...stored, ...named].map((one) => JSON.stringify(one)));
    if (variables) this.begun.add("variables");
    const isNew = (one) => !before.has(JSON.stringify(one));
    const coming = variables !== null && !before.has("variables");
    const anew = { stored: stored.filter(isNew), variables: named.filter(isNew), coming };
    if (coming || anew.stored.length || anew.variables.length) for (const fn of this.began) fn(anew);
  }

  _end() {
    this.begun.clear();
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
