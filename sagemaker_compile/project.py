"""The files of a new project: a copy of ``template/`` with another name."""

from __future__ import annotations

from keyword import iskeyword
from pathlib import Path

from sagemaker_compile.exceptions import ProjectError
from sagemaker_pipelines.definition.envelope import NAME_PATTERN

TEMPLATE = Path(__file__).parent / "template"
_NAME = "my_pipeline"
#: The longest name of a model package group: the project's pipeline registers in one of its own name.
_MAX_NAME = 63
_NOT_COPIED = {"__pycache__", ".DS_Store"}


def write_project(name: str, folder: Path) -> tuple[list[Path], list[Path]]:
    """Write a project with one pipeline, or add a pipeline to a project.

    :param name: the name of the folder below ``pipeline_src``, such as ``my_pipeline``.
    :param folder: the project's folder; it may exist.
    :return: the files that were written, and those that were kept, as paths in the folder. Files that all
        pipelines of a project share, such as the Makefile, are kept if they exist.
    :raises ProjectError: the name cannot be used, or a file of this pipeline exists; nothing was written.
    """
    check_name(name)
    sources = _template_files()
    targets = {source: Path(_named(source.as_posix(), name)) for source in sources}
    present = [source for source in sources if (folder / targets[source]).exists()]
    if taken := [targets[source] for source in present if _NAME in source.as_posix()]:
        raise ProjectError(
            f"{folder / taken[0]} exists, and nothing is overwritten. Nothing was written. Choose another "
            "name or another --folder, or remove this file."
        )
    new = [source for source in sources if source not in present]
    for source in new:
        text = (TEMPLATE / source).read_text(encoding="utf-8")
        (folder / targets[source]).parent.mkdir(parents=True, exist_ok=True)
        (folder / targets[source]).write_text(_named(text, name), encoding="utf-8")
    return [targets[source] for source in new], [targets[source] for source in present]


def check_name(name: str) -> None:
    """Refuse a name that Python or SageMaker would refuse.

    :raises ProjectError: with what is wrong.
    """
    pipeline = _pipeline_name(name)
    if not name.isidentifier() or iskeyword(name):
        reason = "Python could not import a package of this name"
    elif not NAME_PATTERN.fullmatch(pipeline):
        reason = f"SageMaker would refuse {pipeline!r}, the name of its pipeline"
    elif len(pipeline) > _MAX_NAME:
        reason = (
            f"its {len(pipeline)} characters are more than the {_MAX_NAME} of a model package group's name"
        )
    else:
        return
    raise ProjectError(
        f"{name!r} cannot name a pipeline: {reason}. Nothing was written. Use letters, digits and single "
        "underscores, with a letter first, such as my_pipeline."
    )


def _template_files() -> list[Path]:
    """Return the files of the template, as paths in it."""
    paths = (path.relative_to(TEMPLATE) for path in TEMPLATE.rglob("*") if path.is_file())
    return sorted(path for path in paths if not _NOT_COPIED & set(path.parts))


def _pipeline_name(name: str) -> str:
    return name.replace("_", "-")


def _named(text: str, name: str) -> str:
    return text.replace(_NAME, name).replace(_pipeline_name(_NAME), _pipeline_name(name))
