"""Compare a newly registered model with the champion of its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BranchMixIn

from sagemaker_pipelines.aws.champion import ModelPackage, check_is_newer, read_model_package
from sagemaker_pipelines.aws.comparison import Comparison, Contender, read_comparison
from sagemaker_pipelines.aws.holdout import check_holdout
from sagemaker_pipelines.aws.model_packages import (
    PackagedModel,
    newest_approved_model_package,
    packaged_model,
)
from sagemaker_pipelines.data.partitions import in_environment
from sagemaker_pipelines.exceptions import ModelPackageError, SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerPipelineExecutionLink
from sagemaker_pipelines.states import PENDING

if TYPE_CHECKING:
    from airflow.sdk import Context

#: XCom key of the comparison.
XCOM_COMPARISON = "comparison"
#: XCom key of what ``find_champion`` found: parameters of the comparison pipeline.
XCOM_MODELS = "models"


class SageMakerCheckChampionOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Check that a model can be compared with the champion, before it is trained.

    :param model_package_group_name: the group whose newest Approved model package is the champion;
        ``{name_prefix}`` comes from the environment. Templated.
    :param holdout: S3 URI of labelled rows: CSV without a header, the label in the last column;
        ``{artifact_bucket}`` and ``{name_prefix}`` come from the environment. Templated.
    :return: the ARN of the champion; None if the group has none.
    :raises AirflowFailException: the holdout is missing or has no labels, or the champion's model cannot be
        created.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields("model_package_group_name", "holdout")

    def __init__(self, *, model_package_group_name: str, holdout: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_package_group_name = model_package_group_name
        self.holdout = holdout

    def execute(self, context: Context) -> Any:
        """Find the champion, and check it and the holdout."""
        try:
            champion = self._champion()
            self._check_holdout(champion)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        return champion.arn if champion else None

    def _champion(self) -> PackagedModel | None:
        group = self._filled(self.model_package_group_name)
        arn = newest_approved_model_package(self.hook.client, group)
        self.log.info("The champion of %s: %s", group, arn or "none, no model package is Approved")
        return packaged_model(self.hook.client, arn) if arn else None

    def _check_holdout(self, model: PackagedModel | None) -> None:
        uri = model.transform_uri if model else None
        check_holdout(self.hook.client, self._filled(self.holdout), uri)

    def _filled(self, template: str) -> str:
        return in_environment(template, self.hook.settings.location_fields)


class SageMakerFindChampionOperator(SageMakerCheckChampionOperator, BranchMixIn):
    """Find the champion that a new model package is compared with, and branch.

    Pushes to XCom ``models`` the parameters of the comparison pipeline that describe both packages and the
    holdout, if there is a champion.

    :param challenger: ARN of the new model package. Templated.
    :param compare: task ids to follow if there is a champion.
    :param without_champion: task ids to follow if there is none.
    :return: the task ids that are followed.
    :raises AirflowFailException: the challenger belongs to another group, has been approved or rejected
        already, or is older than the champion; a model cannot be created; the holdout is missing or does not
        fit a transform.
    """

    template_fields: Sequence[str] = (*SageMakerCheckChampionOperator.template_fields, "challenger")

    def __init__(
        self,
        *,
        challenger: str,
        compare: Sequence[str] = (),
        without_champion: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.challenger = challenger
        self.compare = compare
        self.without_champion = without_champion

    def execute(self, context: Context) -> Any:
        """Push what describes both models, and follow a branch."""
        try:
            models = self._models()
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        if models is None:
            return self.do_branch(context, self.without_champion)
        context["ti"].xcom_push(key=XCOM_MODELS, value=models)
        return self.do_branch(context, self.compare)

    def _models(self) -> dict[str, str] | None:
        package = self._pending()
        champion = self._champion()
        if champion is None:
            return None
        check_is_newer(self.hook.client, package, champion.arn)
        found = {"Holdout": self._filled(self.holdout)}
        challenger = packaged_model(self.hook.client, self.challenger)
        for name, model in (("Challenger", challenger), ("Champion", champion)):
            self._check_holdout(model)
            found |= model.parameters(name)
        return found

    def _pending(self) -> ModelPackage:
        """Return the challenger, which has to await its approval."""
        # Not by the ARN, in which AWS has written the names of older groups in lower case.
        package = read_model_package(self.hook.client, self.challenger)
        if package.group != (group := self._filled(self.model_package_group_name)):
            raise ModelPackageError(
                f"The model package {self.challenger} does not belong to the group {group!r}, whose champion "
                "it would be compared with. Expected a package of that group. Correct the group of champion=."
            )
        if package.status != PENDING:
            raise ModelPackageError(
                f"{package.arn} has become {package.status} meanwhile "
                f"({package.description or 'without a description'}); expected {PENDING}. There is nothing "
                "to decide, so nothing is compared. Set it back to that status and clear this task to decide "
                "again, or train another model."
            )
        return package


class SageMakerCompareModelsOperator(AwsBaseOperator[SageMakerPipelineHook], BranchMixIn):
    """Read the comparison of a challenger with the champion, push it to XCom, and branch.

    Pushes to XCom ``comparison``: see :class:`~sagemaker_pipelines.aws.comparison.Comparison`. Without an
    execution, the challenger is the first model of its group, and wins because it has passed the gate.

    :param gate: the XCom ``gate`` of the branch that the challenger has passed. Templated.
    :param pipeline_execution_arn: the execution that compared; None or empty if there is no champion.
        Templated.
    :param larger_is_better: whether the larger value of the metric is the better one.
    :param margin: by how much a challenger has to be better.
    :param won: task ids to follow if the challenger wins.
    :param lost: task ids to follow if it does not.
    :return: the task ids that are followed.
    :raises AirflowFailException: the comparison cannot be read; then no branch is followed.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields("gate", "pipeline_execution_arn")
    operator_extra_links = (SageMakerPipelineExecutionLink(),)

    def __init__(
        self,
        *,
        gate: Mapping[str, Any],
        pipeline_execution_arn: str | None,
        larger_is_better: bool,
        margin: float,
        won: Sequence[str] = (),
        lost: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        self.pipeline_execution_arn = pipeline_execution_arn
        self.larger_is_better = larger_is_better
        self.margin = margin
        self.won = won
        self.lost = lost

    def execute(self, context: Context) -> Any:
        """Push the comparison, and follow a branch."""
        arn = self.pipeline_execution_arn
        try:
            if arn:
                SageMakerPipelineExecutionLink.store(context, self, self.hook, arn)
                found = read_comparison(self.hook.client, arn, threshold=self.gate["threshold"])
            else:
                found = self._first_model()
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("The challenger %s: %s", "wins" if found.wins else "loses", found.reason)
        context["ti"].xcom_push(key=XCOM_COMPARISON, value=self.hook.masked(found.as_document()))
        return self.do_branch(context, self.won if found.wins else self.lost)

    def _first_model(self) -> Comparison:
        gate = self.gate
        return Comparison(
            metric=gate["metric"],
            larger_is_better=self.larger_is_better,
            margin=self.margin,
            threshold=gate["threshold"],
            challenger=Contender(arn=gate["model_package_arn"], value=gate["value"]),
            wins=True,
            reason=f"there is no champion yet; {gate['metric']} {gate['value']:g} passed the threshold "
            f"{gate['threshold']:g}",
            report_uri=gate["report_uri"],
        )
