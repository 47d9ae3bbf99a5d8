// Show what the address asks for: all pipelines, one DAG, or one run.

import { RequestError, followTheme } from "./airflow.js";
import { dagView } from "./dag.js";
import { el } from "./dom.js";
import { overview } from "./overview.js";
import { runView } from "./run.js";

const REFRESH_MS = 10000;
const page = document.getElementById("page");
const query = new URLSearchParams(window.location.search);

function view() {
  const [dagId, runId] = [query.get("dag_id"), query.get("run_id")];
  if (dagId && runId) return runView(dagId, runId);
  return dagId ? dagView(dagId) : overview();
}

// Drawn again only if something has changed, so that the focus stays while nothing does.
async function show(shown = {}) {
  try {
    const next = await view();
    const same = next.nodes === shown.nodes || (next.etag && next.etag === shown.etag);
    if (!same) page.replaceChildren(...next.nodes);
    if (next.running) setTimeout(() => show(next), REFRESH_MS);
  } catch (error) {
    const text = error instanceof RequestError ? error.message : `The page cannot show this: ${error.message}`;
    page.replaceChildren(el("p", { class: "empty", role: "alert" }, text));
    if (!(error instanceof RequestError)) throw error;
  } finally {
    page.setAttribute("aria-busy", "false");
  }
}

followTheme();
await show();
