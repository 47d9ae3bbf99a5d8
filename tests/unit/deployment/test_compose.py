"""docker-compose.yaml, checked without Docker against the schema, Airflow's own options and our settings."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import typer
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.providers.celery.get_provider_info import get_provider_info

from sagemaker_local_runtime.cli import app
from sagemaker_pipelines.settings import PipelineSettings
from stack.settings import ROOT, StackSettings
from tests.compose import COMPOSE_FILE, ComposeError, Service, interpolate, read_env_file, services, variables
from tests.waiting import GENEROUS_SECONDS

REQUIRED = {name: f"secret-{name.lower()}" for name, default in variables().items() if default is None}
AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
ONE_SHOT = {"init", "bootstrap"}
LOCAL = {"local-runtime", "bootstrap"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Service]:
    return services(REQUIRED)


def test_the_file_follows_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GENEROUS_SECONDS)
    assert done.returncode == 0, done.stdout


def test_the_schema_check_sees_a_misspelled_key(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(COMPOSE_FILE.read_text().replace("healthcheck:", "healthchek:"))
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(wrong)]
    assert subprocess.run(command, capture_output=True, timeout=GENEROUS_SECONDS).returncode == 1


def test_the_services_are_those_of_a_distributed_airflow(compose: dict[str, Service]) -> None:
    assert set(compose) == {"postgres", "redis", *AIRFLOW, *ONE_SHOT, *LOCAL}


def test_every_secret_must_be_given_and_stands_in_the_example_without_a_value() -> None:
    assert read_env_file(ROOT / ".env.example") == dict.fromkeys(REQUIRED, "")
    secrets = re.compile(r"\b[A-Z_]*(PASSWORD|SECRET|KEY)\b(?=: )")
    for line in COMPOSE_FILE.read_text().splitlines():
        if secrets.search(line):
            assert re.search(r": \$\{\w+:\?", line), line


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_a_missing_secret_is_named(missing: str) -> None:
    with pytest.raises(ComposeError, match=f"{missing} is not set: see docs/deployment.md"):
        services({name: value for name, value in REQUIRED.items() if name != missing})


@pytest.mark.parametrize("text", ["${NAME", "$NAME", "${NAME-default}"])
def test_a_form_that_is_not_read_is_refused(text: str) -> None:
    with pytest.raises(ComposeError, match=r"is no variable; write"):
        interpolate(text, {"NAME": "x"})


def test_images_are_pinned_to_a_release(compose: dict[str, Service]) -> None:
    for service in compose.values():
        assert re.search(r":\d+\.\d+(\.\d+)?(-\w+)?$", service.raw["image"]), service.raw["image"]


def test_nobody_is_root_or_can_become_root(compose: dict[str, Service]) -> None:
    for service in compose.values():
        assert service.raw["user"] in ("50000:0", "postgres", "redis"), service.name
        assert service.raw["cap_drop"] == ["ALL"]
        assert service.raw["security_opt"] == ["no-new-privileges:true"]


def test_what_runs_on_has_a_health_check_and_what_ends_is_not_restarted(compose: dict[str, Service]) -> None:
    for service in compose.values():
        assert bool(service.healthcheck) == (service.name not in ONE_SHOT), service.name
        assert service.raw["restart"] == ("no" if service.name in ONE_SHOT else "unless-stopped")


def test_airflow_starts_after_its_database_its_broker_and_its_data(compose: dict[str, Service]) -> None:
    order = {service.name: set(service.depends_on) for service in compose.values()}
    assert list(TopologicalSorter(order).static_order())
    for name in AIRFLOW:
        conditions = compose[name].depends_on
        assert conditions["init"] == conditions["bootstrap"] == "service_completed_successfully"
        assert conditions["postgres"] == conditions["redis"] == "service_healthy"
        assert name == "api-server" or conditions["api-server"] == "service_healthy"


def test_without_the_profile_nothing_waits_for_the_local_runtime(compose: dict[str, Service]) -> None:
    assert {name for name, service in compose.items() if "profiles" in service.raw} == LOCAL
    for name in set(compose) - LOCAL:
        for other in LOCAL & set(compose[name].depends_on):
            assert compose[name].raw["depends_on"][other]["required"] is False


def test_every_volume_is_named_and_declared(compose: dict[str, Service]) -> None:
    used = {volume.split(":")[0] for s in compose.values() for volume in s.raw.get("volumes", ())}
    text = COMPOSE_FILE.read_text().partition("\nvolumes:\n")[2]
    assert used == set(re.findall(r"^  ([\w-]+):$", text, re.MULTILINE))


def test_workers_and_triggerers_can_be_scaled(compose: dict[str, Service]) -> None:
    more = services(REQUIRED | {"AIRFLOW_WORKERS": "5"})["worker"]
    assert (compose["worker"].raw["deploy"]["replicas"], more.raw["deploy"]["replicas"]) == ("2", "5")
    for name in ("worker", "triggerer"):
        assert not {"container_name", "hostname", "ports"} & set(compose[name].raw)


def test_only_the_api_server_is_published_and_on_loopback_only(compose: dict[str, Service]) -> None:
    published = {name: service.raw["ports"] for name, service in compose.items() if "ports" in service.raw}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}


def test_every_airflow_command_and_check_is_one_that_this_airflow_has(compose: dict[str, Service]) -> None:
    parser = get_parser()
    commands = [compose[name].command for name in AIRFLOW]
    commands += [compose[name].healthcheck for name in AIRFLOW if compose[name].healthcheck[0] == "airflow"]
    for program, *arguments in commands:
        assert program == "airflow"
        assert parser.parse_args(arguments).func is not None


def test_the_local_runtimes_command_is_one_that_it_has(compose: dict[str, Service]) -> None:
    python, *module, host, address, port, number, data_dir, folder = compose["local-runtime"].command
    assert (python, module) == ("python", ["-m", "sagemaker_local_runtime"])
    context = typer.main.get_command(app).make_context(
        "sagemaker_local_runtime", [host, address, port, number, data_dir, folder], resilient_parsing=True
    )
    assert (context.params["host"], context.params["port"]) == ("0.0.0.0", 4566)
    assert f"local-runtime-data:{context.params['data_dir']}" in compose["local-runtime"].raw["volumes"]


def test_every_airflow_variable_is_an_option_that_airflow_has(compose: dict[str, Service]) -> None:
    known = {section: set(body["options"]) for section, body in conf.configuration_description.items()}
    for section, body in get_provider_info()["config"].items():  # type: ignore[no-untyped-call]
        known.setdefault(section, set()).update(body["options"])
    for name in compose["worker"].environment:
        if match := re.fullmatch(r"AIRFLOW__(\w+?)__(\w+)", name):
            assert match[2].lower() in known[match[1].lower()], name


def test_all_airflow_services_share_one_environment_but_for_secrets(compose: dict[str, Service]) -> None:
    shared = compose["dag-processor"].environment
    own = {name: compose[name].environment.items() - shared.items() for name in (*AIRFLOW, "init")}
    secrets = tuple(REQUIRED.values())
    plain = {
        name: {key for key, value in extra if not any(secret in value for secret in secrets)}
        for name, extra in own.items()
    }
    assert {name: keys for name, keys in plain.items() if keys} == {
        "worker": {"DUMB_INIT_SETSID", "AIRFLOW_CONN_AWS_DEFAULT"},
        "triggerer": {"AIRFLOW_CONN_AWS_DEFAULT"},
    }


def test_a_secret_reaches_only_the_services_that_use_it(compose: dict[str, Service]) -> None:
    database = {*AIRFLOW, "init", "postgres"}
    uses = {
        "AIRFLOW_FERNET_KEY": AIRFLOW - {"worker"},
        "AIRFLOW_API_SECRET_KEY": {"api-server", "triggerer", "worker"},
        "AIRFLOW_JWT_SECRET": {"api-server", "scheduler"},
        "AIRFLOW_ADMIN_PASSWORD": {"init"},
        "POSTGRES_PASSWORD": database,
        "REDIS_PASSWORD": {"redis", "scheduler", "worker"},
    }
    found = {
        secret: {name for name, service in compose.items() if value in json.dumps(service.raw)}
        for secret, value in REQUIRED.items()
    }
    assert found == uses
    credentials = {name for name, service in compose.items() if "env_file" in service.raw}
    assert credentials == {"worker", "triggerer"}


def test_every_service_has_a_limit_of_memory_and_of_processes(compose: dict[str, Service]) -> None:
    for service in compose.values():
        assert re.fullmatch(r"[1-9]g", service.raw["mem_limit"]), service.name
        assert service.raw["pids_limit"] >= 512
    more = services(REQUIRED | {"AIRFLOW_WORKER_MEMORY": "8g", "LOCAL_RUNTIME_MEMORY": "9g"})
    assert (more["worker"].raw["mem_limit"], more["local-runtime"].raw["mem_limit"]) == ("8g", "9g")


def connections() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("local.env", "aws.env.example"):
        yield name, json.loads(read_env_file(ROOT / "docker" / name)["AIRFLOW_CONN_AWS_DEFAULT"])


@pytest.mark.parametrize(("name", "connection"), connections())
def test_both_targets_are_complete_connections(name: str, connection: dict[str, Any]) -> None:
    extra = connection["extra"]
    settings = PipelineSettings.load(
        extra["service_config"]["sagemaker"], connection_id="aws_default", file=None
    )
    assert settings.artifact_bucket
    assert settings.role_arn
    assert settings.notification_target
    assert ("endpoint_url" in extra) == (name == "local.env")
    assert ("password" in connection) == (name == "local.env"), "keys belong to no committed file"


def test_the_local_target_is_what_the_bootstrap_fills(compose: dict[str, Service]) -> None:
    extra = json.loads(compose["worker"].environment["AIRFLOW_CONN_AWS_DEFAULT"])["extra"]
    filled = StackSettings(host=compose["bootstrap"].environment["RUNTIME_HOST"])
    own = extra["service_config"]["sagemaker"]
    # <bucket>.local-runtime would be no host of the network.
    assert extra["config_kwargs"] == {"s3": {"addressing_style": "path"}}
    assert extra["endpoint_url"] == filled.runtime_url == "http://local-runtime:4566"
    assert own["artifact_bucket"] == filled.bucket
    assert own["role_arn"] == filled.role_arn
    assert own["notification_target"] == filled.topic_arn


def test_one_variable_switches_to_aws(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "aws.env").write_text((ROOT / "docker" / "aws.env.example").read_text())
    copy = tmp_path / "docker-compose.yaml"
    text = COMPOSE_FILE.read_text()
    copy.write_text(text)
    worker = services(REQUIRED | {"AIRFLOW_TARGET": "aws"}, copy)["worker"]
    assert "endpoint_url" not in json.loads(worker.environment["AIRFLOW_CONN_AWS_DEFAULT"])["extra"]


def test_a_missing_target_names_the_example_to_copy() -> None:
    with pytest.raises(ComposeError, match=r"Copy production\.env\.example beside it"):
        services(REQUIRED | {"AIRFLOW_TARGET": "production"})


def test_init_migrates_and_writes_the_password_for_its_owner_alone(
    compose: dict[str, Service], tmp_path: Path
) -> None:
    """The script of the service, with an ``airflow`` that notes its arguments."""
    fake = tmp_path / "airflow"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path / "called"}\n')
    fake.chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    passwords = tmp_path / "passwords.json"
    env = dict(compose["init"].environment) | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    program, script = compose["init"].command
    subprocess.run(
        [program, ROOT / "docker" / Path(script).name], env=env, check=True, timeout=GENEROUS_SECONDS
    )
    assert (tmp_path / "called").read_text() == "db migrate\n"
    assert json.loads(passwords.read_text()) == {"admin": REQUIRED["AIRFLOW_ADMIN_PASSWORD"]}
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600


def test_the_executor_and_its_celery_app_load_with_the_locked_versions(compose: dict[str, Service]) -> None:
    """Celery 5.7 fits the provider's requirements, and the provider cannot be imported with it."""
    name = compose["scheduler"].environment["AIRFLOW__CORE__EXECUTOR"]
    module = "airflow.providers.celery.executors.celery_executor"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from {module} import {name}, app; print(app.tasks['execute_workload'].name)",
        ],
        env=os.environ | {"AIRFLOW__CELERY__BROKER_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
    )
    assert done.stdout.splitlines()[-1:] == ["execute_workload"], done.stderr
