// The graph of a definition, as its mirrors draw it in the DAG.

import { svg } from "./dom.js";
import { cut, duration } from "./format.js";
import { look } from "./gantt.js";

const [BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y] = [150, 44, 22, 16];

/** Return the definition's graph as its mirrors draw it in the DAG; null without mirrors. */
export function graph(tasks, group, steps) {
  const prefix = group === null ? "steps." : `${group}.steps.`;
  const mirrors = tasks.filter((task) => task.task_id.startsWith(prefix) && !task.task_id.endsWith(".steps_ended"));
  if (mirrors.length === 0) return null;
  const ids = new Set(mirrors.map((task) => task.task_id));
  const next = new Map(mirrors.map((task) => [task.task_id, task.downstream_task_ids.filter((id) => ids.has(id))]));
  const reduced = withoutDetours(next);
  const names = new Map(mirrors.map((task) => [task.task_id, task.task_display_name]));
  return draw(columns(reduced), reduced, { names, seen: new Map(steps.map((step) => [step.name, step])) });
}

// An edge says nothing new where another way leads to the same task.
function withoutDetours(next) {
  const reach = new Map();
  const below = (id) => {
    if (!reach.has(id)) reach.set(id, new Set(next.get(id).flatMap((each) => [each, ...below(each)])));
    return reach.get(id);
  };
  const needed = (after, each) => !after.some((other) => other !== each && below(other).has(each));
  return new Map([...next].map(([id, after]) => [id, after.filter((each) => needed(after, each))]));
}

// Each task is one column to the right of the last one before it.
function columns(next) {
  const column = new Map([...next.keys()].map((id) => [id, 0]));
  for (let round = 0; round < next.size; round += 1) {
    for (const [id, after] of next) {
      for (const each of after) column.set(each, Math.max(column.get(each), column.get(id) + 1));
    }
  }
  const found = [];
  for (const [id, i] of column) (found[i] ??= []).push(id);
  return found;
}

function draw(found, next, { names, seen }) {
  const tallest = Math.max(...found.map((ids) => ids.length));
  const width = found.length * (BOX_WIDTH + GAP_X) - GAP_X + 4;
  const height = tallest * (BOX_HEIGHT + GAP_Y) - GAP_Y + 4;
  const place = new Map();
  found.forEach((ids, i) => {
    const top = (height - ids.length * (BOX_HEIGHT + GAP_Y) + GAP_Y) / 2;
    ids.forEach((id, k) => place.set(id, [2 + i * (BOX_WIDTH + GAP_X), top + k * (BOX_HEIGHT + GAP_Y)]));
  });
  const edges = [...next].flatMap(([id, after]) => after.map((each) => edge(place.get(id), place.get(each))));
  const boxes = [...place].map(([id, [x, y]]) => {
    const name = names.get(id);
    const step = seen.get(name);
    const label = `${name}: ${step ? step.status : "did not run"}`;
    return svg(
      "g",
      { transform: `translate(${x},${y})`, "data-step": name },
      svg("title", {}, label),
      svg("rect", { class: `box ${step ? look(step) : "absent"}`, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 6 }),
      svg("text", { class: "name", x: 10, y: 18 }, cut(name, 20)),
      svg("text", { class: "note", x: 10, y: 34 }, step ? [step.type, duration(step.seconds)].filter(Boolean).join(" · ") : "did not run"),
    );
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Graph of the definition" }, edges, boxes);
}

function edge([x1, y1], [x2, y2]) {
  const [fromX, fromY, toY] = [x1 + BOX_WIDTH, y1 + BOX_HEIGHT / 2, y2 + BOX_HEIGHT / 2];
  const bend = (x2 - fromX) / 2;
  return svg("path", { class: "edge", d: `M${fromX},${fromY}C${fromX + bend},${fromY} ${x2 - bend},${toY} ${x2},${toY}` });
}
