"""The parts of ``smoke``: what it hides, plans, reports, removes; ``test_smoke_runs.py`` has whole runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sagemaker_pipelines.aws.answers import expected_answers
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.prices import Price, Prices
from sagemaker_pipelines.cli import app
from sagemaker_pipelines.cli.policy import AIRFLOW_POLICY, statements
from sagemaker_pipelines.cli.smoke.anonymous import Anonymizer
from sagemaker_pipelines.cli.smoke.place import FOLDER, Place, new_run_id
from sagemaker_pipelines.cli.smoke.plan import plan_of
from sagemaker_pipelines.cli.smoke.removal import Removal
from sagemaker_pipelines.cli.smoke.report import report_of, write_report
from sagemaker_pipelines.cli.smoke.running import INTERRUPTED, Result, StageResult, remove, run
from sagemaker_pipelines.cli.smoke.stages import Stages
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import ParameterError
from stack.settings import ROOT
from tests.documents import blocks


@pytest.fixture
def place(client: SageMakerClient) -> Iterator[Place]:
    with closing(Place.of(client, "1a2b3c4d", callers=["zoe"])) as place:
        yield place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("User: arn:aws:iam::498765432109:user/zoe is not authorized", "User: <arn> is not authorized"),
        ("no access to acme-prod/key, acme-production", "no access to <bucket>/key, acme-production"),
        ("acme-smoke-1a2b3c4d-check in account 498765432109", "<prefix>check in account <account>"),
        ("zoe@example.org at 10.0.0.7 with AKIAIOSFODNN7EXAMPLE", "<person> at <ip> with <key>"),
        ("s3://other/key (https://host/path)", "<uri> (<url>)"),
        ("RequestId: 0b5b2b0c-5f5c-4d0e-9a57-3f8f4f1d2c3b", "RequestId: <id>"),
        ("to perform: sagemaker:CreatePipeline", "to perform: sagemaker:CreatePipeline"),
        ("ml.m5.large for 3600 s at 2026-12-01", "ml.m5.large for 3600 s at 2026-12-01"),
    ],
)
def test_a_text_loses_what_identifies_and_keeps_the_rest(text: str, expected: str) -> None:
    names = {"acme-prod": "<bucket>", "acme-smoke-1a2b3c4d-": "<prefix>", "": "never"}
    assert Anonymizer(names)(text) == expected


def test_the_images_are_those_of_the_compiled_definitions() -> None:
    compiled = Envelope.load(ROOT / "dags" / "definitions" / "scoring.json")
    assert Envelope.load(FOLDER / "check.json").images["sklearn"] == compiled.images["sklearn"]


def test_everything_of_a_run_has_a_prefix_of_its_own(place: Place) -> None:
    assert place.name == "dev-smoke-1a2b3c4d-check"
    filled = json.dumps(
        place.envelope.fill(place.client.settings.placeholder_values, region=place.client.region)
    )
    assert filled.count(f"s3://{place.bucket}/dev-smoke-1a2b3c4d-") == filled.count("s3://")
    assert '"ModelPackageGroupName": "dev-smoke-1a2b3c4d-check"' in filled


@pytest.mark.parametrize("run_id", ["", "dev-", "1a2b3c4d-", "1A2B3C4D", "*"])
def test_only_the_id_of_a_run_can_be_removed(client: SageMakerClient, run_id: str) -> None:
    with pytest.raises(ParameterError, match="expected its id"):
        Place.of(client, run_id)
    Place.of(client, new_run_id()).close()


def test_the_plan_says_what_is_created_and_the_most_that_it_bills(place: Place, tmp_path: Path) -> None:
    plan = plan_of(place, {})
    assert plan.bound == 1800
    assert "at most 1800 instance-seconds (at an unknown price)" in plan.text
    for name in (place.name, f"s3://{place.bucket}/{place.prefix}", "3 processing jobs of 1 x ml.t3.medium"):
        assert name in plan.text
    assert "ml.m5.large" in plan_of(place, {"InstanceType": "ml.m5.large"}).text
    with pytest.raises(ParameterError, match="InstanceType"):
        plan_of(place, {"InstanceType": "large"})


def test_the_stages_touch_every_call_of_the_operators() -> None:
    """By what the permissions of Airflow allow; a role is passed with another call."""
    answers = json.loads((ROOT / "plugins/sagemaker_pipelines/aws/expected_answers.json").read_text())
    same = {"s3:ListObjectsV2": "s3:ListBucket"}
    touched = {same.get(action, action) for action in answers}
    allowed = {action for statement in statements(AIRFLOW_POLICY) for action in statement["Action"]}
    assert allowed - touched == {"iam:PassRole"}


def test_a_mistake_or_an_interrupt_still_gives_a_report(place: Place, tmp_path: Path) -> None:
    stage = StageResult(
        "deploy", "failed", f"KeyError: {place.bucket} of arn:aws:iam::1:user/zoe | no\nanswer"
    )
    report = report_of(place, Result([stage, StageResult("start")]), bound=1800)
    as_json, as_markdown = write_report(report, tmp_path, "smoke")
    assert json.loads(as_json.read_text()) == report
    text = as_markdown.read_text()
    assert "| deploy | failed | 0.0 | KeyError: <bucket> of <arn> \\| no answer |" in text
    assert "| start | not reached | 0.0 |  |" in text
    differing, missing = text.partition("## Answers that differ")[2].split(
        "## Expected answers that were not"
    )
    assert "None." in differing
    assert "- `sagemaker:StartPipelineExecution`" in missing
    assert place.bucket not in text


def test_a_removal_that_is_interrupted_says_that_something_may_be_left(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(place.client, "list_executions", interrupt)
    told: list[str] = []
    result = remove(place, Result(), lambda stage: told.append(stage.state))
    assert (result.state, told) == (INTERRUPTED, [INTERRUPTED])
    assert [each.kind for each in result.left] == ["everything"]


def test_an_interrupt_between_two_stages_is_followed_by_the_removal(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stages, "__iter__", lambda self: iter([("one", lambda: ""), ("two", lambda: "")]))
    monkeypatch.setattr(Removal, "run", lambda self: self.created)

    def tell(stage: StageResult) -> None:
        if stage.name == "one":
            raise KeyboardInterrupt

    result = run(place, {}, tell)
    assert [(stage.name, stage.state) for stage in result.stages] == [
        ("one", "passed"),
        ("two", "interrupted"),
        ("remove", "passed"),
    ]


def test_the_page_lists_every_stage_and_option(place: Place) -> None:
    page = (ROOT / "docs" / "smoke.md").read_text()
    assert "notify" not in [name for name, _ in Stages(place, {})]
    settings = replace(place.client.settings, notification_target="arn:aws:sns:us-east-1:1:alerts")
    place.client.account.settings = settings  # type: ignore[misc]
    stages = [name for name, _ in Stages(place, {})]
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [*stages, "remove"]
    shown = CliRunner().invoke(app, ["smoke", "--help"], env={"COLUMNS": "200"}).stdout
    own = set(re.findall(r"--[a-z-]+", shown)) - {"--help", "--conn-id", "--region"}
    assert set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE)) == own


def test_every_version_of_an_object_is_removed(place: Place) -> None:
    s3, bucket = place.client.s3, place.bucket
    s3.put_object(Bucket=bucket, Key=f"{place.prefix}before", Body=b"1")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key=f"{place.prefix}after", Body=body)
    s3.delete_object(Bucket=bucket, Key=f"{place.prefix}after")
    s3.put_object(Bucket=bucket, Key="dev-smoke-2a2b3c4d-other", Body=b"1")
    removal = Removal(place)
    removal._remove_all("object version", removal._objects, removal._delete_object)
    assert [each.problem for each in removal.created] == [""] * 4
    found = s3.list_object_versions(Bucket=bucket)
    assert [each["Key"] for each in found["Versions"]] == ["dev-smoke-2a2b3c4d-other"]
    assert "DeleteMarkers" not in found


def test_the_plan_has_a_price_where_one_is_known(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    price = Price(
        region="us-east-1",
        instance="ml.t3.medium",
        component="Processing",
        price_per_hour=0.05,
        date=date(2026, 11, 1),
    )
    Prices((price,)).save(path)
    settings = replace(place.client.settings, prices_file=str(path))
    place.client.account.settings = settings  # type: ignore[misc]
    assert "1800 instance-seconds (at most 0.025 USD)" in plan_of(place, {}).text


def test_nothing_is_created_without_an_answer(monkeypatch: pytest.MonkeyPatch, connection: str) -> None:
    """The question comes after the checks; here, the account does not even answer."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = CliRunner().invoke(app, ["smoke", "--conn-id", connection])
    assert result.exit_code == 1
    assert "Could not connect" in result.stderr


def test_the_documented_answer_is_the_expected_one() -> None:
    (shown,) = blocks("smoke.md", "json")
    for name, answer in json.loads(shown).items():
        assert expected_answers()[name] == answer
