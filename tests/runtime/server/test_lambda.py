"""Lambda's actions over HTTP: the control plane, and invocations in the sandbox."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from tests.runtime.functions import ROLE, archive, create_function
from tests.waiting import until

ECHO = "def run(event, context):\n    return event\n"


def invoke(
    runtime: LocalRuntime | RuntimeProcess, event: Any = None, **request: Any
) -> tuple[Any, str | None]:
    answer = runtime.client("lambda").invoke(
        **{"FunctionName": "notify", "Payload": json.dumps(event).encode(), **request}
    )
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_a_function_is_created_changed_listed_and_deleted(local_runtime: LocalRuntime) -> None:
    client = local_runtime.client("lambda")
    arn = create_function(local_runtime, ECHO, Environment={"Variables": {"MODE": "1"}}, Tags={"team": "ml"})
    assert arn == "arn:aws:lambda:us-east-1:123456789012:function:notify"
    client.get_waiter("function_active_v2").wait(FunctionName="notify")
    found = client.get_function(FunctionName=arn)
    digest = base64.b64encode(hashlib.sha256(archive(ECHO)).digest()).decode()
    assert found["Configuration"]["CodeSha256"] == digest
    assert found["Configuration"]["Timeout"] == 3
    assert found["Tags"] == {"team": "ml"}
    uri = local_runtime.put("code.zip", archive("def run(event, context):\n    return 2\n"))
    client.update_function_code(
        FunctionName="notify", S3Bucket=local_runtime.bucket, S3Key=uri.split("/")[-1]
    )
    code, text = refusal(client.update_function_configuration, FunctionName="notify", Timeout=901)
    assert code == "ValidationException"
    assert text.startswith("1 validation error detected: Value '901' at 'timeout' failed to satisfy")
    client.update_function_configuration(FunctionName="notify", Timeout=9)
    assert client.get_function_configuration(FunctionName="notify")["Timeout"] == 9
    assert invoke(local_runtime, 1) == (2, None)
    create_function(local_runtime, ECHO, "another")
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    assert [item["FunctionName"] for page in pages for item in page["Functions"]] == ["another", "notify"]
    client.delete_function(FunctionName="notify")
    code, _ = refusal(client.get_function, FunctionName="notify")
    assert code == "ResourceNotFoundException"
    assert [path.suffix for path in (local_runtime.settings.data_dir / "functions").iterdir()] == [".zip"]


@pytest.mark.thorough
def test_functions_survive_a_crash(local_runtime_process: RuntimeProcess) -> None:
    create_function(local_runtime_process, ECHO)
    local_runtime_process.kill()
    local_runtime_process.start_process()
    assert invoke(local_runtime_process, {"a": [1]}) == ({"a": [1]}, None)


CONTEXT = """
import logging, os, sys
import helper
logging.getLogger().setLevel("INFO")
def run(event, context):
    print("seen", event)
    logging.info("a record")
    return {
        "name": context.function_name,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "left": 0 < context.get_remaining_time_in_millis() <= 60000,
        "stream": context.log_stream_name == os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        "id": context.aws_request_id,
        "own": os.environ["OWN"],
        "home": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "helper": helper.VALUE,
    }
"""


def test_the_handler_has_a_context_an_environment_and_a_log(local_runtime: LocalRuntime) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("handler.py", CONTEXT)
        target.writestr("helper.py", "VALUE = 7")
    arn = create_function(
        local_runtime,
        "",
        Code={"ZipFile": buffer.getvalue()},
        Timeout=60,
        MemorySize=256,
        Environment={"Variables": {"OWN": "x"}},
    )
    answer = local_runtime.client("lambda").invoke(FunctionName="notify", Payload=b"[1]", LogType="Tail")
    found = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer
    request_id = found.pop("id")
    assert found == {
        "name": "notify",
        "arn": arn,
        "memory": "256",
        "left": True,
        "stream": True,
        "own": "x",
        "home": True,
        "helper": 7,
    }
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert f"START RequestId: {request_id}" in tail
    assert "seen [1]" in tail
    logs = local_runtime.client("logs")

    def lines() -> list[str]:
        events = logs.filter_log_events(logGroupName="/aws/lambda/notify")["events"]
        return [event["message"] for event in events]

    until(lambda: any(line.startswith("REPORT") for line in lines()), "the log")
    assert [line for line in lines() if line.endswith(f"{request_id}\ta record")]
    assert local_runtime.calls()["lambda:InvokeFunction"] == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("def run(event, context):\n    raise ValueError('broken')\n", "ValueError", "broken"),
        ("import nothing_like_it\n", "Runtime.ImportModuleError", "Unable to import module 'handler'"),
        ("def run(:\n", "Runtime.UserCodeSyntaxError", "Syntax error in module 'handler'"),
        ("other = 1\n", "Runtime.HandlerNotFound", "Handler 'run' missing on module 'handler'"),
        ("def run(event, context):\n    return {1, 2}\n", "Runtime.MarshalError", "not JSON serializable"),
        ("import os\ndef run(event, context):\n    os._exit(3)\n", "Runtime.ExitError", "exit status 3"),
        (
            """import os
