"""The report's sentences: each follows from its numbers."""

import dataclasses
import doctest
import re

import numpy as np
import pytest

from inference import report_numbers
from inference.report import (
    Alert,
    Break,
    Calibration,
    Change,
    Counterfactual,
    Curve,
    Drift,
    Estimate,
    Evaluation,
    Method,
    MetricStory,
    Move,
    Neighbor,
    Reason,
    Share,
    Translation,
)
from inference.words import alerts, evaluation, scores, series
from tests.inference.report_example import bare, example

DAY = 86_400


@pytest.fixture(scope="module")
def small():
    return example(alerts=3, stories=1, days=60)


def test_number_examples_hold():
    found = doctest.testmod(report_numbers)
    assert (found.failed, found.attempted >= 6) == (0, True)


def test_a_missing_value_is_called_missing():
    reason = Reason("spend__recency", float("nan"), 0.5, "spend", "", "steps", 4.0)
    assert alerts.reason_words(reason, DAY) == "missing, typically 4 days"
    assert alerts.reason_words(dataclasses.replace(reason, value=None, typical=None), 60) == "missing"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (63.0, "steps", "63 days, above the typical 4"),
        (1.0, "steps", "1 day, below the typical 4"),
        (0.12, "share", "12%, below the typical 400%"),
        (-1.9, "metric per step", "−1.9 per day, below the typical 4"),
        (4.0001, "metric", "4, as is typical"),
        (4_321.4, "", "4,321, above the typical 4"),
    ],
)
def test_reasons_hold_a_value_against_the_typical_one(value, unit, words):
    reason = Reason("spend__x", value, 0.5, "spend", "", unit, 4.0)
    assert alerts.reason_words(reason, DAY) == words


def test_shares_that_are_not_drawn_are_summed():
    shares = [Share("spend" if place % 2 else "baskets", "trend", 1.0 - place / 10) for place in range(9)]
    assert alerts.rest(shares) == "3 more, together +0.9"
    assert alerts.rest(shares[:6]) == ""
    assert alerts.by_metric(shares) == "baskets +3, spend +2.4"


@pytest.mark.parametrize(
    ("contribution", "largest", "words"),
    [(0.0068, 0.659, "+0.007"), (-12.34, 98.0, "−12.3"), (1_234.0, 5_000.0, "+1,234"), (0.0, 0.0, "+0")],
)
def test_weights_have_the_decimals_of_the_largest(contribution, largest, words):
    assert alerts.weight(contribution, largest) == words


@pytest.mark.parametrize(
    ("like", "unlike", "words"),
    [
        ([0.2, 0.9], [0.4], "It lies nearer to one that is lapsed than to any that is not."),
        ([0.4], [0.2, 0.9], "It lies nearer to one that is not lapsed: look twice."),
        ([0.4], [0.4], "It lies as near to one that is lapsed as to one that is not."),
        ([0.4], [], "Only lapsed ones are given."),
        ([], [0.4], "None that is lapsed is given."),
    ],
)
def test_neighbors_say_which_class_is_nearest(like, unlike, words):
    found = [Neighbor("a", "lapsed", far) for far in like] + [Neighbor("b", "regular", far) for far in unlike]
    assert alerts.neighbors(found, "lapsed") == words
    assert sum(map(len, alerts.by_label(found).values())) == len(found)


def test_a_counterfactual_says_whether_it_is_reached():
    changes = [Change("spend__recency", "spend", 231.0, 12.0, "steps")]
    reached = Counterfactual(changes, 0.41, 0.52, True)
    assert alerts.counterfactual(reached).startswith("With this the score would be 0.410, under the line of 0.520")
    assert alerts.change(changes[0], DAY) == "12 instead of 231 days"
    missed = Counterfactual(changes * 2, 0.66, 0.52, False)
    assert alerts.counterfactual(missed).startswith("Even with these the score stays at 0.660, not under the line")
    assert alerts.counterfactual(Counterfactual((), 0.66, 0.52, False)).startswith("No change was found")
    assert alerts.change(Change("a__b", "a", None, 0.25, "share"), DAY) == "25% instead of missing"
    assert alerts.change(Change("a__b", "a", 0.5, 0.25, "share"), DAY) == "25% instead of 50%"


