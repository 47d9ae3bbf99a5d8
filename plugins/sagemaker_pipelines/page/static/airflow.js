// What comes from Airflow: data under the viewer's own session, its theme, and its pages.

import { el } from "./dom.js";

// The page is at <base>/sagemaker-pipelines/, also where the base has a path.
const BASE = new URL("..", document.baseURI);

/** An answer that is not the data; the message says what to do. */
export class RequestError extends Error {}

function explain(status) {
  if (status === 401) return "Your session has ended. Reload Airflow to log in again.";
  if (status === 403) return "You may not read the runs and XComs of this DAG. Ask an administrator of Airflow.";
  if (status === 404) return "Airflow does not know this DAG or run.";
  return `Airflow answered with the status ${status}. Reload the page; if it stays so, see the API server's log.`;
}

async function get(url) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", headers: { accept: "application/json" } });
  } catch {
    throw new RequestError("Airflow did not answer. Check the connection, and reload the page.");
  }
  if (!answer.ok) throw new RequestError(explain(answer.status));
  return { value: await answer.json(), etag: answer.headers.get("etag") };
}

/** Return the ids of the DAGs that have run pipelines. */
export async function pipelineDags() {
  return (await get("api/dags")).value.dag_ids;
}

/** Return runs of a DAG, the newest first: `runs`, whether there are `more`, and an `etag`. */
export async function pipelineRuns(dagId, options = {}) {
  const query = new URLSearchParams(options);
  const { value, etag } = await get(`api/dags/${encodeURIComponent(dagId)}/runs?${query}`);
  return { ...value, etag };
}

/** Return the tasks of a DAG, from Airflow's public REST API. */
export async function tasks(dagId) {
  const { value } = await get(new URL(`api/v2/dags/${encodeURIComponent(dagId)}/tasks`, BASE));
  return value.tasks;
}

/** Return the address of one of Airflow's own pages. */
export function airflowUrl(...parts) {
  return new URL(parts.map(encodeURIComponent).join("/"), BASE).href;
}

/** Open a link in Airflow's window. Airflow's frame may not do so itself, only the document around it may. */
export function openOutside(event) {
  if (window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const link = window.parent.document.createElement("a");
  for (const name of ["href", "target", "rel"]) link[name] = event.currentTarget[name];
  link.click();
}

/** Return a link to a page of AWS's in a new tab; null without an address. */
export function awsLink(url, text) {
  // The address is what a task has pushed, and must not be a script.
  if (typeof url !== "string" || !url.startsWith("https://")) return null;
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer", onclick: openOutside }, text);
}

/** Follow Airflow's theme: the frame around this page shows it as a class. Without a frame, the system's. */
export function followTheme() {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const outer = window.parent === window ? null : window.parent.document.documentElement;
  const apply = () => {
    const known = outer && ["dark", "light"].find((name) => outer.classList.contains(name));
    document.documentElement.dataset.theme = known ?? (system.matches ? "dark" : "light");
  };
  apply();
  system.addEventListener("change", apply);
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
}
