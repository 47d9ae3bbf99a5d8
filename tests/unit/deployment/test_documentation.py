"""docs/deployment.md: its commands and its links."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path

from sagemaker_pipelines.settings import PipelineSettings
from stack.settings import ROOT
from tests.compose import read_env_file, services
from tests.iam import POLICIES, statements

DOCUMENT = ROOT / "docs" / "deployment.md"
TEXT = DOCUMENT.read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_command_for_the_secrets_writes_an_env_that_compose_takes(tmp_path: Path) -> None:
    (command,) = [block for block in blocks("sh") if "AIRFLOW_FERNET_KEY" in block]
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=180)
    values = read_env_file(tmp_path / ".env")
    assert values.keys() == read_env_file(ROOT / ".env.example").keys()
    assert len(base64.urlsafe_b64decode(values["AIRFLOW_FERNET_KEY"])) == 32
    assert services(values)["worker"].environment["AIRFLOW__CORE__FERNET_KEY"] == values["AIRFLOW_FERNET_KEY"]
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_every_secret_stands_in_a_url_as_it_is(tmp_path: Path) -> None:
    """The broker's and the database's URLs take the passwords without quoting."""
    (command,) = [block for block in blocks("sh") if "AIRFLOW_FERNET_KEY" in block]
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=180)
    for name, value in read_env_file(tmp_path / ".env").items():
        assert name == "AIRFLOW_FERNET_KEY" or re.fullmatch(r"[\w-]{43}", value)


def test_the_example_of_another_account_is_a_valid_connection() -> None:
    (example,) = blocks("json")
    extra = json.loads(example)
    assert PipelineSettings.load(
        extra["service_config"]["sagemaker"], connection_id="aws_default", file=None
    ).role_arn
    (assume,), (trust,) = statements("airflow-assume-role"), statements("airflow-trust")
    assert assume["Resource"] == [extra["role_arn"]]
    assert trust["Condition"]["StringEquals"]["sts:ExternalId"] == extra["assume_role_kwargs"]["ExternalId"]


def test_every_link_leads_somewhere_and_every_policy_is_linked() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", TEXT)
    for link in links:
        assert (DOCUMENT.parent / link).exists(), link
    assert {path.name for path in POLICIES.glob("*.json")} == {
        Path(link).name for link in links if link.startswith("iam/")
    }


def test_every_make_target_and_setting_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", TEXT)) <= targets
    table = TEXT.partition("| setting | effect |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(row.split("|")[1] for row in table.splitlines() if row)))
    assert named == set(PipelineSettings.__dataclass_fields__)
