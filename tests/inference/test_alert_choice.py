"""How scores are read and where the list ends: shares from settings, scores or labels, and thresholds."""

import logging
import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit

from inference.alert_choice import NothingHeldOut, facts, line, read
from inference.ranking import Histogram
from inference.scored_rows import bucket
from inference.settings import ScoreSettings
from training.alert_line import expected
from training.held_out import HeldOut

AUTO = ScoreSettings()


def drawn(share, rows, seed):
    random = np.random.default_rng(seed)
    rare = random.random(rows) < share
    return rare, expit(random.normal(size=rows) + 2 * rare - 1)


def histogram(scores):
    buckets, counts = np.unique(bucket(scores.astype(np.float32)), return_counts=True)
    return Histogram(buckets[::-1], counts[::-1], counts[::-1])


HELD_OUT = HeldOut.of(*drawn(0.3, 2000, 0))
SCORED = histogram(drawn(0.05, 50_000, 1)[1])


def test_the_share_is_told_by_the_scores():
    found = read(HELD_OUT, SCORED, AUTO)
    assert found.share == found.calibration.population_share == pytest.approx(0.05, rel=0.25)
    assert found.facts() == {
        "method": "isotonic",
        "rows": 2000,
        "rare": sum(HELD_OUT.is_rare),
        "labeled_share": round(sum(HELD_OUT.is_rare) / 2000, 6),
        "population_share": found.share,
        "population_share_from": "scores",
    }


def test_a_known_share_goes_before():
    found = read(HELD_OUT, SCORED, ScoreSettings(population_share=0.2, calibration="platt"))
    assert (found.share, found.share_from, found.calibration.method) == (0.2, "settings", "platt")
    assert found.calibration.population_share == 0.2


def test_labels_drawn_at_random_give_their_own_share():
    found = read(HELD_OUT, SCORED, ScoreSettings(population_share="labels"))
    share = sum(HELD_OUT.is_rare) / len(HELD_OUT.is_rare)
    assert (found.share, found.share_from, found.calibration.population_share) == (share, "labels", share)


def test_where_nothing_tells_the_share_it_is_that_of_labels(caplog):
    with caplog.at_level(logging.WARNING):
        found = read(HELD_OUT, histogram(np.full(100, 1e-6)), AUTO)
    assert (found.share, found.share_from) == (found.calibration.labeled_share, "labels")
    assert "Set score.population_share" in caplog.text


def test_without_calibration_there_are_no_probabilities():
    found = read(HELD_OUT, SCORED, ScoreSettings(calibration="none"))
    assert found.calibration is None
    assert (found.share, found.share_from) == (sum(HELD_OUT.is_rare) / 2000, "labels")
    assert read(HELD_OUT, SCORED, ScoreSettings(calibration="none", population_share=0.1)).share == 0.1


def test_without_held_out_rows_there_is_a_budget_alone():
    found = read(None, SCORED, AUTO)
    assert found.facts() == {"method": "none", "population_share": None, "population_share_from": ""}
    assert line(found, AUTO) == -math.inf
    with pytest.raises(NothingHeldOut, match="train again with folds, or set score.threshold = 'budget'"):
        read(None, SCORED, ScoreSettings(threshold="recall", target=0.5))


def test_lines_meet_their_targets():
    found = read(HELD_OUT, SCORED, AUTO)
    precise = line(found, ScoreSettings(threshold="precision", target=0.6))
    assert expected(HELD_OUT, found.share, precise).precision >= 0.6
    complete = line(found, ScoreSettings(threshold="recall", target=0.9))
    assert expected(HELD_OUT, found.share, complete).recall >= 0.9
    assert complete < precise


def test_a_precision_out_of_reach_lists_nobody_and_says_so(caplog):
    settings = ScoreSettings(threshold="precision", target=0.999, population_share=0.001)
    found = read(HELD_OUT, SCORED, settings)
    with caplog.at_level(logging.WARNING):
        assert line(found, settings) == math.inf
    assert "no score promises a precision of 0.999 on 2000 held-out rows" in caplog.text
    told = facts(found, settings, math.inf, [])
    assert (told["line"], told["alerts"], told["lowest_score"], told["expected_precision"]) == (None, 0, None, None)
    assert told["ended_by"] == "line"


@pytest.mark.parametrize(
    ("settings", "alerts", "ended_by"),
    [
        (ScoreSettings(alerts=2), [0.9, 0.8], "budget"),
        (ScoreSettings(alerts=3), [0.9, 0.8], "entities"),
        (ScoreSettings(alerts=3, threshold="recall", target=0.5), [0.9, 0.8], "line"),
        (ScoreSettings(alerts=2, threshold="recall", target=0.5), [0.9, 0.8], "budget"),
    ],
)
def test_facts_are_of_the_list_as_it_ended(settings, alerts, ended_by):
    found = read(HELD_OUT, SCORED, settings)
    told = facts(found, settings, 0.4, alerts)
    assert (told["ended_by"], told["lowest_score"], told["line"]) == (ended_by, 0.8, 0.4)
    there = expected(HELD_OUT, found.share, 0.4 if ended_by == "line" else 0.8)
    assert (told["expected_precision"], told["expected_recall"]) == (there.precision, there.recall)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"target": 0.5}, "target = 0.5 has no threshold to act on; set threshold = 'precision' or 'recall'"),
        ({"threshold": "recall"}, "threshold = 'recall' needs a target from 0 to 1"),
        ({"threshold": "precision", "target": 1.5}, "less than or equal to 1"),
        ({"threshold": "precision", "target": 0.5, "calibration": "none"}, "needs the share of rare entities"),
        ({"population_share": 0}, "greater than 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        ScoreSettings(**given)
