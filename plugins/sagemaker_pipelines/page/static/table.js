// The table of executions with its filters, and the same rows as CSV.

import { awsLink } from "./airflow.js";
import { el, table } from "./dom.js";
import { billed, cut, dateTime, duration, interval, number, tail } from "./format.js";
import { changedParameters, usualChanges, verdictText } from "./rows.js";

/** Return a status as a coloured label. */
export function pill(status) {
  const kinds = { Succeeded: "good", Failed: "bad", Rejected: "warn", Stopped: "warn", Executing: "live", Running: "live" };
  return el("span", { class: `pill ${kinds[status] ?? "plain"}` }, status);
}

function changes(row, before, usual) {
  const changed = changedParameters(row, before);
  if (changed.length === 0) return row.record.parameters && before ? "none" : "–";
  const all = changed.map(([name, value]) => `${name} = ${value}`);
  const told = changed.filter(([name]) => !usual.has(name));
  const shown = told.slice(0, 2).map(([name, value]) => `${cut(name, 30)} = ${tail(value, 24)}`).join(", ");
  const rest = changed.filter(([name]) => usual.has(name)).map(([name]) => cut(name, 30)).join(", ");
  const more = told.length > 2 ? ` +${told.length - 2} ` : " ";
  return el("span", { title: all.join("\n") }, shown, more, el("span", { class: "muted" }, rest));
}

function failure({ cause, resumes }) {
  const why = cause && !cause.is_fail_step ? `${cause.step_name}: ${cut(cause.reason, 160)}` : null;
  return [why ? el("div", { class: "reason" }, why) : null, resumes ? el("div", {}, `resumed ${resumes} ×`) : null];
}

function links({ execution, cause }) {
  return [awsLink(execution, "Studio"), " ", awsLink(cause, "Log")];
}

/** Return the table of some rows; `before` has each row's earlier one. */
export function executionsTable(rows, before, href) {
  const usual = usualChanges(rows, before);
  const linked = rows.some((row) => row.links.execution || row.links.cause);
  const heads = ["Data interval (UTC)", "Started", "Status", "Metric", "Threshold", "Verdict", "Duration", "Billed", "Version", linked ? "In AWS" : null, "Cause, changed parameters"].filter(Boolean);
  return table("Executions", heads, rows.map((row) => [
    el("a", { href: href(row), title: row.run.run_id }, interval(row.run) === "–" ? cut(row.run.run_id, 26) : interval(row.run)),
    dateTime(row.started),
    [pill(row.status), row.backfill ? el("span", { class: "muted small" }, " backfill") : null],
    number(row.metric),
    number(row.threshold),
    verdictText(row.verdict),
    duration(row.seconds),
    billed(row.record),
    row.record.pipeline_version_id ?? "–",
    linked ? links(row.links) : null,
    [failure(row.record), changes(row, before.get(row), usual)],
  ].filter((cell) => cell !== null)));
}

/** Return the controls that choose rows, which call back with a test for a row, and what offers the statuses of rows. */
export function filters(changed) {
  const choices = (options) => options.map(([value, text]) => el("option", { value }, text));
  const choose = (label, options) => {
    const select = el("select", {}, choices(options));
    return [select, el("label", {}, label, select)];
  };
  const [status, statusLabel] = choose("Status", [["", "all"]]);
  const offer = (rows) => {
    // The chosen one stays, also if the last run that had it has gone on.
    const chosen = status.value;
    const statuses = new Set([...rows.map((row) => row.status), chosen]);
    statuses.delete("");
    status.replaceChildren(...choices([["", "all"], ...[...statuses].sort().map((each) => [each, each])]));
    status.value = chosen;
  };
  const [backfill, backfillLabel] = choose("Runs", [["", "all"], ["yes", "backfills"], ["no", "others"]]);
  const from = el("input", { type: "date" });
  const to = el("input", { type: "date" });
  const test = (row) => {
    const date = (row.run.data_interval_start ?? row.run.logical_date ?? row.run.run_after).slice(0, 10);
    return (
      (!status.value || row.status === status.value)
      && (!backfill.value || row.backfill === (backfill.value === "yes"))
      && (!from.value || date >= from.value)
      && (!to.value || date <= to.value)
    );
  };
  const box = el("div", { class: "controls" }, statusLabel, backfillLabel, el("label", {}, "From", from), el("label", {}, "To", to));
  box.addEventListener("change", () => changed(test));
  return [box, offer];
}

const COLUMNS = {
  dag_id: (row) => row.run.dag_id,
  run_id: (row) => row.run.run_id,
  task_id: (row) => row.taskId,
  data_interval_start: (row) => row.run.data_interval_start,
  data_interval_end: (row) => row.run.data_interval_end,
  backfill: (row) => row.backfill,
  pipeline_execution_arn: (row) => row.record.pipeline_execution_arn,
  pipeline_version_id: (row) => row.record.pipeline_version_id,
  status: (row) => row.status,
  started: (row) => row.started,
  seconds: (row) => row.seconds,
  metric: (row) => row.metric,
  threshold: (row) => row.threshold,
  verdict: (row) => row.verdict,
  resumes: (row) => row.record.resumes,
  instance_seconds: (row) => row.record.instance_seconds,
  instance_seconds_upper_bound: (row) => row.record.instance_seconds_upper_bound,
  cost: (row) => row.record.cost,
  cost_upper_bound: (row) => row.record.cost_upper_bound,
  currency: (row) => row.record.currency,
  price_date: (row) => row.record.price_date,
  cause: (row) => row.record.cause && `${row.record.cause.step_name}: ${row.record.cause.reason}`,
  parameters: (row) => row.record.parameters && JSON.stringify(row.record.parameters),
};

/** Return rows as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe. */
export function csv(rows) {
  const lines = [Object.keys(COLUMNS), ...rows.map((row) => Object.values(COLUMNS).map((read) => read(row)))];
  return lines.map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

function field(value) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return a button that saves the rows it is given when it is pressed. */
export function csvButton(name, rows) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([csv(rows())], { type: "text/csv" }));
    el("a", { href: url, download: `${name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return el("button", { type: "button", onclick: save }, "Download CSV");
}
