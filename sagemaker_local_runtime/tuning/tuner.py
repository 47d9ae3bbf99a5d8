"""Run the training jobs of one tuning job, as many at a time as it allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sagemaker_local_runtime.tuning.plan import Plan
from sagemaker_local_runtime.tuning.strategies import Search, Suggestion

# "No training job succeeded after 5 attempts": https://github.com/aws/amazon-sagemaker-examples/issues/2437
_ATTEMPTS = 5


@dataclass(frozen=True)
class Result:
    """How a training job of a tuning job ended.

    :param completed: whether it completed.
    :param value: its objective metric; None if it has none.
    """

    completed: bool
    value: float | None


#: Runs the training job with this number and these hyperparameters to its end; the event stops it.
Train = Callable[[int, Mapping[str, str], threading.Event], Result]


class Tuner:
    """Run training jobs until there are enough.

    :param plan: what the tuning job does.
    :param search: suggests hyperparameters.
    :param train: runs one training job.
    """

    def __init__(self, plan: Plan, search: Search, train: Train) -> None:
        self.halt = threading.Event()
        self._plan, self._search, self._train = plan, search, train
        self._lock = threading.Lock()
        self._started = 0
        self._results: list[Result] = []
        self._best: float | None = None
        self._since_best = 0
        self._error: Exception | None = None

    def run(self) -> str | None:
        """Run the training jobs to their end, and return why the tuning job failed, or None.

        :raises Exception: what starting a training job has raised.
        """
        count = min(self._plan.parallel, self._plan.limit)
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for worker in workers:
            worker.start()
        if self._plan.max_seconds is not None:
            deadline = time.monotonic() + self._plan.max_seconds
            for worker in workers:
                worker.join(max(0.0, deadline - time.monotonic()))
            self.halt.set()
        for worker in workers:
            worker.join()
        if self._error is not None:
            raise self._error
        return self._failure()

    def _work(self) -> None:
        try:
            while (started := self._next()) is not None:
                number, suggestion = started
                self._record(suggestion, self._train(number, suggestion.values, self.halt))
        except Exception as error:
            with self._lock:
                self._error = self._error or error
            self.halt.set()

    def _next(self) -> tuple[int, Suggestion] | None:
        with self._lock:
            if self.halt.is_set() or self._started >= self._plan.limit:
                return None
            suggestion = self._search.ask()
            if suggestion is None:
                return None
            self._started += 1
            return self._started, suggestion

    def _record(self, suggestion: Suggestion, result: Result) -> None:
        with self._lock:
            self._results.append(result)
            value = result.value if result.completed else None
            self._search.tell(suggestion, value)
            self._since_best += 1
            if value is not None and self._plan.better(value, self._best):
                self._best, self._since_best = value, 0
            if self._is_enough():
                self.halt.set()

    def _is_enough(self) -> bool:
        plan = self._plan
        if self._best is None:
            return len(self._results) >= _ATTEMPTS
        reached = plan.target is not None and not plan.better(plan.target, self._best)
        return reached or (plan.patience is not None and self._since_best >= plan.patience)

    def _failure(self) -> str | None:
        if self._best is not None:
            return None
        count = len(self._results)
        if any(result.completed for result in self._results):
            return (
                f"No objective metrics found after running {count} training jobs. Please ensure that the "
                "custom algorithm is emitting the objective metric as defined by the regular expression "
                "provided."
            )
        return (
            f"No training job succeeded after {count} attempts. Please take a look at the training job "
            "failures to get more details."
        )
