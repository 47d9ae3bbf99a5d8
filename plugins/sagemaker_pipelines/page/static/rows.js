// One row for each execution: the run it belongs to, its record and its gate.

const VERDICTS = { accepted: "Accepted", rejected: "Rejected", awaiting_approval: "Awaiting approval" };

/** Return the rows of runs, in their order; a run without an execution has one row. */
export function rowsOf(runs) {
  return runs.flatMap((run) => {
    const none = [{ task_id: null, execution: null, gate: null, links: {} }];
    return (run.executions.length ? run.executions : none).map((each) => row(run, each));
  });
}

function row(run, { task_id: taskId, execution, gate, links }) {
  const record = execution ?? {};
  const verdict = gate?.verdict ?? (record.rejected ? "rejected" : null);
  const [started, ended] = [record.started ?? run.start_date, record.ended ?? run.end_date];
  return {
    run,
    taskId,
    record,
    gate,
    links,
    group: taskId?.includes(".") ? taskId.slice(0, taskId.lastIndexOf(".")) : null,
    verdict,
    status: status(run, record, verdict),
    metric: finite(gate?.value),
    threshold: finite(gate?.threshold),
    started,
    seconds: started && ended ? (new Date(ended) - new Date(started)) / 1000 : null,
    backfill: run.run_type === "backfill",
    steps: record.steps ?? [],
  };
}

function finite(value) {
  const found = typeof value === "string" && value !== "" ? Number(value) : value;
  return Number.isFinite(found) ? found : null;
}

function status(run, record, verdict) {
  if (record.status === "Failed" && verdict === "rejected") return "Rejected";
  if (record.status) return record.status;
  if (verdict) return verdict === "rejected" ? "Rejected" : "Succeeded";
  return { success: "No execution", failed: "Failed", running: "Running", queued: "Queued" }[run.state] ?? run.state;
}

/** Return the text of a row's verdict. */
export function verdictText(verdict) {
  return VERDICTS[verdict] ?? verdict ?? "–";
}

/** Return a row's place on the axis: the start of its data interval, or when it ran. */
export function moment(row, axis) {
  const interval = row.run.data_interval_start ?? row.run.logical_date;
  return new Date((axis === "interval" && interval) || row.started || row.run.run_after).getTime();
}

/** Return the names and values of the parameters that differ from those of the execution before. */
export function changedParameters(row, before) {
  const now = row.record.parameters;
  const then = before?.record.parameters;
  if (!now || !then) return [];
  return Object.entries(now).filter(([name, value]) => then[name] !== value);
}

/** Return the names of the parameters that differ in each of several rows, such as the paths of a day. */
export function usualChanges(rows, before) {
  const compared = rows.filter((row) => row.record.parameters && before.get(row));
  if (compared.length < 3) return new Set();
  const names = compared.map((row) => new Set(changedParameters(row, before.get(row)).map(([name]) => name)));
  return new Set([...names[0]].filter((name) => names.every((each) => each.has(name))));
}

/** Return the row of the same pipeline's execution before each row, by row; the rows are newest first. */
export function previous(rows) {
  const found = new Map();
  rows.forEach((row, i) => found.set(row, rows.slice(i + 1).find((each) => same(row, each))));
  return found;
}

function same(row, other) {
  return other.taskId === row.taskId && other.record.parameters;
}

/** Return the names of all steps, in the order in which they begin. */
export function stepNames(rows) {
  const names = new Set();
  for (const each of [...rows].reverse()) for (const step of each.steps) names.add(step.name);
  return [...names];
}

/** Return the currencies of rows; one that costs nothing may have none. */
export function currencies(rows) {
  return [...new Set(rows.map((row) => row.record.currency).filter(Boolean))];
}

/** Return what all rows bill together, in the form of a record; it is `at_least` so much if one is unknown. */
export function total(rows) {
  const records = rows.map((each) => each.record).filter((record) => record.status || record.instance_seconds);
  const sum = (name) =>
    records.every((record) => typeof record[name] === "number")
      ? records.reduce((all, record) => all + record[name], 0)
      : null;
  if (records.length === 0) return {};
  const found = currencies(rows);
  // Amounts in different currencies have no sum.
  const cost = (name) => (found.length > 1 ? null : sum(name));
  const seconds = (read) => records.reduce((all, record) => all + (read(record) ?? record.instance_seconds ?? 0), 0);
  return {
    cost: cost("cost"),
    cost_upper_bound: cost("cost_upper_bound"),
    currency: found[0],
    instance_seconds: seconds((record) => record.instance_seconds),
    instance_seconds_upper_bound: seconds((record) => record.instance_seconds_upper_bound),
    at_least: records.some((record) => typeof record.instance_seconds !== "number"),
  };
}
