"""The callbacks that running executions are waiting for."""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sagemaker_local_runtime.engine.parameters import typed
from sagemaker_local_runtime.exceptions import ConflictError, ResourceNotFoundError, ValidationError
from sagemaker_pipelines.definition.parameters import Parameter, as_string
from sagemaker_pipelines.exceptions import ParameterError

_ALPHABET = string.ascii_letters + string.digits


@dataclass
class Callback:
    """A callback step that is waiting for its answer.

    :param token: ten letters and digits, which the answer has to name.
    :param execution_arn: the execution that is waiting.
    :param outputs: the step's declared outputs, from name to type.
    """

    token: str
    execution_arn: str
    outputs: Mapping[str, str]
    answer: Literal["Succeeded", "Failed"] | None = None
    failure_reason: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    wake: threading.Event = field(default_factory=threading.Event)


class Callbacks:
    """Match answers with the steps that are waiting for them.

    An answered token stays known as long as the process lives, so that a repeated answer finds it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Callback] = {}
        self._waiting: set[str] = set()
        self._closed = False

    def open(self, execution_arn: str, step: Mapping[str, Any]) -> Callback:
        """Return a new callback for a step."""
        outputs = {entry["OutputName"]: entry["OutputType"] for entry in step.get("OutputParameters") or ()}
        token = "".join(secrets.choice(_ALPHABET) for _ in range(10))
        callback = Callback(token, execution_arn, outputs)
        with self._lock:
            self._known[token] = callback
            self._waiting.add(token)
            if self._closed:
                self._settle(callback, "Failed", "The runtime is shutting down.")
        return callback

    def wait(
        self, callback: Callback, timeout: float, *, stop: threading.Event | None = None
    ) -> Literal["answer", "stop", "timeout"]:
        """Wait for the answer, and for a stop if its event is given; return which came first.

        The engine sets the stop event when the step ends, which also ends the thread started here.
        """
        if stop is not None:
            notifier = threading.Thread(target=_pass_on, args=(stop, callback.wake, timeout), daemon=True)
            notifier.start()
        came = callback.wake.wait(timeout)
        with self._lock:
            if callback.answer:
                return "answer"
            callback.wake.clear()
        return "stop" if came else "timeout"

    def succeed(self, token: str, outputs: Sequence[Mapping[str, str]]) -> str:
        """Answer a callback with the step's outputs; return the ARN of its execution.

        :raises ValidationError: the outputs are not the ones that the step declares.
        """
        callback = self._find(token)
        texts = {output["Name"]: output["Value"] for output in outputs}
        values = _typed_outputs(callback, texts)
        with self._lock:
            if callback.answer == "Succeeded" and callback.texts == texts:
                return callback.execution_arn
            self._refuse_second(callback)
            callback.texts, callback.values = texts, values
            self._settle(callback, "Succeeded", None)
        return callback.execution_arn

    def fail(self, token: str, reason: str | None) -> str:
        """Answer a callback with a failure; return the ARN of its execution."""
        callback = self._find(token)
        with self._lock:
            if callback.answer == "Failed" and callback.failure_reason == reason:
                return callback.execution_arn
            self._refuse_second(callback)
            self._settle(callback, "Failed", reason)
        return callback.execution_arn

    def discard(self, callback: Callback) -> None:
        """Stop waiting for a callback."""
        with self._lock:
            self._waiting.discard(callback.token)

    def close(self) -> None:
        """Fail every callback that is still waiting, and every later one."""
        with self._lock:
            self._closed = True
            for token in self._waiting:
                if not self._known[token].answer:
                    self._settle(self._known[token], "Failed", "The runtime is shutting down.")

    def _find(self, token: str) -> Callback:
        with self._lock:
            callback = self._known.get(token)
        if callback is None:
            raise ResourceNotFoundError(f"Callback token '{token}' does not exist.")
        return callback

    def _refuse_second(self, callback: Callback) -> None:
        if callback.answer or callback.token not in self._waiting:
            raise ConflictError(f"The step of callback token '{callback.token}' has already ended.")

    def _settle(self, callback: Callback, answer: Literal["Succeeded", "Failed"], reason: str | None) -> None:
        callback.answer, callback.failure_reason = answer, reason
        callback.wake.set()


def _pass_on(stop: threading.Event, wake: threading.Event, timeout: float) -> None:
    if stop.wait(timeout):
        wake.set()


def _typed_outputs(callback: Callback, texts: Mapping[str, str]) -> dict[str, Any]:
    unknown, missing = sorted(set(texts) - set(callback.outputs)), sorted(set(callback.outputs) - set(texts))
    if unknown or missing:
        raise ValidationError(
            f"The output parameters do not match those of the callback step: unknown {unknown}, "
            f"missing {missing}; expected {sorted(callback.outputs)}."
        )
    try:
        return {
            name: typed(kind, as_string(Parameter(name, kind), texts[name]))
            for name, kind in callback.outputs.items()
        }
    except ParameterError as error:
        raise ValidationError(f"Invalid output parameters of the callback step. {error}") from error
