"""The stages of a smoke run: the calls of the operators, by the same functions, in the order of a DAG run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws import leftovers
from sagemaker_pipelines.aws.champion import described_model_package
from sagemaker_pipelines.aws.decisions import Decision, record_decision
from sagemaker_pipelines.aws.environment import executing_count
from sagemaker_pipelines.aws.errors import is_conflict
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.aws.gate import read_gate
from sagemaker_pipelines.aws.model_packages import newest_approved_model_package, registered_model_package
from sagemaker_pipelines.aws.outcome import execution_outcome, failure_cause
from sagemaker_pipelines.aws.record import execution_record
from sagemaker_pipelines.aws.starts import start_request
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.aws.survey import ExecutionSurvey
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.cli.smoke.place import Place
from sagemaker_pipelines.cli.waiting import follow
from sagemaker_pipelines.definition import canonical, definition_hash
from sagemaker_pipelines.exceptions import ExecutionFailedError, ModelPackageError, SageMakerPipelinesError
from sagemaker_pipelines.states import STOPPED, SUCCEEDED, Phase

# How many jobs are started at most: one that is stopped, that of the retry, and one more without a cache hit.
MAX_JOBS = 3
# How long the first job waits to be stopped; the definition's StoppingCondition ends it in any case.
WAIT_SECONDS = 600
MAX_WAIT_SECONDS = 45 * 60.0
_THRESHOLD = "MseThreshold"


class UnexpectedAnswerError(SageMakerPipelinesError):
    """AWS's answer is not what this package relies on."""


