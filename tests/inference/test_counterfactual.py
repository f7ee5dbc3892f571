"""What takes an entity off the list: few facts, plausible values, and a score that the model itself gives."""

import numpy as np
import pytest

from inference.counterfactual import Search
from inference.labeled import LabeledRows
from training import artifact as artifacts

NAMES = (
    "spend__level", "spend__recency", "spend__gap_mean", "spend__recency_in_gaps", "spend__history",
    "visits__level", "visits__recency", "visits__active_share_recent",
)  # fmt: skip
USUAL = np.array([5.0, 3, 4, 0.75, 200, 2, 3, 0.5])


def labeled(rows=101):
    random = np.random.default_rng(0)
    features = USUAL + np.array([1, 0, 1, 0.1, 0, 1, 0, 0.1]) * random.normal(size=(rows, len(NAMES)))
    features[:, [1, 6]] += random.integers(-2, 3, size=(rows, 2))
    features[:, 4] += random.integers(-50, 50, size=rows)
    features[:, 4] = np.round(features[:, 4])
    features[:, 7] = np.clip(features[:, 7], 0, 1)
    words = np.full(rows, "regular", dtype=object)
    return LabeledRows(NAMES, np.arange(rows).astype(str).astype(object), words, words == "rare", np.float32(features))


def linear(weights):
    return lambda rows: 1 / (1 + np.exp(-(np.nan_to_num(rows) @ np.asarray(weights) - 1)))


def run(features, weights, *, line=0.4, most=5, contributions=None):
    known = labeled()
    search = Search.towards_usual(known, linear(weights), line=line, most=most)
    rows = np.asarray(features, np.float32)[None]
    given = (rows - known.typical()) * weights if contributions is None else contributions
    (moved,) = search.run(rows, np.asarray(given, np.float32))
    assert moved.score == pytest.approx(search.score(moved.row[None])[0])
    return moved, search


def alert(**values):
    row = USUAL.copy()
    for name, value in values.items():
        row[NAMES.index(name)] = value
    return row


def test_one_fact_of_several_metrics_moves_as_one():
    row = alert(spend__recency=60, visits__recency=60, spend__recency_in_gaps=15)
    weights = alert() * 0
    weights[[1, 6]] = 0.05, 0.02
    moved, search = run(row, weights)
    assert moved.reached
    assert moved.facts == ((1, 6),)
    assert moved.row[1] == moved.row[6]
    assert moved.score < 0.4


def test_equal_amounts_of_two_metrics_are_not_one_fact():
    weights = alert() * 0
    weights[0], weights[5] = -0.2, -0.2
    moved, search = run(alert(spend__level=0, visits__level=0), weights, line=0.1, most=2)
    assert sorted(moved.facts) == [(0,), (5,)]
    way = moved.row[[0, 5]] / search.target[[0, 5]]
    assert way[0] == pytest.approx(way[1])
    assert 0 < way[0] < 1


def test_it_moves_no_further_than_needed_and_whole_numbers_stay_whole():
    row = alert(spend__recency=60)
    weights = alert() * 0
    weights[1] = 0.05
    moved, search = run(row, weights)
    assert moved.reached
    assert float(moved.row[1]).is_integer()
    assert 3 < moved.row[1] < 60
    further = moved.row.copy()
    further[1] += 1
    assert search.score(further[None])[0] >= search.line


def test_what_is_a_ratio_by_definition_follows_and_is_never_moved_by_itself():
    row = alert(spend__recency=60, spend__recency_in_gaps=15)
    weights = alert() * 0
    weights[1], weights[3] = 0.01, 0.1
    moved, _ = run(row, weights)
    assert moved.facts == ((1,),)
    assert moved.row[3] == pytest.approx(moved.row[1] / moved.row[2])


def test_the_fewest_facts_are_changed():
    row = alert(spend__level=9, spend__recency=60, visits__level=8)
    weights = alert() * 0
    weights[0], weights[1], weights[5] = 0.06, 0.05, 0.05
    moved, _ = run(row, weights, line=0.6)
    assert len(moved.facts) == 1
    moved, _ = run(row, weights, line=0.45)
    assert len(moved.facts) == 2
    assert moved.reached


def test_what_is_left_is_told_where_the_facts_do_not_suffice():
    row = alert(spend__level=9, spend__recency=60, visits__level=8)
    weights = alert() * 0
    weights[0], weights[1], weights[5] = 0.06, 0.05, 0.05
    moved, search = run(row, weights, line=0.45, most=1)
    assert not moved.reached
    assert moved.facts == ((1,),)
    assert moved.row[1] == 3
    assert search.line <= moved.score < search.score(row[None])[0]


def test_how_long_it_has_been_known_is_not_changed():
    row = alert(spend__history=20)
    weights = alert() * 0
    weights[4] = -0.05
    moved, _ = run(row, weights, line=0.1, contributions=[[0, 0, 0, 0, 9, 0, 0, 0]])
    assert moved.facts == ()
    assert not moved.reached
    np.testing.assert_array_equal(moved.row, np.float32(row))


def test_no_number_of_steps_exceeds_the_history():
    weights = alert() * 0
    weights[1] = -1
    moved, _ = run(
        alert(spend__recency=0, spend__history=2), weights, contributions=[[0, 9, 0, 0, 0, 0, 0, 0]], line=0.01
    )
    assert moved.facts == ((1,),)
    assert moved.row[1] == 2


def test_shares_stay_shares_and_missing_stays_missing():
    row = alert(visits__active_share_recent=0.0, spend__level=np.nan)
    weights = alert() * 0
    weights[7], weights[0] = -4, 1
    moved, _ = run(row, weights, line=0.2, contributions=[[9, 0, 0, 0, 0, 0, 0, 2]])
    assert moved.reached
    assert moved.facts == ((7,),)
    assert 0 <= moved.row[7] <= 1
    assert np.isnan(moved.row[0])


def test_what_speaks_against_the_rare_class_is_left_alone():
    row = alert(spend__level=1, spend__recency=60)
    weights = alert() * 0
    weights[0], weights[1] = 0.5, 0.05
    moved, _ = run(row, weights, line=0.35)
    assert moved.facts == ((1,),)


def test_many_entities_at_once_are_answered_as_each_alone(example, features_url, network):
    model = artifacts.load(network)
    known = LabeledRows.read(features_url, model.schema.names)
    code = model.classes.index(model.rare)
    rows = example.features[:40]
    scores = model.predict(rows)[:, code]
    search = Search.towards_usual(
        known, lambda some: model.predict(some)[:, code], line=float(np.median(scores)), most=3
    )
    together = search.run(rows, model.contributions(rows))
    alone = [search.run(row[None], model.contributions(row[None]))[0] for row in rows]
    assert [moved.facts for moved in together] == [moved.facts for moved in alone]
    assert [moved.reached for moved in together] == [moved.reached for moved in alone]
    assert {True, False} == {moved.reached for moved in together}
    for moved, score in zip(together, scores, strict=True):
        assert moved.reached == (moved.score < search.line)
        assert moved.score <= score
        assert len(moved.facts) <= 3
