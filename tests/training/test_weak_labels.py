"""Weak negative classes: how the regular rows are split, and when `unknown` is out of reach."""

import logging

import numpy as np
import pytest

from feature_extraction.schema import FeatureSchema
from training.weak_labels import activity_feature, warn_if_unknown_is_inert, weak_negatives

SCHEMA = FeatureSchema(("m__level", "m__active_share", "m__slope"), ("rare", "normal"), "rare")
REGULAR, RARE = 1, 0


def table(activity):
    features = np.zeros((len(activity), 3), dtype=np.float32)
    features[:, 1] = activity
    return features


def split(activity, labels, **options):
    return weak_negatives(np.array(labels, dtype=np.int8), table(activity), SCHEMA, **{"num": 3} | options)


def test_regular_rows_are_split_by_rising_activity():
    weak = split([5, 1, 9, 2, 8, 4, 7], [REGULAR] * 6 + [RARE])
    assert weak.classes == ("normal_low", "normal_mid", "normal_high", "rare")
    assert weak.labels.tolist() == [1, 0, 2, 0, 2, 1, 3]
    assert weak.labels.dtype == np.int8
    assert weak.classes[weak.rare_code] == weak.rare == "rare"
    assert weak.activity == "m__active_share"


def test_edges_come_from_the_regular_rows_alone():
    one = split([1, 2, 3, 4, 5, 6, 1e6], [REGULAR] * 6 + [RARE])
    other = split([1, 2, 3, 4, 5, 6, -1e6], [REGULAR] * 6 + [RARE])
    assert one.edges == other.edges == (2, 4)


def test_missing_activity_is_the_lowest():
    weak = split([np.nan, np.nan, 3, 4, 5, 6, 7], [REGULAR] * 6 + [RARE])
    assert weak.labels[:2].tolist() == [0, 0]


def test_other_numbers_of_classes_are_numbered():
    weak = split(np.arange(9), [REGULAR] * 8 + [RARE], num=4)
    assert weak.classes == ("normal_1", "normal_2", "normal_3", "normal_4", "rare")
    assert np.bincount(weak.labels).tolist() == [2, 2, 2, 2, 1]


def test_one_activity_for_all_gives_one_class_and_says_so(caplog):
    weak = split(np.ones(9), [REGULAR] * 8 + [RARE])
    assert weak.classes == ("normal", "rare")
    assert "1 weak classes instead of 3" in caplog.text


def test_levels_of_fewer_than_two_rows_join_the_level_below():
    weak = split([0, 0, 1, 9, 9], [REGULAR] * 3 + [RARE] * 2)
    assert weak.classes == ("normal", "rare")
    assert weak.labels.tolist() == [0, 0, 0, 1, 1]


def test_more_classes_are_left_as_they_are():
    schema = FeatureSchema(SCHEMA.names, ("a", "b", "rare"), "rare")
    labels = np.array([0, 1, 2], dtype=np.int8)
    weak = weak_negatives(labels, table([1, 2, 3]), schema, num=3)
    assert weak.labels is labels
    assert weak.classes == schema.classes
    assert weak.activity == ""


def test_activity_feature_is_found_or_named(caplog):
    assert activity_feature(SCHEMA) == "m__active_share"
    assert activity_feature(FeatureSchema(("m__slope", "n__level"))) == "n__level"
    assert activity_feature(SCHEMA, "m__slope") == "m__slope"
    with pytest.raises(ValueError, match="'m__speed' is not in the feature table"):
        activity_feature(SCHEMA, "m__speed")
    assert activity_feature(FeatureSchema(("m__slope",))) == "m__slope"
    assert "no feature tells activity" in caplog.text


@pytest.mark.parametrize(
    ("negatives", "leeway", "inert"), [(1, 0.3, True), (2, 0.3, True), (3, 0.3, False), (2, 0.4, False)]
)
def test_unknown_needs_more_than_one_minus_leeway_over_leeway_negatives(negatives, leeway, inert, caplog):
    names = tuple(f"n{number}" for number in range(negatives))
    found = warn_if_unknown_is_inert((*names, "rare"), "rare", dict.fromkeys(names, leeway))
    assert found is inert
    assert ("'unknown' is out of reach" in caplog.text) is inert


def test_no_leeway_turns_unknown_off_without_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assert warn_if_unknown_is_inert(("a", "b", "rare"), "rare", {"a": 0.0, "b": 0.0})
    assert not caplog.records


def test_single_class_with_full_leeway_reaches_unknown():
    assert not warn_if_unknown_is_inert(("a", "b", "rare"), "rare", {"a": 1.0, "b": 0.0})


def test_inert_unknown_never_wins_on_a_grid_of_posteriors():
    """The rule against brute force: every split of the negatives' posterior on a fine grid."""
    grid = np.linspace(0, 1, 201)
    for leeway in ((0.3, 0.3), (0.4, 0.6), (0.2, 0.7), (0.55, 0.5)):
        posterior = np.stack([grid, 1 - grid])
        share = np.array(leeway)[:, None]
        wins = ((share * posterior).sum(axis=0) > ((1 - share) * posterior).max(axis=0) + 1e-9).any()
        names = {"a": leeway[0], "b": leeway[1]}
        assert warn_if_unknown_is_inert(("a", "b", "rare"), "rare", names) is not bool(wins)


def test_a_rare_class_named_like_a_weak_one_is_refused():
    schema = FeatureSchema(names=("spend__active_share",), classes=("risk", "risk_high"), rare="risk_high")
    labels = np.array([0] * 30 + [1] * 5, dtype=np.int8)
    features = np.linspace(0, 1, 35, dtype=np.float32)[:, None]
    with pytest.raises(ValueError, match="named like the rare class 'risk_high'; rename"):
        weak_negatives(labels, features, schema, num=3)
