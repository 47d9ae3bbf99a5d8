"""``iam:SimulatePrincipalPolicy``, which SDK v3's ModelTrainer calls before a job and moto does not have.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import uuid
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from sagemaker_local_runtime.endpoint.wire import Answer, error_answer

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def simulate_principal_policy(body: bytes) -> Answer:
    """Answer that every requested action is allowed, since the local runtime does not check permissions.

    :param body: the request's form.
    """
    form = parse_qs(body.decode("utf-8", errors="replace"))
    actions = [
        value
        for name, values in sorted(form.items(), key=lambda item: (len(item[0]), item[0]))
        for value in values
        if name.startswith("ActionNames.member.")
    ]
    if "PolicySourceArn" not in form or not actions:
        return error_answer("query", "InvalidInput", "PolicySourceArn and ActionNames are required.")
    members = "".join(
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>*</EvalResourceName>"
        "<EvalDecision>allowed</EvalDecision><MatchedStatements/><MissingContextValues/></member>"
        for action in actions
    )
    text = (
        f'<SimulatePrincipalPolicyResponse xmlns="{_NAMESPACE}"><SimulatePrincipalPolicyResult>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults>"
        f"</SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId>"
        "</ResponseMetadata></SimulatePrincipalPolicyResponse>"
    )
    return Answer(body=text.encode(), headers={"Content-Type": "text/xml"})
