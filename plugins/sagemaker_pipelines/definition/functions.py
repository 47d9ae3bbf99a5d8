"""The Lambda functions that are deployed together with a definition whose steps call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_pipelines.definition.placeholders import substitute
from sagemaker_pipelines.exceptions import PlaceholderError

#: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html, FunctionName
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
#: What Lambda uses for the settings that a function leaves out.
_DEFAULTS: Mapping[str, Any] = {
    "Environment": {"Variables": {}},
    "Layers": [],
    "MemorySize": 128,
    "Timeout": 3,
    "VpcConfig": {"SecurityGroupIds": [], "SubnetIds": []},
}
#: The settings that a function may have, as CreateFunction calls them.
SETTINGS = tuple(sorted({"Handler", "Role", "Runtime", *_DEFAULTS}))


@dataclass(frozen=True)
class Function:
    """A Lambda function.

    :param name: its name; in an envelope, without the environment's prefix.
    :param code: the path of the asset with its code.
    :param settings: the members of CreateFunction in :data:`SETTINGS`; in an envelope, those that are set.
    """

    name: str
    code: str
    settings: Mapping[str, Any]

    def filled(self, values: Mapping[str, str]) -> Function:
        """Return the function as it is deployed: with the prefix, all settings, and no placeholders.

        :param values: placeholder to value.
        :raise PlaceholderError: Lambda would refuse the name because of the prefix.
        """
        name = f"{values.get('name_prefix', '')}{self.name}"
        if _NAME.fullmatch(name) is None:
            raise PlaceholderError(
                f"name_prefix is {values.get('name_prefix')!r}, which makes the Lambda function's name "
                f"{name!r}: expected at most 64 letters, digits, hyphens and underscores. Change the "
                "setting, or the function_name in the pipeline's sources."
            )
        return Function(name, self.code, substitute({**_DEFAULTS, **self.settings}, values))
