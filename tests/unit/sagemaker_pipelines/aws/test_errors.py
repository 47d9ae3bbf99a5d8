"""Which of AWS's errors a wait outlives, and for how long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ResponseStreamingError

from sagemaker_pipelines.aws import errors as aws_errors
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import cure_of, is_transient
from sagemaker_pipelines.aws.pacing import PATIENCE_SECONDS, Patience
from sagemaker_pipelines.exceptions import AccessError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.raw_answers import answering
from tests.unit.sagemaker_pipelines.aws.test_watch import client_error
from tests.unit.sagemaker_pipelines.samples import ARN

TRANSIENT = [
    client_error("ThrottlingException"),
    client_error("RequestThrottledException"),
    client_error("InternalError"),
    client_error("RequestAbortedException"),
    client_error("IDPCommunicationError"),
    client_error("Whatever", 429),
    client_error("Whatever", 502),
    botocore_errors.ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
    botocore_errors.ConnectTimeoutError(endpoint_url="http://x"),
    botocore_errors.ConnectionClosedError(endpoint_url="http://x"),
    botocore_errors.EndpointConnectionError(endpoint_url="http://x"),
    botocore_errors.FlexibleChecksumError(error_msg="x"),
    botocore_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    botocore_errors.ProxyConnectionError(proxy_url="http://x"),
    botocore_errors.ReadTimeoutError(endpoint_url="http://x"),
    botocore_errors.ResponseStreamingError(error="x"),
    ConnectionResetError(),
    TimeoutError(),
]
WITH_CURE = [
    (client_error("ExpiredTokenException"), "aws sso login"),
    (client_error("InvalidIdentityToken"), "web-identity token"),
    (client_error("IDPRejectedClaim"), "web-identity token"),
    (client_error("InvalidSignatureException"), "clock"),
    (client_error("SignatureDoesNotMatch"), "clock"),
    (client_error("RequestTimeTooSkewed"), "clock"),
    (client_error("UnrecognizedClientException"), "access key"),
    (client_error("InvalidClientTokenId"), "access key"),
    (client_error("InvalidAccessKeyId"), "access key"),
    (botocore_errors.CredentialRetrievalError(provider="x", error_msg="x"), "Renew the credentials"),
    (botocore_errors.LoginRefreshRequired(), "Renew the credentials"),
    (botocore_errors.MetadataRetrievalError(error_msg="x"), "Renew the credentials"),
    (botocore_errors.NoCredentialsError(), "Renew the credentials"),
    (botocore_errors.SSLError(endpoint_url="http://x", error="x"), "AWS_CA_BUNDLE"),
    (botocore_errors.SSOTokenLoadError(error_msg="x"), "aws sso login"),
    (botocore_errors.TokenRetrievalError(provider="sso", error_msg="x"), "aws sso login"),
    (botocore_errors.UnauthorizedSSOTokenError(), "aws sso login"),
]
PERMANENT = [
    client_error("AccessDeniedException"),
    client_error("ValidationException"),
    client_error("ResourceNotFound"),
    client_error("OptInRequired"),
    client_error("IncompleteSignature"),
    botocore_errors.NoRegionError(),
    botocore_errors.ParamValidationError(report="x"),
    botocore_errors.PartialCredentialsError(provider="env", cred_var="x"),
    botocore_errors.ProfileNotFound(profile="x"),
    ValueError(),
]


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_a_wait_outlives_a_transient_fault_without_end(error: Exception) -> None:
    assert is_transient(error)
    patience = Patience(clock := Clock())
    for clock.seconds in (0, 10 * PATIENCE_SECONDS):
        patience.endure(error)


@pytest.mark.parametrize(("error", "cure"), WITH_CURE, ids=repr)
def test_a_wait_outlives_what_somebody_may_cure_for_an_hour_and_then_names_the_cure(
    error: Exception, cure: str
) -> None:
    assert is_transient(error)
    patience = Patience(clock := Clock())
    for clock.seconds in (0, PATIENCE_SECONDS):
        patience.endure(error)
    clock.seconds += 1
    with pytest.raises(AccessError, match=f"60 minutes.*{cure}.*clear the task"):
        patience.endure(error)


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_no_wait_outlives_an_error_that_stays(error: Exception) -> None:
    assert cure_of(error) is None
    with pytest.raises(type(error)):
        Patience().endure(error)


def test_every_error_of_botocore_about_connections_tokens_and_logins_is_sorted() -> None:
    """A new one in another version of botocore has to be looked at."""
    words = ("Connection", "Timeout", "Token", "SSO", "Login", "Credential", "Retrieval", "Read", "Checksum")
    permanent = {
        "InvalidChecksumConfigError",
        "LoginAuthorizationCodeError",
        "LoginError",
        "LoginInsufficientPermissions",
        "PartialCredentialsError",
        "UnknownCredentialError",
        "UnknownTokenProviderError",
    }
    known = (*aws_errors._TRANSIENT_EXCEPTIONS, *aws_errors._EXCEPTIONS_WITH_CURE)
    unsorted = {
        name
        for name, kind in vars(botocore_errors).items()
        if isinstance(kind, type) and issubclass(kind, BotoCoreError) and any(word in name for word in words)
        if kind.__module__ == botocore_errors.__name__ and not issubclass(kind, known)
    }
    assert unsorted == permanent


def test_an_answer_renews_the_patience() -> None:
    patience = Patience(clock := Clock())
    patience.endure(client_error("ExpiredToken"))
    patience.renew()
    clock.seconds = PATIENCE_SECONDS + 1
    patience.endure(client_error("ExpiredToken"))


ClientOf = Callable[[bytes], SageMakerClient]


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClientOf]:
    """Make a client whose endpoint answers every request with the same bytes, and hangs up."""
    with ExitStack() as stack:

        def make(answer: bytes) -> SageMakerClient:
            extra = {
                "region_name": "us-east-1",
                "endpoint_url": f"http://127.0.0.1:{stack.enter_context(answering(answer))}",
                "config_kwargs": {"retries": {"total_max_attempts": 1}},
            }
            connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_AWS_CUT", json.dumps(connection))
            return SageMakerPipelineHook(aws_conn_id="aws_cut").client

        yield make


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
HALF = b'{"PipelineExecutionStatus": "Exec'


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD[:30], id="half a header"),
        pytest.param(HEAD + b"\r\n", id="no body"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\n" + HALF, id="half a body of known length"),
        pytest.param(HEAD + b"\r\n" + HALF, id="half a body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + HALF, id="half a chunk"),
        pytest.param(HEAD + b"\r\n" + b"[" * 100_000, id="nested too deeply"),
        pytest.param(HEAD + b"\r\n<html>Log in to the network</html>", id="another page"),
    ],
)
def test_an_answer_that_was_cut_short_is_a_transient_fault(client_of: ClientOf, answer: bytes) -> None:
    with pytest.raises(BotoCoreError) as caught:
        client_of(answer).describe_execution(ARN)
    assert is_transient(caught.value)
    assert cure_of(caught.value) is None


def test_an_answer_that_was_cut_short_names_the_operation(client_of: ClientOf) -> None:
    with pytest.raises(ResponseStreamingError, match="DescribePipelineExecution was answered with 33 bytes"):
        client_of(HEAD + b"\r\n" + HALF).describe_execution(ARN)


def test_a_whole_answer_is_read(client_of: ClientOf) -> None:
    answer = HEAD + b'\r\n{"PipelineExecutionStatus": "Executing"}'
    assert client_of(answer).describe_execution(ARN)["PipelineExecutionStatus"] == "Executing"
