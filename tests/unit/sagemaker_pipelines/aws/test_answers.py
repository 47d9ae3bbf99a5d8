"""The record of AWS's answers: members without values, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.answers import (
    AnswerRecorder,
    differences,
    expected_answers,
    not_reached,
    read_report,
)
from sagemaker_pipelines.exceptions import SettingsError


@pytest.fixture
def answering() -> Iterator[Any]:
    """A server that answers everything with what a test puts there: status and JSON."""

    class Handler(BaseHTTPRequestHandler):
        answer: tuple[int, Any] = (200, {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = type(self).answer
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        Handler.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        yield Handler
        server.shutdown()


@pytest.fixture
def recorder() -> AnswerRecorder:
    return AnswerRecorder(lambda text: text.replace("acme", "<bucket>"))


@pytest.fixture
def sagemaker(answering: Any, recorder: AnswerRecorder) -> Any:
    once = Config(retries={"total_max_attempts": 1})
    return recorder.watch(
        boto3.client("sagemaker", region_name="us-east-1", endpoint_url=answering.url, config=once)
    )


def test_members_are_recorded_with_their_types_and_without_values(
    sagemaker: Any, answering: Any, recorder: AnswerRecorder
) -> None:
    answering.answer = (
        200,
        {
            "ModelPackageArn": "arn:aws:sagemaker:us-east-1:498765432109:model-package/acme/1",
            "CreationTime": 1.5,
            "CustomerMetadataProperties": {"secret of acme": "zoe"},
            "InferenceSpecification": {"Containers": [{"Image": "acme"}, {"ModelDataUrl": "s3://acme"}]},
            "NewerThanBotocore": {"key of acme": {"zoe": 1}},
            "ModelPackageVersion": "1",
        },
    )
    sagemaker.describe_model_package(ModelPackageName="acme")
    (action, record), *rest = recorder.answers.items()
    assert (action, rest, record["errors"]) == ("sagemaker:DescribeModelPackage", [], {})
    assert record["members"] == {
        "CreationTime": "number",
        "CustomerMetadataProperties": "structure",
        "CustomerMetadataProperties{}": "string",
        "InferenceSpecification": "structure",
        "InferenceSpecification.Containers": "list",
        "InferenceSpecification.Containers[]": "structure",
        "InferenceSpecification.Containers[].Image": "string",
        "InferenceSpecification.Containers[].ModelDataUrl": "string",
        "ModelPackageArn": "string",
        # As it came: botocore takes a text for a number here.
        "ModelPackageVersion": "string",
        # Its own keys may be data.
        "NewerThanBotocore": "structure",
    }
    assert not {"acme", "zoe", "498765432109"} & set(json.dumps(recorder.answers).replace('"', " ").split())


def test_several_answers_are_one_record(sagemaker: Any, answering: Any, recorder: AnswerRecorder) -> None:
    for document in ({"PipelineName": "a"}, {"PipelineName": None}, {"RoleArn": "b"}):
        answering.answer = 200, document
        sagemaker.describe_pipeline(PipelineName="a")
    members = recorder.answers["sagemaker:DescribePipeline"]["members"]
    assert members == {"PipelineName": "null|string", "RoleArn": "string"}


def test_nothing_is_recorded_after_the_end(sagemaker: Any, answering: Any, recorder: AnswerRecorder) -> None:
    recorder.close()
    answering.answer = 200, {"PipelineName": "a"}
    sagemaker.describe_pipeline(PipelineName="a")
    assert recorder.answers == {}


def test_errors_are_recorded_masked_but_not_those_that_pass(
    sagemaker: Any, answering: Any, recorder: AnswerRecorder
) -> None:
    for status, code in ((400, "ResourceNotFound"), (400, "ThrottlingException"), (500, "InternalFailure")):
        answering.answer = status, {"__type": code, "message": "Pipeline acme does not exist."}
        with pytest.raises(ClientError):
            sagemaker.describe_pipeline(PipelineName="acme")
    errors = recorder.answers["sagemaker:DescribePipeline"]["errors"]
    assert errors == {"400 ResourceNotFound": "Pipeline <bucket> does not exist."}


def record(members: Mapping[str, str], *errors: str) -> dict[str, dict[str, dict[str, str]]]:
    return {"a:B": {"members": dict(members), "errors": dict.fromkeys(errors, "text")}}


def test_differences_name_members_types_and_errors() -> None:
    seen = record({"New": "string", "Number": "string", "Same": "list"}, "400 One")
    expected = record({"Gone": "number", "Number": "number", "Same": "list"}, "400 Two")
    assert differences(seen, expected) == {
        "a:B": [
            "Gone: only expected (number)",
            "New: only seen (string)",
            "Number: seen string, expected number",
            "400 One: only seen (error)",
            "400 Two: only expected (error)",
        ]
    }
    assert differences(seen, seen) == {}
    assert differences({**seen, "a:C": seen["a:B"]}, seen) == {}


def test_what_a_run_that_ended_early_has_not_seen_is_no_difference() -> None:
    seen = record({"Number": "string", "Same": "list"}, "400 One")
    expected = record({"Gone": "number", "Number": "number", "Same": "list"}, "400 Two")
    assert differences(seen, expected, complete=False) == {
        "a:B": ["Number: seen string, expected number", "400 One: only seen (error)"]
    }
    later = {**expected, "a:C": expected["a:B"]}
    assert not_reached(seen, later) == {"a:B": ["Gone (number)", "400 Two (error)"], "a:C": []}
    assert not_reached(expected, expected) == {}


def test_the_elements_of_an_empty_list_are_not_compared() -> None:
    empty = record({"Items": "list"})
    full = record({"Items": "list", "Items[]": "structure", "Items[].Name": "string"})
    assert differences(empty, full) == differences(full, empty) == {}
    other = record({"Items": "list", "Items[]": "structure", "Items[].Arn": "string"})
    assert differences(full, other) == {
        "a:B": ["Items[].Arn: only expected (string)", "Items[].Name: only seen (string)"]
    }


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("no JSON", "is not a report"),
        ("[]", "is not a report"),
        ('{"format": 1, "endpoint": "AWS", "date": "2026-12-01"}', "KeyError: 'answers'"),
        (
            '{"format": 1, "endpoint": "another endpoint", "date": "", "answers": {}}',
            "about 'another endpoint'",
        ),
        ('{"format": 2, "endpoint": "AWS", "date": "", "answers": {}}', "has the format 2"),
    ],
)
def test_what_is_not_a_report_about_aws_is_refused(tmp_path: Path, content: str, match: str) -> None:
    path = tmp_path / "smoke.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=match):
        read_report(path)


def test_the_expected_answers_hold_no_name_of_a_run() -> None:
    text = json.dumps(expected_answers())
    for word in ("123456789012", "arn:aws", "smoke-", "s3://"):
        assert word not in text.replace("pipelines-smoke-<run>", ""), word
