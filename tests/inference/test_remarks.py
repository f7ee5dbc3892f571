"""Sentences on what stands out: the numbers are those of the data, and each share is counted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from inference.components import defined
from inference.labeled import LabeledRows
from inference.remarks import Remark, Wording, of_reason, of_story, told
from inference.report_alerts import Break, MetricStory, Reason
from inference.standing import Question, Standing, standings

DAILY = Wording(86_400, 28, frozenset({"baskets"}))
NONE = Standing(0, 901, "labelled regular entities")


def reason(feature, value, typical, contribution=1.0):
    metric, known = defined(feature)
    return Reason(feature, value, contribution, metric, known.definition, known.unit, typical)


def said(remark, standing=NONE, **more):
    return told([remark], {remark.question: standing} | more)[0]


@pytest.mark.parametrize(
    ("feature", "value", "typical", "words"),
    [
        ("baskets__recency", 216.0, 5.0, "Baskets last seen 216 days before the end, typically 5 days"),
        ("baskets__recency_in_gaps", 16.6, 0.6, "Baskets silent for 16.6 times its mean gap, typically 0.6 times"),
        ("baskets__history", 120.0, 268.0, "First seen 120 days before the end, typically 268 days"),
        ("baskets__level", 0.06, 1.73, "Baskets at 0.06 a day on average, typically at 1.73"),
        ("discount_share__level", 0.3, 0.1, "Discount share at 0.3 on average, typically at 0.1"),
        ("baskets__active_share_recent", 0.0, 0.25, "Baskets on 0% of the last 28 days, typically on 25%"),
        ("baskets__gap_mean", 70.0, 8.5, "Baskets once in 70 days on average, typically once in 8.5 days"),
        ("baskets__burstiness", -1.0, -0.1, "Baskets burstiness is −1, below the typical −0.1"),
        ("baskets__period_2", 76.5, 3.74, "Baskets period 2 is 76.5 days, above the typical 3.74 days"),
    ],
)
def test_a_reason_is_told_with_its_value_and_the_typical_one(feature, value, typical, words):
    side = "high" if value > typical else "low"
    ending = f"; none of the 901 labelled regular entities has as {side} a value."
    assert said(of_reason(reason(feature, value, typical), DAILY)) == words + ending


def test_what_is_missing_is_told_as_missing_and_last():
    remark = of_reason(reason("baskets__trend_last", None, 0.12), DAILY)
    lacking = Standing(54, 900, "labelled regular entities")
    assert said(remark, lacking) == (
        "Baskets trend last is missing, typically 0.12; 6% of labelled regular entities lack it."
    )
    usual = of_reason(reason("baskets__recency", 30.0, 5.0), DAILY)
    both = told([remark, usual], {remark.question: NONE, usual.question: Standing(200, 901, "x")})
    assert [one.split(" ")[1] for one in both] == ["last", "trend"]


def test_a_value_like_the_typical_one_is_no_remark():
    assert of_reason(reason("baskets__recency", 5.0, 5.0), DAILY) is None


def test_without_a_typical_value_nothing_is_compared():
    assert said(of_reason(reason("baskets__recency", 5.0, None), DAILY)) == "Baskets recency is 5 days."


def story(values, **parts):
    flat = [math.nan] * len(values)
    times = [str(np.datetime64("2017-06-01") + day) + "T00:00:00" for day in range(len(values))]
    return MetricStory("baskets", times, values, flat, flat, flat, flat, **parts)


BREAK_DAY = 72  # 12 Aug 2017
FALLING = [1.0] * BREAK_DAY + [0.0] * 40
FEATURES = {"baskets__break_size": -0.5, "baskets__scale": 0.25, "baskets__level_change": -1.5}


def broken(**parts):
    turns = [Break("2017-06-20T00:00:00", 0.0, 0.1), Break("2017-08-12T00:00:00", 0.1, -0.4)]
    return story(FALLING, breaks=turns, **parts)


def test_a_break_is_told_with_the_means_before_and_after_it():
    remark = next(of_story(broken(), FEATURES, DAILY))
    assert remark.question == Question(("baskets__break_size", "baskets__scale"), -2.0, "low")
    assert said(remark, Standing(9, 900, "labelled regular entities")) == (
        "Baskets fell from 7 to 0 a week after 12 Aug 2017; 1% of labelled regular entities have such a break."
    )
    assert said(remark).endswith("; none of the 901 labelled regular entities has such a break.")


def test_a_rate_is_a_weeks_where_few_come_a_day_and_no_rate_where_values_do_not_add_up():
    assert DAILY.moved("baskets", 0.2, 0.1) == "Baskets fell from 1.4 to 0.7 a week"
    assert DAILY.moved("baskets", 2.5, 3) == "Baskets rose from 2.5 to 3 a day"
    assert DAILY.moved("discount_share", 0.2, 0.1) == "Discount share fell from 0.2 to 0.1"
    assert Wording(3600, 28, frozenset({"baskets"})).moved("baskets", 1, 0) == "Baskets fell from 1 to 0 an hour"
    assert DAILY.moved("baskets", 0.2, 0.20001) == ""


def test_a_break_against_which_the_series_went_is_not_told():
    facts = [remark.fact for remark in of_story(broken(), FEATURES | {"baskets__break_size": 0.5}, DAILY)]
    assert not any("after" in fact for fact in facts)


def test_the_recent_steps_are_told_with_their_means():
    late = story([1.0] * 56 + [0.0] * 28)
    (remark,) = of_story(late, FEATURES, DAILY)
    assert remark.question == Question(("baskets__level_change",), -1.5, "low")
    assert said(remark, Standing(18, 900, "labelled regular entities")) == (
        "Baskets fell from 7 to 0 a week in the last 28 days; "
        "2% of labelled regular entities fell as far for their usual swing."
    )


def test_an_outlier_is_told_if_it_is_recent():
    values = [1.0] * 83 + [9.0]
    late = replace(story(values, outlier=83, outlier_sigmas=5.25), expected=[1.5] * 84)
    (remark,) = of_story(late, {}, DAILY)
    assert told([remark], {}) == [
        "Baskets on 23 Aug 2017 was 9, 5.25 standard deviations of the noise above the expected 1.5."
    ]
    assert list(of_story(replace(late, outlier=20), {}, DAILY)) == []


def remarks_with(*counts, series=()):
    metrics = dict(enumerate(series))
    made = [
        Remark(f"fact {place}", "have it", Question((f"f{place}",), 0.0, "high"), metrics.get(place, ""))
        for place in range(len(counts))
    ]
    return made, {one.question: Standing(n, 100, "entities") for one, n in zip(made, counts, strict=True)}


def test_the_rarest_comes_first_and_the_usual_is_left_out():
    sentences = told(*remarks_with(20, 1, 60, 0, 10, 9))
    assert [sentence[:6] for sentence in sentences] == ["fact 3", "fact 1", "fact 5", "fact 4"]
    assert sentences[0] == "fact 3; none of the 100 entities has it."


def test_one_sentence_is_told_even_where_all_is_usual():
    assert told(*remarks_with(60, 80)) == ["fact 0; 60% of entities have it."]
    assert told([], {}) == []


def test_a_series_is_told_once_and_two_series_at_most():
    sentences = told(*remarks_with(1, 2, 3, 4, 5, series=("a", "a", "b", "c", "")))
    assert [sentence[:6] for sentence in sentences] == ["fact 0", "fact 2", "fact 4"]


def regular(rows):
    values = np.column_stack([np.arange(rows), np.full(rows, 2.0)]).astype(np.float32)
    values[0, 0] = np.nan
    names, words = ("m__level", "m__scale"), np.full(rows, "regular", dtype=object)
    return LabeledRows(names, np.arange(rows).astype(str).astype(object), words, words == "rare", values)


def test_shares_are_counted_over_the_labelled_regular_entities():
    asked = [
        Question(("m__level",), 90.0, "high"),
        Question(("m__level",), 2.0, "low"),
        Question(("m__level",), math.nan, "missing"),
        Question(("m__level", "m__scale"), 45.0, "high"),
    ]
    found = standings("unused", regular(100), asked)
    assert [(one.count, one.total) for one in found] == [(10, 100), (2, 100), (1, 100), (10, 100)]
    assert found[0].words == "10% of labelled regular entities"


def test_shares_are_counted_over_all_entities_where_few_are_labelled(example, features_url):
    names = example.schema.names
    few = LabeledRows.read(features_url, names)
    few = replace(few, **{part: getattr(few, part)[:40] for part in ("entities", "labels", "is_rare", "features")})
    value = float(np.sort(example.features[:-1, 0])[-30])
    asked = [
        Question((names[0],), value, "high"),
        Question((names[4],), 0.0, "missing"),
        Question((names[0], names[1]), 1.0, "low"),
    ]
    found = standings(features_url, few, asked)
    ratio = example.features[:, 0] / example.features[:, 1]
    expected = [30, int(np.isnan(example.features[:, 4]).sum()), int((ratio <= 1).sum())]
    assert [one.count for one in found] == expected
    assert {(one.total, one.among) for one in found} == {(len(example.ids), "entities")}
    assert standings(features_url, few, []) == []
