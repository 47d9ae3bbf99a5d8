"""The package's public names."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sagemaker_pipelines


def test_all_is_sorted_and_every_name_can_be_imported() -> None:
    assert sagemaker_pipelines.__all__ == sorted(sagemaker_pipelines.__all__)
    for name in sagemaker_pipelines.__all__:
        assert getattr(sagemaker_pipelines, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        sagemaker_pipelines.Nonsense  # noqa: B018


def test_importing_the_package_and_the_envelope_imports_neither_airflow_nor_boto3() -> None:
    code = (
        "import sys; from sagemaker_pipelines import Envelope; "
        "print([name for name in ('airflow', 'boto3', 'botocore') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
