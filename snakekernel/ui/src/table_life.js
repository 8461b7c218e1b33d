/**
 * What becomes of the object that a table shows, and of the view itself: seen or not, changed, gone, lost.
 *
 * Rules: nothing is asked of the kernel while the table is not seen, and what changed meanwhile is not known
 * then, so all in view is fetched anew; cells that were fetched stay until others come, with words to them.
 */

import { changesOf, watchFor } from "./table_changes.js";
import { watchOf } from "./watches.js";

export class TableLife {
  /** @param {object} table  see `grid.js` */
  constructor(table) {
    this.table = table;
    /** Why there is nothing to fetch, or null. */
    this.gone = null;
    this.seen = false;
    this.onVisibility = () => {
      if (document.visibilityState === "hidden") this.see(false);  // no frame comes that would notice
      else table.resized();
    };
    this.forget = [];
  }

  begin() {
    const { transport } = this.table;
    document.addEventListener("visibilitychange", this.onVisibility);
    this.forget = [
      transport.onChanged((content) => this._heard(content)),
      transport.onStatus((status) => this._status(status)),
    ];
  }

  dispose() {
    this.forget.forEach((forget) => forget());
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.see(false);
  }

  /** Whether the table is seen. */
  see(seen) {
    if (seen === this.seen) return;
    this.seen = seen;
    const { transport, target, sessionId } = this.table;
    watchOf(transport).set(this, seen ? watchFor(target, sessionId) : null);
    const { totals, error } = this.table.data;
    if (!seen) this.table.rest();
    else if (!this.gone && (totals || error)) this._anew();
  }

  /** Ask again for all in view, with more time: the person asked for it. */
  retry() {
    this.gone = null;
    this.table.data.patient = true;
    this._anew();
  }

  _anew() {
    this.table.data.refresh();
    this.table.summaries.refresh();
  }

  _heard(content) {
    const change = changesOf(content, this.table.target, this.table.sessionId);
    if (change === "deleted") this._lose(`${this.table.title} was deleted. What is shown was fetched before.`);
    else if (change === "changed") {
      this.gone = null;
      if (!this.seen) return;
      this._anew();
      this.table.notices.say("Changed, updated now");
    }
  }

  _status({ connected, restarted }) {
    if (restarted) {
      this.table.data.stop();
      this._lose("The kernel was restarted, and the table is gone with its memory.");
    } else if (!connected && !this.gone) this._lose("There is no connection to the kernel.", true);
    else if (connected && this.gone?.passing) {
      this.gone = null;
      this._anew();
    }
  }

  _lose(message, passing = false) {
    this.gone = { message, passing };
    this.table.rest();
    this.table.showError();
  }
}
