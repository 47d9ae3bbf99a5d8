"""Local programs that stand in for container images.

The account and region in an image's URI are ignored; the repository selects the program, and the tag the
version. Every program runs with the runtime's own interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sagemaker_local_runtime.exceptions import ValidationError

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Image:
    """An image that has a local program.

    :param repository: the repository's name, ``"sagemaker-xgboost"``.
    :param tag: its tag, ``"3.2-0"``.
    """

    repository: str
    tag: str

    @property
    def version(self) -> tuple[int, ...]:
        """The framework's version in the tag: ``(1, 2)`` for ``1.2-2-cpu-py3``; empty if the tag has none."""
        parts = self.tag.partition("-")[0].split(".")
        return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()

    @property
    def pickles(self) -> bool:
        """Whether the XGBoost container of this version saves pickles: up to 1.2."""
        return bool(self.version) and self.version < (1, 3)

    @property
    def train_module(self) -> str | None:
        """The module that trains in algorithm mode, or None if the image only runs scripts."""
        return TRAIN_MODULES.get(self.repository)

    @property
    def serve_module(self) -> str:
        """The module that loads a model and answers a batch transform job's requests."""
        return SERVE_MODULES[self.repository]


TRAIN_MODULES = {"sagemaker-xgboost": "sagemaker_local_runtime.images.xgboost.train"}
SERVE_MODULES = {
    "sagemaker-scikit-learn": "sagemaker_local_runtime.images.sklearn",
    "sagemaker-xgboost": "sagemaker_local_runtime.images.xgboost.serve",
}
REPOSITORIES = tuple(sorted(SERVE_MODULES))


def find_image(uri: str) -> Image:
    """Return the image that a URI names.

    :param uri: ``<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>``.
    :raises ValidationError: the repository is not known.
    """
    name = uri.partition("@")[0].rpartition("/")[2]
    repository, _, tag = name.partition(":")
    if repository not in SERVE_MODULES:
        raise ValidationError(
            f"The image {uri!r} cannot be run: there is no local program for the repository {repository!r}. "
            f"Use an image from one of {', '.join(REPOSITORIES)}."
        )
    return Image(repository, tag)


def built_in(module: str, *arguments: str, quick_xgboost: bool = False) -> list[str]:
    """Return the command that runs one of the runtime's own modules inside a job.

    :param module: its full name.
    :param arguments: its arguments.
    :param quick_xgboost: import XGBoost without its scikit-learn estimators: 0.3 s instead of 1.2 s.
    """
    lines = ["import runpy, sys", f"sys.path[0] = {str(_ROOT)!r}"]
    if quick_xgboost:
        lines += ["sys.modules['sklearn'] = None", "import xgboost", "del sys.modules['sklearn']"]
    lines.append(f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)")
    return ["python3", "-c", "; ".join(lines), *arguments]
