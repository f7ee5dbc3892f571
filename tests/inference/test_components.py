"""Contributions folded up by component and metric: nothing lost, nothing made."""

import numpy as np
import pytest

from feature_extraction import definitions
from inference.components import DEFINITIONS, defined, fold

NAMES = definitions.columns(("spend", "net_visits"), last_residuals=30)


def contributions(rows=5):
    return np.random.default_rng(0).normal(size=(rows, len(NAMES))).astype(np.float32)


def test_sums_are_kept():
    given = contributions()
    folded = fold(NAMES, given)
    np.testing.assert_allclose([sum(s.contribution for s in row) for row in folded], given.sum(axis=1), rtol=1e-4)
    for metric in ("spend", "net_visits"):
        own = [place for place, name in enumerate(NAMES) if name.startswith(f"{metric}__")]
        sums = [sum(share.contribution for share in row if share.metric == metric) for row in folded]
        np.testing.assert_allclose(sums, given[:, own].sum(axis=1), rtol=1e-4)


def test_a_share_holds_the_features_of_its_component_alone():
    given = contributions(1)
    at = {name: value for name, value in zip(NAMES, given[0].tolist(), strict=True)}
    found = {(share.metric, share.component): share.contribution for share in fold(NAMES, given)[0]}
    weekly = at["spend__weekly_amplitude"] + at["spend__weekly_peak_day"]
    assert found["spend", "weekly pattern"] == pytest.approx(weekly)
    assert found["net_visits", "length of history"] == pytest.approx(at["net_visits__history"])
    assert len(found) == 2 * len({feature.component for feature in DEFINITIONS.values()})


def test_the_largest_come_first_whatever_their_sign():
    for row in fold(NAMES, contributions()):
        sizes = [abs(share.contribution) for share in row]
        assert sizes == sorted(sizes, reverse=True)
        assert min(share.contribution for share in row) < 0


def test_every_feature_has_a_component_in_words():
    components = {feature.component for feature in definitions.metric_features(30)}
    assert components == {
        "level", "length of history", "activity", "periods", "trend", "changepoints", "weekly pattern", "residual"
    }  # fmt: skip


def test_a_metric_keeps_its_underscores():
    metric, feature = defined("net_visits__residual_last_7")
    assert (metric, feature.name) == ("net_visits", "residual_last_7")


def test_no_rows_give_no_shares():
    assert fold(NAMES, np.empty((0, len(NAMES)), np.float32)) == []
