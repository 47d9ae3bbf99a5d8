"""Say what to do about an error of AWS, for a user in a shell."""

from __future__ import annotations

from collections.abc import Mapping

from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import cure_of, is_denied, is_missing, is_missing_object

_NETWORK = (
    "Check the network, the region, and the endpoint (--endpoint-url, AWS_ENDPOINT_URL, or endpoint_url in "
    "the extra of the Airflow connection)."
)
_REGION = "Set a region: --region, AWS_DEFAULT_REGION, or region_name in the extra of the Airflow connection."
_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile (--profile, AWS_PROFILE; "
    "`aws configure` makes one), or name an Airflow connection that has credentials."
)
_ADVICE: Mapping[type[Exception], str] = {
    botocore_errors.NoRegionError: _REGION,
    botocore_errors.InvalidRegionError: _REGION,
    botocore_errors.NoCredentialsError: _CREDENTIALS,
    botocore_errors.PartialCredentialsError: _CREDENTIALS,
    botocore_errors.ProfileNotFound: (
        "`aws configure list-profiles` lists the profiles. Correct --profile, AWS_PROFILE, or profile_name "
        "in the extra of the Airflow connection."
    ),
    botocore_errors.ConfigParseError: "Correct this file.",
    botocore_errors.ParamValidationError: "Correct this argument.",
}


def with_advice(error: Exception) -> str:
    """Return the text of an error, followed by what to do about it if that is known.

    :param error: an error of botocore or of this package; the latter already say what to do.
    """
    text = str(error)
    advice = _advice(error)
    return text if advice is None else f"{text}{'' if text.endswith('.') else '.'} {advice}"


def _advice(error: Exception) -> str | None:
    known = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), None) or cure_of(error)
    if known is not None:
        return known
    if isinstance(error, ClientError):
        if is_denied(error):
            return "Allow this user or role to do it; docs/deployment.md lists the policies."
        if is_missing(error) or is_missing_object(error):
            return (
                "Check the name, the region and the account; `list` shows the pipelines, and `list NAME` the "
                "executions of one."
            )
        return None
    network = (botocore_errors.ConnectionError, botocore_errors.HTTPClientError)
    return _NETWORK if isinstance(error, network) else None
