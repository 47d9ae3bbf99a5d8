"""Faults on demand, to test how clients handle them.

Rules are kept in memory and apply in the order in which they were added; the first that fires wins.
"""

from __future__ import annotations

import fnmatch
import random
import threading
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from sagemaker_local_runtime.exceptions import ValidationError

Kind = Literal["throttle", "error500", "drop_before", "drop_after", "latency", "capacity"]
CAPACITY_MESSAGE = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type."
)


@dataclass(kw_only=True)
class Fault:
    """One rule.

    :param action: what it applies to: ``"StartPipelineExecution"``, ``"s3:PutObject"``, ``"logs:*"``; a name
        without a service belongs to SageMaker. ``*`` matches any action of SageMaker, ``*:*`` any request.
    :param kind: ``throttle`` (ThrottlingException), ``error500`` (InternalFailure), ``drop_before`` (the
        connection is dropped and nothing has happened), ``drop_after`` (the connection is dropped although
        the action took effect), ``latency`` (the answer is delayed), ``capacity`` (the job of a matching
        Create...Job call fails with a CapacityError).
    :param count: how many times it fires; None means without limit.
    :param probability: the probability that a matching request is affected, from 0 to 1.
    :param seed: the seed of the random draws.
    :param seconds: the delay of ``latency``.
    """

    action: str
    kind: Kind
    count: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    fired: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValidationError(f"kind {self.kind!r} is not one of {', '.join(get_args(Kind))}")
        if not 0 <= self.probability <= 1:
            raise ValidationError(f"probability {self.probability!r} is not between 0 and 1")
        if self.count is not None and self.count < 1:
            raise ValidationError(f"count {self.count!r} is not positive")
        if not 0 <= self.seconds <= 3600:
            raise ValidationError(f"seconds {self.seconds!r} is not between 0 and 3600")
        self._random = random.Random(self.seed)  # noqa: S311 - the draws are reproducible, not secret

    @classmethod
    def from_document(cls, document: Any) -> Fault:
        """Build a rule from a control request.

        :raises ValidationError: an unknown or missing field, or a value of the wrong type.
        """
        types: dict[str, tuple[type, ...]] = {
            "action": (str,),
            "kind": (str,),
            "count": (int, type(None)),
            "probability": (int, float),
            "seed": (int,),
            "seconds": (int, float),
        }
        if not isinstance(document, dict) or not {"action", "kind"} <= document.keys():
            raise ValidationError("a fault is a JSON object with action and kind")
        for name, value in document.items():
            if name not in types:
                raise ValidationError(f"unknown field {name!r} of a fault; known are {', '.join(types)}")
            if isinstance(value, bool) or not isinstance(value, types[name]):
                raise ValidationError(f"{name} {value!r} has the wrong type")
        return cls(**document)

    def as_document(self) -> dict[str, Any]:
        """Return the rule as the control API shows it."""
        return {k: v for k, v in asdict(self).items() if not k.startswith("_")}

    def fires(self, name: str) -> bool:
        """Return whether the rule applies to this call, and count it if it does."""
        if self.count is not None and self.fired >= self.count:
            return False
        pattern = self.action if ":" in self.action else f"sagemaker:{self.action}"
        if not fnmatch.fnmatchcase(name, pattern):
            return False
        if self.probability < 1 and self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True


class FaultPlan:
    """The rules of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a rule."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Remove every rule."""
        with self._lock:
            self._faults.clear()

    def as_documents(self) -> list[dict[str, Any]]:
        """Return the rules, each with the number of times it has fired."""
        with self._lock:
            return [fault.as_document() for fault in self._faults]

    def matching(self, name: str) -> Fault | None:
        """Return the rule that applies to this request, or None; capacity rules apply to jobs only."""
        with self._lock:
            faults = (f for f in self._faults if f.kind != "capacity")
            return next((f for f in faults if f.fires(name)), None)

    def capacity_error(self, action: str) -> str | None:
        """Return the FailureReason if the job gets no machine, or None.

        :param action: the action that creates the job, such as ``"CreateTrainingJob"``; a pipeline's
            steps count as calls of it.
        """
        with self._lock:
            faults = (f for f in self._faults if f.kind == "capacity")
            hit = any(f.fires(f"sagemaker:{action}") for f in faults)
        return CAPACITY_MESSAGE if hit else None
