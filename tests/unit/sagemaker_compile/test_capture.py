"""A project is built as it is: offline, with the stand-ins where it asks AWS for its environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sagemaker_compile.capture import Capture, capture
from sagemaker_compile.compile import compile_pipeline
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.folder import write
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, DEFAULT_BUCKET, ROLE_ARN, prefixed
from sagemaker_pipelines.definition import Envelope
from tests.unit.sagemaker_compile.conftest import Project

FAIL = '''"""A pipeline."""

import boto3
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline


def made(name, session, *values):
    parameters = [ParameterString(f"P{i}", default_value=value) for i, value in enumerate(values)]
    return Pipeline(name, parameters, steps=[FailStep("Stop", "no")], sagemaker_session=session)

'''


def defaults(captured: Capture) -> list[Any]:
    return [item["DefaultValue"] for item in json.loads(captured.definition)["Parameters"]]


def test_get_pipeline_of_the_templates_gets_the_arguments_that_it_takes(project: Project) -> None:
    source = project(
        f"{FAIL}def get_pipeline(region, sagemaker_project_arn=None, role=None, default_bucket=None, *,\n"
        "    model_package_group_name='Group', pipeline_name='Own', **more):\n"
        "    session = PipelineSession(boto3.Session(region_name=region), default_bucket=default_bucket)\n"
        "    values = role, default_bucket, pipeline_name, model_package_group_name\n"
        "    return made(pipeline_name, session, *values)\n"
    )
    assert defaults(capture(source)) == [ROLE_ARN, ARTIFACT_BUCKET, prefixed("demo"), "Group"]


def test_a_script_that_asks_for_its_role_and_bucket_while_it_is_imported_gets_stand_ins(
    project: Project,
) -> None:
    source = project(
        f"{FAIL}session = PipelineSession()\n"
        "values = get_execution_role(), session.default_bucket(), Session().boto_region_name\n"
        "pipeline = made('Own', session, *values)\n"
    )
    assert defaults(capture(source)) == [ROLE_ARN, DEFAULT_BUCKET, "us-east-1"]
    document = json.loads(compile_pipeline(source).envelope)
    assert document["name"] == "demo"
    assert document["placeholders"] == ["artifact_bucket", "role_arn"]


def test_a_script_that_reads_its_command_line_takes_its_defaults(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sagemaker-pipelines", "compile", "--sources", "pipelines"])
    source = project(
        f"{FAIL}import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--group', default='Group')\n"
        "pipeline = made('Own', PipelineSession(), parser.parse_args().group)\n"
    )
    assert defaults(capture(source)) == ["Group"]


def test_a_module_that_keeps_a_session_is_imported_again_for_the_next_compilation(project: Project) -> None:
    source = project(
        f"{FAIL}session = PipelineSession()\nbucket = session.default_bucket()\n"
        "def build(other):\n"
        "    session.upload_string_as_file_body('x', bucket, 'x.txt')\n"
        "    return made('stand-in-name-prefix-demo', session, f's3://{bucket}/x.txt')\n"
    )
    assert capture(source) == capture(source)
    assert not [name for name in sys.modules if name.startswith("projects_pipelines")]


def test_an_upload_creates_the_bucket_that_the_project_names(project: Project) -> None:
    source = project(
        f"{FAIL}session = PipelineSession()\n"
        "uri = session.upload_data(__file__, bucket='team-code', key_prefix='churn')\n"
        "pipeline = made('Own', session, uri)\n"
    )
    captured = capture(source)
    assert captured.files == {
        "s3://team-code/churn/pipeline.py": (source.folder / "pipeline.py").read_bytes()
    }
    document = json.loads(compile_pipeline(source, captured).envelope)
    [asset] = document["assets"]
    [parameter] = document["definition"]["Parameters"]
    key = f"${{name_prefix}}assets/{asset['sha256']}/pipeline.py"
    assert parameter["DefaultValue"] == f"s3://${{artifact_bucket}}/{key}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", r"has no build\(session\) and no get_pipeline.*0 variables that are a Pipeline"),
        (
            "a = made('A', PipelineSession())\nb = made('B', PipelineSession())\n",
            "2 variables that are a Pipeline. Define build",
        ),
        (
            "def build(session):\n    return 'x'\n",
            r"build\(session\) of .* returned 'x', expected a Pipeline",
        ),
        (
            "def get_pipeline(region, image, *, group):\n    return None\n",
            "requires image, group, which have no default, and only region, role, .* are given",
        ),
        (
            "def build(session):\n    return 1 / 0\n",
            r"ZeroDivisionError: .* \(.*demo/pipeline\.py, line 16\)",
        ),
        ("import sys\nsys.exit(2)\n", r"cannot be built: SystemExit: 2 \(.*pipeline\.py, line 16"),
        ("from nowhere import x\n", r"cannot be built: ModuleNotFoundError.*pipeline\.py, line 15"),
        (
            "EXTERNAL_CODE = 's3://b/x'\npipeline = made('A', PipelineSession())\n",
            "has EXTERNAL_CODE 's3://b/x'",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_place(project: Project, text: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        capture(project(f"{FAIL}{text}"))


def test_a_missing_code_folder_is_refused_with_its_step(project: Project) -> None:
    source = project(
        f"{FAIL}from sagemaker.core.processing import FrameworkProcessor\n"
        "from sagemaker.mlops.workflow.steps import ProcessingStep\n"
        "processor = FrameworkProcessor('1.dkr/i:1', get_execution_role(), 1, 'ml.m5.large',\n"
        "    sagemaker_session=PipelineSession())\n"
        "step = ProcessingStep('P', step_args=processor.run('a.py', source_dir='/nowhere'))\n"
        "pipeline = Pipeline('P', steps=[step], sagemaker_session=PipelineSession())\n"
    )
    with pytest.raises(CompileError, match=r"source_dir does not exist: /nowhere \(step P, .*demo\)"):
        capture(source)


def test_the_account_that_a_project_asks_for_is_that_of_the_upsert_with_its_region(project: Project) -> None:
    """For images of its own, ARNs and the names of buckets."""
    source = project(
        f"{FAIL}session = boto3.Session()\nregion = session.region_name\n"
        "account = session.client('sts').get_caller_identity()['Account']\n"
        "image = f'{account}.dkr.ecr.{region}.amazonaws.com/mine:1'\n"
        "key, bucket = f'arn:aws:kms:{region}:{account}:key/k', f's3://team-{region}-{account}/data'\n"
        "pipeline = made('Own', PipelineSession(), image, key, bucket, account)\n"
    )
    document = json.loads(compile_pipeline(source).envelope)
    assert [item["DefaultValue"] for item in document["definition"]["Parameters"]] == [
        "${account_id}.dkr.ecr.${region}.amazonaws.com/mine:1",
        "arn:aws:kms:${region}:${account_id}:key/k",
        "s3://team-${region}-${account_id}/data",
        "${account_id}",
    ]
    assert document["placeholders"] == ["account_id", "region"]


def test_twelve_zeros_in_a_longer_number_or_a_uuid_are_not_the_account(project: Project) -> None:
    uuid = "00000000-0000-0000-0000-000000000000"
    source = project(
        f"{FAIL}from sagemaker.core.workflow.parameters import ParameterInteger\n"
        f"pipeline = made('Own', PipelineSession(), '1000000000000', '0000000000001', '{uuid}')\n"
        "pipeline.parameters.append(ParameterInteger('MaxBytes', default_value=1000000000000))\n"
    )
    document = json.loads(compile_pipeline(source).envelope)
    values = [item["DefaultValue"] for item in document["definition"]["Parameters"]]
    assert values == ["1000000000000", "0000000000001", uuid, 1000000000000]
    assert document["placeholders"] == []


def test_a_variable_of_a_shell_is_not_a_placeholder(project: Project, tmp_path: Path) -> None:
    source = project(
        f"{FAIL}pipeline = made('Own', PipelineSession(), 'ls ${{model_dir}}', get_execution_role())\n"
    )
    write([compile_pipeline(source)], tmp_path / "definitions", complete=True)
    envelope = Envelope.load(tmp_path / "definitions" / "demo.json")
    assert envelope.placeholders == ("role_arn",)
    filled = envelope.fill({"role_arn": "arn:aws:iam::111122223333:role/r"}, region="eu-west-1")
    assert filled["Parameters"][0]["DefaultValue"] == "ls ${model_dir}"


FUNCTION = """from sagemaker.mlops.workflow.function_step import step as decorate
def half(value):
    return value / 2
