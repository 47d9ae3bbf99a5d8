"""Let ``AWS_ENDPOINT_URL`` apply to clients that are made with an address of AWS itself.

The SageMaker SDK, versions 2 and 3, makes its STS clients with
``endpoint_url="https://sts.<region>.amazonaws.com"``, and for boto3 such an argument takes precedence over
``AWS_ENDPOINT_URL``. Here an address of AWS counts as no address, so boto3 looks for one as it does for every
other client: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
Without ``AWS_ENDPOINT_URL`` in the environment, nothing is different.
"""

from __future__ import annotations

import os
import sys

# Every Python that starts with this folder on its path imports this module, so it imports very little.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_MODULE = "botocore.session"
_AWS = r"(?i)https?://([^/]+\.)?(amazonaws\.com(\.cn)?|api\.aws)(:\d+)?/?"


def install() -> None:
    """Change botocore in this process: at once if it is imported, otherwise when it is."""
    if _MODULE in sys.modules:
        _change(sys.modules[_MODULE])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds ``botocore.session`` as the other finders do, and changes it after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        # It stays, since a program may look for the module without importing it, or load it again.
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _change(module: Any) -> None:
    import functools
    import re

    original = module.Session.create_client
    if getattr(original, "_reads_aws_endpoint_url", False):
        return

    @functools.wraps(original)
    def create_client(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        if re.fullmatch(_AWS, kwargs.get("endpoint_url") or "") and _is_redirected(service_name):
            kwargs["endpoint_url"] = None
        return original(self, service_name, *args, **kwargs)

    create_client._reads_aws_endpoint_url = True  # type: ignore[attr-defined]
    module.Session.create_client = create_client


def _is_redirected(service_name: str) -> bool:
    own = f"AWS_ENDPOINT_URL_{service_name.upper().replace('-', '_')}"
    return bool(os.environ.get(own) or os.environ.get("AWS_ENDPOINT_URL"))
