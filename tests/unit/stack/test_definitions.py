"""What the stack reads from the compiled definitions."""

from __future__ import annotations

import json
from pathlib import Path

from stack.definitions import DEFINITIONS, allowed_arguments


def test_the_arguments_that_any_definition_allows_are_found_once_and_sorted(tmp_path: Path) -> None:
    document = json.loads((DEFINITIONS / "scoring.json").read_text(encoding="utf-8"))
    for name, allowed in {"a": ["Training.B", "Training.A"], "b": ["Training.A"]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({**document, "allowed_arguments": allowed}))
    assert allowed_arguments(tmp_path) == ("Training.A", "Training.B")
    assert allowed_arguments(DEFINITIONS) == ()
