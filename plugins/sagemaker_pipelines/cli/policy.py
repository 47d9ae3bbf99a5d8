"""The IAM policies of Airflow's role and of ``smoke``, which are here and in ``docs/iam/``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AIRFLOW_POLICY = Path(__file__).with_name("airflow.json")
#: In addition, to deploy the Lambda functions of definitions.
FUNCTIONS_POLICY = Path(__file__).with_name("airflow-functions.json")
#: In addition, for whoever runs ``smoke``.
SMOKE_POLICY = Path(__file__).with_name("smoke.json")


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names that replace those of the example in a policy.

    :param partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
    :param account_id: the AWS account.
    :param region: the AWS region.
    :param bucket: the artifact bucket.
    :param name_prefix: the prefix of pipelines and model package groups; may be empty.
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
        """Return the text of a policy with these names instead of the example's."""
        names = {
            "arn:aws:iam::111122223333:role/SageMakerExecutionRole": self.role_arn,
            "arn:aws:sns:eu-west-1:111122223333:sagemaker-pipelines": self.topic_arn,
            "arn:aws:": f"arn:{self.partition}:",
            "111122223333": self.account_id,
            "eu-west-1": self.region,
            "example-ml-artifacts": self.bucket,
            "dev-": self.name_prefix,
        }
        # In one pass, because one name may contain the example of another.
        return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], policy)


def statements(path: Path = AIRFLOW_POLICY, *, names: Names | None = None) -> Iterator[dict[str, Any]]:
    """Yield the statements of a policy, with ``Action`` and ``Resource`` always as lists.

    :param path: the policy's file.
    :param names: the names to put into it; None leaves those of the example.
    """
    text = path.read_text(encoding="utf-8")
    document = json.loads(names.put_into(text) if names else text)
    for statement in document["Statement"]:
        for key in ("Action", "Resource"):
            value = statement.get(key, [])
            statement[key] = [value] if isinstance(value, str) else value
        yield statement