def run(event, context):
    os.symlink('/etc/passwd', '/opt/ml/response')
    os._exit(0)
""",
            "Runtime.ExitError",
            "exit status 0",
        ),
        (
            "import time\ndef run(event, context):\n    time.sleep(600)\n",
            "Sandbox.Timedout",
            "Task timed out after 1.00 seconds",
        ),
    ],
)
def test_the_error_of_a_function_is_described(
    local_runtime: LocalRuntime, source: str, kind: str, message: str
) -> None:
    create_function(local_runtime, source, Timeout=1 if kind == "Sandbox.Timedout" else 300)
    found, error = invoke(local_runtime)
    assert error == "Unhandled"
    assert found["errorType"] == kind
    assert message in found["errorMessage"]
    if kind == "ValueError":
        assert "line 2, in run" in found["stackTrace"][0]


@pytest.mark.thorough
def test_what_is_refused(local_runtime: LocalRuntime) -> None:
    client = local_runtime.client("lambda")
    create_function(local_runtime, ECHO)
    request = {"FunctionName": "f", "Role": ROLE, "Handler": "h.r", "Runtime": "python3.12"}
    code, message = refusal(client.create_function, **request, Code={"ZipFile": b"no zip"})
    assert (code, message[:15]) == ("InvalidParameterValueException", "Could not unzip")
    assert refusal(
        client.create_function, **{**request, "Runtime": "nodejs22.x"}, Code={"ZipFile": archive(ECHO)}
    )[1].startswith("The local runtime does not support Runtime nodejs22.x")
    reserved = {"Environment": {"Variables": {"AWS_REGION": "x"}}, "Code": {"ZipFile": archive(ECHO)}}
    assert "AWS_REGION" in refusal(client.create_function, **request, **reserved)[1]
    missing = {"Code": {"S3Bucket": local_runtime.bucket, "S3Key": "nothing"}}
    assert "NoSuchKey" in refusal(client.create_function, **request, **missing)[1]
    assert refusal(
        client.create_function, **{**request, "FunctionName": "notify"}, Code={"ZipFile": archive(ECHO)}
    )[0] == ("ResourceConflictException")
    assert refusal(client.invoke, FunctionName="notify", InvocationType="Event")[0] == (
        "InvalidParameterValueException"
    )
    assert refusal(client.invoke, FunctionName="notify", Payload=b"{")[0] == "InvalidRequestContentException"
    assert refusal(client.invoke, FunctionName="notify", Qualifier="4")[0] == "ResourceNotFoundException"
    assert (
        "lambda:AddPermission"
        in refusal(
            client.add_permission,
            FunctionName="notify",
            StatementId="s",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )[1]
    )


@pytest.mark.thorough
def test_a_function_runs_without_namespaces(tmp_path: Path) -> None:
    source = "import os\ndef run(event, context):\n    return [event, os.listdir()]\n"
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0, isolation="rewrite"))
    try:
        create_function(runtime, source)
        assert invoke(runtime, "/opt/ml") == (["/opt/ml", ["handler.py"]], None)
    finally:
        runtime.close()


def test_a_function_sees_nothing_of_the_runtime(
    local_runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_RUNTIME", "x")
    source = (
        "import os\n"
        "def run(event, context):\n"
        "    os.environ['LEFT_BEHIND'] = '1'\n"
        "    try:\n"
        "        listed = os.listdir(event['data'])\n"
        "    except OSError:\n"
        "        listed = []\n"
        "    secret = 'A_SECRET_OF_THE_RUNTIME' in os.environ\n"
        "    return {'secret': secret, 'listed': listed, 'pid': os.getpid()}\n"
    )
    create_function(local_runtime, source)
    found, error = invoke(local_runtime, {"data": str(local_runtime.settings.data_dir)})
    assert error is None
    assert not found["secret"]
    if local_runtime.runtime.jobs.isolation == "namespace":
        assert found["listed"] == []
    assert found["pid"] != os.getpid()
    assert "LEFT_BEHIND" not in os.environ
    assert not list((local_runtime.settings.data_dir / "jobs" / "function").iterdir())
