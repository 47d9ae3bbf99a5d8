from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sagemaker_local_runtime.exceptions import EnvironmentBuildError
from sagemaker_local_runtime.images.environments import Environments, Specification
from sagemaker_local_runtime.images.index import uv_environment
from sagemaker_local_runtime.images.layer.installer import translated
from tests.wheels import Wheelhouse, wheelhouse

__all__ = ["wheelhouse"]


def silent(_: str) -> None: ...


def go_on() -> None: ...


def test_two_that_need_the_same_environment_build_it_once(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    """The second one says that it waits, or finds the environment complete."""
    wheelhouse.add("grape", "1.0")
    lines: list[str] = []
    both = threading.Barrier(2)

    def build(_: int) -> Path:
        both.wait()
        environments = Environments(tmp_path / "cache")
        return environments.get(Specification(("grape",)), lines.append, go_on).python

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(build, range(2))
    assert first == second
    assert first.is_file()
    assert [line for line in lines if line.startswith("Building")] == ["Building an environment with grape."]


def test_the_nearest_version_is_the_lowest_with_a_wheel(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    for version in ("1.0", "1.4", "2.0"):
        wheelhouse.add("grape", version)
    environments = Environments(tmp_path / "cache")
    wanted = Specification(("grape>=1.2",), nearest=True)
    found = environments.get(wanted, silent, go_on)
    assert environments.versions(wanted, found, ["grape", "other"]) == {"grape": "1.4"}


def test_a_package_that_others_depend_on_can_be_left_out(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    wheelhouse.add("grape", "1.0", "nowhere>=1")
    environments = Environments(tmp_path / "cache")
    found = environments.get(Specification(("grape",), exclude=("nowhere",)), silent, go_on)
    assert (found.sites[0] / "grape.py").is_file()


def test_a_build_that_is_stopped_or_fails_leaves_nothing(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    wheelhouse.add("grape", "1.0")
    environments = Environments(tmp_path / "cache")

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        environments.get(Specification(("grape",)), silent, stop)
    with pytest.raises(EnvironmentBuildError, match="nowhere was not found"):
        environments.get(Specification(("nowhere",)), silent, go_on)
    assert environments.find(Specification(("grape",))) is None
    assert [path.suffix for path in (tmp_path / "cache" / "envs").iterdir()] == [".lock", ".lock"]


def test_an_interpreter_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentBuildError, match=r"No interpreter found for Python 3\.99"):
        Environments(tmp_path).get(Specification((), python="3.99"), silent, go_on)


@pytest.fixture
def pip_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file of pip's settings, and none of uv's."""
    for name in ("UV_CONFIG_FILE", "XDG_CONFIG_HOME", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "pip.conf"
    path.touch()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    return path


def test_the_index_of_pip_is_uvs(pip_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pip_settings.parent
    pip_settings.write_text(
        "[global]\nindex-url = https://packages.example/simple\n"
        f"find-links = {folder} {folder}/missing\n"
        "[install]\nextra-index-url = https://more.example/simple\n"
    )
    monkeypatch.setenv("PIP_TRUSTED_HOST", "packages.example")
    found = uv_environment()
    assert found["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
    assert found["UV_INDEX"] == "https://more.example/simple"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert found["UV_FIND_LINKS"] == str(folder)
    assert found["UV_INSECURE_HOST"] == "packages.example"


def test_an_index_of_uv_itself_wins(pip_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_settings.write_text("[global]\nindex-url = https://packages.example/simple\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert uv_environment()["UV_DEFAULT_INDEX"] == "https://uv.example/simple"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--user", "--no-cache-dir", "six"], ["six"]),
        (["--progress-bar", "off", "-r", "a.txt"], ["-r", "a.txt"]),
        (["--progress-bar=off", "-U", "six"], ["-U", "six"]),
        (["-I", "six"], ["--reinstall", "six"]),
        (["--index-url", "https://x/simple", "six"], ["--index-url", "https://x/simple", "six"]),
    ],
)
def test_options_of_pip_become_those_of_uv(options: list[str], expected: list[str]) -> None:
    assert translated(options) == expected
