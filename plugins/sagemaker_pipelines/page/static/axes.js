// Scales, ticks and axes, which all charts share.

import { svg } from "./dom.js";

export const MARGIN = { left: 56, right: 16, top: 14, bottom: 28 };

/** Return a linear scale from a domain to a range. */
export function linear([low, high], [from, to]) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/** Return round values in a domain, about as many as asked for. */
export function ticks([low, high], count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
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
export function valueAxis(scale, range, width, format) {
  return ticks(range, 4).map((value) =>
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
