// One DAG: its metric, what its executions took and cost, and the table of them.

import { RequestError, airflowUrl, openOutside, pipelineRuns } from "./airflow.js";
import { roundTime } from "./axes.js";
import { metricChart, stackedChart, stepSeconds } from "./charts.js";
import { el, section, wide } from "./dom.js";
import { billed, duration, money, number } from "./format.js";
import { currencies, previous, rowsOf, stepNames, total } from "./rows.js";
import { csvButton, executionsTable, filters } from "./table.js";

const MEASURES = {
  duration: { text: "Duration", value: stepSeconds, format: duration, rounded: roundTime },
  instance: { text: "Instance-seconds", value: (step) => step.bill?.instance_seconds ?? 0, format: (value) => `${number(value)} s` },
  cost: { text: "Cost", value: (step) => step.bill?.cost ?? 0, format: money },
};

// The page is about one DAG; the view stays when new data come, and with it filters and older runs.
let view = null;

/** Return the view, and whether anything runs. */
export async function dagView(dagId) {
  const answer = await pipelineRuns(dagId, { offset: 0 });
  view ??= new View(dagId, answer.more);
  if (view.etag !== answer.etag) view.update(answer);
  const running = answer.runs.some((run) => ["running", "queued"].includes(run.state));
  return { nodes: view.nodes, running, etag: answer.etag };
}

// A new run moves older ones, so that a page may repeat some.
function merged(runs, more) {
  const known = new Set(runs.map((run) => run.run_id));
  return [...runs, ...more.filter((run) => !known.has(run.run_id))];
}

class View {
  constructor(dagId, more) {
    Object.assign(this, { dagId, more, runs: [], axis: "interval", test: () => true });
    this.href = (row) => `?${new URLSearchParams({ dag_id: dagId, run_id: row.run.run_id })}`;
    this.body = el("div", {});
    this.nodes = [this.head(), this.body];
  }

  head() {
    const link = el("a", { href: airflowUrl("dags", this.dagId), onclick: openOutside }, "Open the DAG");
    const back = el("a", { href: "?" }, "All pipelines");
    return el("header", {}, el("h1", {}, this.dagId), el("nav", {}, back, link));
  }

  update({ runs, etag, older = this.runs }) {
    this.etag = etag;
    this.runs = merged(runs, older);
    this.rows = rowsOf(this.runs);
    this.before = previous(this.rows);
    if (this.result) this.drawRows();
    else this.draw();
  }

  draw() {
    if (!this.rows.some((row) => row.taskId !== null)) {
      this.body.replaceChildren(empty(this.runs.length), this.more ? this.older() : "");
      return;
    }
    this.result = el("div", {});
    const [controls, offer] = filters((test) => {
      this.test = test;
      this.drawRows();
    });
    this.offerStatuses = offer;
    controls.append(this.axisControl(), csvButton(this.dagId, () => this.shown));
    this.foot = el("div", {});
    this.body.replaceChildren(controls, this.result, this.foot);
    this.drawRows();
  }

  drawRows() {
    this.offerStatuses(this.rows);
    this.shown = this.rows.filter(this.test);
    const parts = this.shown.length
      ? [tiles(this.shown), this.metric(), this.stack(), section("Executions", executionsTable(this.shown, this.before, this.href))]
      : [el("p", { class: "empty" }, "No execution matches these filters.")];
    this.result.replaceChildren(...parts.filter(Boolean));
    this.foot.replaceChildren(this.older());
  }

  axisControl() {
    const options = [["interval", "data interval"], ["time", "time of the run"]];
    const select = el("select", {}, options.map(([value, text]) => el("option", { value }, text)));
    select.addEventListener("change", () => {
      this.axis = select.value;
      this.drawRows();
    });
    return el("label", {}, "Charts by", select);
  }

  metric() {
    const measured = this.shown.filter((row) => row.metric !== null);
    if (measured.length === 0) return null;
    const draw = (width) => metricChart(this.shown, { width, axis: this.axis, href: this.href });
    const name = measured[0].gate.metric;
    return section(name && name !== "metric" ? `${name} and its threshold` : "Metric and threshold", wide(draw), metricLegend());
  }

