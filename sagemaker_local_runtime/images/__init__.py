"""Local programs that stand in for container images, and the environments that they run in.

``catalog.py`` finds what stands in for an image, and ``environments.py`` builds its environment. Most of the
other modules run inside jobs, with the image's interpreter and packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Image:
    """The name of an image.

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


def built_in(module: str, *arguments: str, quick_xgboost: bool = False) -> list[str]:
    """Return the command that runs one of the runtime's own modules inside a job.

    Only this package is put on the path of the image's interpreter, and none of the packages beside it.

    :param module: its full name.
    :param arguments: its arguments.
    :param quick_xgboost: import XGBoost without its scikit-learn estimators: 0.3 s instead of 1.2 s.
    """
    name, file, folder = _PACKAGE.name, str(_PACKAGE / "__init__.py"), str(_PACKAGE)
    lines = [
        "import importlib.util as u, runpy, sys",
        f"s = u.spec_from_file_location({name!r}, {file!r}, submodule_search_locations=[{folder!r}])",
        "m = sys.modules[s.name] = u.module_from_spec(s)",
        "s.loader.exec_module(m)",
    ]
    if quick_xgboost:
        lines += ["sys.modules['sklearn'] = None", "import xgboost", "del sys.modules['sklearn']"]
    lines.append(f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)")
    return ["python3", "-c", "; ".join(lines), *arguments]
