"""Refuse CloudFormation templates with SageMaker resources.

moto would report CREATE_COMPLETE for them, but the actions of the local runtime would not find them.
"""

from __future__ import annotations

import io
import re
from urllib.parse import parse_qs, urlsplit

from sagemaker_local_runtime.endpoint.calls import Call
from sagemaker_local_runtime.endpoint.wire import Answer, Environ, error_answer, read_body
from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from sagemaker_local_runtime.services.storage import Storage, split_uri

_ACTIONS = {"CreateStack", "UpdateStack", "CreateStackSet", "UpdateStackSet", "CreateChangeSet"}
# In JSON and in YAML: "Type": "AWS::SageMaker::Pipeline" or Type: AWS::SageMaker::Pipeline.
_TYPE = re.compile(r"""\bType["']?\s*:\s*["']?(AWS::SageMaker::\w+)""")


def refuse_template(call: Call, environ: Environ, storage: Storage) -> Answer | None:
    """Return the refusal of a request whose template has such a resource, or None.

    :param environ: the request, whose body can still be read afterwards.
    :param storage: reads a template that is in S3.
    """
    if call.service != "cloudformation" or call.action not in _ACTIONS:
        return None
    body = read_body(environ)
    environ["wsgi.input"] = io.BytesIO(body)
    form = parse_qs(body.decode("utf-8", errors="replace"))
    try:
        refused = sorted(set(_TYPE.findall(_template(form, storage))))
    except AwsError as error:
        return error_answer("query", "ValidationError", f"The template cannot be read: {error.message}")
    if not refused:
        return None
    message = (
        f"The local runtime does not support {', '.join(refused)} in CloudFormation: nothing would execute "
        "it. Use SageMaker's API, or `sagemaker-pipelines upsert` for a pipeline."
    )
    return error_answer("query", "ValidationError", message)


def _template(form: dict[str, list[str]], storage: Storage) -> str:
    for url in form.get("TemplateURL", []):
        try:
            split_uri(url)
        except ValidationError:
            # Any other host is this endpoint, which has the bucket in the path.
            url = f"s3:/{urlsplit(url).path}"
        return storage.read_bytes(url).decode("utf-8", errors="replace")
    return "".join(form.get("TemplateBody", []))