  stack() {
    const timed = this.shown.filter((row) => row.steps.length);
    if (timed.length === 0) return null;
    // Steps that take no time, such as conditions, would only use up the colours.
    const all = timed.flatMap((row) => row.steps);
    const longest = Math.max(...all.map(stepSeconds));
    const slow = new Set(all.filter((step) => stepSeconds(step) >= longest / 100).map((step) => step.name));
    const names = stepNames(timed).filter((name) => slow.has(name));
    const [currency, other] = currencies(timed);
    // Bars of different currencies cannot be compared.
    const priced = !other && timed.some((row) => typeof row.record.cost === "number");
    const select = el("select", { "aria-label": "Measure" }, Object.entries(MEASURES)
      .filter(([name]) => name !== "cost" || priced)
      .map(([value, { text }]) => el("option", { value }, text)));
    const box = el("div", {});
    const draw = () => {
      const { text, value, format, rounded } = MEASURES[select.value];
      const options = { axis: this.axis, names, value, rounded, href: this.href, label: `${text} by step` };
      const shown = (amount) => format(amount, currency);
      box.replaceChildren(wide((width) => stackedChart(timed, { width, ...options, format: shown })));
    };
    select.addEventListener("change", draw);
    draw();
    const unpriced = priced && timed.some((row) => row.steps.some((step) => step.bill && typeof step.bill.cost !== "number"));
    const note = unpriced ? el("p", { class: "muted small" }, "Cost leaves out the steps whose price is unknown.") : null;
    return section("By step", el("div", { class: "controls" }, select), box, stepLegend(names), note);
  }

  older() {
    if (!this.more) return el("p", { class: "muted small" }, `All ${this.runs.length} runs are shown.`);
    const problem = el("span", { class: "small", role: "alert" });
    const load = async (event) => {
      const button = event.target;
      button.disabled = true;
      problem.textContent = "";
      try {
        const answer = await pipelineRuns(this.dagId, { offset: this.runs.length });
        this.more = answer.more;
        this.update({ runs: this.runs, etag: this.etag, older: answer.runs });
      } catch (error) {
        problem.textContent = ` ${error.message}`;
        if (!(error instanceof RequestError)) throw error;
      } finally {
        button.disabled = false;
      }
    };
    const text = el("span", { class: "muted small" }, `The newest ${this.runs.length} runs are shown. `);
    return el("p", {}, text, el("button", { type: "button", onclick: load }, "Load older runs"), problem);
  }
}

function tiles(rows) {
  const count = (test) => rows.filter(test).length;
  const measured = rows.find((row) => row.metric !== null);
  const tile = (name, value, hint) =>
    el("div", { class: "tile" }, el("div", { class: "muted small" }, name), el("div", { class: "big" }, value), el("div", { class: "muted small" }, hint ?? ""));
  const bound = measured?.threshold;
  return el(
    "div",
    { class: "tiles" },
    tile("Last metric", number(measured?.metric ?? null), bound === null || bound === undefined ? "" : `threshold ${number(bound)}`),
    tile("Passed", count((row) => row.verdict && row.verdict !== "rejected"), `of ${count((row) => row.verdict)} measured`),
    tile("Rejected", count((row) => row.verdict === "rejected")),
    tile("Failed", count((row) => row.status === "Failed")),
    tile("Billed", billed(total(rows)), `${new Set(rows.map((row) => row.run.run_id)).size} runs`),
  );
}

function metricLegend() {
  const item = (kind, text) => el("span", {}, el("i", { class: `key ${kind}` }), text);
  return el(
    "p",
    { class: "legend" },
    item("accepted", "accepted"),
    item("awaiting", "awaiting approval"),
    item("rejected", "rejected"),
    item("bad", "failed, without a metric"),
    item("threshold", "threshold of that execution"),
  );
}

function stepLegend(names) {
  return el("p", { class: "legend" }, names.map((name, i) => el("span", {}, el("i", { class: `key s${i % 8}` }), name)));
}

function empty(runs) {
  const text = runs
    ? `The newest runs (${runs}) have no record of an execution. If the tasks of this DAG run pipelines, the page `
      + "fills when the first execution has ended. Other DAGs have nothing to show here."
    : "This DAG has no runs yet. If its tasks run SageMaker pipelines, their executions appear here.";
  return el("p", { class: "empty" }, text);
}
