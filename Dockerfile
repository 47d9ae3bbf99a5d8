# syntax=docker/dockerfile:1
# Two images: `airflow` for every process of Airflow, `local-runtime` for the stand-in for AWS and its bootstrap.

FROM apache/airflow:slim-3.3.2-python3.11 AS airflow
# 1 adds the SageMaker SDK (compiling definitions inside a container); nothing that Airflow runs needs it.
ARG INSTALL_SDK=0
# uv checks each file against the hashes of the lock, and pip checks uv; pip ignores hashes in constraints.
# Dependencies first: a changed DAG rebuilds only the small layers below.
RUN --mount=type=bind,source=requirements-cluster.txt,target=/tmp/requirements-cluster.txt \
    --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=bind,source=constraints.txt,target=/tmp/constraints.txt \
    if [ "${INSTALL_SDK}" = 1 ]; then set -- --requirement /tmp/requirements.txt; else set --; fi \
    && sed -n '/^uv==/,/[^\\]$/p' /tmp/constraints.txt > /tmp/uv.txt \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/uv.txt \
    && uv pip install --no-cache --require-hashes --constraint /tmp/constraints.txt \
        --requirement /tmp/requirements-cluster.txt "$@" \
    && rm /tmp/uv.txt \
    && mkdir -p /opt/airflow/auth /opt/airflow/logs
COPY --chown=airflow:0 docker/init.sh /opt/airflow/docker/init.sh
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 dags /opt/airflow/dags
# The package is imported from plugins/, as Airflow itself does, also by processes that load no plugins.
ENV PYTHONPATH=/opt/airflow/plugins
USER 50000


# An exact patch release: until 3.11.18, extracting a crafted archive with tarfile's filters could write elsewhere
# (CVE-2025-4517, CVE-2026-11940, CVE-2026-114583), and a job's model.tar.gz is extracted here.
FROM python:3.11.18-slim-trixie AS local-runtime
# libgomp: OpenMP, which XGBoost and scikit-learn load.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --gid 0 --create-home runtime \
    && install --directory --owner=50000 --group=0 --mode=0770 /var/lib/local-runtime
RUN --mount=type=bind,source=requirements-local.txt,target=/tmp/requirements-local.txt \
    --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=bind,source=constraints.txt,target=/tmp/constraints.txt \
    grep -E '^(boto3|botocore|typer|rich)==' /tmp/requirements.txt > /tmp/shared.txt \
    && sed -n '/^uv==/,/[^\\]$/p' /tmp/constraints.txt > /tmp/uv.txt \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/uv.txt \
    && uv pip install --system --no-cache --require-hashes --constraint /tmp/constraints.txt \
        --requirement /tmp/requirements-local.txt --requirement /tmp/shared.txt \
    && rm /tmp/shared.txt /tmp/uv.txt
WORKDIR /opt/project
COPY plugins/sagemaker_pipelines plugins/sagemaker_pipelines
COPY sagemaker_local_runtime sagemaker_local_runtime
COPY stack stack
COPY data data
ENV PYTHONPATH=/opt/project:/opt/project/plugins \
    PYTHONUNBUFFERED=1
USER 50000
CMD ["python", "-m", "sagemaker_local_runtime", "--data-dir", "/var/lib/local-runtime"]
