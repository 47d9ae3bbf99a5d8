"""One container of an endpoint: a process that loads a model, answers requests and is started again."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import Any

from sagemaker_local_runtime.exceptions import AwsError, JobFailedError, JobStoppedError
from sagemaker_local_runtime.hosting.exceptions import ModelFailedError, NotHealthyError
from sagemaker_local_runtime.images.catalog import LocalImage
from sagemaker_local_runtime.images.handler import Response
from sagemaker_local_runtime.jobs.container import Container
from sagemaker_local_runtime.jobs.serving import MODEL_FOLDER, serve_command, served_image, stage_model

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MAX_BODY, ANSWER_SECONDS = 6291456, 60.0
_WORK = "/opt/ml/hosting"
_PLAN, _PORT, _ERROR = f"{_WORK}/plan.json", f"{_WORK}/port", f"{_WORK}/error"
_WORKER = "sagemaker_local_runtime.images.hosting"
_POLL_SECONDS, _RESTART_SECONDS = 0.05, 1.0
_DEFAULT_TYPE = "text/csv"
_ENDED = "The process of the container has ended, and is being started again. Try again later."
_NO_ANSWER = (
    "The container gave no complete answer: {}. If its process has ended, it is being started again. "
    "Try again later."
)
# As in https://github.com/RamVegiraju/SageMaker-Deployment/issues/3.
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class ModelServer:
    """Run the program of one container of a model, and send it requests.

    :param container: where it runs.
    :param image: its image.
    :param definition: the container definition of the model.
    """

    def __init__(self, container: Container, image: LocalImage, definition: Mapping[str, Any]) -> None:
        self._container, self._image, self._definition = container, image, definition
        self._path = f"/invocations/{secrets.token_hex(16)}"
        self._thread = threading.Thread(
            target=self._run, name=f"endpoint-{container.log.stream}", daemon=True
        )
        # The program answers one request at a time.
        self._turn = threading.Lock()
        self._healthy = False
        self._failure: str | None = None

    def start(self) -> None:
        """Start the program."""
        self._thread.start()

    def wait_until_healthy(self, deadline: float) -> None:
        """Wait until the model is loaded.

        :param deadline: the time of the monotonic clock until which it may take.
        :raises NotHealthyError: it cannot be loaded in time, or it was stopped.
        """
        while self._port() is None:
            if not self._thread.is_alive():
                raise NotHealthyError(self._failure or "it was stopped")
            if time.monotonic() > deadline:
                raise NotHealthyError("it has not loaded its model in time")
            time.sleep(_POLL_SECONDS)
        self._healthy = True

    def ask(self, body: bytes, content_type: str | None, accept: str | None) -> Response:
        """Return the answer to one request.

        :raises ModelFailedError: the model answered with an error, or not in time.
        :raises AwsError: ServiceUnavailable, while the program is started again after it has ended.
        """
        wanted = accept if accept and accept != "*/*" else self._default_accept
        headers = {"Content-Type": content_type or _DEFAULT_TYPE, "Accept": wanted}
        if not self._turn.acquire(timeout=ANSWER_SECONDS):
            raise ModelFailedError(0, _TIMED_OUT)
        try:
            port = self._port()
            if port is None:
                raise AwsError(_ENDED, code="ServiceUnavailable", status=503)
            status, response = _post(port, self._path, body, headers)
        except TimeoutError as error:
            raise ModelFailedError(0, _TIMED_OUT) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise AwsError(_NO_ANSWER.format(reason), code="ServiceUnavailable", status=503) from error
        finally:
            self._turn.release()
        if status >= 400:
            raise ModelFailedError(status, response.body.decode("utf-8", "replace"))
        return response

    def stop(self) -> None:
        """End the program; its files are removed, and CloudWatch Logs keeps its log."""
        self._container.interrupt.set()

    def join(self, seconds: float) -> None:
        """Wait until the program has ended, at most some seconds."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    @property
    def _default_accept(self) -> str:
        environment = self._definition.get("Environment", {})
        return str(environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or _DEFAULT_TYPE)

    def _run(self) -> None:
        """Run the program until it is stopped; its process is a child of this thread."""
        container = self._container
        try:
            container.packages.use(self._image)
            stage_model(container, self._definition)
            self._run_once()
            while self._healthy:
                time.sleep(_RESTART_SECONDS)
                self._run_again()
        except JobStoppedError:
            pass
        except (AwsError, JobFailedError, OSError) as error:
            self._failure = str(error)
            container.log.add_line(self._failure)
        finally:
            container.log.close()
            shutil.rmtree(container.folder.path, ignore_errors=True)
            container.interrupt.close()

    def _run_again(self) -> None:
        """Run the program to its end; what prevents its start, such as a full disk, may pass."""
        container = self._container
        container.check_not_stopped()
        try:
            self._run_once()
        except (JobFailedError, OSError) as error:
            container.log.add_line(f"The container cannot be started again yet: {error}")

    def _run_once(self) -> None:
        """Run the program to its end."""
        container = self._container
        plan = {
            **served_image(self._image),
            "path": self._path,
            # A little later than the client stops waiting for the answer.
            "seconds": ANSWER_SECONDS + 1,
            "port_file": _PORT,
            "error_file": _ERROR,
        }
        container.write_config(_PLAN, plan)
        try:
            ended = container.execute(
                serve_command(container, self._image, _WORKER, _PLAN), self._environment()
            )
        finally:
            container.produced(_PORT).unlink(missing_ok=True)
        container.log.add_line(f"The process of the container has ended with exit code {ended.exit_code}.")
        if not self._healthy:
            reason = container.read_message(_ERROR) or f"it ended with exit code {ended.exit_code}"
            self._failure = f"{reason}{container.packages.notes}"

    def _environment(self) -> dict[str, str]:
        return {"SM_MODEL_DIR": MODEL_FOLDER, **self._definition.get("Environment", {})}

    def _port(self) -> int | None:
        """Return the port that the program listens on, once its model is loaded."""
        try:
            text = self._container.read_message(_PORT) or ""
        except (JobFailedError, OSError):
            return None
        return int(text) if text.isascii() and text.isdecimal() and int(text) < 65536 else None


def _post(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Response]:
    """Send a request; what answers is not trusted, so the size of the body and its time are bounded.

    :raises TimeoutError: the answer does not come in time.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        content = b""
        while chunk := answer.read1(1 << 16):
            content += chunk
            if len(content) > MAX_BODY:
                raise ModelFailedError(500, f"The response is larger than {MAX_BODY} bytes.")
            if time.monotonic() > deadline:
                raise TimeoutError
        if answer.length:
            raise IncompleteRead(content, answer.length)
        kind = answer.headers.get("Content-Type") or "application/octet-stream"
        return answer.status, Response(content, kind)
    finally:
        connection.close()
