// The metric against its threshold, bars stacked by step, and the small line of the overview.

import { MARGIN, domain, labelAxis, linear, valueAxis } from "./axes.js";
import { svg } from "./dom.js";
import { day, number } from "./format.js";
import { moment, verdictText } from "./rows.js";

const RADIUS = 5;

/** Return a row's mark, which differs in shape as well as in colour. */
export function mark(verdict, x, y, size = RADIUS) {
  if (verdict === "rejected") {
    const s = size * 0.9;
    const d = `M${x - s},${y - s}L${x + s},${y + s}M${x - s},${y + s}L${x + s},${y - s}`;
    return svg("path", { class: "mark rejected", d });
  }
  if (verdict === "failed") {
    return svg("rect", { class: "mark failed", x: x - size, y: y - size, width: 2 * size, height: 2 * size });
  }
  if (verdict === "awaiting_approval") {
    const d = `M${x},${y - size * 1.3}L${x + size * 1.3},${y}L${x},${y + size * 1.3}L${x - size * 1.3},${y}Z`;
    return svg("path", { class: "mark awaiting", d });
  }
  return svg("circle", { class: "mark accepted", cx: x, cy: y, r: size });
}

// One column for each execution: gaps in time, such as those before a manual run, would hide all others.
function columns(count, width) {
  const room = (width - MARGIN.left - MARGIN.right) / count;
  return (i) => MARGIN.left + room * (i + 0.5);
}

/** Return a chart of the metric, whose points link to their runs; the rows are newest first. */
export function metricChart(rows, { width, axis, href }) {
  const height = 260;
  const points = rows.filter((row) => row.metric !== null || failed(row)).sort((a, b) => moment(a, axis) - moment(b, axis));
  const values = points.flatMap((row) => [row.metric, row.threshold].filter((value) => value !== null));
  const range = domain(values);
  const y = linear(range, [height - MARGIN.bottom, MARGIN.top]);
  const times = points.map((row) => moment(row, axis));
  const place = columns(points.length, width);
  // A failed execution has no metric; its mark stands on the axis.
  const level = (row) => (row.metric === null ? height - MARGIN.bottom - RADIUS : y(row.metric));
  const spots = points.map((row, i) => [place(i), y(row.metric)]).filter((_, i) => points[i].metric !== null);
  const line = spots.map(([x, at], i) => `${i ? "L" : "M"}${x},${at}`).join("");
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Metric and threshold" },
    valueAxis(y, range, width, number),
    labelAxis(times.map((time) => day(new Date(time))), place, width, height),
    thresholds(points, place, y, width),
    svg("path", { class: "metric", d: line }),
    points.map((row, i) => {
      const text = `${new Date(times[i]).toISOString().slice(0, 16).replace("T", " ")} UTC: ${described(row)}`;
      const hit = svg("circle", { class: "hit", cx: place(i), cy: level(row), r: 12 });
      const title = svg("title", {}, text);
      const kind = row.metric === null ? "failed" : row.verdict;
      return svg("a", { href: href(row), "aria-label": text }, title, hit, mark(kind, place(i), level(row)));
    }),
  );
}

function failed(row) {
  return row.status === "Failed";
}

function described(row) {
  if (row.metric === null) return `failed${row.record.cause ? ` in ${row.record.cause.step_name}` : ""}`;
  const bound = row.threshold === null ? "" : `, threshold ${number(row.threshold)}`;
  return `${row.gate.metric ?? "metric"} ${number(row.metric)}${bound}, ${verdictText(row.verdict)}`;
}

// The threshold that held at each point reaches halfway to the points beside it.
function thresholds(points, place, y, width) {
  const middle = (i) => (place(i) + place(i + 1)) / 2;
  return points.map((row, i) => {
    if (row.threshold === null) return null;
    const x1 = i === 0 ? MARGIN.left : middle(i - 1);
    const x2 = i === points.length - 1 ? width - MARGIN.right : middle(i);
    return svg("line", { class: "threshold", x1, x2, y1: y(row.threshold), y2: y(row.threshold) });
  });
}

/** Return a step's seconds. */
export function stepSeconds(step) {
  return step.seconds ?? 0;
}

/** Return bars of the rows, stacked by step; the rows are newest first. */
export function stackedChart(rows, { width, axis, names, value, format, rounded, label, href }) {
  const height = 220;
  const bars = [...rows].sort((a, b) => moment(a, axis) - moment(b, axis));
  const sums = bars.map((row) => row.steps.reduce((all, step) => all + value(step), 0));
  const range = domain([0, ...sums], { zero: true });
  const y = linear(range, [height - MARGIN.bottom, MARGIN.top]);
  const thick = Math.min(34, ((width - MARGIN.left - MARGIN.right) / bars.length) * 0.72);
  const place = columns(bars.length, width);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label },
    valueAxis(y, range, width, format, rounded),
    labelAxis(bars.map((row) => day(new Date(moment(row, axis)))), place, width, height),
    bars.map((row, i) => {
      const text = `${day(new Date(moment(row, axis)))}: ${format(sums[i])} in all`;
      const parts = stack(row, names, value, (name, amount, low) => {
        const part = { x: place(i) - thick / 2, width: thick, y: y(low + amount), height: y(low) - y(low + amount) };
        const title = svg("title", {}, `${name}: ${format(amount)}\n${text}`);
        return svg("rect", { ...part, class: `s${names.indexOf(name) % 8}` }, title);
      });
      return svg("a", { href: href(row), "aria-label": text }, parts);
    }),
  );
}

function stack(row, names, value, draw) {
  let low = 0;
  return names.map((name) => {
    const amount = row.steps.filter((step) => step.name === name).reduce((all, step) => all + value(step), 0);
    if (!amount) return null;
    const part = draw(name, amount, low);
    low += amount;
    return part;
  });
}

/** Return a small line of the metric with its last threshold; the rows are newest first. */
export function sparkline(rows) {
  const [width, height] = [150, 36];
  const points = rows.filter((row) => row.metric !== null).reverse();
  if (points.length === 0) return "–";
  const bound = points.at(-1).threshold;
  const range = domain([...points.map((row) => row.metric), ...(bound === null ? [] : [bound])]);
  const y = linear(range, [height - 5, 5]);
  const x = linear([0, Math.max(1, points.length - 1)], [6, width - 6]);
  const line = points.map((row, i) => `${i ? "L" : "M"}${x(i)},${y(row.metric)}`).join("");
  const label = `The last ${points.length} metrics, from ${number(points[0].metric)} to ${number(points.at(-1).metric)}`;
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    bound === null ? null : svg("line", { class: "threshold", x1: 0, x2: width, y1: y(bound), y2: y(bound) }),
    svg("path", { class: "metric", d: line }),
    points.map((row, i) => mark(row.verdict, x(i), y(row.metric), 2.4)),
  );
}
