"""Parse the DAG files in a bare environment and print their structure as JSON: ``python parse.py DAGS``."""

from __future__ import annotations

import importlib.abc
import json
import sys
from importlib.machinery import ModuleSpec
from typing import Any


class Blocker(importlib.abc.MetaPathFinder):
    """Make what Airflow's machines do not have impossible to import."""

    ours = frozenset({"sagemaker_compile", "pipeline_src", "sagemaker_local_runtime", "stack"})
    heavy = frozenset({"sagemaker", "moto", "pandas", "sklearn", "xgboost"})

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self.ours | self.heavy:
            raise ImportError(f"{name} is not there where DAGs are parsed")
        return None


def main(folder: str) -> None:
    sys.meta_path.insert(0, Blocker())
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(folder)
    dags = {}
    for dag_id, dag in bag.dags.items():
        DagSerialization.to_dict(dag)
        params: dict[str, Any] = {name: dag.params.get_param(name) for name in dag.params}
        dags[dag_id] = {
            "downstream": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
            "params": {
                name: param.schema | {"default": param.value, "description": param.description}
                for name, param in params.items()
            },
            "catchup": dag.catchup,
            "timetable": type(dag.timetable).__name__,
        }
    print("\n" + json.dumps({"dags": dags, "import_errors": bag.import_errors}, default=str))


if __name__ == "__main__":
    main(sys.argv[1])
