from __future__ import annotations

from pathlib import Path

import pytest

from stack.exceptions import StackError
from stack.lifecycle import Stack
from stack.settings import StackSettings


@pytest.mark.parametrize("name", ["AIRFLOW_PORT", "RUNTIME_PORT"])
@pytest.mark.parametrize("value", ["", "http", "0", "65536", "8_080"])
def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StackError, match=f"{name} is '{value}'; expected a port"):
        StackSettings.from_environment()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"cannot be written .* STACK_STATE_DIR"):
        Stack(StackSettings(state_dir=tmp_path / "file" / "state")).up()
