"""The IAM policies in ``docs/iam/``: what each role may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.settings import ROOT

POLICIES = ROOT / "docs" / "iam"


@dataclass(frozen=True, kw_only=True)
class Names:
    """What stands in a policy where the files have names of an example.

    :param partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
    :param account_id: the AWS account.
    :param region: the AWS region.
    :param bucket: the artifact bucket.
    :param name_prefix: put before the names of pipelines and model package groups; may be empty.
    :param role_arn: the execution role.
    :param topic_arn: the SNS topic of the notifications.
    """

    partition: str
    account_id: str
    region: str
    bucket: str
    name_prefix: str
    role_arn: str
    topic_arn: str

    def put_into(self, policy: str) -> str:
        """Return the text of a policy with these names for the example's."""
        names = {
            "arn:aws:iam::111122223333:role/SageMakerExecutionRole": self.role_arn,
            "arn:aws:sns:eu-west-1:111122223333:sagemaker-pipelines": self.topic_arn,
            "arn:aws:": f"arn:{self.partition}:",
            "111122223333": self.account_id,
            "eu-west-1": self.region,
            "example-ml-artifacts": self.bucket,
            "dev-": self.name_prefix,
        }
        # In one pass, as a name may hold what stands for another one.
        return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], policy)


def statements(name: str, *, folder: Path = POLICIES, names: Names | None = None) -> Iterator[dict[str, Any]]:
    """Return the statements of one policy, ``Action`` and ``Resource`` always as lists.

    :param name: the file's stem, such as ``"airflow"``.
    :param folder: where the files are.
    :param names: names to put into it; None leaves those of the example.
    """
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    document = json.loads(names.put_into(text) if names else text)
    for statement in document["Statement"]:
        for key in ("Action", "Resource"):
            value = statement.get(key, [])
            statement[key] = [value] if isinstance(value, str) else value
        yield statement


def allowed_actions(name: str, *, folder: Path = POLICIES) -> set[str]:
    """Return the actions that a policy allows, such as ``"sagemaker:StartPipelineExecution"``.

    An action counts also where the policy denies it for some of the resources.

    :param name: the file's stem.
    :param folder: where the files are.
    """
    return {
        action
        for statement in statements(name, folder=folder)
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
