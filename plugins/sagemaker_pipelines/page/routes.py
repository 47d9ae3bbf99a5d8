"""Answer the page's browser: its files, and two read-only routes for its data.

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.staticfiles import StaticFiles

from sagemaker_pipelines.airflow_internals import (
    dag_ids_with_xcom,
    readable_dag_ids,
    requires_access_to_runs,
)
from sagemaker_pipelines.page.runs import MAX_RUNS, PIPELINE_KEYS, PipelineRuns

STATIC = Path(__file__).parent / "static"
_HEADERS = {
    # Whatever a name or a message holds, the browser runs only the page's own files, and sends nothing away.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    # The browser keeps what it got, and asks each time whether that is still valid and still allowed.
    "cache-control": "private, no-cache",
}

_READABLE: Any = readable_dag_ids()

app = FastAPI(title="SageMaker Pipelines", openapi_url=None)


@app.middleware("http")
async def add_headers(request: Request, call_next: Any) -> Any:
    """Add the headers that every answer has, refusals included."""
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


@app.get("/api/dags")
def dags(readable: set[str] = _READABLE) -> dict[str, list[str]]:
    """Return the ids of the DAGs that have run pipelines, as far as the viewer may read them."""
    return {"dag_ids": [dag_id for dag_id in dag_ids_with_xcom(PIPELINE_KEYS) if dag_id in readable]}


@app.get("/api/dags/{dag_id}/runs", dependencies=requires_access_to_runs(), response_model=None)
def runs(
    request: Request,
    response: Response,
    dag_id: str,
    run_id: str | None = None,
    offset: int = Query(0, ge=0),
    limit: int = Query(MAX_RUNS, ge=1, le=MAX_RUNS),
) -> Response | dict[str, Any]:
    """Return runs of a DAG, the newest first, or 304 if the browser has this answer already."""
    found = PipelineRuns(dag_id, run_id=run_id, offset=offset, limit=limit)
    etag = found.etag()
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag})
    response.headers["etag"] = etag
    return found.as_dict()


# Last, because it answers every other path.
app.mount("/", StaticFiles(directory=STATIC, html=True))
