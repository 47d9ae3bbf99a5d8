"""The tables of ``docs/local_runtime.md``: what is supported, taken from the registries themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sagemaker_local_runtime.api import load_actions
from sagemaker_local_runtime.api.registry import ACTIONS
from sagemaker_local_runtime.endpoint.records import RECORDS
from sagemaker_local_runtime.engine.conditions import CONDITIONS
from sagemaker_local_runtime.engine.resolver import FUNCTIONS
from sagemaker_local_runtime.engine.steps import EXECUTORS
from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.images.listing import table as images_table
from sagemaker_local_runtime.service_model import service_model
from sagemaker_pipelines.aws.answers import differences, expected_answers, read_report
from sagemaker_pipelines.definition.document import STEP_TYPES

BEGIN = "<!-- generated: python -m sagemaker_local_runtime support --update docs/local_runtime.md -->"
END = "<!-- end of the generated part -->"
#: Reports of ``sagemaker-pipelines smoke`` about AWS, as it wrote them.
REPORTS = Path(__file__).with_name("aws_reports")

# What a partly supported step type or action lacks. Everything else about it works as on AWS.
PARTIAL_STEPS: Mapping[str, str] = {
    "Cleanup": "outputs of Training, Processing and Transform steps; there are no Athena steps",
    "Endpoint": (
        "creates or updates, and waits until the endpoint serves; one request at a time for each variant, "
        "whatever the instance count; a stop leaves the endpoint"
    ),
    "EndpointConfig": (
        "variants with a model; no data capture, shadow variants, explainers, asynchronous inference, "
        "inference components or multi-model containers"
    ),
    "ForEach": "a failed child does not end the others; children do not count for MaxParallelExecutionSteps",
    "Lambda": "runs functions in Python from a zip archive, without layers, on the runtime's own Python",
    "Model": "creates models; artifacts are not repacked",
    "Processing": (
        "instances are processes of this machine; S3 inputs in File mode, no dataset definitions; outputs "
        "go to S3 at the end, even in Continuous mode; no Spark, no feature store"
    ),
    "QualityCheck": (
        "CSV and flat JSON; no scripts before or after the analysis, no chi-squared test; "
        "see [Quality checks](#quality-checks)"
    ),
    "RegisterModel": "registers; the package is not validated by jobs",
    "Training": (
        "one machine, whatever the instance count; S3 channels in File or FastFile mode; "
        "scripts, the programs of your own images, and of the built-in algorithms sagemaker-xgboost; "
        "algorithm mode reads CSV and libsvm, without `_kfold`; checkpoints go to S3 at the end; "
        "no warm pools, spot interruptions, debugger or profiler"
    ),
    "Transform": (
        "split by line or not at all, no RecordIO or TFRecord; filters without `..` and `?()`; "
        "`inference.py` or the image's own HTTP server, without `/execution-parameters`"
    ),
    "Tuning": (
        "Random, Grid and Bayesian (by Optuna, an extra); one TrainingJobDefinition; no Hyperband, early "
        "stopping, warm start, Autotune or convergence detection"
    ),
}
PARTIAL_ACTIONS: Mapping[str, str] = {
    "CreateEndpoint": "see the step type Endpoint; a DeploymentConfig has no effect",
    "CreateEndpointConfig": "see the step type EndpointConfig",
    "CreateHyperParameterTuningJob": "see the step type Tuning",
    "CreateModel": "the artifact must exist; a model package must be Approved; no VPC, no multi-model cache",
    "CreateModelPackage": "Completed at once; no validation jobs, no source algorithm",
    "CreateProcessingJob": "see the step type Processing",
    "CreateTrainingJob": "see the step type Training",
    "CreateTransformJob": "see the step type Transform",
    "UpdateEndpoint": "as CreateEndpoint; the weights are those of the new configuration",
    "Search": "pipelines, executions, training jobs, model packages and groups, and experiments",
}
_REFUSED_STEP = "refused by name when a pipeline is created, unless a stub gives its outputs"
_FUNCTION_NOTES: Mapping[str, str] = {
    "Get": "`Parameters`, `Execution`, `Steps` with every member of the job's description",
    "Std:Join": "texts, numbers and other expressions",
    "Std:JsonGet": "property files of Processing steps; member and index paths",
}


def compared(reports: Path) -> dict[str, str]:
    """Return how the answers of SageMaker's actions compare with AWS's, by action.

    :param reports: the folder of the reports; of several about an action, the newest counts.
    :raises SettingsError: a file is not a report about AWS.
    """
    found = {}
    for report in sorted(
        map(read_report, sorted(reports.glob("*.json"))), key=lambda each: str(each["date"])
    ):
        complete = not report.get("not_reached")
        differing = differences(report["answers"], expected_answers(), complete=complete)
        for action in report["answers"].keys() & expected_answers().keys():
            count = len(differing.get(action, ()))
            what = f"{count} difference{'s' if count > 1 else ''}" if count else "the same"
            found[action.removeprefix("sagemaker:")] = f"{what}, {report['date']}"
    return found


def tables() -> str:
    """Return the generated part of the documentation, markers included."""
    load_actions()
    parts = [
        BEGIN,
        "### Images",
        images_table(Catalog()),
        "### Step types",
        _table("step type", STEP_TYPES, EXECUTORS, PARTIAL_STEPS, _REFUSED_STEP),
        "### Functions",
        _table("function", FUNCTIONS, FUNCTIONS, {}, "", _FUNCTION_NOTES),
        "### Conditions",
        _table("condition", CONDITIONS, CONDITIONS, {}, ""),
        "### SageMaker actions",
        _with_comparison(
            _table("action", {*ACTIONS, *RECORDS}, {*ACTIONS, *RECORDS}, {**RECORDS, **PARTIAL_ACTIONS}, ""),
            compared(REPORTS),
        ),
        _refused_actions(),
        END,
    ]
    return "\n\n".join(parts) + "\n"


def update(path: Path) -> bool:
    """Replace the generated part of a document; return whether it changed.

    :raises SettingsError: the document has no such part.
    """
    text = path.read_text(encoding="utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise SettingsError(
            f"{path} has no part between {BEGIN!r} and {END!r} to replace. Add these two lines."
        )
    changed = text[:begin] + tables() + text[end + len(END) :].removeprefix("\n")
    path.write_text(changed, encoding="utf-8")
    return changed != text


def _table(
    noun: str,
    known: Iterable[str],
    supported: Iterable[str],
    partial: Mapping[str, str],
    refusal: str,
    notes: Mapping[str, str] | None = None,
) -> str:
    here = set(supported)
    lines = [f"| {noun} | support | what is missing or special |", "|---|---|---|"]
    for name in sorted(known):
        if name not in here:
            lines.append(f"| {name} | refused | {refusal} |")
        elif name in partial:
            lines.append(f"| {name} | partial | {partial[name]} |")
        else:
            lines.append(f"| {name} | supported | {(notes or {}).get(name, '')} |")
    return "\n".join(line.replace("|  |", "| |") for line in lines)


def _with_comparison(table: str, found: Mapping[str, str]) -> str:
    """Return a table of actions with one more column."""
    head, rule, *rows = table.splitlines()
    cells = [found.get(row.split("|")[1].strip(), "not yet") for row in rows]
    lines = [f"{head} compared with AWS |", f"{rule}---|"]
    return "\n".join([*lines, *(f"{row} {cell} |" for row, cell in zip(rows, cells, strict=True))])


def _refused_actions() -> str:
    refused = sorted(set(service_model().operation_names) - set(ACTIONS) - set(RECORDS))
    names = ", ".join(refused)
    return (
        f"The other {len(refused)} SageMaker actions are refused by name with `UnknownOperationException`:\n"
        f"{names}."
    )
