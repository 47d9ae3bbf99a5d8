"""What is installed has the hashes in constraints.txt, in ``make setup`` and in the images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stack.settings import ROOT
from tests.packaging.installation import install, new_environment

LOCK = ROOT / "constraints.txt"
pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return new_environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.mark.parametrize(
    "names",
    [
        ("requirements-cluster.txt",),
        ("requirements-cluster.txt", "requirements.txt"),
        ("requirements-local.txt",),
    ],
)
def test_the_lock_has_the_hashes_of_all_that_an_image_installs(python: str, names: tuple[str, ...]) -> None:
    wanted = [part for name in names for part in ("--requirement", str(ROOT / name))]
    install(python, "--dry-run", "--require-hashes", "--constraint", str(LOCK), *wanted)


@pytest.mark.parametrize("given", [["--no-deps", "-r"], ["idna==3.20", "-c"]], ids=["setup", "image"])
def test_a_file_with_another_hash_is_refused(python: str, tmp_path: Path, given: list[str]) -> None:
    (block,) = re.findall(r"^idna==(?:.*\\\n)+.*$", LOCK.read_text(), re.MULTILINE)
    other = tmp_path / "constraints.txt"
    other.write_text(re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", block))
    with pytest.raises(AssertionError, match=r"(?i)hash mismatch"):
        install(python, "--reinstall", "--require-hashes", *given, str(other))
    other.write_text(block)
    install(python, "--reinstall", "--require-hashes", *given, str(other))
