"""Web pages of other origins, against the API server of a real stack, which asks for no login."""

from __future__ import annotations

import pytest
import requests

from tests.e2e.project.conftest import Airflow
from tests.waiting import GENEROUS_SECONDS

pytestmark = pytest.mark.thorough
VARIABLE = {"key": "from_a_page", "value": "1"}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "attacker.example:8080"}, id="a name rebound to 127.0.0.1"),
        pytest.param({"Origin": "https://attacker.example"}, id="a form or script of another page"),
        pytest.param({"Origin": "null"}, id="a sandboxed frame"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v2/variables", "/auth/token", "/execution/health", "/"])
def test_what_a_foreign_page_sends_is_refused(airflow: Airflow, headers: dict[str, str], path: str) -> None:
    url = airflow.settings.airflow_url + path
    answer = requests.post(url, json=VARIABLE, headers=headers, timeout=GENEROUS_SECONDS)
    assert answer.status_code == 403
    assert "127.0.0.1" in answer.text or "attacker.example" in answer.text or "null" in answer.text
    stored = requests.get(f"{airflow.settings.airflow_url}/api/v2/variables", timeout=GENEROUS_SECONDS).json()
    assert VARIABLE["key"] not in {variable["key"] for variable in stored["variables"]}


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_machines_own_pages_and_commands_are_answered(airflow: Airflow, name: str) -> None:
    own = f"{name}:{airflow.settings.airflow_port}"
    url = f"{airflow.settings.airflow_url}/api/v2/variables"
    for headers in ({"Host": own}, {"Host": own, "Origin": f"http://{own}"}):
        assert requests.get(url, headers=headers, timeout=GENEROUS_SECONDS).status_code == 200