def test_a_translation_says_what_becomes_of_the_score():
    move = Move("spend__recency", "spend", 4.0, 63.0, 58.0, 2.5, "steps")
    rises = Translation("841", "regular", [move], 0.021, 0.874)
    whole = "the regular one most like it, to one that is lapsed, the model would change this, and the score would go "
    assert alerts.translation(rises, "lapsed") == f"{whole}from 0.021 to 0.874:"
    falls = dataclasses.replace(rises, translated_score=0.02)
    assert "does not rise (0.021 to 0.020), so make little of it" in alerts.translation(falls, "lapsed")
    none = dataclasses.replace(rises, moves=[])
    assert alerts.translation(none, "lapsed").endswith("the model would change hardly anything.")
    assert alerts.move(move, DAY) == "4 days to 63 days; here 58 days"
    assert alerts.move(dataclasses.replace(move, own=None, after=None), DAY) == "4 days to missing; here missing"


def test_ranks_that_are_missing_are_explained():
    listed = [Alert(rank, "x", 0.5, "rare", ()) for rank in (1, 2, 5)]
    assert "the 2 between that are not listed have a label already" in alerts.passed_over(listed)
    assert alerts.passed_over(listed[:2]) == alerts.passed_over([]) == ""


def test_parts_are_given_where_one_alert_has_them(small):
    assert alerts.given(small.alerts) == {*alerts.PARTS, "translation"}
    assert alerts.not_given(alerts.given(small.alerts)) == ""
    mixed = [*bare(small).alerts, dataclasses.replace(bare(small).alerts[0], probability=0.0)]
    assert alerts.given(mixed) == {"probability"}


def test_expected_rare_is_the_sum_of_the_probabilities():
    listed = [Alert(1, "x", 0.5, "rare", (), probability=share) for share in (0.9, 0.8, 0.4)]
    assert "about 2 of those listed are rare" in scores.expected_rare(listed, "rare")
    assert scores.expected_rare([*listed, Alert(4, "y", 0.1, "rare", ())], "rare") == ""


def methods(own, theirs):
    return [
        Method("main", {"average_precision": Estimate(*own)}),
        Method("rival", {"average_precision": Estimate(*theirs)}),
    ]


@pytest.mark.parametrize(
    ("own", "theirs", "verdict"),
    [
        ((0.5, 0.4, 0.6), (0.45, 0.35, 0.55), "is above rival, 0.450 (0.350 to 0.550), but the intervals overlap"),
        ((0.4, 0.35, 0.5), (0.45, 0.35, 0.55), "is below rival"),
        ((0.5, 0.4, 0.6), (0.2, 0.1, 0.3), "ranks better than rival"),
        ((0.2, 0.1, 0.3), (0.5, 0.4, 0.6), "ranks worse than rival"),
        ((0.5, 0.4, 0.6), (None, None, None), "rival has no average precision"),
    ],
)
def test_readings_follow_from_the_intervals(own, theirs, verdict):
    chance, against, noise = evaluation.readings(Evaluation(methods(own, theirs), 1000, 50, 10, ""))
    assert chance.startswith("main ranks better than a random order")
    assert verdict in against
    assert "moves recall by 2%" in noise


def test_a_ranking_no_better_than_chance_is_not_praised(small):
    chance = Evaluation([Method("main", {"average_precision": Estimate(0.07, 0.04, 0.1)})], 1000, 50, 10, "")
    assert "is not shown to beat a random order" in next(iter(evaluation.readings(chance)))
    (caution,) = scores.cautions(dataclasses.replace(small, evaluation=chance))
    assert "not shown to beat" in caution


def test_reviews_needed_are_counted_along_the_ranking():
    curve = Curve("main", [1, 0, 1, 0, 0, 0, 1, 0, 1, 0], np.arange(10, 0, -1).tolist())
    assert [evaluation.found_by(curve, length) for length in (1, 3, 9, 10)] == [1, 2, 4, 4]
    assert [evaluation.length_for(curve, share) for share in (0.25, 0.5, 0.9, 1.0)] == [1, 3, 9, 9]
    assert evaluation.effort([curve]) == (
        "Of those who are rare, main finds half in the first 3 and nine in ten in the first 9 of 10; "
        "a random order needs about 5 and 9."
    )
    assert evaluation.effort([]) == evaluation.effort([Curve("main", [0, 0], [0.1, 0.2])]) == ""


def calibration(observed=(0.1, 0.4), error=0.05):
    return Calibration("platt", 100, 20, 0.1, (0.1, 0.5), observed, (100, 100), error)


def test_calibration_says_what_was_promised_and_what_was_found():
    promised, error, chance = scores.calibration(calibration(), "rare")
    assert "Of 200 entities" in promised
    assert "they promise 60 rare; 50 are" in promised
    assert "off by 5 percentage points (expected calibration error 0.050)" in error
    assert "In 1 of 2 groups the share found is farther off than chance explains" in chance
    assert "In none of 2 groups" in list(scores.calibration(calibration((0.1, 0.5)), "rare"))[-1]
    (unchecked,) = scores.calibration(Calibration("platt", 9, 2, 0.1, (), (), (), None), "rare")
    assert "No label was left to check them on" in unchecked
    assert "Platt scaling on 100 labelled entities" in scores.calibrated(calibration(), "rare")