image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/mine:1"
step = decorate(half, name="Half", role=get_execution_role(), instance_type="ml.m5.large", image_uri=image)(1)
"""


def test_what_depends_on_the_place_of_compiling_is_refused_by_step(project: Project) -> None:
    text = f"{FUNCTION}pipeline = Pipeline('P', steps=[step], sagemaker_session=PipelineSession())\n"
    with pytest.raises(CompileError, match="Step Half is a function with @step, which the SDK pickles and"):
        compile_pipeline(project(f"{FAIL}{text}"))


EXTERNAL = """from sagemaker.core.processing import ScriptProcessor
from sagemaker.mlops.workflow.steps import ProcessingStep
image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/mine:1"
processor = ScriptProcessor(image_uri=image, role=get_execution_role(),
    command=["python3"], instance_count=1, instance_type="ml.m5.large", sagemaker_session=PipelineSession())
step = ProcessingStep("Run", step_args=processor.run("s3://team-code/run.py"))
pipeline = Pipeline("P", steps=[step], sagemaker_session=PipelineSession())
"""


def test_code_that_others_deploy_is_accepted_by_its_uri(project: Project) -> None:
    with pytest.raises(CompileError, match=r"Step Run runs code from s3://team-code/run\.py, which is not"):
        compile_pipeline(project(f"{FAIL}{EXTERNAL}"))
    source = project(f"{FAIL}{EXTERNAL}EXTERNAL_CODE = ('s3://team-code/run.py',)\n")
    assert json.loads(compile_pipeline(source).envelope)["assets"] == []
