"""``prices update`` against an endpoint that answers as AWS's Price List API does, and ``estimate``."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.aws.prices import Prices
from sagemaker_pipelines.cli import app
from tests.unit.sagemaker_pipelines.cli.test_executions import COUNT, PARAMETERS, runtime

__all__ = ["local_runtime", "runtime"]


def product(component: str, price: str, *, unit: str = "Hrs", region: str = "us-east-1") -> str:
    """Return an entry of a price list."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": price}}
    attributes = {"component": component, "regionCode": region, "instanceName": "ml.m5.large"}
    return json.dumps(
        {
            "product": {"productFamily": "ML Instance", "attributes": attributes},
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": {"A": {"priceDimensions": {"B": dimension}}}},
            "publicationDate": "2026-11-20T10:00:00Z",
        }
    )


class PriceList(ThreadingHTTPServer):
    """Answers GetProducts with one page after the other."""

    def __init__(self, pages: list[list[str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.asked: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: PriceList

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(request)
        number = int(request.get("NextToken", 0))
        page: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": self.server.pages[number]}
        if number + 1 < len(self.server.pages):
            page["NextToken"] = str(number + 1)
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def price_list(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    server = PriceList([[]])
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without an endpoint: AWS, but for the price list."""
    extra = {"region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


@pytest.fixture
def count(tmp_path: Path) -> Path:
    path = tmp_path / "count.json"
    path.write_text(json.dumps({"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [COUNT]}))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_prices_of_what_the_definitions_use_are_written_from_all_pages(
    price_list: PriceList, plain: None, count: Path, tmp_path: Path
) -> None:
    price_list.pages = [
        [product("Training", "0.12"), product("Hosting", "0.5"), product("Processing", "0", unit="Hrs")],
        [product("Processing", "0.115"), product("Processing", "9", unit="GB"), product("Studio", "1")],
    ]
    out = tmp_path / "prices.toml"
    done = run("prices", "update", str(count), "--out", str(out))
    assert done.exit_code == 0, done.output
    (price,) = Prices.load(out).by_key.values()
    assert (price.component, price.price_per_hour, str(price.date)) == ("Processing", 0.115, "2026-11-20")
    assert len(price_list.asked) == 2
    wanted = {(each["Field"], each["Value"]) for each in price_list.asked[0]["Filters"]}
    assert wanted == {("regionCode", "us-east-1"), ("instanceName", "ml.m5.large")}


def test_an_instance_without_a_price_is_named(
    price_list: PriceList, plain: None, count: Path, tmp_path: Path
) -> None:
    done = run("prices", "update", str(count), "--out", str(tmp_path / "prices.toml"), "--json")
    assert json.loads(done.stdout)["missing"] == [["ml.m5.large", "Processing"]]


def test_an_endpoint_without_a_price_list_is_named_with_the_cure(runtime: LocalRuntime, count: Path) -> None:
    done = run("prices", "update", str(count))
    assert done.exit_code == 1
    assert f"does not answer at {runtime.endpoint_url}" in done.stderr
    assert "AWS_ENDPOINT_URL_PRICING" in done.stderr


def test_definitions_without_instances_are_refused(plain: None, tmp_path: Path) -> None:
    done = run("prices", "update", str(tmp_path))
    assert done.exit_code == 2
    assert "no definition uses an instance" in done.stderr


def test_an_estimate_has_the_bound_before_anything_ran(runtime: LocalRuntime, count: Path) -> None:
    told = json.loads(run("estimate", str(count), "--json").stdout)
    assert told["executions"] == 0
    (step,) = told["steps"]
    assert (step["instances"], step["max_instance_seconds"]) == ("1 x ml.m5.large", 86_400)
    assert (step["median_instance_seconds"], step["max_cost"]) == (None, None)


def test_an_estimate_shows_what_the_last_executions_billed(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("")
    (tmp_path / "prices.toml").write_text(
        '[[prices]]\nregion = "us-east-1"\ninstance = "ml.m5.large"\ncomponent = "Processing"\n'
        "price_per_hour = 36\ndate = 2026-11-20\n"
    )
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE", str(settings))
    for _ in range(2):
        runtime.wait(runtime.start("dev-count"))
    told = json.loads(run("estimate", "dev-count", "--json").stdout)
    (step,) = told["steps"]
    assert (told["executions"], step["executions"]) == (2, 2)
    assert 0 < step["median_instance_seconds"] <= step["p90_instance_seconds"]
    assert step["median_cost"] == pytest.approx(step["median_instance_seconds"] / 100, abs=1e-5)
    assert (step["max_cost"], step["price_date"]) == (864.0, "2026-11-20")
    assert told["total"]["max_cost"] == 864.0
    table = run("estimate", "dev-count", "-p", "Seconds=0").stdout
    assert "1 x ml.m5.large" in table
    assert "864" in table


def test_an_estimate_adds_no_costs_of_several_currencies(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: dict[str, Any] = copy.deepcopy({**COUNT, "Name": "Other"})
    other["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "ml.c5.large"
    path = tmp_path / "two.json"
    path.write_text(json.dumps({"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [COUNT, other]}))
    (tmp_path / "settings.toml").write_text("")
    (tmp_path / "prices.toml").write_text(
        "\n".join(
            f'[[prices]]\nregion = "us-east-1"\ninstance = "{instance}"\ncomponent = "Processing"\n'
            f'price_per_hour = 36\ndate = 2026-11-20\ncurrency = "{currency}"\n'
            for instance, currency in (("ml.m5.large", "USD"), ("ml.c5.large", "EUR"))
        )
    )
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE", str(tmp_path / "settings.toml"))
    told = json.loads(run("estimate", str(path), "--json").stdout)
    assert [(each["max_cost"], each["currency"]) for each in told["steps"]] == [
        (864.0, "USD"),
        (864.0, "EUR"),
    ]
    assert (told["total"]["max_cost"], told["total"]["max_instance_seconds"]) == (None, 172_800)
    assert "EUR" in run("estimate", str(path)).stdout


def test_an_estimate_refuses_a_parameter_that_does_not_exist(runtime: LocalRuntime) -> None:
    done = run("estimate", "dev-count", "-p", "Secnods=1")
    assert done.exit_code == 2
    assert "Secnods" in done.stderr


def test_an_estimate_names_what_it_does_not_count(runtime: LocalRuntime, tmp_path: Path) -> None:
    names = {"EndpointName": "e", "EndpointConfigName": "c"}
    steps = [
        {"Name": "Deploy", "Type": "Endpoint", "Arguments": names},
        {"Name": "Query", "Type": "Athena", "Arguments": {}},
    ]
    path = tmp_path / "deploy.json"
    path.write_text(json.dumps({"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [COUNT, *steps]}))
    done = run("estimate", str(path))
    assert "Not counted: Deploy; what it deploys bills until it is deleted." in done.stderr
    assert "Not counted: Query; what it bills is not known here." in done.stderr
    assert list(json.loads(run("estimate", str(path), "--json").stdout)["uncounted"]) == ["Query", "Deploy"]
