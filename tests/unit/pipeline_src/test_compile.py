from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagemaker_compile.__main__ import main
from sagemaker_compile.compile import compile_pipeline
from sagemaker_compile.exceptions import CompileError, UnknownPipelineError
from sagemaker_compile.folder import Compiled, differences, write
from sagemaker_compile.sources import find_sources, select_sources
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import InvalidDefinitionError
from stack.definitions import DEFINITIONS
from stack.settings import ROOT

SOURCES = ROOT / "pipeline_src"

#: Compiles everything to a folder, in a process that can open no connection and that cannot use the folder
#: which ModelBuilder would share with the machine's other users.
COMPILE_WITHOUT_NETWORK = """
import socket, sys
from pathlib import Path

def refuse(*arguments, **keywords):
    raise AssertionError(f"connected to {arguments[1:]}")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse

def refuse_shared_folder(event, arguments):
    if event == "os.mkdir" and str(arguments[0]).startswith("/tmp/sagemaker"):
        raise PermissionError(arguments[0])

sys.addaudithook(refuse_shared_folder)

from sagemaker_compile.compile import compile_pipeline
from sagemaker_compile.folder import write
from sagemaker_compile.sources import select_sources

sources = select_sources(Path(sys.argv[1]), [])
write([compile_pipeline(source) for source in sources], Path(sys.argv[2]), complete=True)
"""


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def _compile_elsewhere(target: Path, cwd: Path, **environment: str) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    subprocess.run(
        [sys.executable, "-c", COMPILE_WITHOUT_NETWORK, str(SOURCES), str(target)],
        check=True,
        cwd=cwd,
        env={"PYTHONPATH": paths, **environment},
    )


@pytest.mark.thorough
def test_two_processes_compile_byte_for_byte_what_is_committed_and_connect_nowhere(tmp_path: Path) -> None:
    """Neither the hash seed, the folder, the user's settings nor an endpoint in the environment matter."""
    settings = tmp_path / "home" / ".config" / "sagemaker" / "config.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("SageMaker: not what the SDK's schema allows\n")
    _compile_elsewhere(tmp_path / "one", ROOT, PYTHONHASHSEED="1")
    _compile_elsewhere(
        tmp_path / "two",
        tmp_path,
        PYTHONHASHSEED="2",
        HOME=str(tmp_path / "home"),
        XDG_CONFIG_HOME=str(tmp_path / "home" / ".config"),
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_PROFILE="nobody",
    )
    committed = _contents(DEFINITIONS)
    assert _contents(tmp_path / "one") == committed
    assert _contents(tmp_path / "two") == committed


@pytest.mark.parametrize("name", ["abalone", "abalone-tuned", "comparison", "scoring"])
def test_every_asset_is_named_by_its_hash_and_the_definition_asks_for_it(name: str) -> None:
    envelope = Envelope.load(DEFINITIONS / f"{name}.json")
    text = json.dumps(envelope.definition)
    functions = {function.code for function in envelope.functions}
    for asset in envelope.assets:
        content = envelope.asset_path(asset).read_bytes()
        assert hashlib.sha256(content).hexdigest() in asset.path
        assert asset.path in functions or f"s3://${{artifact_bucket}}/{asset.key('${name_prefix}')}" in text
    assert "stand-in" not in text
    assert "us-east-1" not in text


def test_images_are_known_in_every_region_with_the_pinned_tags() -> None:
    images = Envelope.load(DEFINITIONS / "abalone.json").images
    assert images["xgboost"]["eu-central-1"].endswith("/sagemaker-xgboost:3.2-0")
    assert images["sklearn"]["eu-central-1"].endswith("/sagemaker-scikit-learn:1.9-0-cpu-py3")
    assert images["xgboost"]["cn-north-1"].endswith(".amazonaws.com.cn/sagemaker-xgboost:3.2-0")
    assert len(images["xgboost"]) >= 30
    assert set(images["xgboost"]) == set(images["sklearn"])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "definitions"


ONE = Compiled("one", '{"a": 1}\n', {"assets/1/a.py": b"a\n"})
ENVELOPE = {
    "envelope_version": 1,
    "name": "two",
    "description": "",
    "definition": {"Version": "2020-12-01", "Parameters": [], "Steps": []},
    "images": {},
    "assets": [],
    "placeholders": [],
}
TWO = Compiled("two", json.dumps(ENVELOPE), {"assets/1/a.py": b"a\n", "assets/2/b.py": b"b\n"})


def test_what_is_written_is_current(target: Path) -> None:
    assert write([ONE, TWO], target, complete=True) == [
        "one.json",
        "assets/1/a.py",
        "two.json",
        "assets/2/b.py",
    ]
    assert differences([ONE, TWO], target, complete=True) == ""
    assert write([ONE, TWO], target, complete=True) == []


