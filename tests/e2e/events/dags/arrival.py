"""An Airflow DAG of one call whose runs read the partitions that arrive, by a manifest."""

from pathlib import Path

from sagemaker_pipelines import Partitions, s3_partition_asset, sagemaker_pipeline_dag

BUCKET = "s3://example-ml-artifacts"
ARRIVALS = s3_partition_asset(
    "arrivals", uri_prefix=f"{BUCKET}/arrivals/", uri_suffix="/_SUCCESS", unmatched="delete"
)

sagemaker_pipeline_dag(
    "read_arrivals",
    definition=Path(__file__).parent / "arrival.json",
    schedule=[ARRIVALS],
    notifier=None,
    inputs={"Rows": Partitions(f"{BUCKET}/arrivals/dt={{date}}/", manifest=f"{BUCKET}/manifests/")},
)
