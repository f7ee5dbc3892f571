"""The alert line: what a precision or recall on held-out rows asks for, with another share of rare entities."""

import numpy as np
import pytest

from training.alert_line import expected, for_precision, for_recall
from training.held_out import HeldOut

RARE = [0.9, 0.8, 0.7, 0.4]
OTHERS = [0.75, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]
ROWS = HeldOut((True,) * 4 + (False,) * 9, tuple(RARE + OTHERS))


def test_expectations_are_of_the_population():
    found = expected(ROWS, 0.1, 0.7)
    assert found.recall == 3 / 4
    false_alarms = 1.5 / 10
    assert found.precision == pytest.approx(0.1 * 0.75 / (0.1 * 0.75 + 0.9 * false_alarms))
    assert expected(ROWS, 0.01, 0.7).precision < found.precision
    assert expected(ROWS, 0.01, 0.7).recall == found.recall


def test_no_false_alarm_among_few_is_no_promise():
    assert expected(ROWS, 0.001, 0.85).precision < 0.01


@pytest.mark.parametrize(
    ("target", "line"), [(0.01, 0.9), (0.25, 0.9), (0.5, 0.8), (0.51, 0.7), (0.76, 0.4), (1.0, 0.4)]
)
def test_recall_is_met_at_the_highest_line(target, line):
    found = for_recall(ROWS, 0.1, target)
    assert found.line == line
    assert found.recall >= target


def test_precision_is_met_at_the_lowest_line():
    lines = sorted(RARE)
    for share in (0.05, 0.3):
        for target in (0.05, 0.3, 0.5, 0.7):
            meets = [line for line in lines if expected(ROWS, share, line).precision >= target]
            found = for_precision(ROWS, share, target)
            assert (found.line if found else None) == (meets[0] if meets else None)


def test_precision_may_be_out_of_reach():
    assert for_precision(ROWS, 0.001, 0.9) is None


def test_lines_hold_on_fresh_rows():
    random = np.random.default_rng(0)

    def scores(rare):
        return 1 / (1 + np.exp(-(random.normal(size=len(rare)) + 2 * rare - 1)))

    held_out, fresh = random.random(20_000) < 0.3, random.random(400_000) < 0.03
    known, unseen = HeldOut.of(held_out, scores(held_out)), scores(fresh)
    listed = unseen >= for_precision(known, 0.03, 0.5).line
    assert fresh[listed].mean() == pytest.approx(0.5, abs=0.07)
    listed = unseen >= for_recall(known, 0.03, 0.8).line
    assert listed[fresh].mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("rare", [True, False])
def test_one_class_is_refused(rare):
    with pytest.raises(ValueError, match="precision and recall need rare rows and others"):
        expected(HeldOut((rare,) * 3, (0.5,) * 3), 0.1, 0.5)
