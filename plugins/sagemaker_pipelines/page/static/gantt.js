// The steps of one execution over time.

import { linear, roundTime, ticks } from "./axes.js";
import { svg } from "./dom.js";
import { billedStep, cut, duration } from "./format.js";

const ROW = 30;

/** Return the notes about a step that its bar cannot show. */
export function notes(step) {
  return [
    step.attempts > 1 ? `${step.attempts} attempts` : null,
    step.is_cache_hit ? "from the cache" : null,
    step.is_taken_over ? "taken over" : null,
    step.outcome ? `outcome ${step.outcome}` : null,
    step.bill ? billedStep(step) : null,
  ].filter(Boolean);
}

/** Return a step's look: its status, or that its result is another execution's. */
export function look(step) {
  if (step.is_cache_hit || step.is_taken_over) return "cached";
  return { Succeeded: "good", Failed: "bad", Stopped: "stopped", Stopping: "stopped" }[step.status] ?? "active";
}

/** Return a Gantt chart; a step without an end, such as one that was stopped, reaches to the execution's `end`. */
export function gantt(steps, width, end) {
  const timed = steps.filter((step) => step.started);
  const begin = Math.min(...timed.map((step) => new Date(step.started).getTime()));
  const ends = timed.map((step) => new Date(step.ended ?? end ?? Date.now()).getTime());
  const seconds = Math.max((Math.max(...ends) - begin) / 1000, 1);
  const left = Math.min(190, Math.max(96, width * 0.26));
  const right = width > 640 ? 190 : 12;
  const height = ROW * timed.length + 30;
  const x = linear([0, seconds], [left, width - right]);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Steps over time" },
    ticks([0, seconds], width > 640 ? 6 : 3, roundTime).map((value) =>
      svg(
        "g",
        { class: "tick", transform: `translate(${x(value)},0)` },
        svg("line", { y1: 0, y2: height - 24 }),
        svg("text", { y: height - 8, "text-anchor": x(value) > width - 36 ? "end" : "middle" }, duration(value)),
      ),
    ),
    timed.map((step, i) => bar(step, i, { x, begin, left, end: ends[i], notes: right > 100 })),
  );
}

function bar(step, i, { x, begin, left, end, notes: withNotes }) {
  const [from, to] = [new Date(step.started).getTime(), end].map((time) => x((time - begin) / 1000));
  const extra = notes(step);
  const taken = step.seconds ?? (end - new Date(step.started)) / 1000;
  const text = `${step.name}: ${step.status}, ${duration(taken)}${extra.map((note) => `, ${note}`).join("")}`;
  const shown = [duration(taken), ...extra].join(" · ");
  return svg(
    "g",
    { transform: `translate(0,${ROW * i})`, "data-step": step.name },
    svg("title", {}, text),
    svg("text", { class: "name", x: left - 10, y: 19, "text-anchor": "end" }, cut(step.name, Math.floor((left - 10) / 7.4))),
    svg("rect", { class: `bar ${look(step)}`, x: from, y: 5, width: Math.max(3, to - from), height: 19, rx: 3 }),
    withNotes ? svg("text", { class: "note", x: Math.max(from + 3, to) + 8, y: 19 }, cut(shown, 58)) : null,
  );
}
