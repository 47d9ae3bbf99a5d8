"""What stands in for which image, for people: the table of the documentation and of ``images list``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sagemaker_local_runtime.images.catalog import Catalog, Entry
from sagemaker_local_runtime.images.environments import Environments, Specification

_OWN = "the local runtime's own packages"


def lines(catalog: Catalog, cache: Path) -> Iterator[str]:
    """Yield a line for each entry, in the order in which they are tried.

    :param cache: the folder of the environments.
    """
    environments = Environments(cache)
    for entry in (*catalog.own, *catalog.built_in):
        yield f"{entry.repository}:{entry.tag}"
        yield f"    packages   {_packages(entry)}{_state(entry, environments)}"
        yield f"    runs       {', '.join(programs(entry))}"


def table(catalog: Catalog) -> str:
    """Return the built-in entries as a table in Markdown."""
    rows = ["| image | tag | packages | runs |", "|---|---|---|---|"]
    for entry in catalog.built_in:
        tag, repository = (text.replace("|", "\\|") for text in (entry.tag, entry.repository))
        # Two stars in a row of requirements, such as !=1.0.*, would put what is between them into italics.
        packages = _packages(entry).replace("|", "\\|").replace("*", "\\*")
        rows.append(f"| `{repository}` | `{tag}` | {packages} | {', '.join(programs(entry))} |")
    return "\n".join(rows)


def programs(entry: Entry) -> list[str]:
    """Return what an entry can run."""
    found = [f"processing: {entry.processor}" if entry.processor else "processing"]
    found.append("training with the command `train`" if entry.train else "training scripts")
    if entry.algorithm:
        found.append(f"the algorithm {entry.algorithm}")
    found.append("its HTTP server" if entry.serve else f"inference: {entry.inference}")
    return found


def _packages(entry: Entry) -> str:
    if entry.requirements is None:
        return _OWN
    listed = ", ".join(entry.requirements) or "none"
    return f"{listed} (or the next version with a wheel)" if entry.nearest else listed


def _state(entry: Entry, environments: Environments) -> str:
    """Return whether the environment is built; one that depends on the tag has no single answer."""
    if entry.requirements is None or any("{" in line for line in entry.requirements):
        return ""
    wanted = Specification(entry.requirements, entry.python, entry.nearest, entry.exclude)
    return ": built" if environments.find(wanted) else ": not built yet"
