"""Trigger another DAG once, no matter how many attempts the task needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import XCOM_RUN_ID, TriggerDagRunOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_NOT_DONE_TWICE = {
    "wait_for_completion": "to wait, add a task after this one that asks ti.get_dagrun_state(dag_id, run_id)",
    "reset_dag_run": "to run the DAG again, give another trigger_run_id or clear its run",
    "skip_when_already_exists": "TriggerDagRunOperator skips",
}


class TriggerDagRunOnceOperator(TriggerDagRunOperator):
    """Trigger a DAG run with a fixed run id, or attach to the run that already has this id.

    On a retry, the standard operator creates a second run; with a fixed run id, it fails or skips. A paused
    DAG is an error, because its run would wait unnoticed.

    :param trigger_run_id: the id of the run; use a different one for each time that the DAG has to run.
        Templated.
    :raises ValueError: ``wait_for_completion``, ``reset_dag_run`` or ``skip_when_already_exists`` is set; an
        attempt that attaches to an existing run does none of these.
    """

    def __init__(self, *, trigger_run_id: str, **kwargs: Any) -> None:
        kwargs.setdefault("fail_when_dag_is_paused", True)
        # Without a logical date, two runs can never collide on one.
        kwargs.setdefault("logical_date", None)
        super().__init__(trigger_run_id=trigger_run_id, **kwargs)
        for name, cure in _NOT_DONE_TWICE.items():
            if getattr(self, name):
                raise ValueError(
                    f"{type(self).__name__}({name}=True) is refused: a retry attaches to the run that an "
                    f"earlier attempt triggered, and then succeeds immediately. Leave it out; {cure}."
                )

    def execute(self, context: Context) -> None:
        """Trigger the run unless an earlier attempt did."""
        task_instance = context["ti"]
        if task_instance.get_dr_count(dag_id=self.trigger_dag_id, run_ids=[str(self.trigger_run_id)]):
            self.log.info("An earlier attempt triggered %s %s.", self.trigger_dag_id, self.trigger_run_id)
            task_instance.xcom_push(key=XCOM_RUN_ID, value=self.trigger_run_id)
            return
        super().execute(context)
