"""What is masked for people."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import _secrets_masker

from sagemaker_pipelines.masking import is_secret, masked


@pytest.mark.parametrize(
    ("name", "expected"),
    [("DbPassword", True), ("api_key", True), ("Auth-Token", True), ("MseThreshold", False), ("", False)],
)
def test_airflows_list_of_names_says_what_a_secret_is(name: str, expected: bool) -> None:
    assert is_secret(name) is expected


def test_a_name_that_the_option_adds_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    masker: Any = _secrets_masker()
    monkeypatch.setattr(masker, "sensitive_variables_fields", [*masker.sensitive_variables_fields, "pin"])
    assert is_secret("CustomerPin")


def test_a_value_is_masked_by_its_key_or_by_the_name_beside_it() -> None:
    definition: dict[str, Any] = {
        "Parameters": [
            {"Name": "DbPassword", "Type": "String", "DefaultValue": "s3cret"},
            {"Name": "Rows", "Type": "Integer", "DefaultValue": 3},
        ],
        "Steps": [
            {
                "Name": "TokenStep",
                "Arguments": {
                    "Environment": {"DB_PASSWORD": "s3cret", "MODE": "fast"},
                    "Tags": [{"Key": "api_key", "Value": "s3cret"}, {"Key": "team", "Value": "ml"}],
                },
            }
        ],
    }
    shown = masked(definition)
    assert "s3cret" not in str(shown)
    assert shown["Parameters"][1] == definition["Parameters"][1]
    arguments = shown["Steps"][0]["Arguments"]
    assert (shown["Steps"][0]["Name"], arguments["Environment"]["MODE"]) == ("TokenStep", "fast")
    assert arguments["Tags"] == [{"Key": "api_key", "Value": "***"}, {"Key": "team", "Value": "ml"}]
