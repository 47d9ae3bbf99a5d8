"""What a reader of docs/from_data_to_a_decision.md sees of ``make demo-champion``, on a stack of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from sagemaker_local_runtime.images.ports import free_port
from stack.settings import ROOT
from tests.documents import read

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the parts of the summary: one for each generation, and for each scoring."""
    folder = tmp_path_factory.mktemp("demo")
    earlier = folder / "champion" / "left by an earlier demonstration"
    earlier.mkdir(parents=True)
    env = os.environ | {
        "STACK_STATE_DIR": str(folder),
        "AIRFLOW_PORT": str(free_port()),
        "RUNTIME_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "stack", "demo-champion"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not earlier.exists()
    return done.stdout.split("\n\n")


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def test_the_first_model_becomes_champion_by_its_threshold(shown: list[str]) -> None:
    first = shown[1]
    assert first.startswith("first: trained on the rows of 2026-01-25\n")
    assert re.search(r"MSE [0-9.]+ <= threshold 6: accepted \(on its own test rows\)\n", first)
    assert re.search(r"\n  model package +abalone/1 +none\n", first)
    assert "The challenger wins: there is no champion yet; mse " in first
    assert "branch: approve_model success, trigger_scoring success, notify_champion_stays skipped" in first
    assert re.search(r"\nabalone/1 is Approved: s3://[^ ]+/decisions/abalone/1/[0-9a-f]{32}\.json\n", first)
    assert re.search(r"\n  champion_arn +none(\n|$)", first)


def test_a_worse_model_loses_although_its_gate_looks_better(shown: list[str]) -> None:
    first, worse = shown[1:3]
    gate = r"MSE ([0-9.]+) <= threshold"
    assert number(gate, worse) < number(gate, first)
    assert number(r"\n  mse +([0-9.]+) ", worse) > number(r"\n  mse +[0-9.]+ +([0-9.]+)\n", worse)
    assert re.search(r"Difference [0-9.]+ \[[0-9.]+, [0-9.]+\] at 95% on 417 rows; smaller is better", worse)
    assert "The challenger does not win: " in worse
    assert "branch: approve_model skipped, trigger_scoring skipped, notify_champion_stays success" in worse
    assert "notified: abalone: the champion stays" in worse
    assert worse.endswith("abalone/2 stays PendingManualApproval")


def test_a_better_model_is_approved_by_the_command_with_the_numbers_of_the_question(
    shown: list[str],
) -> None:
    progress, better = shown[0], shown[3]
    assert re.search(r"sagemaker-pipelines approve arn:\S+/abalone/3 --reason 'lower error on", progress)
    assert number(r"\n  mse +([0-9.]+) ", better) < number(r"\n  mse +[0-9.]+ +([0-9.]+)\n", better)
    assert len(re.findall(r"\n  mse, sex=[FIM] \(\d+ rows\) +[0-9.]+ +[0-9.]+", better)) == 3
    assert "The challenger wins: " in better
    assert re.search(r"\nnotified: Approve abalone/3\? mse [0-9.]+, champion [0-9.]+, difference -", better)
    assert re.search(r"\n  reason +lower error on the same rows\n", better)
    assert re.search(r"\n  run_id +better\n", better)
    assert re.search(r"\n  champion_arn +arn:\S+:model-package/abalone/1$", better)


def test_both_champions_are_scored_and_why_is_said(shown: list[str]) -> None:
    scorings = shown[4:]
    assert len(scorings) == 2
    for version, scoring in zip((1, 3), scorings, strict=True):
        assert scoring.startswith("scoring, execution ")
        assert re.search(r"\n417 predictions in s3://\S+\.out\nthe first 5: ", scoring)
        assert re.search(rf"Score with arn:\S+:model-package/abalone/{version}, which was asked for", scoring)
    assert ". Approved by " in scorings[1]
    assert re.search(r"\nThis took \d+ s\. The stack is stopped\.", scorings[1])


def test_the_documented_output_has_the_form_of_what_is_printed(shown: list[str]) -> None:
    pages = [block.code for block in read("from_data_to_a_decision.md") if block.language == "text"]
    documented = "\n".join(pages).splitlines()
    printed = {form(line) for part in shown for line in part.splitlines()}
    assert [line for line in documented if line and form(line) not in printed] == []


def form(line: str) -> str:
    """Return a line without what differs between runs and machines: numbers, ids, and who decided."""
    line = re.sub(r"(?<=decided_by    ).*", "", line)
    line = re.sub(r"[0-9a-f]{32}|(?<=abalone_challenger__)\w+|-?\d+\.\d+", "#", line)
    return re.sub(r"\d\d+|#", "#", re.sub(r" +", " ", line))
