"""Twelve cells of the crash matrix; `make crash-matrix` runs all of them."""

from __future__ import annotations

import pytest

from tests.e2e.crash.harness import Harness
from tests.e2e.crash.matrix import GROUPS, QUICK, Group, run_group

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("group", [g for g in GROUPS if g.name in QUICK], ids=lambda group: group.name)
def test_a_death_leaves_one_execution_and_its_outcome(harness: Harness, group: Group) -> None:
    results = run_group(harness, group)
    assert {" ".join(result.shape): str(result) for result in results} == {
        " ".join(shape): "right" for shape in group.shapes
    }


def test_the_quick_cells_are_twelve() -> None:
    assert sum(len(group.shapes) for group in GROUPS if group.name in QUICK) == 12
