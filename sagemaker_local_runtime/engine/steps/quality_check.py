"""QualityCheck steps: calculate a baseline, and check whether it has drifted from an earlier one.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-quality-check
https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-quality-clarify-baseline-lifecycle.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from sagemaker_local_runtime.engine.known import first_problem, known
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.engine.steps.job import failed, job_problems, run_job
from sagemaker_local_runtime.exceptions import ResolutionError, ValidationError
from sagemaker_local_runtime.jobs.kinds import PROCESSING
from sagemaker_pipelines.definition.document import value_at

# By CheckType, where a model package keeps the baseline:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DriftCheckBaselines.html
_REGISTERED = {"DATA_QUALITY": "ModelDataQuality", "MODEL_QUALITY": "ModelQuality"}
# Where the job finds the earlier baseline, and the variables that say so:
# https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-contract-inputs.html
_FOLDER = "/opt/ml/processing/baseline"
_FLAGS = ("SkipCheck", "RegisterNewBaseline", "FailOnViolation")
_SCRIPTS = ("post_analytics_processor_script", "record_preprocessor_script")


@dataclass(frozen=True)
class Baseline:
    """The files of a baseline.

    :param statistics: the S3 URI of its statistics.
    :param constraints: the S3 URI of its constraints.
    """

    statistics: str
    constraints: str

    def members(self, prefix: str) -> dict[str, str]:
        """Return the URIs under the names of the step's properties, such as ``CalculatedBaseline...``."""
        return {f"{prefix}{kind.title()}": uri for kind, uri in asdict(self).items()}


class QualityCheckExecutor:
    """Runs the processing job that calculates a step's baseline and checks it against an earlier one."""

    step_type = "QualityCheck"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Find the earlier baseline, run the job, and report what it found.

        :raises AwsError: the job is refused.
        :raises ResolutionError: there is no earlier baseline, or a member of the step has a wrong type.
        """
        step, arguments = step_run.step, step_run.arguments
        _check_output(arguments)
        skip, register = _flag(step, "SkipCheck"), _flag(step, "RegisterNewBaseline")
        fail_on_violation = _flag(step, "FailOnViolation", default=True)
        earlier = None if skip and register else _earlier(step_run)
        if earlier and not skip:
            step_run = replace(step_run, arguments=_with_baseline(arguments, earlier))
        given = {"CheckType": step["CheckType"], "SkipCheck": skip, "RegisterNewBaseline": register}
        if step.get("ModelPackageGroupName"):
            given["ModelPackageGroupName"] = step["ModelPackageGroupName"]
        outcome = run_job(step_run, PROCESSING, lambda arn: {"QualityCheck": {**given, "CheckJobArn": arn}})
        if outcome.status != "Succeeded":
            return outcome
        reports = _reports(outcome.properties, arguments, None if register else earlier)
        found = {**outcome.metadata["QualityCheck"], **reports}
        metadata = {"QualityCheck": found}
        if "ViolationReport" in found and fail_on_violation:
            # The words before the URI are AWS's, as the integration tests of its SDK show.
            reason = f"Quality check failed. See violation report: {found['ViolationReport']}"
            return failed(reason, metadata=metadata, properties=found)
        return replace(outcome, metadata=metadata, properties=found)


def problems(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a QualityCheck step, before it is resolved."""
    yield from job_problems(PROCESSING, step)
    for name in _FLAGS:
        if not isinstance(step.get(name), (bool, dict, type(None))):
            yield _not_a_flag(name, step[name])
    if step.get("CheckType") not in [*_REGISTERED]:  # an expression is not hashable
        yield f"CheckType is {step.get('CheckType')!r}; expected one of {', '.join(_REGISTERED)}."
    for name in _SCRIPTS:
        if name in (value_at(step, "Arguments.Environment") or ()):
            yield f"the local runtime does not run a {name}; remove it from the check."
    yield from first_problem([partial(_check_output, known(step["Arguments"]))])


def _flag(step: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = step.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ResolutionError(_not_a_flag(name, value))
    return value


def _not_a_flag(name: str, value: Any) -> str:
    return f"{name} is {value!r}; expected true or false. Use a Boolean parameter."


def _output(arguments: Mapping[str, Any]) -> Any:
    """Return the output into whose folder the job writes its reports; None if there is none."""
    path = (arguments.get("Environment") or {}).get("output_path")
    outputs = (arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or ()
    written = (item for item in outputs if item.get("S3Output"))
    return next((item for item in written if path and item["S3Output"].get("LocalPath") == path), None)


def _check_output(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of which no output is written.

    :raises ValidationError: no output has the path that the job is given.
    """
    if _output(arguments) is None:
        raise ValidationError(
            "no output has the LocalPath that output_path names in its Environment; make them the same."
        )


def _reports(job: Mapping[str, Any], arguments: Mapping[str, Any], kept: Baseline | None) -> dict[str, str]:
    """Return the URIs of what a check leaves.

    :param job: the description of its job.
    :param arguments: the step's arguments.
    :param kept: the earlier baseline, if it stays the one that later checks use.
    """
    folder = _output(arguments)["S3Output"]["S3Uri"].rstrip("/")
    calculated = Baseline(f"{folder}/statistics.json", f"{folder}/constraints.json")
    reports = {
        **calculated.members("CalculatedBaseline"),
        **(kept or calculated).members("BaselineUsedForDriftCheck"),
    }
    # The exit message of AWS's container, and of those that replace it:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-results.html
    if job.get("ExitMessage", "").startswith("CompletedWithViolations"):
        reports["ViolationReport"] = f"{folder}/constraint_violations.json"
    return reports


def _earlier(step_run: StepRun) -> Baseline:
    """Return the supplied baseline, or else that of the newest approved package.

    :raises ResolutionError: there is none.
    """
    step = step_run.step
    group = str(step.get("ModelPackageGroupName") or "")
    package = step_run.services.models.latest_approved(group) if group else None
    found = {}
    for kind in ("Statistics", "Constraints"):
        path = f"DriftCheckBaselines.{_REGISTERED[step['CheckType']]}.{kind}.S3Uri"
        found[kind.lower()] = step.get(f"SuppliedBaseline{kind}") or value_at(package, path)
    if not all(found.values()):
        # "If it is set to False, the previous baseline of the configured check type must be available":
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_QualityCheckStepMetadata.html
        where = (
            f"the newest approved package of {group!r}" if package else f"no approved package of {group!r}"
        )
        raise ResolutionError(
            f"ClientError: There is no earlier baseline of type {step['CheckType']}: "
            f"{where if group else 'no model package group'} and no SuppliedBaselineStatistics and "
            "SuppliedBaselineConstraints provide one. Supply one, or set SkipCheck and RegisterNewBaseline "
            "to true for the first execution."
        )
    return Baseline(**found)


def _with_baseline(arguments: Mapping[str, Any], baseline: Baseline) -> dict[str, Any]:
    """Return the arguments of a job that compares what it calculates with a baseline."""
    inputs = list(arguments.get("ProcessingInputs") or ())
    environment = dict(arguments.get("Environment") or {})
    for kind, uri in asdict(baseline).items():
        folder = f"{_FOLDER}/{kind}"
        source = {"S3Uri": uri, "LocalPath": folder, "S3DataType": "S3Prefix", "S3InputMode": "File"}
        inputs.append({"InputName": f"baseline_{kind}", "S3Input": source})
        environment[f"baseline_{kind}"] = f"{folder}/{uri.rpartition('/')[2]}"
    return {**arguments, "ProcessingInputs": inputs, "Environment": environment}
