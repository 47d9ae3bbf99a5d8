from __future__ import annotations

from typing import Any

import pytest

from tests.unit.definition.samples import sound_definition


@pytest.fixture
def definition() -> dict[str, Any]:
    return sound_definition()