def test_a_stale_definition_is_shown_as_a_diff(target: Path) -> None:
    write([ONE], target, complete=True)
    (target / "one.json").write_text('{"a": 0}\n')
    diff = differences([ONE], target, complete=True)
    assert diff == '--- committed/one.json\n+++ compiled/one.json\n@@ -1 +1 @@\n-{"a": 0}\n+{"a": 1}\n'


def test_a_stale_archive_is_named_and_not_printed(target: Path) -> None:
    write([Compiled("one", ONE.envelope, {"assets/4/a.tar.gz": b"\x1f\0old"})], target, complete=True)
    newer = Compiled("one", ONE.envelope, {"assets/4/a.tar.gz": b"\x1f\0new"})
    assert differences([newer], target, complete=True) == (
        "Binary files committed/assets/4/a.tar.gz and compiled/assets/4/a.tar.gz differ\n"
    )


def test_what_belongs_to_no_pipeline_is_removed_when_all_are_compiled(target: Path) -> None:
    write([ONE, TWO], target, complete=True)
    diff = differences([ONE], target, complete=True)
    assert "--- committed/two.json\n+++ /dev/null" in diff
    assert "--- committed/assets/2/b.py\n+++ /dev/null" in diff
    assert write([ONE], target, complete=True) == ["assets/2/b.py", "two.json"]
    assert _contents(target) == ONE.files
    assert not (target / "assets" / "2").exists()


def test_adopted_and_plain_definitions_stay_with_what_belongs_to_them(target: Path) -> None:
    plain = {"Version": "2020-12-01", "Parameters": [{"Name": "A", "Type": "String"}], "Steps": []}
    adopted = {
        "envelope_version": 1,
        "name": "adopted",
        "description": "",
        "origin": "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/adopted",
        "definition": plain,
        "images": {},
        "assets": [{"name": "c.py", "path": "assets/4/c.py", "sha256": "4", "stored_key": "code/c.py"}],
        "placeholders": [],
    }
    others = {
        "adopted.json": json.dumps(adopted).encode(),
        "assets/4/c.py": b"c",
        "plain.json": json.dumps(plain).encode(),
        "plain.parameters.toml": b"[A]\ndescription = 'A'\n",
    }
    write([ONE, TWO], target, complete=True)
    for name, content in others.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    assert write([ONE], target, complete=True) == ["assets/2/b.py", "two.json"]
    assert _contents(target) == {**ONE.files, **others}
    assert differences([ONE], target, complete=True) == ""


def test_a_definition_that_cannot_be_read_is_not_removed(target: Path) -> None:
    """It may be an adopted one, whose assets then belong to it, too."""
    write([ONE, TWO], target, complete=True)
    conflict = f"<<<<<<< HEAD\n{TWO.envelope}\n=======\n{TWO.envelope}\n>>>>>>> other\n"
    (target / "two.json").write_text(conflict)
    with pytest.raises(CompileError, match=r"holds two\.json"):
        write([ONE], target, complete=True)
    assert _contents(target) == {**ONE.files, **TWO.files, "two.json": conflict.encode()}


def test_compiling_one_pipeline_leaves_the_others_alone(target: Path) -> None:
    write([ONE, TWO], target, complete=True)
    assert differences([ONE], target, complete=False) == ""
    assert write([ONE], target, complete=False) == []
    assert _contents(target) == {**ONE.files, **TWO.files}


def test_a_missing_empty_file_is_a_difference_too(target: Path) -> None:
    write([ONE], target, complete=True)
    empty = Compiled("one", ONE.envelope, {"assets/3/__init__.py": b""})
    assert "+++ compiled/assets/3/__init__.py\n" in differences([empty], target, complete=False)
    assert write([empty], target, complete=True) == ["assets/3/__init__.py", "assets/1/a.py"]


THIRD = '''"""Third of all.

More about it.
"""
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline

from sagemaker_compile.stand_ins import ROLE_ARN, prefixed

def build(session):
    who = ParameterString("Who", default_value=ROLE_ARN)
    steps = [FailStep(name, error_message=Join(values=["no ", who])) for name in STEPS]
    return Pipeline(NAME, parameters=[who], steps=steps, sagemaker_session=session)

STEPS = ["Stop"]
NAME = prefixed("third-pipeline")
'''


