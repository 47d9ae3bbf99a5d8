// All pipelines: how each one is doing.

import { pipelineDags, pipelineRuns } from "./airflow.js";
import { sparkline } from "./charts.js";
import { el, table } from "./dom.js";
import { billed, cut, dateTime, number } from "./format.js";
import { rowsOf, total, verdictText } from "./rows.js";
import { pill } from "./table.js";

const DAYS = 30;
const ALIVE = ["running", "queued"];

/** Return the view, and whether anything runs. */
export async function overview() {
  const dagIds = await pipelineDags();
  const heading = el("h1", {}, "SageMaker Pipelines");
  if (dagIds.length === 0) return { nodes: [heading, empty()], running: false };
  const seen = await Promise.all(dagIds.map(pipeline));
  const shown = seen.filter((each) => each !== null);
  const heads = ["DAG", "Last execution", "Status", "Last failure", "Last metric", "Verdict", "Last 20", `Billed in ${DAYS} days`, "Now"];
  return {
    nodes: [heading, el("section", {}, table("Pipelines", heads, shown.map((each) => each.cells)))],
    running: shown.some((each) => each.running > 0),
    etag: shown.map((each) => each.etag).join(),
  };
}

async function pipeline(dagId) {
  let answer;
  try {
    answer = await pipelineRuns(dagId);
  } catch {
    return null; // The viewer may see the DAG, but not its runs.
  }
  const rows = rowsOf(answer.runs);
  const now = ALIVE.map((state) => [answer.runs.filter((run) => run.state === state).length, state]);
  const alive = now.filter(([count]) => count);
  return { cells: cells(dagId, rows, alive, answer.more), running: alive.length, etag: answer.etag };
}

function cells(dagId, rows, alive, more) {
  const last = rows.find((row) => row.record.status ?? row.verdict) ?? rows[0];
  const measured = rows.find((row) => row.metric !== null);
  const since = Date.now() - DAYS * 86400000;
  const recent = rows.filter((row) => new Date(row.started ?? row.run.run_after).getTime() >= since);
  // All that have been read began within these days, so that others did too.
  const spent = { ...total(recent), ...(more && recent.length === rows.length ? { at_least: true } : {}) };
  return [
    el("a", { href: `?${new URLSearchParams({ dag_id: dagId })}` }, dagId),
    dateTime(last?.started),
    last ? pill(last.status) : "–",
    failure(dagId, rows.find((row) => row.status === "Failed")),
    measured ? metric(measured) : "–",
    measured ? verdictText(measured.verdict) : "–",
    sparkline(rows.slice(0, 20)),
    billed(spent),
    alive.length ? alive.map(([count, state]) => el("span", { class: "pill live" }, `${count} ${state}`)) : "–",
  ];
}

function failure(dagId, row) {
  if (!row) return "none";
  const href = `?${new URLSearchParams({ dag_id: dagId, run_id: row.run.run_id })}`;
  const step = row.record.cause ? el("div", { class: "reason small" }, `in ${cut(row.record.cause.step_name, 30)}`) : null;
  return [el("a", { href }, dateTime(row.started)), step];
}

function metric(row) {
  const bound = row.threshold === null ? null : el("span", { class: "muted" }, ` / ${number(row.threshold)}`);
  return [el("strong", {}, number(row.metric)), bound];
}

function empty() {
  return el(
    "p",
    { class: "empty" },
    "No DAG that you may read has run a SageMaker pipeline yet. A DAG appears here when one of its executions "
      + "has ended; sagemaker_pipeline_dag() makes such a DAG from a definition.",
  );
}
