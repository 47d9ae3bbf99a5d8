"""Whatever a client sends gets an AWS error: no traceback, no hang, no file outside the data directory."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagemaker_local_runtime.api.registry import ACTIONS
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.functions import create_function
from tests.waiting import GENEROUS_SECONDS, until

JSON = "application/x-amz-json-1.1"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("fuzz") / "runtime", port=0))
    yield runtime
    runtime.close()


def address(runtime: LocalRuntime) -> tuple[str, int]:
    host, _, port = runtime.endpoint_url.removeprefix("http://").partition(":")
    return host, int(port)


def signed(service: str) -> str:
    scope = f"test/20260101/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def send(
    runtime: LocalRuntime, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address(runtime), timeout=GENEROUS_SECONDS)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def call(runtime: LocalRuntime, action: str, body: bytes) -> tuple[int, bytes]:
    headers = {
        "X-Amz-Target": f"SageMaker.{action}",
        "Content-Type": JSON,
        "Authorization": signed("sagemaker"),
    }
    return send(runtime, "POST", "/", headers, body)


def raw(runtime: LocalRuntime, data: bytes, *, timeout: float = GENEROUS_SECONDS) -> bytes:
    """Send bytes as they are, say that no more come, and return the answer."""
    with socket.create_connection(address(runtime), timeout=timeout) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[]", b"null", b'"text"', b"NaN", b'{"A": NaN}', b"[" * 200_000, b'{"a":' * 5000],
)
def test_a_body_that_is_no_request_is_refused(runtime: LocalRuntime, body: bytes) -> None:
    status, answer = call(runtime, "DescribePipeline", body)
    assert status == 400
    assert json.loads(answer)["__type"] in ("SerializationException", "ValidationException")


@pytest.mark.parametrize("action", ["Explode", "", "../x", "DescribePipeline\x00", "A" * 5000])
def test_an_unknown_action_is_refused(runtime: LocalRuntime, action: str) -> None:
    headers = {"X-Amz-Target": f"SageMaker.{action}".replace("\x00", "%00"), "Content-Type": JSON}
    status, answer = send(runtime, "POST", "/", {**headers, "Authorization": signed("sagemaker")}, b"{}")
    assert 400 <= status < 500 or status == 501
    assert b"Traceback" not in answer


def test_a_huge_body_is_refused_unread(runtime: LocalRuntime) -> None:
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: SageMaker.CreatePipeline\r\n"
        f"Authorization: {signed('sagemaker')}\r\nContent-Length: {10**15}\r\n\r\n"
    )
    answer = raw(runtime, head.encode() + b"x" * 1000)
    assert b"413" in answer.splitlines()[0]
    assert b"RequestEntityTooLargeException" in answer


def test_a_huge_object_is_refused_in_s3s_shape(runtime: LocalRuntime) -> None:
    head = f"PUT /b/k HTTP/1.1\r\nHost: localhost\r\nAuthorization: {signed('s3')}\r\n"
    answer = raw(runtime, f"{head}Content-Length: {10**12}\r\n\r\n".encode())
    assert b"<Code>EntityTooLarge</Code>" in answer


def waiting_put(runtime: LocalRuntime, key: str, length: int) -> bytes:
    """Return the answer to a client that sends the body only when it is told to."""
    head = f"PUT /{runtime.bucket}/{key} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {signed('s3')}\r\n"
    return raw(runtime, f"{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode())


def test_a_client_that_waits_is_told_to_go_on_even_with_an_empty_object(runtime: LocalRuntime) -> None:
    """Older versions of botocore cannot read the answer after one that came at once."""
    assert waiting_put(runtime, "empty", 0).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_a_client_that_was_not_told_to_go_on_loses_its_connection(runtime: LocalRuntime) -> None:
    answer = waiting_put(runtime, "huge", 10**12)
    assert b"<Code>EntityTooLarge</Code>" in answer
    assert b"100 Continue" not in answer
    assert b"Connection: close" in answer
    connection = http.client.HTTPConnection(*address(runtime), timeout=GENEROUS_SECONDS)
    connection.putrequest("POST", "/")
    connection.putheader("X-Amz-Target", "SageMaker.Explode")
    connection.putheader("Expect", "100-continue")
    connection.putheader("Content-Length", "9")
    connection.endheaders()
    refused = connection.getresponse()
    assert (refused.status, refused.headers["Connection"]) == (400, "close")
    connection.close()


def chunked(runtime: LocalRuntime, service: str, target: str, body: bytes) -> bytes:
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {signed(service)}\r\n"
        f"X-Amz-Target: {target}\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return raw(runtime, head.encode() + body)


def test_a_chunked_request_is_answered(runtime: LocalRuntime) -> None:
    assert b'{"Models": []}' in chunked(runtime, "sagemaker", "SageMaker.ListModels", b"2\r\n{}\r\n0\r\n\r\n")
    answer = chunked(runtime, "logs", "Logs_20140328.DescribeLogGroups", b"2\r\n{}\r\n0\r\n\r\n")
    assert b'"logGroups": [' in answer


@pytest.mark.parametrize("body", [b"zz\r\n", b"5\r\n{}", b"-5\r\n{}\r\n"])
def test_broken_chunks_are_refused(runtime: LocalRuntime, body: bytes) -> None:
    answer = chunked(runtime, "sagemaker", "SageMaker.ListModels", body)
    assert answer.split()[1] == b"400"
    assert b"__type" in answer


def test_endless_chunks_are_refused(runtime: LocalRuntime) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = chunked(runtime, "logs", "Logs_20140328.DescribeLogGroups", chunk * 17)
    assert answer.split()[1] == b"413"
    assert b"RequestEntityTooLargeException" in answer


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "٣", "0x10"])
def test_a_wrong_content_length_is_refused(runtime: LocalRuntime, length: str) -> None:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {signed('sagemaker')}\r\n"
    answer = raw(runtime, f"{head}Content-Length: {length}\r\n\r\n".encode())
    assert answer.split()[1].startswith(b"4")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"A" * 70_000,
        b"A" * 80_000,
    ],
)
def test_what_is_not_http_is_refused(runtime: LocalRuntime, data: bytes) -> None:
    answer = raw(runtime, data)
    assert b"Traceback" not in answer
    assert not answer or b" 4" in answer[:20] or b" 5" in answer[:20] or b"__type" in answer


def test_a_body_that_never_comes_does_not_hold_the_others(runtime: LocalRuntime) -> None:
    head = f"PUT /b/k HTTP/1.1\r\nHost: localhost\r\nAuthorization: {signed('s3')}\r\n"
    head += "Content-Length: 1000\r\n\r\nabc"
    waiting = [socket.create_connection(address(runtime)) for _ in range(30)]
    try:
        for connection in waiting:
            connection.sendall(head.encode())
        runtime.client("sagemaker").list_models()
    finally:
        for connection in waiting:
            connection.close()


def test_two_requests_on_one_connection_do_not_mix_when_a_body_stays_unread(runtime: LocalRuntime) -> None:
    connection = http.client.HTTPConnection(*address(runtime), timeout=GENEROUS_SECONDS)
    headers = {"Authorization": signed("sagemaker"), "Content-Type": JSON}
    for _ in range(3):
        connection.request(
            "POST", "/", body=b"x" * 5000, headers={**headers, "X-Amz-Target": "SageMaker.Explode"}
        )
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["__type"]) == (400, "UnknownOperationException")
        connection.request(
            "POST", "/", body=b"{}", headers={**headers, "X-Amz-Target": "SageMaker.ListModels"}
        )
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"Models": []})
    connection.close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# What would start work of its own is fuzzed with what cannot be accepted only.
STARTING = (
    "CreateHyperParameterTuningJob",
    "CreateProcessingJob",
    "CreateTrainingJob",
    "CreateTransformJob",
)


@FUZZ
@given(
    action=st.sampled_from(sorted(set(ACTIONS) - set(STARTING)) or ["ListModels"]),
    names=st.lists(
        st.sampled_from(
            [
                "PipelineName",
                "PipelineExecutionArn",
                "HyperParameterTuningJobName",
                "NextToken",
                "EndpointConfigName",
                "EndpointName",
                "ModelName",
                "ProductionVariants",
                "ResourceArn",
                "MaxResults",
            ]
        ),
        max_size=4,
    ),
    data=st.data(),
)
def test_no_sagemaker_request_ends_in_500(
    runtime: LocalRuntime, action: str, names: list[str], data: st.DataObject
) -> None:
    document = {name: data.draw(json_values) for name in names}
    status, answer = call(runtime, action, json.dumps(document).encode())
    assert status in (200, 400, 404, 409), answer
    assert b"Traceback" not in answer


@FUZZ
@given(body=st.binary(max_size=300), target=st.sampled_from(["CreatePipeline", "StartPipelineExecution"]))
def test_no_bytes_end_in_500(runtime: LocalRuntime, body: bytes, target: str) -> None:
    status, answer = call(runtime, target, body)
    assert status == 400, answer


@FUZZ
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "X"]),
    parts=st.lists(
        st.sampled_from(["..", ".", "b", "%2e%2e", "%2F", "", "é", "k.csv", "%00", "_local_runtime"]),
        max_size=5,
    ),
    query=st.sampled_from(
        ["", "?uploads", "?uploadId=x&partNumber=z", "?versionId=../..", "?tagging", "?delete"]
    ),
    body=st.binary(max_size=100),
)
def test_no_s3_request_hangs_shows_a_traceback_or_leaves_the_directory(
    runtime: LocalRuntime, method: str, parts: list[str], query: str, body: bytes
) -> None:
    path = "/" + "/".join(parts).encode("utf-8").decode("latin-1") + query
    status, answer = send(
        runtime, method, path.encode("ascii", "ignore").decode(), {"Authorization": signed("s3")}, body
    )
    assert status < 500 or status in (501, 503), answer
    assert b"Traceback" not in answer
    root = runtime.settings.data_dir
    assert [path.name for path in root.parent.iterdir()] == [root.name]


@pytest.mark.thorough
@FUZZ
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"]),
    name=st.sampled_from(["", "f", "..", "%2e%2e%2f", "arn:aws:lambda:x", "f:1", "%00", "é", "function:f"]),
    rest=st.sampled_from(
        ["", "/code", "/configuration", "/invocations", "/policy", "?MaxItems=z", "?Marker=%ff"]
    ),
    document=st.dictionaries(
        st.sampled_from(
            [
                "FunctionName",
                "Runtime",
                "Role",
                "Handler",
                "Code",
                "ZipFile",
                "S3Bucket",
                "Timeout",
                "Publish",
            ]
        ),
        json_values,
        max_size=5,
    ),
    body=st.none() | st.binary(max_size=100),
)
def test_no_lambda_request_ends_in_500(
    runtime: LocalRuntime, method: str, name: str, rest: str, document: dict[str, object], body: bytes | None
) -> None:
    path = f"/2015-03-31/functions/{name}{rest}".encode("ascii", "ignore").decode()
    sent = json.dumps(document).encode() if body is None else body
    status, answer = send(runtime, method, path, {"Authorization": signed("lambda")}, sent)
    assert status < 500, answer
    assert b"Traceback" not in answer


@pytest.mark.thorough
@FUZZ
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    name=st.sampled_from(["", "e", "..", "%2e%2e%2f", "%00", "é", "a" * 64]),
    rest=st.sampled_from(
        ["", "/invocations", "/async-invocations", "/invocations-response-stream", "?x=%ff"]
    ),
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "Accept", "X-Amzn-SageMaker-Target-Variant"]),
        st.sampled_from(["", "text/csv", "application/x-www-form-urlencoded", "*/*", "-", "a" * 2000]),
    ),
    body=st.binary(max_size=100),
)
def test_no_invocation_ends_in_500(
    runtime: LocalRuntime, method: str, name: str, rest: str, headers: dict[str, str], body: bytes
) -> None:
    path = f"/endpoints/{name}{rest}".encode("ascii", "ignore").decode()
    status, answer = send(runtime, method, path, {"Authorization": signed("sagemaker"), **headers}, body)
    assert 400 <= status < 500, answer
    assert b"Traceback" not in answer


@pytest.mark.thorough
@pytest.mark.parametrize("member", ["../../escape", "/tmp/escape", "a/../../escape"])
def test_an_archive_cannot_write_outside_of_its_function(runtime: LocalRuntime, member: str) -> None:
    source = "import os\ndef run(event, context):\n    return sorted(os.listdir('..'))\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr("handler.py", source)
        target.writestr(member, "x")
    name = f"f{abs(hash(member))}"
    create_function(runtime, "", name, Code={"ZipFile": content.getvalue()})
    answer = runtime.client("lambda").invoke(FunctionName=name)
    assert json.loads(answer["Payload"].read()) == ["code", "invocation.json"]
    assert not Path("/tmp/escape").exists()
    assert not list(runtime.settings.data_dir.rglob("escape"))


def test_a_client_that_goes_away_leaves_no_thread_or_file(runtime: LocalRuntime) -> None:
    process = psutil.Process()
    runtime.client("sagemaker").list_models()
    before = process.num_threads(), process.num_fds()
    for _ in range(40):
        with socket.create_connection(address(runtime)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab")
    until(lambda: process.num_threads() <= before[0] + 1, "the threads to end")
    until(lambda: process.num_fds() <= before[1] + 2, "the files to be closed")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
        {"Host": "evil.example"},
        {"Host": "evil.example:4566", "Origin": "http://evil.example:4566"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/_local_runtime/faults", "/bucket/key"])
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_web_pages_are_refused(
    runtime: LocalRuntime, headers: dict[str, str], path: str, method: str
) -> None:
    target = {"X-Amz-Target": "SageMaker.ListModels"}
    status, answer = send(runtime, method, path, {**target, **headers}, b"{}")
    assert status == 403
    assert json.loads(answer)["__type"] == "AccessDenied"


@pytest.mark.parametrize(
    "headers", [{"Host": "localhost:1"}, {"Host": "bucket.localhost"}, {"Origin": "http://localhost:3000"}]
)
def test_pages_and_names_of_this_machine_are_served(runtime: LocalRuntime, headers: dict[str, str]) -> None:
    target = {"X-Amz-Target": "SageMaker.ListModels"}
    assert send(runtime, "POST", "/", {**target, **headers}, b"{}")[0] == 200


def test_a_name_cannot_name_a_path(runtime: LocalRuntime, tmp_path: Path) -> None:
    escape = f"../../../..{tmp_path}/escape"
    for action, member in (
        ("DescribeProcessingJob", "ProcessingJobName"),
        ("DescribePipeline", "PipelineName"),
        ("DescribeModel", "ModelName"),
        ("CreateEndpoint", "EndpointName"),
    ):
        status, answer = call(runtime, action, json.dumps({member: escape}).encode())
        assert status == 400
        assert json.loads(answer)["__type"] == "ValidationException"
    assert not os.listdir(tmp_path)  # noqa: PTH208 - any entry would do
