"""Run in the clean environment: ``drive.py modules`` or ``drive.py run DAG_ID``; the last line is JSON."""

from __future__ import annotations

import json
import pkgutil
import sys
from importlib import import_module, metadata
from typing import Any


def modules() -> dict[str, Any]:
    """Import every module of the package and tell what Airflow sees of it."""
    # Airflow puts the plugins folder on the path when it is imported.
    import airflow.settings
    from airflow import plugins_manager
    from airflow.providers_manager import ProvidersManager

    airflow.settings.initialize()  # type: ignore[no-untyped-call]
    package = import_module("sagemaker_pipelines")
    names = [info.name for info in pkgutil.walk_packages(package.__path__, "sagemaker_pipelines.")]
    for name in names:
        # OpenLineage is an extra.
        if name != "sagemaker_pipelines.lineage":
            import_module(name)
    plugins, errors = plugins_manager._get_plugins()
    return {
        "file": package.__file__,
        "modules": names,
        "plugins": [plugin.name for plugin in plugins if plugin.name],
        "plugin_errors": errors,
        "providers": sorted(ProvidersManager().providers),  # type: ignore[no-untyped-call]
        "versions": {found.name: found.version for found in metadata.distributions()},
        "loaded": sorted(name for name in sys.modules if "." not in name),
    }


def run(dag_id: str) -> dict[str, Any]:
    """Run a DAG in this process and tell how its tasks ended."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag()
    dag = bag.dags[dag_id]
    ended = dag.test()
    return {
        "state": ended.state,
        "tasks": {task.task_id: task.state for task in ended.get_task_instances()},
        "errors": bag.import_errors,
    }


if __name__ == "__main__":
    found = modules() if sys.argv[1] == "modules" else run(sys.argv[2])
    print("\n" + json.dumps(found, default=str))
