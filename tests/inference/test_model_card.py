"""The model card: every sentence follows from the run, and none is there without its cause."""

from dataclasses import replace

import pytest

from feature_extraction.schema import FeatureSchema
from inference.model_card import card_of
from inference.report_alerts import Alert, Counterfactual
from inference.report_data import Calibration, Drift, Estimate, Evaluation, Method, Report, Run
from inference.settings import CardSettings

SCHEMA = FeatureSchema(
    ("spend__level", "spend__recency", "visits__level"),
    ("regular", "lapsed"),
    "lapsed",
    "2024-01-01T00:00:00",
    "2024-04-01T00:00:00",
)
RUN = Run("r", "t", "now", "scarcegan", "lapsed", SCHEMA.window_start, SCHEMA.window_end, 86_400, {}, 900)
QUALITY = {
    "events": {"read": 5000, "accepted": 4000, "outside_window": 900, "refused": 100},
    "entities": {"total": 2000, "labelled": {"regular": 900, "lapsed": 200}, "unlabelled": 900, "held_out": 300},
    "labels": {},
    "fit_status": {"spend": {"fitted": 1990, "too_short": 10}, "visits": {"fitted": 1999, "failed": 1}},
}
SURE = Alert(1, "a", 0.9, "lapsed", (), probability=0.5)
CALIBRATION = Calibration("platt", 100, 20, 0.1, [0.1], [0.1], [100], 0.0)


def method(name, low, high, precision=0.8):
    return Method(name, {"average_precision": Estimate(0.5, low, high), "precision_at_budget": Estimate(precision)})


def evaluation(*methods, rare=120):
    return Evaluation(methods, 300, rare, 50, "bootstrap")


GOOD = evaluation(method("scarcegan", 0.60, 0.68), method("boosting", 0.40, 0.55))
FINE = Report(RUN, QUALITY, GOOD, (), [SURE], (), {}, calibration=CALIBRATION, unknown=0.01)


def card(report=FINE, settings=None, adds_up=True):
    return card_of(report, SCHEMA, settings or CardSettings(), adds_up=adds_up)


def with_quality(**parts):
    return replace(FINE, quality=QUALITY | parts)


def test_the_data_are_those_of_the_run():
    assert card().data == [
        "2,000 entities, each described by 3 features of spend, visits in steps of one day, from 1 Jan 2024 to before "
        "1 Apr 2024 (UTC).",
        "5,000 events were read: 4,000 used, 900 outside that time, 100 refused.",
        "scarcegan learned to find lapsed. Labelled entities that training saw: 900 regular, 200 lapsed; 900 had no "
        "label for it, of whom the labels of 300 were kept back to measure with.",
    ]


def test_a_good_run_has_only_the_limit_that_every_run_has():
    assert card().limits == ["Among entities whose labels were kept back, 20% of a list of 50 were listed wrongly."]


FEW = with_quality(entities=QUALITY["entities"] | {"labelled": {"regular": 900, "lapsed": 12}})
SHORT = with_quality(fit_status={"spend": {"fitted": 80, "too_short": 15, "failed": 5}, "visits": {"fitted": 100}})
OTHERWISE = replace(SURE, counterfactual=Counterfactual((), 0.4, 0.5, True))
DRIFTED = Drift("before", 0.31, 0.2, 10, 1, 2, None, False, (), (1.0,), (1.0,))


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (FEW, "Only 12 of the labelled entities are lapsed"),
        (SHORT, "20% of the entities have no fitted trend of spend"),
        (replace(FINE, evaluation=None), "What the list is worth was not measured."),
        (replace(FINE, evaluation=evaluation(method("a", 0.3, 0.5))), "lies anywhere from 0.300 to 0.500: 120 rare"),
        (replace(FINE, evaluation=evaluation(Method("a", {}))), "average precision could not be measured"),
        (
            replace(FINE, evaluation=evaluation(method("a", 0.6, 0.68), method("b", 0.5, 0.65), method("c", 0.1, 0.2))),
            "It is not shown to rank better than b: the intervals overlap.",
        ),
        (replace(FINE, alerts=[replace(SURE, probability=None)]), "they are not calibrated probabilities"),
        (replace(FINE, calibration=None), "no labels were kept back to check them"),
        (replace(FINE, calibration=replace(CALIBRATION, counts=[])), "no labels were kept back to check them"),
        (replace(FINE, drift=DRIFTED), "Its scores have moved since the run before (population stability index 0.31)"),
        (replace(FINE, unknown=0.164), "16.4% of all entities fit none of the classes it knows."),
        (replace(FINE, alerts=[OTHERWISE]), "tell what the score hangs on"),
    ],
)
def test_a_limit_is_told_where_it_was_found_and_only_there(report, words):
    assert [words in limit for limit in card(report).limits].count(True) == 1
    assert not any(words in limit for limit in card().limits)


def test_contributions_by_occlusion_are_said_to_be_that():
    assert any("no gradient" in limit for limit in card(adds_up=False).limits)
    assert not any("no gradient" in limit for limit in card().limits)


def test_its_use_is_what_the_run_file_says():
    own = card(settings=CardSettings(intended_use="To call customers.", sensitive_use="Not for prices."))
    assert (own.intended_use, own.sensitive_use) == (["To call customers."], ["Not for prices."])
    assert "a reason to look, not a finding" in card().intended_use[0]
