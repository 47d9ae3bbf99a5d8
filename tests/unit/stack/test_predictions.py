from __future__ import annotations

from stack.predictions import Predictions, predictions_lines


def test_the_predictions_are_counted_and_the_first_five_shown() -> None:
    count, first = predictions_lines(Predictions(uri="s3://b/p.out", values=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert count == "6 predictions in s3://b/p.out"
    assert first == "the first 5: 1.000, 2.000, 3.000, 4.000, 5.000"