class Stages:
    """The stages of one run; each one is called once, and returns what was found.

    :param place: where the run works.
    :param parameters: values of the pipeline's parameters.
    """

    def __init__(self, place: Place, parameters: Mapping[str, str]) -> None:
        self._place = place
        self._client = place.client
        self._parameters = dict(parameters)
        self._hash = ""
        self._arn = ""

    def __iter__(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Yield the stages in their order."""
        yield "deploy", self.deploy
        yield "start", self.start
        yield "stop", self.stop
        yield "resume", self.resume
        yield "evaluate", self.evaluate
        yield "decide", self.decide
        yield "reject", self.reject
        yield "survey", self.survey
        yield "missing", self.missing
        if self._client.settings.notification_target:
            yield "notify", self.notify

    def deploy(self) -> str:
        """Create the pipeline, update it, and find that there is nothing more to update."""
        envelope = self._place.envelope
        changed = f"{envelope.description} Deployed twice."
        created = upsert_pipeline(self._client, envelope)
        updated = upsert_pipeline(self._client, envelope, description=changed)
        same = upsert_pipeline(self._client, envelope, description=changed)
        _expect(created.created, "the pipeline was created", "it existed already")
        _expect(updated.changed and not updated.created, "the pipeline was updated", f"{updated}")
        _expect(not same.changed, "the deployed pipeline is what was sent", "it differs when it is read back")
        error = _error_of(
            partial(
                self._client.sagemaker.create_pipeline,
                PipelineName=self._place.name,
                PipelineDefinition=canonical(self._client.deployed_definition(self._place.name)),
                RoleArn=self._client.settings.role_arn,
            )
        )
        _expect(is_conflict(error), "a second creation is refused as a conflict", str(error))
        self._hash = same.definition_hash
        return f"created, updated to version {same.pipeline_version_id}, then up to date"

    def start(self) -> str:
        """Start an execution twice with the same token, and find it as a task does."""
        self._let_the_job_wait(WAIT_SECONDS)
        generation = secrets.token_hex(16)
        since = datetime.now(UTC) - timedelta(hours=1)
        request = self._request(generation, self._parameters)
        self._arn = self._client.start_execution(request)
        again = self._client.start_execution(request)
        _expect(again == self._arn, "the same token starts one execution", "it started two")
        found = self._client.find_execution(self._place.name, generation=generation, created_after=since)
        _expect(found == self._arn, "the execution is found by its description", f"found {found}")
        sent = self._client.execution_parameters(self._arn)
        _expect(sent.items() >= self._parameters.items(), f"the parameters {self._parameters}", f"{sent}")
        runs = definition_hash(self._client.execution_definition(self._arn))
        _expect(runs == self._hash, "the execution runs the definition that was deployed", "another one")
        return "one execution for two starts with one token, found by its description"

    def stop(self) -> str:
        """Stop the execution while its job runs, and once more after its end."""
        self._wait_for_the_job()
        self._stop()
        status = self._ended(self._arn)
        _expect(status == STOPPED, f"the execution is {STOPPED}", status)
        self._stop()
        return f"{status} while its job ran"

    def resume(self) -> str:
        """Retry the execution that was stopped, and wait until it succeeds."""
        self._let_the_job_wait(0)
        self._client.retry_execution(self._arn, token=secrets.token_hex(32))
        self._client.describe_owner(self._arn, f"Resumed by smoke run {self._place.run_id}")
        status = self._ended(self._arn)
        outcome = execution_outcome(self._client, self._arn)
        _expect(outcome.status == SUCCEEDED, f"the execution is {SUCCEEDED}", status)
        return self._told(self._arn, rejected=False)

    def evaluate(self) -> str:
        """Read the gate's report in S3 and the log of the job."""
        reading = read_gate(self._client, self._arn)
        _expect(reading.passed, "the metric passes the gate", f"{reading.value} against {reading.threshold}")
        (step,) = [s for s in self._client.list_steps(self._arn) if s.type == "Processing"]
        lines = failure_cause(self._client, step).log_tail
        return f"{reading.metric} {reading.value:g}, {len(lines)} lines in the job's log"

    def decide(self) -> str:
        """Approve the model package that was registered, and find that it is the champion."""
        package = registered_model_package(self._client, self._arn)
        _expect(package is not None, "a model package was registered", "the execution has none")
        evidence = Evidence(model_package_arn=str(package), pipeline_execution_arn=self._arn)
        decision = Decision(approved=True, decided_by="smoke", evidence=evidence, reason="smoke run")
        _expect(record_decision(self._client, decision), "the decision was written", "it was there already")
        champion = newest_approved_model_package(self._client, self._place.name)
        _expect(champion == package, "the approved package is the champion", f"{champion}")
        return "registered, approved, and found as the champion"

    def reject(self) -> str:
        """Let the gate reject the same metric in a second execution, which ends in the Fail step."""
        request = self._request(secrets.token_hex(16), {**self._parameters, _THRESHOLD: "0"})
        arn = self._client.start_execution(request)
        self._ended(arn)
        try:
            outcome = execution_outcome(self._client, arn)
        except ExecutionFailedError as error:
            raise UnexpectedAnswerError(f"Expected that the gate rejects the model; seen: {error}") from error
        _expect(outcome.rejected, "the execution is rejected", outcome.status)
        return self._told(arn, rejected=True)

    def survey(self) -> str:
        """List what the orphan sweep and the limit on executions list."""
        now = datetime.now(UTC)
        models = leftovers.models(self._client, created_after=now - timedelta(hours=1), created_before=now)
        used = leftovers.models_in_use(self._client)
        running = executing_count(self._client, limit=100)
        _expect(running == 0, "no execution of this run is executing", str(running))
        return f"{len(models)} new models, {len(used)} in use, no execution running"

    def missing(self) -> str:
        """Ask for what does not exist, because the operators tell this error from others."""
        gone = f"{self._arn.rpartition('/')[0]}/{secrets.token_hex(6)}"
        survey = ExecutionSurvey(self._client, self._place.name).look([gone])
        _expect(isinstance(survey[gone], ClientError), "an error", str(survey[gone]))
        name = f"pipelines-smoke-{self._place.run_id}"
        leftovers.delete_model(self._client, name)
        try:
            described_model_package(
                self._client, f"{self._arn.rpartition(':')[0]}:model-package/{self._place.name}/9999"
            )
        except ModelPackageError:
            pass
        else:
            raise UnexpectedAnswerError("Expected that there is no version 9999 of the model package.")
        for call, argument in _ABSENT.items():
            _error_of(partial(getattr(self._client.sagemaker, call), **{argument: name}))
        return "the errors about what does not exist are known"

    def notify(self) -> str:
        """Send one message to the topic of the settings."""
        self._client.account.boto3_client("sns").publish(
            TopicArn=self._client.settings.notification_target,
            Subject="Smoke run of sagemaker-pipelines",
            Message="This is a test message. Nothing has to be done.",
        )
        return "one message sent"

    def _request(self, generation: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        return start_request(
            pipeline_name=self._place.name,
            token=secrets.token_hex(32),
            parameters=parameters,
            description=f"Smoke run {self._place.run_id}, generation={generation}",
            display_name=f"smoke-{self._place.run_id}",
        )

    def _let_the_job_wait(self, seconds: int) -> None:
        key, body = f"{self._place.prefix}wait/seconds.txt", str(seconds).encode()
        self._client.s3.put_object(Bucket=self._place.bucket, Key=key, Body=body, **self._client.encryption)

    def _wait_for_the_job(self) -> None:
        """Wait until the execution has a job that runs."""
        watch = ExecutionWatch(self._client, self._arn, waiter_delay=10, log=self._client.log)
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while (status := watch.look()) is None:
            if any(step.arn and step.phase is Phase.RUNNING for step in watch.steps):
                return
            _expect(
                time.monotonic() < deadline, "the job begins", f"{MAX_WAIT_SECONDS / 60:.0f} minutes pass"
            )
            time.sleep(watch.delay())
        raise UnexpectedAnswerError(f"Expected a job that runs; seen: the execution is {status} already.")

    def _stop(self) -> None:
        stopped = stop_execution(self._client.sagemaker, self._arn, seconds=60, log=self._client.log)
        _expect(stopped, "the execution is being stopped", "it is still executing after a minute")

    def _ended(self, arn: str) -> str:
        ended = follow(self._client, arn, MAX_WAIT_SECONDS)
        _expect(ended, "the execution ends", f"it still runs after {MAX_WAIT_SECONDS / 60:.0f} minutes")
        return self._client.execution_status(arn)

    def _told(self, arn: str, *, rejected: bool) -> str:
        """Return how the steps of an execution ended."""
        record = execution_record(self._client, arn, rejected=rejected)
        return ", ".join(
            f"{step.name} {'from the cache' if step.is_cache_hit else step.status}" for step in record.steps
        )


# The other calls about what the pipeline of the run does not have, with the argument that names it.
_ABSENT = {
    "describe_endpoint_config": "EndpointConfigName",
    "describe_hyper_parameter_tuning_job": "HyperParameterTuningJobName",
    "describe_training_job": "TrainingJobName",
    "describe_transform_job": "TransformJobName",
    "list_training_jobs_for_hyper_parameter_tuning_job": "HyperParameterTuningJobName",
}


def _error_of(call: Callable[[], object]) -> ClientError:
    """Return the error of a call that AWS has to refuse."""
    try:
        call()
    except ClientError as error:
        return error
    raise UnexpectedAnswerError(f"Expected an error of {call}; seen: an answer.")


def _expect(condition: object, expected: str, seen: str) -> None:
    if not condition:
        raise UnexpectedAnswerError(f"Expected that {expected}; seen: {seen}.")
