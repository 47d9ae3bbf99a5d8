"""Functions that the SDK would deploy are compiled with the pipeline, and deployed by its upsert."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from sagemaker_compile.capture import Capture, capture
from sagemaker_compile.compile import compile_pipeline
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.folder import Compiled, write
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_compile.conftest import Project

PIPELINE = '''"""Double a number."""

from pathlib import Path

from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.pipeline import Pipeline

HERE = Path(__file__).parent
ROLE = get_execution_role()


def step(name, **settings):
    function = Lambda(**{"function_name": "double", "execution_role_arn": ROLE, "handler": "double.run",
        "runtime": "python3.12", "session": PipelineSession(), **settings})
    return LambdaStep(name, lambda_func=function, inputs={"value": 21},
        outputs=[LambdaOutput("doubled", LambdaOutputTypeEnum.Integer)])


pipeline = Pipeline("Doubling", steps=[%s], sagemaker_session=PipelineSession())
'''
DOUBLE = "def run(event, context):\n    return {'doubled': 2 * event['value']}\n"
SCRIPT = "script=str(HERE / 'double.py')"
THEIRS = "arn:aws:lambda:us-east-1:111122223333:function:theirs"
ZIPPED = "zipped_code_dir=str(HERE / 'code.zip')"


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def compiled(
    project: Project, steps: str, files: Mapping[str, str | bytes], *, time: float = 1e9
) -> Compiled:
    source = project(PIPELINE % steps)
    for name, content in files.items():
        path = source.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (time, time))
    # As another Python environment returns it.
    captured = Capture.from_json(json.loads(json.dumps(capture(source).to_json())))
    return compile_pipeline(source, captured)


def test_the_function_of_a_script_becomes_an_asset_and_an_entry_of_the_envelope(project: Project) -> None:
    steps = f"step('Double', {SCRIPT}, timeout=9), step('Again', {SCRIPT}, timeout=9)"
    result = compiled(project, steps, {"double.py": DOUBLE})
    document = json.loads(result.envelope)
    [asset] = document["assets"]
    assert document["functions"] == [
        {
            "name": "double",
            "code": f"assets/{asset['sha256']}/double.zip",
            "settings": {
                "Handler": "double.run",
                "MemorySize": 128,
                "Role": "${role_arn}",
                "Runtime": "python3.12",
                "Timeout": 9,
            },
        }
    ]
    arn = "arn:aws:lambda:${region}:${account_id}:function:${name_prefix}double"
    assert {step["FunctionArn"] for step in document["definition"]["Steps"]} == {arn}
    with zipfile.ZipFile(io.BytesIO(result.assets[document["functions"][0]["code"]])) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {"double.py": DOUBLE}
    # The SDK's archive has the time of the file.
    assert compiled(project, steps, {"double.py": DOUBLE}, time=1.5e9) == result


def test_the_code_of_an_archive_and_every_setting_are_kept(project: Project) -> None:
    settings = (
        "function_name='stand-in-name-prefix-double', runtime='python3.13', memory_size=256, "
        "execution_role_arn='arn:aws:iam::111122223333:role/lambda', "
        "environment={'Variables': {'BUCKET': PipelineSession().default_bucket()}}, "
        "vpc_config={'SubnetIds': ['subnet-1'], 'SecurityGroupIds': ['sg-1']}, "
        "layers=['arn:aws:lambda:us-east-1:000000000000:layer:shared:3']"
    )
    files = {"code.zip": zipped({"b.py": "x = 1\n", "__pycache__/b.pyc": "x", "a/__init__.py": ""})}
    result = compiled(project, f"step('Double', {ZIPPED}, {settings})", files)
    [function] = json.loads(result.envelope)["functions"]
    assert function["name"] == "double"
    assert function["settings"] == {
        "Environment": {"Variables": {"BUCKET": "${artifact_bucket}"}},
        "Handler": "double.run",
        "Layers": ["arn:aws:lambda:${region}:${account_id}:layer:shared:3"],
        "MemorySize": 256,
        "Role": "arn:aws:iam::111122223333:role/lambda",
        "Runtime": "python3.13",
        "Timeout": 120,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "SubnetIds": ["subnet-1"]},
    }
    with zipfile.ZipFile(io.BytesIO(result.assets[function["code"]])) as archive:
        assert archive.namelist() == ["a/__init__.py", "b.py"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            f"step('A', {SCRIPT}), step('B', {SCRIPT}, timeout=9)",
            "Two Lambda functions are called 'double', with different code or settings. Give each",
        ),
        (
            f"step('A', {SCRIPT}, function_name=None, function_arn='{THEIRS}')",
            r"Lambda\(function_arn='arn:aws:lambda:us-east-1:111122223333:function:theirs'\) has code, too",
        ),
        (f"step('A', {SCRIPT}, handler='other.run')", "'double'.* Handler is 'other.run', .* only double.py"),
        (f"step('A', {SCRIPT}, timeout=0)", "'double': Timeout is 0; make it at least 1"),
        (
            f"step('A', {SCRIPT}, runtime='python3.99')",
            r"Runtime is \"python3.99\".*override: Function.Runtime",
        ),
        (f"step('A', {SCRIPT}, environment={{'X': 1}})", "Unknown Argument member 'Environment.X'"),
        (f"step('A', {ZIPPED})", r"'double' is not a zip archive \(File is not a zip file\). Give"),
    ],
)
@pytest.mark.thorough
def test_what_lambda_would_refuse_is_refused_by_name(project: Project, steps: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compiled(project, steps, {"double.py": DOUBLE, "code.zip": "no archive"})


@pytest.mark.thorough
def test_a_compiled_function_is_deployed_and_executed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "definitions"
    write([compiled(project, f"step('Double', {SCRIPT})", {"double.py": DOUBLE})], folder, complete=True)
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0))
    try:
        sagemaker = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn, "name_prefix": "dev-"}
        extra = {
            "region_name": "us-east-1",
            "endpoint_url": runtime.endpoint_url,
            "service_config": {"sagemaker": sagemaker},
        }
        connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", json.dumps(connection))
        client = SageMakerPipelineHook(aws_conn_id="aws_test").client
        result = upsert_pipeline(client, Envelope.load(folder / "demo.json"))
        assert result.pipeline_name == "dev-demo"
        arn = runtime.start("dev-demo")
        assert runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
        assert runtime.steps(arn)["Double"]["Metadata"]["Lambda"] == {
            "Arn": "arn:aws:lambda:us-east-1:123456789012:function:dev-double",
            "OutputParameters": [{"Name": "doubled", "Value": "42"}],
        }
    finally:
        runtime.close()
