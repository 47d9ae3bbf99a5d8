"""Call a stub: ``python bootstrap.py PLAN``, in the sandbox.

The plan has the file and the name of the function, the step as JSON text, and where what it returns or why
it failed is written. It uses only the standard library.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any


def main(plan: dict[str, Any]) -> int:
    """Call the function and write what it returns; return the exit code."""
    try:
        text = _text(_load(Path(plan["file"]), plan["function"])(json.loads(plan["step"])))
    except Exception as error:
        traceback.print_exc()
        Path(plan["error_file"]).write_text(f"{type(error).__name__}: {error}")
        return 1
    Path(plan["outputs_file"]).write_text(text)
    return 0


def _text(outputs: Any) -> str:
    outputs = {} if outputs is None else outputs
    if not isinstance(outputs, dict):
        raise TypeError(
            f"it returned {outputs!r} ({type(outputs).__name__}); expected a dictionary of the step's outputs"
        )
    return json.dumps(outputs, allow_nan=False)


def _load(file: Path, name: str) -> Any:
    # The files beside it can be imported.
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