def test_probabilities_that_mislead_on_the_whole_are_called_out(small):
    low = calibration((0.4, 0.7))
    (caution,) = scores.cautions(dataclasses.replace(small, calibration=low))
    assert "are too low: of 200 held-out entities they promise 60 to be rare, 110 are" in caution
    assert "are too high" in scores.misled(calibration((0.0, 0.1)))
    assert scores.misled(calibration((0.1, 0.52))) == ""
    assert scores.misled(Calibration("platt", 9, 2, 0.1, (), (), (), None)) == ""


def test_probabilities_without_a_record_are_not_denied(small):
    assert "were not checked" in scores.unchecked(small.alerts)
    assert "gives no calibrated probabilities" in scores.unchecked(bare(small).alerts)
    assert "calibrated" not in alerts.headline(small)
    unmeasured = alerts.headline(dataclasses.replace(small, evaluation=None))
    assert "has not been measured. By their calibrated probabilities, about 3 of those listed" in unmeasured


def test_wilsons_interval_is_the_published_one():
    low, high = scores.chance_range(0.0, 10)  # 0 of 10: 0 to z^2 / (n + z^2)
    assert (low, high) == (0.0, pytest.approx(1.96**2 / (10 + 1.96**2), abs=1e-3))
    assert scores.chance_range(0.5, 0) == (0.0, 1.0)


def drift(index):
    return Drift("monday", index, 0.035, 2431, 163, 200, 0.1, False, (0.2, 0.5), (0.3, 0.3, 0.4), (0.3, 0.4, 0.3))


@pytest.mark.parametrize(
    ("index", "words"), [(0.02, "lie as they did"), (0.15, "have moved a little"), (0.3, "have shifted")]
)
def test_drift_is_named_by_its_index(small, index, words):
    said = list(scores.drift(drift(index)))
    assert f"The scores {words}" in said[0]
    assert "at most 3.5 percentage points" in said[1]
    assert said[2] == "Of 200 entities listed then, 163 are listed again."
    assert said[-1] == "The model is another one, which alone can move scores."
    cautions = list(scores.cautions(dataclasses.replace(small, drift=drift(index))))
    assert cautions == (["Scores have shifted since run monday: find out why before you act on them."] * (index > 0.2))
    assert len(scores.bins(drift(index).edges)) == 3
    assert scores.bins(()) == ["all"]


def test_unknown_says_how_many_and_how_many_before():
    assert scores.unknown(0.12, 0.1).endswith("(“unknown”), 10% in the run before.")
    assert scores.unknown(0.0, None).startswith("0% of all scored entities")
    assert "has no class “unknown”" in scores.unknown(None, 0.1)


def metric(**changes) -> MetricStory:
    times = [f"2024-01-{day + 1:02d}" for day in range(10)]
    level = [4.0] * 10
    return MetricStory("spend", times, [*[4.0] * 9, 0.0], level, level, level, level, **changes)


def test_what_is_marked_in_a_chart_is_listed_in_words():
    one = metric(breaks=[Break("2024-01-05T00:00:00", 0.5, -0.25)], outlier=9, outlier_sigmas=-4.2)
    assert list(series.notes(one, DAY)) == [
        "5 Jan 2024, the trend turns from +0.5 to −0.25 per day",
        "○ 10 Jan 2024, 0 where 4 was expected: 4.2 standard deviations of the noise",
    ]
    two = metric(unit="share", breaks=[Break("2024-01-05", 0.0, -0.25), Break("2024-01-07", -0.25, 0.0)])
    assert next(series.notes(two, DAY)) == "1: 5 Jan 2024, the trend turns from 0% to −25% per day"
    assert list(series.notes(metric(), DAY)) == []
    assert re.match("values from 0 to 4, 1 Jan 2024 to 10 Jan 2024; trend from 4 to 4", series.chart(one))


def test_a_weekly_pattern_names_its_days():
    pattern = (0.0, 2.0, 0.0, 0.0, 0.0, -1.5, 0.0)
    assert series.weekly(metric(weekly=pattern)) == "most on Tuesdays, +2; least on Saturdays, −1.5"
    assert series.weekly(metric(weekly=(0.0,) * 7)) == series.weekly(metric()) == ""
