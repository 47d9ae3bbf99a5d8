"""How a tuning job chooses the next hyperparameters.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from typing import Any, Protocol

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.tuning.ranges import Choice, Range

# After so many random combinations, the search uses what it has learned.
_MOST_RANDOM, _LEAST_RANDOM = 10, 3


@dataclass(frozen=True)
class Suggestion:
    """The hyperparameters that a training job tries.

    :param values: by name, as text.
    :param trial: what the search recognizes the suggestion by.
    """

    values: dict[str, str]
    trial: Any = None


class Search(Protocol):
    """Suggests hyperparameters; the caller serializes the calls."""

    def ask(self) -> Suggestion | None:
        """Return the next suggestion, or None if there are no more combinations."""

    def tell(self, suggestion: Suggestion, value: float | None) -> None:
        """Report the objective metric of a suggestion; None if its training job gave none."""


class RandomSearch:
    """Independent combinations, each part of a range being as likely as any other.

    :param ranges: what to search.
    :param seed: makes the combinations the same each time; None does not.
    """

    def __init__(self, ranges: Sequence[Range], seed: int | None) -> None:
        self._ranges = ranges
        self._random = random.Random(seed)  # noqa: S311 - not for cryptography

    def ask(self) -> Suggestion:
        """Return a random combination."""
        return Suggestion({item.name: item.at(self._random.random()) for item in self._ranges})

    def tell(self, suggestion: Suggestion, value: float | None) -> None:
        """Ignore the value."""


class GridSearch:
    """Every combination of categorical values, once.

    :param ranges: what to search.
    """

    def __init__(self, ranges: Sequence[Choice]) -> None:
        self._names = [item.name for item in ranges]
        self._combinations = itertools.product(*(item.values for item in ranges))

    def ask(self) -> Suggestion | None:
        """Return the next combination."""
        values = next(self._combinations, None)
        return None if values is None else Suggestion(dict(zip(self._names, values, strict=True)))

    def tell(self, suggestion: Suggestion, value: float | None) -> None:
        """Ignore the value."""


class BayesianSearch:
    """Combinations that the results so far make promising, by Optuna's tree-structured Parzen estimator.

    AWS does not publish its own method. https://optuna.readthedocs.io/en/stable/reference/samplers/

    :param ranges: what to search.
    :param seed: makes the combinations the same each time, as far as results arrive in the same order.
    :param limit: how many training jobs there will be.
    :param minimize: whether a smaller metric is better.
    :raises ValidationError: Optuna is not installed.
    """

    def __init__(self, ranges: Sequence[Range], seed: int | None, *, limit: int, minimize: bool) -> None:
        check_installed("Bayesian")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = {item.name: item for item in ranges}
        self._failed = optuna.trial.TrialState.FAIL
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            item.name: optuna.distributions.CategoricalDistribution(item.values)
            if isinstance(item, Choice)
            else optuna.distributions.FloatDistribution(0, 1)
            for item in ranges
        }
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=min(_MOST_RANDOM, max(_LEAST_RANDOM, limit // 3)),
            constant_liar=True,  # parallel training jobs do not all try the same
        )
        self._study = optuna.create_study(direction="minimize" if minimize else "maximize", sampler=sampler)

    def ask(self) -> Suggestion:
        """Return a promising combination."""
        trial = self._study.ask(self._distributions)
        values = {name: self._text(name, value) for name, value in trial.params.items()}
        return Suggestion(values, trial)

    def tell(self, suggestion: Suggestion, value: float | None) -> None:
        """Learn from the value."""
        if value is None:
            self._study.tell(suggestion.trial, state=self._failed)
        else:
            self._study.tell(suggestion.trial, value)

    def _text(self, name: str, value: Any) -> str:
        item = self._ranges[name]
        return str(value) if isinstance(item, Choice) else item.at(value)


def check_installed(strategy: str) -> None:
    """Refuse a strategy whose library is missing.

    :raises ValidationError: Optuna is not installed; the message says how to install it.
    """
    if strategy == "Bayesian" and find_spec("optuna") is None:
        raise ValidationError(
            "The strategy 'Bayesian' needs Optuna, which is not installed. Install it with `pip install "
            "'sagemaker-pipelines-local-runtime[tuning]'`, or use the strategy Random."
        )


def grid_size(ranges: Sequence[Range]) -> int:
    """Return the number of combinations of a grid.

    :raises ValidationError: a range is not categorical.
    """
    numbers = [item.name for item in ranges if not isinstance(item, Choice)]
    if numbers:
        raise ValidationError(
            f"The strategy 'Grid' needs categorical ranges; {', '.join(numbers)} has numbers. Make it a "
            "categorical range, or use another strategy."
        )
    return prod(len(item.values) for item in ranges if isinstance(item, Choice))


def search(strategy: str, ranges: Sequence[Range], *, seed: int | None, limit: int, minimize: bool) -> Search:
    """Return the search of a strategy.

    :param strategy: ``Random``, ``Grid`` or ``Bayesian``.
    :param ranges: what to search.
    :param seed: the ``RandomSeed``.
    :param limit: how many training jobs there will be.
    :param minimize: whether a smaller metric is better.
    :raises ValidationError: the strategy needs what is not installed.
    """
    if strategy == "Grid":
        return GridSearch([item for item in ranges if isinstance(item, Choice)])
    if strategy == "Random":
        return RandomSearch(ranges, seed)
    return BayesianSearch(ranges, seed, limit=limit, minimize=minimize)
