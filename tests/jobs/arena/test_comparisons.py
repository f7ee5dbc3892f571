"""Means, paired differences, ranks and what can be told from them, against published examples and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jobs.arena import comparisons, plots
from tests.jobs.arena import results

# Fourteen data sets and four methods, one of them a little better, with a tie.
TABLE = pd.DataFrame(np.random.default_rng(1).normal([0.0, 0.5, 1.5, 0.2], 1.0, (14, 4)), columns=["a", "b", "c", "d"])
TABLE.loc[3, "a"] = TABLE.loc[3, "b"]


def test_ranks_are_means_over_data_sets_and_the_best_is_first():
    found = comparisons.ranking(TABLE)
    expected = stats.rankdata(-TABLE.to_numpy(), axis=1).mean(axis=0)
    assert found.blocks == 14
    assert found.ranks.index[0] == "c"
    assert found.ranks[TABLE.columns].tolist() == pytest.approx(expected.tolist())


def test_the_critical_difference_is_that_of_demsars_example():
    assert comparisons.nemenyi(4, 14) == pytest.approx(1.25, abs=0.005)  # JMLR 7, 2006, section 3.2.4


def test_friedmans_test_is_scipys_by_iman_and_davenports_f():
    blocks, methods = TABLE.shape
    chi = stats.friedmanchisquare(*(TABLE[name] for name in TABLE)).statistic
    ratio = (blocks - 1) * chi / (blocks * (methods - 1) - chi)
    expected = stats.f.sf(ratio, methods - 1, (methods - 1) * (blocks - 1))
    assert comparisons.ranking(TABLE).friedman == pytest.approx(expected)


def test_methods_that_never_change_places_are_not_alike():
    ranks = np.tile([1.0, 2.0, 3.0], (5, 1))
    assert comparisons.friedman(ranks) == 0
    assert comparisons.friedman(np.full((5, 3), 2.0)) == 1


def test_holm_adjusts_step_by_step():
    assert comparisons.holm([0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)


def test_a_difference_is_paired_and_its_error_heeds_shared_rows():
    one, other = (
        pd.Series([0.5, 0.6, 0.4, 0.9], index=[0, 1, 2, 9]),
        pd.Series([0.4, 0.4, 0.4, 0.1], index=[0, 1, 2, 3]),
    )
    found = comparisons.difference(one, other)
    assert (found.mean, found.better, found.seeds) == (pytest.approx(0.1), 2, 3)
    assert found.error == pytest.approx(math.sqrt(0.01 * (1 / 3 + 1 / 4)))
    low, high = found.interval
    assert (low + high) / 2 == pytest.approx(0.1)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 2) * found.error)


def test_one_seed_has_no_error():
    found = comparisons.difference(pd.Series([0.5]), pd.Series([0.4]))
    assert math.isnan(found.error)
    assert all(math.isnan(end) for end in found.interval)


def test_a_method_that_lacks_seeds_has_no_mean():
    rows = results.rows()
    rows = rows[~((rows["trainer"] == "mlp") & (rows["data"] == "cdnow_whale250") & (rows["seed"] == 4))]
    means = comparisons.means(rows[rows["main"]])
    lacking = means.xs("cdnow_whale250", level="data")
    assert lacking["mlp"].isna().all()
    assert lacking.drop(columns="mlp").notna().all().all()
    assert means.drop(index="cdnow_whale250", level="data").notna().all().all()


def test_seeds_that_one_method_alone_has_do_not_count():
    rows = results.rows(data=["cdnow_whale250"], seeds=7)
    five = comparisons.means(rows[rows["main"] & (rows["seed"] < 5)])
    more = comparisons.means(rows[rows["main"] & ((rows["seed"] < 5) | (rows["trainer"] == "mlp"))])
    pd.testing.assert_frame_equal(five, more)


def test_the_best_baseline_is_one_of_the_baselines():
    row = pd.Series({"scarcegan": 0.9, "logistic_regression": 0.2, "gradient_boosting": 0.3})
    assert comparisons.best_baseline(row) == "gradient_boosting"
    assert comparisons.best_baseline(row[["scarcegan"]]) == ""
    assert comparisons.best_baseline(pd.Series({"torch_mlp": 0.9, "devnet": 0.4, "xgboost": 0.3})) == "devnet"


def test_gains_are_means_of_ratios():
    table = pd.DataFrame({"one": [0.2, 0.6, 0.3], "two": [0.1, 0.6, 0.2]})
    found = comparisons.against(table, "two").loc["one"]
    assert found["gain"] == pytest.approx((2 + 1 + 1.5) / 3 - 1)
    assert (found["data_sets"], found["better"]) == (3, 2)


def test_a_method_measured_on_few_data_sets_is_left_out_of_the_ranks():
    table = TABLE.assign(rare=[0.5] * 3 + [math.nan] * 11)
    found = comparisons.ranking(table)
    assert found.left_out == ("rare",)
    assert found.blocks == 14
    assert comparisons.ranking(table.iloc[:2]) is None


@pytest.mark.parametrize(
    ("ranks", "critical", "groups"),
    [
        ([1.0, 1.5, 3.0, 3.2], 1.0, [(0, 1), (2, 3)]),
        ([1.0, 1.8, 2.5], 1.0, [(0, 1), (1, 2)]),
        ([1.0, 1.1, 1.2], 1.0, [(0, 2)]),
        ([1.0, 3.0, 5.0], 1.0, []),
    ],
)
def test_bars_join_the_largest_groups_that_are_not_told_apart(ranks, critical, groups):
    assert plots.cliques(ranks, critical) == groups
