// Scales, ticks and axes, which all charts share.

import { svg } from "./dom.js";

export const MARGIN = { left: 64, right: 16, top: 14, bottom: 28 };

/** Return a linear scale from a domain to a range. */
export function linear([low, high], [from, to]) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

function round(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((each) => each * power >= rough) * power;
}

/** Return the next round number of seconds, which may be minutes or hours. */
export function roundTime(rough) {
  return (rough > 1 && TIMES.find((each) => each >= rough)) || round(rough);
}

/** Return round values in a domain, at most about as many as asked for. */
export function ticks([low, high], count, rounded = round) {
  const step = rounded((high - low || 1) / count);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step / 1e6; i += 1) found.push(i * step);
  return found;
}

/** Return values with some air around them. */
export function domain(values, { zero = false } = {}) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const air = (high - low || Math.abs(high) || 1) * 0.12;
  return zero ? [0, high + air || 1] : [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

/** Return horizontal grid lines with their values. */
export function valueAxis(scale, range, width, format, rounded) {
  return ticks(range, 4, rounded).map((value) =>
    svg(
      "g",
      { class: "tick", transform: `translate(0,${scale(value)})` },
      svg("line", { x1: MARGIN.left, x2: width - MARGIN.right }),
      svg("text", { x: MARGIN.left - 8, dy: "0.32em", "text-anchor": "end" }, format(value)),
    ),
  );
}

/** Return labels below a chart, as many as fit in. */
export function labelAxis(labels, place, width, height) {
  const every = Math.max(1, Math.ceil(labels.length / Math.max(1, Math.floor((width - MARGIN.left) / 64))));
  return labels.map((label, i) =>
    (labels.length - 1 - i) % every === 0
      ? svg("text", { class: "label", x: place(i), y: height - 8, "text-anchor": "middle" }, label)
      : null,
  );
}
