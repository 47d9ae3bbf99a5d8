from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from stack.bootstrap import DATA_FILE, bootstrap, create_notifications, split_data, upload
from stack.exceptions import MissingDataError
from stack.notifications import receive
from stack.settings import StackSettings


def rows(body: bytes) -> list[list[str]]:
    return list(csv.reader(body.decode().splitlines()))


def test_every_tenth_row_is_held_out_without_its_label_and_never_trained_on() -> None:
    source = rows(DATA_FILE.read_bytes())
    objects = split_data(DATA_FILE)
    train, held_out = rows(objects["train/abalone.csv"]), rows(objects["holdout/holdout.csv"])
    assert len(source) == len(train) + len(held_out) == 4177
    assert held_out == [row[:-1] for row in source[9::10]]
    assert rows(objects["labelled/holdout.csv"]) == source[9::10]
    assert train == [row for index, row in enumerate(source) if index % 10 != 9]


def test_the_daily_partitions_together_are_the_training_rows_in_order() -> None:
    objects = split_data(DATA_FILE)
    partitions = sorted(name for name in objects if name.startswith("train/dt="))
    assert len(partitions) == 30
    assert partitions[0] == "train/dt=2026-01-01/abalone.csv"
    assert all(objects[name] for name in partitions)
    assert b"".join(objects[name] for name in partitions) == objects["train/abalone.csv"]


def test_an_empty_account_is_filled_once(settings: StackSettings) -> None:
    first = bootstrap(settings)
    assert f"s3://{settings.bucket}/abalone/data/holdout/holdout.csv" in first
    assert len(first) == 33
    assert bootstrap(settings) == []


def test_an_object_that_differs_is_uploaded_again(settings: StackSettings) -> None:
    upload(settings, {"train/abalone.csv": b"old\n", "holdout/holdout.csv": b"same\n"})
    again = upload(settings, {"train/abalone.csv": b"new\n", "holdout/holdout.csv": b"same\n"})
    assert again == [f"s3://{settings.bucket}/abalone/data/train/abalone.csv"]


def test_the_name_prefix_is_below_the_bucket(settings: StackSettings) -> None:
    prefixed = replace(settings, name_prefix="dev-")
    assert upload(prefixed, {"a": b"1"}) == [f"s3://{settings.bucket}/dev-abalone/data/a"]


def test_a_missing_data_file_is_named(settings: StackSettings, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"nowhere\.csv is missing"):
        bootstrap(settings, data_file=tmp_path / "nowhere.csv")


def test_a_notification_is_received_once_however_often_the_queue_was_subscribed(
    settings: StackSettings,
) -> None:
    create_notifications(settings)
    create_notifications(settings)
    settings.target.boto3_client("sns").publish(
        TopicArn=settings.topic_arn, Subject="rejected", Message="MSE 7"
    )
    (message,) = receive(settings)
    assert (message["Subject"], message["Message"]) == ("rejected", "MSE 7")
    assert receive(settings) == []
