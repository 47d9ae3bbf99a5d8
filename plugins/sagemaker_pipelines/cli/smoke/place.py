"""The names of one smoke run, and a client that records the answers of AWS."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sagemaker_pipelines.aws.account import Account, Logger
from sagemaker_pipelines.aws.answers import AnswerRecorder
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.deployable import required
from sagemaker_pipelines.cli.smoke.anonymous import Anonymizer
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.settings import PipelineSettings, account_of

FOLDER = Path(__file__).parent
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_RUN_ID = re.compile(r"[0-9a-f]{8}")


def new_run_id() -> str:
    """Return the random id of a run, which is part of every name that it creates."""
    return secrets.token_hex(4)


class RecordedAccount:
    """An account with a name prefix of its own, whose clients record what they are answered.

    :param account: the account.
    :param name_prefix: the prefix of everything that is created.
    :param recorder: records the answers.
    """

    def __init__(self, account: Account, name_prefix: str, recorder: AnswerRecorder) -> None:
        self._account = account
        self._recorder = recorder
        self.settings: PipelineSettings = replace(account.settings, name_prefix=name_prefix)

    @property
    def name(self) -> str:
        """The account's name."""
        return self._account.name

    @property
    def log(self) -> Logger:
        """The account's log."""
        return self._account.log

    def boto3_client(self, service: str) -> Any:
        """Return a client of a service whose answers are recorded."""
        return self._recorder.watch(self._account.boto3_client(service))

    def masked(self, value: Any) -> Any:
        """Return a copy of JSON types in which the values of secrets are masked."""
        return self._account.masked(value)

    def renew(self) -> None:
        """Read the credentials again."""
        self._account.renew()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one smoke run works: below a name prefix that nothing else has.

    :param run_id: eight hexadecimal digits.
    :param client: the client of the stages, whose answers are recorded.
    :param recorder: what the client records.
    :param anonymous: replaces the names of this account.
    :param envelope: the definition.
    """

    run_id: str
    client: SageMakerClient
    recorder: AnswerRecorder
    anonymous: Anonymizer
    envelope: Envelope

    @classmethod
    def of(cls, client: SageMakerClient, run_id: str, *, callers: Iterable[str] = ()) -> Place:
        """Return the place of a run.

        :param client: calls AWS.
        :param run_id: the id from :func:`new_run_id`.
        :param callers: names of whoever calls, which the report must not have.
        :raises ParameterError: the id has another form.
        :raises SettingsError: the artifact bucket is not set.
        """
        if _RUN_ID.fullmatch(run_id) is None:
            raise ParameterError(
                f"The smoke run is {run_id!r}; expected its id as the command printed it, eight hexadecimal "
                "digits such as 1a2b3c4d. Correct it."
            )
        required(client.settings.artifact_bucket, "artifact_bucket")
        prefix = f"{client.settings.name_prefix}smoke-{run_id}-"
        anonymous = Anonymizer(
            {**_labels(client), **dict.fromkeys(callers, "<caller>"), prefix: "<prefix>", run_id: "<run>"}
        )
        recorder = AnswerRecorder(anonymous)
        return cls(
            run_id=run_id,
            client=SageMakerClient(RecordedAccount(client.account, prefix, recorder)),
            recorder=recorder,
            anonymous=anonymous,
            envelope=Envelope.load(FOLDER / "check.json"),
        )

    def close(self) -> None:
        """Record no more answers."""
        self.recorder.close()

    @property
    def prefix(self) -> str:
        """The prefix of every name and of every key in the bucket."""
        return self.client.settings.name_prefix

    @property
    def name(self) -> str:
        """The name of the pipeline, and of its model package group."""
        return self.envelope.pipeline_name(self.prefix)

    @property
    def bucket(self) -> str:
        """The artifact bucket."""
        return required(self.client.settings.artifact_bucket, "artifact_bucket")

    @property
    def is_aws(self) -> bool:
        """Whether SageMaker is called at AWS's own endpoint."""
        host = urlsplit(str(self.client.sagemaker.meta.endpoint_url)).hostname or ""
        return host.endswith(_AWS)


def _labels(client: SageMakerClient) -> dict[str, str]:
    """Return labels for everything in the settings that could identify the account or its owner."""
    settings = client.settings
    role, topic = settings.role_arn or "", settings.notification_target or ""
    return {
        role: "<role>",
        role.rpartition("/")[2]: "<role>",
        account_of(role): "<account>",
        settings.artifact_bucket or "": "<bucket>",
        settings.name_prefix: "<name_prefix>",
        settings.environment or "": "<environment>",
        settings.kms_key_id or "": "<key>",
        topic: "<topic>",
        topic.rpartition(":")[2]: "<topic>",
        **dict.fromkeys(settings.subnet_ids, "<subnet>"),
        **dict.fromkeys(settings.security_group_ids, "<security group>"),
        **dict.fromkeys(settings.tags.values(), "<tag>"),
        str(client.sagemaker.meta.endpoint_url): "<endpoint>",
        str(Path.home()): "~",
    }