#: In place of the last lines of THIRD.
REGISTER = """
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker_compile.images import image_uri
from sagemaker_compile.stand_ins import artifact_uri, scratch_folder

def build(session):
    builder = ModelBuilder(
        image_uri=image_uri("xgboost"),
        s3_model_data_url=artifact_uri("model.tar.gz"),
        role_arn=ROLE_ARN,
        model_path=scratch_folder(),
        sagemaker_session=session,
    )
    create = ModelStep("Create", step_args=builder.build()) if BUILT else None
    step = ModelStep("Register", step_args=builder.register(model_package_group_name=prefixed("third")))
    who = ParameterString("Who", default_value=ROLE_ARN)
    return Pipeline(NAME, parameters=[who], steps=[step], sagemaker_session=session)
"""


@pytest.fixture
def third(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new folder beside the pipelines: what a user adds."""
    package = tmp_path / "pipeline_src_more"
    folder = package / "third_pipeline"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "pipeline.py").write_text(THIRD)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder / "pipeline.py"
    for name in [name for name in sys.modules if name.startswith("pipeline_src_more")]:
        del sys.modules[name]


def compile_third(third: Path) -> Compiled:
    return compile_pipeline(select_sources(third.parent.parent, [])[0])


def test_a_further_pipeline_is_a_folder_and_nothing_else(third: Path) -> None:
    [source] = select_sources(third.parent.parent, [])
    assert (source.name, source.description) == ("third-pipeline", "Third of all.")
    document = json.loads(compile_pipeline(source).envelope)
    assert document["placeholders"] == ["role_arn"]
    assert document["images"] == {}
    assert document["definition"]["Parameters"][0]["DefaultValue"] == "${role_arn}"


def test_a_pipeline_with_another_name_than_its_folder_is_refused(third: Path) -> None:
    third.write_text(THIRD.replace("third-pipeline", "fourth"))
    with pytest.raises(CompileError, match=r"expected prefixed\('third-pipeline'\)"):
        compile_third(third)


def test_a_pipeline_without_a_build_function_is_refused(third: Path) -> None:
    third.write_text('"""Third."""\n')
    with pytest.raises(CompileError, match=r"pipeline_src_more\.third_pipeline\.pipeline has no build"):
        compile_third(third)


def test_a_pipeline_without_a_docstring_has_no_description(third: Path) -> None:
    third.write_text(THIRD.removeprefix('"""').partition('"""')[2])
    assert json.loads(compile_third(third).envelope)["description"] == ""


@pytest.mark.parametrize("source", [b"def build(session:\n", b'\xff"""Third."""\n', b"x = 1\0\n"])
def test_a_pipeline_that_is_not_python_is_refused_by_its_file(third: Path, source: bytes) -> None:
    third.write_bytes(source)
    with pytest.raises(CompileError, match=f"^{third} cannot be read: "):
        find_sources(third.parent.parent)


def test_a_folder_whose_name_cannot_be_that_of_a_pipeline_is_refused(third: Path) -> None:
    folder = third.parent.rename(third.parent.parent / "third pipeline")
    with pytest.raises(CompileError, match="would make a pipeline with the name 'third pipeline'"):
        compile_third(folder / "pipeline.py")


def test_what_the_linter_refuses_is_not_compiled(third: Path) -> None:
    """The SDK lets a name of 65 characters through."""
    third.write_text(THIRD.replace('["Stop"]', '["S" * 65]'))
    with pytest.raises(InvalidDefinitionError, match=r"third-pipeline: 1 problem .*\n.*step S+: the name"):
        compile_third(third)


#: In place of the last lines of THIRD: what SageMaker and botocore may know one day.
NEW_MEMBER = """
class NewerStep(FailStep):
    arguments = property(lambda self: {**super().arguments, "Severity": "high"})

def build(session):
    who = ParameterString("Who", default_value=ROLE_ARN)
    return Pipeline(NAME, parameters=[who], steps=[NewerStep("Stop", "no")], sagemaker_session=session)
"""


def test_an_argument_that_is_not_known_is_refused_until_the_source_allows_it(third: Path) -> None:
    third.write_text(f"{THIRD}{NEW_MEMBER}")
    with pytest.raises(InvalidDefinitionError, match=r"'Severity' .* \(override: Fail\.Severity\)"):
        compile_third(third)


def test_the_command_line_refuses_it_in_one_message(
    third: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    third.write_text(f"{THIRD}{NEW_MEMBER}")
    monkeypatch.setattr(sys, "argv", ["sagemaker_compile", "--sources", str(third.parent.parent), "--check"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Error: third-pipeline: 1 problem in the definition:\n  - step Stop: Unknown")
    assert "Traceback" not in printed


def test_what_the_source_allows_is_written_into_the_envelope(third: Path, target: Path) -> None:
    third.write_text(f'{THIRD}{NEW_MEMBER}ALLOWED_ARGUMENTS = ("Fail.Severity",)\n')
    write([compile_third(third)], target, complete=True)
    assert Envelope.load(target / "third-pipeline.json").allowed_arguments == ("Fail.Severity",)


def test_a_single_text_is_refused_as_allowed_arguments(third: Path) -> None:
    third.write_text(f'{THIRD}ALLOWED_ARGUMENTS = "Fail.Severity"\n')
    with pytest.raises(CompileError, match=r"ALLOWED_ARGUMENTS 'Fail\.Severity', expected"):
        compile_third(third)


def test_the_region_of_a_model_that_is_registered_without_being_built_is_that_of_the_upsert(
    third: Path, target: Path
) -> None:
    """The SDK writes the region that stands in while compiling into the container's environment."""
    third.write_text(f"{THIRD}{REGISTER}BUILT = False\n")
    write([compile_third(third)], target, complete=True)
    envelope = Envelope.load(target / "third-pipeline.json")
    values = {"artifact_bucket": "b", "name_prefix": "", "role_arn": "arn:aws:iam::111122223333:role/r"}
    definition = json.dumps(envelope.fill(values, region="eu-west-1"))
    assert '"SAGEMAKER_REGION": "eu-west-1"' in definition
    assert "us-east-1" not in definition


def test_a_model_that_is_built_first_is_registered_without_a_region(third: Path) -> None:
    third.write_text(f"{THIRD}{REGISTER}BUILT = True\n")
    assert "SAGEMAKER_REGION" not in compile_third(third).envelope


def test_an_unknown_pipeline_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownPipelineError,
        match="No pipeline abalon: pipeline_src has abalone, abalone-tuned, comparison, ",
    ):
        select_sources(Path("pipeline_src"), ["abalon"])


