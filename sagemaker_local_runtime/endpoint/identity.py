"""The account's own identity and policies, which moto's IAM and STS lack: put there with the first request.

As in a SageMaker notebook, a client is the execution role, unless its credentials belong to a user or to an
assumed role that it has created here.
"""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import Any

from sagemaker_local_runtime.endpoint.calls import Call
from sagemaker_local_runtime.settings import Settings

#: SDK v3 refuses a role that SageMaker may not assume; the functions of a pipeline run with the same role.
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
_PARTITION = "aws"
_SESSION = "local-runtime"


class Identity:
    """Completes moto's IAM and STS of one account.

    :param settings: the account, and its execution role.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._has_role = self._has_policies = False

    def prepare(self, call: Call) -> None:
        """Add what a request may ask for. The first one waits for moto's import, so that a start does not."""
        if call.service not in ("iam", "sts"):
            return
        with self._lock:
            if not self._has_role:
                self._add_role()
                self._has_role = True
            # 1,600 policies: only for the calls that can name one of AWS's.
            if not self._has_policies and "Polic" in call.action:
                self._add_policies()
                self._has_policies = True

    def _add_role(self) -> None:
        from moto.sts.models import sts_backends

        iam, sts = self._iam(), sts_backends[self._settings.account_id][_PARTITION]
        role = iam.create_role(
            role_name=self._settings.role_arn.rpartition("/")[2],
            assume_role_policy_document=json.dumps(TRUST),
            path="/",
            permissions_boundary=None,
            description="The execution role of the local runtime",
            tags=[],
            max_session_duration=None,
        )
        sts.get_caller_identity = partial(_caller, iam, sts, sts.get_caller_identity, role)

    def _add_policies(self) -> None:
        from moto.iam.aws_managed_policies import aws_managed_policies_data
        from moto.iam.models import AWSManagedPolicy

        iam = self._iam()
        iam.aws_managed_policies = [
            AWSManagedPolicy.from_data(name, iam.account_id, iam.region_name, policy)
            for name, policy in json.loads(aws_managed_policies_data).items()
        ]
        # A new dictionary, since other requests may be reading this one.
        iam.managed_policies = {
            **{policy.arn: policy for policy in iam.aws_managed_policies},
            **iam.managed_policies,
        }

    def _iam(self) -> Any:
        from moto.iam.models import iam_backends

        return iam_backends[self._settings.account_id][_PARTITION]


def _caller(iam: Any, sts: Any, known: Any, role: Any, access_key: str, region: str) -> Any:
    """Return the id, ARN and account of the identity that an access key belongs to."""
    if sts.get_assumed_role_from_access_key(access_key) or iam.get_user_from_access_key_id(access_key):
        return known(access_key, region)
    arn = f"arn:{_PARTITION}:sts::{role.account_id}:assumed-role/{role.name}/{_SESSION}"
    return f"{role.id}:{_SESSION}", arn, role.account_id
