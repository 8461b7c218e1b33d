/**
 * A column's distribution as a tiny picture for its header.
 *
 * Rules: shapes only, no words: the numbers are in the statistics; colours come from the style sheet.
 */

import { svg } from "./dom.js";

const WIDE = 100;
const HIGH = 22;

/** Bars of a summary: its histogram, else its true and false, else its most frequent values. */
export function sparkline(summary) {
  const frame = { class: "snk-t-spark", viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", focusable: "false" };
  const known = summary.count + summary.missing;
  const share = known ? summary.missing / known : 0;
  return svg("svg", frame, sparkBars(summary, WIDE * (1 - share)), share > 0 ? missingBar(share) : null);
}

function sparkBars(summary, width) {
  if (summary.histogram) return upright(summary.histogram.counts, width);
  if (summary.true !== null && summary.true !== undefined) return lying([summary.true, summary.false], summary.count, width);
  const counts = (summary.top ?? []).map(([, count]) => count);
  return counts.length ? lying(counts, summary.count, width) : [];
}

/** A bar of any height for what is there, so that rare values are seen. */
function upright(counts, width) {
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  return counts.map((count, n) => {
    const high = count ? Math.max(1.5, (count / most) * HIGH) : 0;
    return svg("rect", { class: "snk-t-spark-bar", x: n * step, y: HIGH - high, width: Math.max(step - 0.6, 0.4), height: high });
  });
}

/** One line, cut by the shares of the values; the rest is one piece. */
function lying(counts, total, width) {
  let left = 0;
  const known = counts.reduce((sum, count) => sum + count, 0);
  const pieces = total > known ? [...counts, total - known] : counts;
  return pieces.map((count, n) => {
    const wide = total ? (count / total) * width : 0;
    const rest = n >= counts.length;
    const shade = rest ? 0.25 : Math.max(0.35, 1 - 0.13 * n);
    const piece = svg("rect", { class: "snk-t-spark-bar", x: left, y: 8, width: Math.max(wide - 0.6, 0), height: HIGH - 8, opacity: shade });
    left += wide;
    return piece;
  });
}

function missingBar(share) {
  const wide = Math.max(share * WIDE, 1);
  return svg("rect", { class: "snk-t-spark-missing", x: WIDE - wide, y: 0, width: wide, height: HIGH });
}