def _cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "160"},
    )


def test_a_folder_with_the_name_of_another_module_is_refused(
    third: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pipelines would be looked for in the other one."""
    monkeypatch.setitem(sys.modules, "pipeline_src_more", json)
    with pytest.raises(
        CompileError, match=r"pipeline_src_more is .*json.*, expected .*pipeline_src_more: add"
    ):
        compile_third(third)


def test_a_folder_without_pipelines_compiles_nothing_and_removes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownPipelineError, match=r"There is no pipeline in .* --sources"):
        select_sources(tmp_path, [])


@pytest.mark.parametrize("name", ["notes.md", "package.json", "src/assets/a/b.py"])
def test_a_folder_with_other_files_is_not_taken_for_the_definitions(target: Path, name: str) -> None:
    write([ONE, TWO], target, complete=True)
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    (target / name).write_text("{}")
    with pytest.raises(CompileError, match=rf"holds {name}, expected only compiled definitions"):
        write([ONE], target, complete=True)
    assert (target / "two.json").exists()


@pytest.mark.thorough
def test_another_project_compiles_its_own_folder(third: Path, target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sagemaker_compile", "--sources", "pipeline_src_more", "--out", str(target)],
        cwd=third.parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert _contents(target).keys() == {"third-pipeline.json"}


@pytest.mark.thorough
def test_the_command_line_says_that_what_is_committed_is_current() -> None:
    result = _cli("sagemaker_compile", "--check")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "dags/definitions is current: abalone, abalone-tuned, comparison, scoring.\n"


def test_show_prints_parameters_steps_and_graph() -> None:
    output = _cli("sagemaker_pipelines", "show", "dags/definitions/abalone.json").stdout
    assert "ModelApprovalStatus" in output
    assert "Accepts PendingManualApproval, Approved," in output
    assert "Accepts at least 0" in output
    assert r"ml\.[a-z0-9-]+" in output
    assert "Instances that prepare the data." in output
    assert output.index("Compute") < output.index("TrainingInstanceType") < output.index("Gate")
    assert "s3://${artifact_bucket}/${name_prefix}abalone/data/train/abalone.csv" in output
    assert "else AbaloneMSEFail Fail" in output
    assert output.index("AbaloneProcess Processing") < output.index("AbaloneTrain Training")


def test_an_unknown_name_is_one_line_and_a_failure() -> None:
    result = _cli("sagemaker_compile", "abalon")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: No pipeline abalon:")
    assert "Traceback" not in result.stderr


def test_a_stale_folder_fails_the_check_with_a_diff(
    monkeypatch: pytest.MonkeyPatch, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from sagemaker_compile import compile as compiling
    from sagemaker_compile.cli import compile_command

    def one(source: Any) -> Compiled:
        return ONE

    monkeypatch.setattr(compiling, "compile_pipeline", one)
    with pytest.raises(typer.Exit) as stopped:
        compile_command(["abalone"], out=target, check=True)
    assert stopped.value.exit_code == 1
    printed = capsys.readouterr()
    assert '+{"a": 1}' in printed.out
    assert "make compile" in printed.err
