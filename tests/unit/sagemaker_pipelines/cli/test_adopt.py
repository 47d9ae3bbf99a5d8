"""``adopt``, over HTTP: what it writes is the deployed pipeline, with placeholders where they are certain."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.cli import app
from sagemaker_pipelines.cli.adopt import dag_file
from sagemaker_pipelines.definition import Envelope, canonical
from stack.settings import ROOT

REGION, ACCOUNT = "eu-west-1", "111122223333"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
PROJECT = ROOT / "tests" / "projects" / "sdk_v2"
CHURN = json.loads((PROJECT / "churn.json").read_text())
ROLE = CHURN["Steps"][0]["Arguments"]["RoleArn"]
CODE = {
    Path(key).name: key
    for key in re.findall(rf"s3://{BUCKET}/([^\"]*\.py)", (PROJECT / "churn.json").read_text())
}
WRITES = ("sagemaker:CreatePipeline", "sagemaker:UpdatePipeline", "sagemaker:AddTags", "s3:PutObject")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    data_dir = tmp_path_factory.mktemp("runtime")
    runtime = LocalRuntime(Settings(data_dir=data_dir, port=0, region=REGION, account_id=ACCOUNT))
    for name, key in CODE.items():
        runtime.put(key, (PROJECT / "code" / name).read_bytes())
    yield runtime
    runtime.close()


@pytest.fixture(autouse=True)
def _connection(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, runtime)


def connect(monkeypatch: pytest.MonkeyPatch, runtime: LocalRuntime, **settings: Any) -> None:
    extra = {
        "region_name": REGION,
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": settings},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def deploy(runtime: LocalRuntime, name: str, definition: dict[str, Any] = CHURN) -> str:
    """Deploy a definition as a project without Airflow does."""
    return str(
        runtime.client("sagemaker").create_pipeline(
            PipelineName=name,
            PipelineDefinition=json.dumps(definition),
            PipelineDescription="Predict who leaves.",
            RoleArn=ROLE,
            ClientRequestToken=name.ljust(32, "0"),
        )["PipelineArn"]
    )


def writes(runtime: LocalRuntime) -> dict[str, int]:
    calls = runtime.calls()
    return {name: calls.get(name, 0) for name in WRITES}


def test_an_adopted_pipeline_is_unchanged_when_it_is_upserted(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = deploy(runtime, "churn")
    out = tmp_path / "dags" / "definitions"
    result = call("adopt", arn, "--out", out, "--with-code")
    assert result.exit_code == 0, result.output
    assert f"An upsert into {ACCOUNT}, {REGION} changes nothing." in result.stdout
    text = (out / "churn.json").read_text()
    # In the definition nothing of the account is left; the document says where it came from.
    assert ACCOUNT not in canonical(json.loads(text)["definition"])
    envelope = Envelope.load(out / "churn.json")
    assert envelope.description == "Predict who leaves."
    assert {asset.name: asset.stored_key for asset in envelope.assets} == CODE
    assert (out / envelope.assets[0].path).is_file()
    # The output says which settings give the placeholders their values.
    connect(monkeypatch, runtime, role_arn=ROLE, artifact_bucket=BUCKET)
    before = writes(runtime)
    upserted = call("upsert", out / "churn.json", "--json")
    assert json.loads(upserted.stdout)["changed"] is False
    assert writes(runtime) == before


def test_our_own_pipeline_comes_back_as_it_was_compiled(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, runtime, role_arn=ROLE, artifact_bucket=BUCKET, name_prefix="dev-")
    compiled = ROOT / "dags" / "definitions" / "abalone.json"
    assert call("upsert", compiled).exit_code == 0
    result = call("adopt", "dev-abalone", "--out", tmp_path, "--dags", tmp_path, "--with-code")
    assert result.exit_code == 0, result.output
    adopted, original = Envelope.load(tmp_path / "abalone.json"), Envelope.load(compiled)
    renamed = canonical(original.definition)
    for name, uris in original.images.items():
        repository, tag = uris[REGION].rpartition("/")[2].split(":")
        renamed = renamed.replace(f"image:{name}}}", f"image:{repository}-{tag}}}")
    assert canonical(adopted.definition) == renamed
    assert adopted.assets == original.assets
    assert adopted.description == original.description
    before = writes(runtime)
    upserted = call("upsert", tmp_path / "abalone.json", "--json")
    assert json.loads(upserted.stdout)["changed"] is False
    assert writes(runtime) == before


def test_without_code_only_the_definition_and_the_dag_are_written(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    deploy(runtime, "bare")
    before = runtime.calls().get("s3:GetObject", 0)
    assert call("adopt", "bare", "--out", tmp_path / "definitions").exit_code == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"definitions/bare.json", "bare_dag.py"}
    assert runtime.calls().get("s3:GetObject", 0) == before


def test_each_replacement_and_what_stays_is_shown_with_its_reason(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    definition = json.loads(json.dumps(CHURN))
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
    train = definition["Steps"][1]["Arguments"]
    train["OutputDataConfig"]["KmsKeyId"] = key
    train["AlgorithmSpecification"]["TrainingImage"] = f"999988887777.dkr.ecr.{REGION}.amazonaws.com/own:1"
    definition["Steps"][2]["Arguments"]["AppSpecification"]["ImageUri"] = (
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/evaluation:2"
    )
    train["Environment"] = {"SERVICE_TOKEN": "hush", "AWS_DEFAULT_REGION": REGION, "sagemaker_region": REGION}
    train["VpcConfig"] = {"Subnets": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-01234567"]}
    definition["Parameters"][1]["DefaultValue"] = f"s3://{BUCKET}-other/batch.csv"
    definition["Parameters"][4] |= {"EnumValues": [f"s3://{BUCKET}/a"], "DefaultValue": f"s3://{BUCKET}/a"}
    deploy(runtime, "shown", definition)
    result = call("adopt", "shown", "--out", tmp_path, "--dry-run", "--json")
    shown = json.loads(result.stdout)
    assert shown["difference"] is None
    replaced = {item["value"]: (item["placeholder"], item["reason"]) for item in shown["replacements"]}
    assert replaced[ROLE] == ("${role_arn}", "the role of the pipeline")
    assert replaced[BUCKET] == ("${artifact_bucket}", "the artifact bucket")
    own = replaced[f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/evaluation:2"]
    assert own[0] == "${account_id}.dkr.ecr.${region}.amazonaws.com/evaluation:2"
    stay = {item["value"]: item["reason"] for item in shown["kept"]}
    assert "neither an image of AWS" in stay[f"999988887777.dkr.ecr.{REGION}.amazonaws.com/own:1"]
    assert stay[f"{BUCKET}-other"] == "not the artifact bucket"
    assert "its own account" in stay[key]
    assert "may be a secret" in stay["SERVICE_TOKEN"]
    assert {"subnet-0123456789abcdef0", "sg-01234567", REGION} < set(stay)
    assert replaced[REGION][0] == "${region}"
    assert "hush" not in result.stdout
    assert list(tmp_path.iterdir()) == []
    assert shown["settings"] == {"role_arn": ROLE, "artifact_bucket": BUCKET}


def test_what_the_connection_adds_to_each_job_is_shown_as_a_change(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(runtime, "tagged")
    connect(monkeypatch, runtime, role_arn=ROLE, artifact_bucket=BUCKET, tags={"team": "ml"})
    result = call("adopt", "tagged", "--out", tmp_path, "--dags", tmp_path)
    assert result.exit_code == 0, result.output
    assert "changes:" in result.stdout
    assert '"Value": "ml"' in result.stdout


def test_a_name_without_the_prefix_is_kept_by_the_dag(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(runtime, "Unprefixed")
    connect(monkeypatch, runtime, role_arn=ROLE, artifact_bucket=BUCKET, name_prefix="prod-")
    adopted = call("adopt", "Unprefixed", "--out", tmp_path / "definitions")
    assert adopted.exit_code == 0, adopted.output
    assert "`sagemaker-pipelines upsert` needs --name Unprefixed." in adopted.stdout
    text = (tmp_path / "Unprefixed_dag.py").read_text()
    assert 'pipeline_name="Unprefixed"' in text
    names: dict[str, Any] = {"__file__": str(tmp_path / "Unprefixed_dag.py")}
    exec(compile(text, "Unprefixed_dag.py", "exec"), names)
    assert names["dag"].get_task("upsert_pipeline").pipeline_name == "Unprefixed"
    assert names["dag"].get_task("branch_on_auc")


def test_the_dag_calls_the_account_and_region_that_adopt_called(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = deploy(runtime, "elsewhere")
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_ML", os.environ["AIRFLOW_CONN_AWS_DEFAULT"].replace(REGION, "us-east-1")
    )
    assert call("adopt", arn, "--out", tmp_path, "--dags", tmp_path, "--conn-id", "aws_ml").exit_code == 0
    path = tmp_path / "elsewhere_dag.py"
    names: dict[str, Any] = {"__file__": str(path)}
    exec(compile(path.read_text(), path.name, "exec"), names)
    for task_id in ("upsert_pipeline", "start_pipeline", "wait_for_pipeline", "branch_on_auc"):
        task = names["dag"].get_task(task_id)
        assert (task.aws_conn_id, task.region_name) == ("aws_ml", REGION)


@pytest.mark.thorough
def test_code_in_another_bucket_becomes_an_asset_and_changes_the_definition(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = runtime.client("s3")
    s3.create_bucket(Bucket="ml-code", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="ml-code", Key="v1/preprocess.py", Body=b"print('prepare')\n")
    uri = f"s3://{BUCKET}/{CODE['preprocess.py']}"
    definition = json.loads(json.dumps(CHURN).replace(uri, "s3://ml-code/v1/preprocess.py"))
    deploy(runtime, "moved", definition)
    connect(monkeypatch, runtime, role_arn=ROLE, artifact_bucket=BUCKET)
    result = call("adopt", "moved", "--out", tmp_path, "--dags", tmp_path, "--with-code")
    assert result.exit_code == 0, result.output
    assert "changes:" in result.stdout
    upserted = call("upsert", tmp_path / "moved.json", "--json")
    assert json.loads(upserted.stdout)["changed"] is True
    deployed = runtime.client("sagemaker").describe_pipeline(PipelineName="moved")["PipelineDefinition"]
    assert "ml-code" not in deployed
    (stored,) = re.findall(r"s3://[^\"]*/assets/[^\"]*/preprocess\.py", deployed)
    assert runtime.get(stored) == b"print('prepare')\n"


def test_code_is_fetched_whatever_its_key_is(runtime: LocalRuntime, tmp_path: Path) -> None:
    s3 = runtime.client("s3")
    s3.create_bucket(Bucket="ml-names", CreateBucketConfiguration={"LocationConstraint": REGION})
    text = json.dumps(CHURN)
    for script, bucket, key in (
        ("preprocess.py", "ml-names", "my code/pré process's.py"),
        ("evaluate.py", BUCKET, "my code/evaluate it.py"),
    ):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        text = text.replace(f"s3://{BUCKET}/{CODE[script]}", f"s3://{bucket}/{key}")
    deploy(runtime, "names", json.loads(text))
    result = call("adopt", "names", "--out", tmp_path, "--dags", tmp_path, "--with-code")
    assert result.exit_code == 0, result.output
    envelope = Envelope.load(tmp_path / "names.json")
    code = {asset.name: asset.stored_key for asset in envelope.assets}
    assert code == {"pré process's.py": None, "evaluate it.py": "my code/evaluate it.py"}
    assert "s3://ml-names" not in json.dumps(envelope.definition)


@pytest.mark.parametrize("target", ["a" * 256, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{'a' * 256}"])
def test_a_name_longer_than_that_of_a_file_is_a_pipeline(target: str) -> None:
    assert "There is no pipeline 'a" in (call("adopt", target).output + call("adopt", target).stderr)


def test_a_folder_of_code_is_fetched_from_the_artifact_bucket_only(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    s3 = runtime.client("s3")
    s3.create_bucket(Bucket="ml-folders", CreateBucketConfiguration={"LocationConstraint": REGION})
    for bucket in (BUCKET, "ml-folders"):
        for key in ("src/", "src/run.py", "src/lib/more.py"):
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode() if key != "src/" else b"")
    text = json.dumps(CHURN).replace(f"s3://{BUCKET}/{CODE['preprocess.py']}", f"s3://{BUCKET}/src")
    text = text.replace(f"s3://{BUCKET}/{CODE['evaluate.py']}", "s3://ml-folders/src/")
    deploy(runtime, "folders", json.loads(text))
    result = call("adopt", "folders", "--out", tmp_path, "--dags", tmp_path, "--with-code", "--json")
    assert result.exit_code == 0, result.output
    keys = {asset.stored_key for asset in Envelope.load(tmp_path / "folders.json").assets}
    assert keys == {"src/run.py", "src/lib/more.py"}
    stay = {item["value"]: item["reason"] for item in json.loads(result.stdout)["kept"]}
    assert "it was not fetched" in stay["s3://ml-folders/src/"]


def test_adopted_code_never_replaces_other_code(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "in-place/preprocess.py"
    runtime.put(key, b"print(1)\n")
    definition = json.loads(json.dumps(CHURN).replace(CODE["preprocess.py"], key))
    deploy(runtime, "in-place", definition)
    assert call("adopt", "in-place", "--out", tmp_path, "--dags", tmp_path, "--with-code").exit_code == 0
    connect(monkeypatch, runtime, role_arn=ROLE, artifact_bucket=BUCKET)
    runtime.put(key, b"print(2)\n")
    result = call("upsert", tmp_path / "in-place.json")
    assert result.exit_code == 1
    assert f"s3://{BUCKET}/{key} is not the code" in result.stderr
    assert runtime.get(f"s3://{BUCKET}/{key}") == b"print(2)\n"


@pytest.mark.thorough
def test_files_that_differ_are_replaced_only_on_request(runtime: LocalRuntime, tmp_path: Path) -> None:
    deploy(runtime, "again")
    arguments = ("adopt", "again", "--out", tmp_path, "--dags", tmp_path)
    assert call(*arguments).exit_code == 0
    assert "Everything is written already." in call(*arguments).stdout
    dag = tmp_path / "again_dag.py"
    dag.write_text("mine")
    result = call(*arguments)
    assert result.exit_code == 2
    assert str(dag) in result.stderr
    assert dag.read_text() == "mine"
    assert call(*arguments, "--overwrite").exit_code == 0
    assert dag.read_text() != "mine"


def test_a_file_is_adopted_without_a_call(runtime: LocalRuntime, tmp_path: Path) -> None:
    before = runtime.calls()
    result = call("adopt", PROJECT / "churn.json", "--out", tmp_path, "--name", "leavers")
    assert result.exit_code == 0, result.output
    assert runtime.calls() == before
    envelope = Envelope.load(tmp_path / "leavers.json")
    assert set(envelope.placeholders) == {
        "artifact_bucket",
        "role_arn",
        "image:sagemaker-scikit-learn-1.2-1-cpu-py3",
        "image:sagemaker-xgboost-1.7-1",
    }
    values = {"artifact_bucket": BUCKET, "role_arn": ROLE}
    assert canonical(envelope.fill(values, region=REGION)) == canonical(CHURN)
    assert "683313688378.dkr.ecr.us-east-1" in canonical(envelope.fill(values, region="us-east-1"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nobody", "There is no pipeline 'nobody'"),
        ("arn:aws:s3:::bucket", "expected a pipeline's ARN"),
        (ROOT / "dags" / "definitions" / "abalone.json", "is an envelope already"),
        ("gone.json", "cannot be read"),
    ],
)
def test_what_cannot_be_adopted_is_named(target: object, message: str, tmp_path: Path) -> None:
    result = call("adopt", target, "--out", tmp_path / "definitions")
    assert result.exit_code in {1, 2}
    assert message in result.stderr
    assert not (tmp_path / "definitions").exists()


def test_missing_code_is_named(runtime: LocalRuntime, tmp_path: Path) -> None:
    deploy(runtime, "codeless", json.loads(json.dumps(CHURN).replace("/evaluate.py", "/gone.py")))
    result = call("adopt", "codeless", "--out", tmp_path, "--with-code")
    assert result.exit_code == 1
    assert "gone.py (step EvaluateChurn)" in result.stderr


@given(path=st.text(min_size=1), name=st.one_of(st.none(), st.text()))
def test_nothing_in_a_dag_file_is_code(path: str, name: str | None) -> None:
    tree = ast.parse(dag_file("churn", path, name, {"aws_conn_id": path}))
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.keywords)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    definition = keywords["definition"]
    assert isinstance(definition, ast.BinOp)
    assert ast.literal_eval(definition.right) == path
    assert ast.literal_eval(keywords["default_args"]) == {"aws_conn_id": path}
    assert (ast.literal_eval(keywords["pipeline_name"]) if name is not None else None) == name
