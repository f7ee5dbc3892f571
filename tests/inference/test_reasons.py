"""Reasons of an alert: the largest positive contributions, each fact once."""

import numpy as np

from inference import reasons
from tests.inference import small_table


def largest(values, contributions, count=5):
    found = reasons.largest(
        small_table.NAMES, np.array(values, dtype=np.float32), np.array(contributions, dtype=np.float32), count
    )
    return [(name, value) for name, value, _ in found]


def test_what_is_said_alike_of_two_metrics_is_told_once():
    assert largest([1, 63, 2, 63, 0], [0.1, 0.4, 0.2, 0.3, -1]) == [
        ("spend__recency", 63.0),
        ("visits__level", 2.0),
        ("spend__level", 1.0),
    ]
    assert largest([1, 63, 1, 62, 0], [0.1, 0.4, 0.2, 0.3, -1], 2) == [
        ("spend__recency", 63.0),
        ("visits__recency", 62.0),
    ]


def test_a_missing_value_is_null_and_told_once():
    nan = float("nan")
    assert largest([1, nan, 1, nan, nan], [0.1, 0.4, -0.2, 0.5, 0.2]) == [
        ("visits__recency", None),
        ("visits__residual_last_7", None),
        ("spend__level", 1.0),
    ]


def test_no_positive_contribution_gives_no_reason():
    assert largest([1, 2, 3, 4, 5], [0, -1, -2, 0, 0]) == []
