// One run: the steps over time, why it failed, what it ran with and what came out.

import { airflowUrl, awsLink, openOutside, pipelineRuns, tasks } from "./airflow.js";
import { el, facts, section, table, wide } from "./dom.js";
import { billed, billedStep, dateTime, duration, interval, number } from "./format.js";
import { gantt, notes } from "./gantt.js";
import { graph } from "./graph.js";
import { rowsOf, verdictText } from "./rows.js";
import { pill } from "./table.js";

/** Return the view, and whether it runs. */
export async function runView(dagId, runId) {
  const answer = await pipelineRuns(dagId, { run_id: runId });
  const [run] = answer.runs;
  if (!run) return { nodes: [el("p", { class: "empty" }, "Airflow has no such run.")], running: false };
  const known = await tasks(dagId).catch(() => []);
  // What trains a model comes before what compares it, whatever their tasks are called.
  const rows = rowsOf([run]).sort((one, other) => new Date(one.started) - new Date(other.started));
  const nodes = [head(run), ...rows.flatMap((row) => execution(row, known))];
  return { nodes, running: ["running", "queued"].includes(run.state), etag: answer.etag };
}

function head(run) {
  const back = el("a", { href: `?${new URLSearchParams({ dag_id: run.dag_id })}` }, "All executions of the DAG");
  const open = el("a", { href: airflowUrl("dags", run.dag_id, "runs", run.run_id), onclick: openOutside }, "Open the run");
  const shown = interval(run);
  const title = shown === "–" ? run.run_id : `${run.dag_id}, ${shown}`;
  return el("header", {}, el("h1", {}, title), el("nav", {}, back, open));
}

function execution(row, known) {
  const { record, gate, links } = row;
  if (row.taskId === null) return [el("p", { class: "empty" }, nothing(row.run))];
  if (record.stored_elsewhere) return [el("p", { class: "empty" }, "A custom XCom backend keeps this record, and the page cannot read it.")];
  const end = record.ended ?? row.run.end_date;
  const drawn = graph(known, row.group, row.steps);
  return [
    summary(row),
    record.cause ? cause(record.cause, links.cause ?? links.steps[record.cause.step_name]) : null,
    row.steps.some((step) => step.started) ? section("Steps", wide((width) => gantt(row.steps, width, end)), stepLegend()) : null,
    drawn ? section("Graph", el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Graph" }, drawn)) : null,
    el("div", { class: "columns" }, gate ? gateFacts(row) : null, parameters(record)),
    data(row),
    row.steps.length ? stepTable(row.steps, links.steps) : null,
    record.steps_left_out ? el("p", { class: "muted" }, `${record.steps_left_out} more steps had no room in the record.`) : null,
  ].filter(Boolean);
}

function nothing(run) {
  const ends = { failed: "The run failed before an execution ended", running: "No execution has ended yet", queued: "The run has not begun" };
  return `${ends[run.state] ?? "This run has no execution of a SageMaker pipeline"}. The logs of its tasks say more.`;
}

function summary(row) {
  const { record, links } = row;
  const prices = record.price_date ? ` at the prices of ${record.price_date}` : "";
  return el(
    "div",
    { class: "summary" },
    facts([
      ["Status", pill(row.status)],
      ["Started", dateTime(row.started)],
      ["Duration", duration(row.seconds)],
      ["Resumed", record.resumes ? `${record.resumes} × by a retry of its task; steps that had succeeded were kept` : null],
      ["Billed", `${billed(record)}${prices}`],
      ["Version", record.pipeline_version_id],
      ["Run", row.run.run_id],
      ["Execution", record.pipeline_execution_arn],
      ["In AWS", awsLink(links.execution, "SageMaker Studio")],
    ]),
  );
}

function cause(found, url) {
  const log = found.log_tail?.length ? el("pre", { tabindex: 0, "aria-label": "Log" }, found.log_tail.join("\n")) : null;
  const source = found.log_group ? el("p", { class: "muted small" }, `${found.log_group}, ${found.log_stream ?? "no stream yet"} `, awsLink(url, "CloudWatch")) : null;
  return el(
    "section",
    { class: `cause ${found.is_fail_step ? "warn" : "bad"}`, role: "note" },
    el("h2", {}, found.is_fail_step ? `Rejected by ${found.step_name}` : `${found.step_name} failed`),
    el("p", {}, found.reason),
    log,
    source,
  );
}

const SIGNS = { LessThanOrEqualTo: "≤", LessThan: "<", GreaterThanOrEqualTo: "≥", GreaterThan: ">", Equals: "=" };

function gateFacts({ gate }) {
  return section("Gate", facts([
    ["Metric", gate.metric],
    ["Value", number(gate.value)],
    ["Passes if", gate.threshold === undefined ? null : `${SIGNS[gate.operator] ?? gate.operator ?? ""} ${number(gate.threshold)}`],
    ["Verdict", verdictText(gate.verdict)],
    ["Model package", gate.model_package_arn],
  ]));
}

function data({ record, gate }) {
  const inputs = Object.entries(record.parameters ?? {}).filter(([, value]) => value.startsWith("s3://"));
  const outputs = [["Report", gate?.report_uri], ["Result", gate?.result_uri]].filter(([, uri]) => uri);
  const written = (record.steps ?? []).flatMap((step) => (step.outputs ?? []).map((uri) => [step.name, uri]));
  const made = (record.steps ?? []).filter((step) => step.arn && !step.bill).map((step) => [step.name, step.arn]);
  const all = [...inputs, ...outputs, ...written, ...made];
  return all.length ? section("Inputs and outputs", facts(all)) : null;
}

function parameters(record) {
  if (!record.parameters) return null;
  const left = record.parameters_left_out ? el("p", { class: "muted" }, `${record.parameters_left_out} more had no room in the record.`) : null;
  const plain = Object.entries(record.parameters).filter(([, value]) => !value.startsWith("s3://"));
  return section("Parameters", facts(plain), left);
}

function stepTable(steps, logs) {
  const heads = ["Step", "Type", "Status", "Duration", "Instances", "Billed", "Notes"];
  return section("Steps in numbers", table("Steps", heads, steps.map((step) => [
    step.name,
    step.type ?? "–",
    pill(step.status),
    duration(step.seconds),
    step.bill ? `${step.bill.instance_count} × ${step.bill.instance_type}` : "–",
    step.bill ? billedStep(step) : "–",
    [awsLink(logs[step.name], "Log"), " ", [...notes({ ...step, bill: null }), step.reason].filter(Boolean).join("; ")],
  ])));
}

function stepLegend() {
  const kinds = [["good", "succeeded"], ["bad", "failed"], ["cached", "taken from another execution"], ["active", "running"]];
  return el("p", { class: "legend" }, kinds.map(([kind, text]) => el("span", {}, el("i", { class: `key ${kind}` }), text)));
}
