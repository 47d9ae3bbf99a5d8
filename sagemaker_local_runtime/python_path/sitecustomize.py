"""Python imports this module when it starts with this folder on PYTHONPATH.

It changes botocore (see ``sagemaker_local_endpoint``), and then runs the ``sitecustomize`` that Python would
have imported without this folder.
"""

import os
import sys
from importlib.machinery import PathFinder

import sagemaker_local_endpoint  # type: ignore[import-not-found]  # on this folder's own path

_HERE = os.path.realpath(os.path.dirname(__file__))  # noqa: PTH120 - pathlib is slow to import


def _run_next() -> None:
    folders = [folder for folder in sys.path if os.path.realpath(folder) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", folders)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = sys.modules["sitecustomize"] = module_from_spec(spec)
    spec.loader.exec_module(module)


sagemaker_local_endpoint.install()
_run_next()
