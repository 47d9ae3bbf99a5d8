"""What a shell says about an error of AWS."""

from __future__ import annotations

import pytest
from botocore import exceptions as botocore_errors

from sagemaker_pipelines.cli.advice import with_advice
from sagemaker_pipelines.exceptions import SettingsError
from tests.unit.sagemaker_pipelines.aws.test_watch import client_error


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (botocore_errors.NoRegionError(), "--region"),
        (botocore_errors.InvalidRegionError(region_name="a b"), "--region"),
        (botocore_errors.NoCredentialsError(), "AWS_ACCESS_KEY_ID"),
        (botocore_errors.PartialCredentialsError(provider="env", cred_var="x"), "AWS_SECRET_ACCESS_KEY"),
        (botocore_errors.ProfileNotFound(profile="x"), "aws configure list-profiles"),
        (botocore_errors.EndpointConnectionError(endpoint_url="http://x"), "--endpoint-url"),
        (botocore_errors.ReadTimeoutError(endpoint_url="http://x"), "--endpoint-url"),
        (botocore_errors.SSLError(endpoint_url="http://x", error="x"), "AWS_CA_BUNDLE"),
        (botocore_errors.UnauthorizedSSOTokenError(), "aws sso login"),
        (client_error("ExpiredToken"), "Renew the credentials"),
        (client_error("UnrecognizedClientException"), "access key"),
        (client_error("AccessDeniedException"), "docs/deployment.md"),
        (client_error("ResourceNotFound"), "`list` shows the pipelines"),
        (client_error("NoSuchBucket"), "Check the name"),
    ],
    ids=repr,
)
def test_an_error_is_told_with_its_cure(error: Exception, cure: str) -> None:
    told = with_advice(error)
    assert told.startswith(str(error))
    assert cure in told
    assert ".." not in told


@pytest.mark.parametrize("error", [SettingsError("It is x. Do y."), client_error("ValidationException")])
def test_an_error_that_says_it_all_is_left_as_it_is(error: Exception) -> None:
    assert with_advice(error) == str(error)
