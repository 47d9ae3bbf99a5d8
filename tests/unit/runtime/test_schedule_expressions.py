"""Expressions that EventBridge Scheduler would refuse are refused with their field."""

from __future__ import annotations

import pytest

from sagemaker_local_runtime.services.schedule_expressions import cron_expression, rate_expression
from sagemaker_pipelines.exceptions import ScheduleError


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("0 3 * * ? *", "cron(0 3 * * ? *)"),
        ("cron(0/15 8-17 ? * mon-fri 2026,2027)", "cron(0/15 8-17 ? * MON-FRI 2026,2027)"),
        ("0 0 L * ? *", "cron(0 0 L * ? *)"),
        ("0 0 15W jan,JUL ? *", "cron(0 0 15W JAN,JUL ? *)"),
        ("0 0 ? * 6L *", "cron(0 0 ? * 6L *)"),
        ("0 0 ? * MON#2 *", "cron(0 0 ? * MON#2 *)"),
    ],
)
def test_a_cron_expression_is_written_as_aws_reads_it(text: str, expression: str) -> None:
    assert cron_expression(text) == expression


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 3 * * *", "has 5 fields, expected six"),
        ("60 3 * * ? *", "'60' as minutes, expected 0 to 59"),
        ("0 24 * * ? *", "'24' as hours"),
        ("0 3 0 * ? *", "'0' as day of month, expected 1 to 31"),
        ("0 3 * FOO ? *", "'FOO' as month, expected 1 to 12 or JAN to DEC"),
        ("0 3 ? * 0 *", "'0' as day of week, expected 1 to 7 or SUN to SAT"),
        ("0 3 * * ? 1969", "'1969' as year"),
        ("0/0 3 * * ? *", "'0/0' as minutes"),
        ("\N{ARABIC-INDIC DIGIT SIX} 3 * * ? *", "as minutes, expected 0 to 59"),
        ("1-2-3 3 * * ? *", "'1-2-3' as minutes"),
        ("0 3 * * * *", "exactly one of them has to be '?'"),
        ("0 3 ? * ? *", "exactly one of them has to be '?'"),
    ],
)
def test_a_wrong_cron_expression_is_refused_with_its_field(text: str, said: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        cron_expression(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["1 day", "rate(12 hours)", "30  minutes"])
def test_a_rate_is_written_as_aws_reads_it(text: str) -> None:
    assert rate_expression(text) == f"rate({text.removeprefix('rate(').rstrip(')').replace('  ', ' ')})"


@pytest.mark.parametrize(
    "text",
    ["1 days", "2 day", "0 minutes", "1.5 hours", "3 weeks", "daily", "\N{ARABIC-INDIC DIGIT SIX} hours"],
)
def test_a_wrong_rate_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="such as '1 day', '12 hours'"):
        rate_expression(text)
