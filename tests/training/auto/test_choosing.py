"""Which members are taken: another than all alike only where held-out halves leave little doubt."""

import numpy as np
import pytest
from scipy.special import expit

from training.auto import choosing
from training.auto.choosing import ALIKE, BEST_ALIKE, BY_MERIT, choose, standard_error
from training.auto.settings import AutoSettings

NAMES = ("first", "second", "third")


def table(signals, rare=40, rows=800, seed=0):
    """Return chances of members that see the truth through noise of their own, and the truth."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) < rare
    return np.stack([expit(truth * signal + random.normal(size=rows)) for signal in signals]), truth


def test_members_that_are_equally_good_are_taken_alike():
    choice = choose(NAMES, *table((1.5, 1.5, 1.5)), AutoSettings())
    assert choice.weights == pytest.approx(1 / 3)
    assert set(choice.compared) == {ALIKE, BY_MERIT, *NAMES}
    assert choice.compared[ALIKE] > max(choice.compared[name] for name in NAMES)
    assert choice.why.startswith("all alike have the best average precision")


def test_a_member_far_above_the_others_gets_most_or_all_of_the_weight():
    choice = choose(NAMES, *table((4.0, 0.0, 0.0)), AutoSettings())
    assert choice.weights[0] > 0.9
    assert ": more than the standard error" in choice.why


def test_of_few_rare_rows_noise_decides_nothing():
    takes = [choose(NAMES, *table((1.0, 1.0, 1.0), rare=4, rows=80, seed=seed), AutoSettings()) for seed in range(10)]
    assert sum(choice.weights == pytest.approx(1 / 3) for choice in takes) >= 8


def test_of_many_members_the_best_three_are_taken_alike_where_nothing_is_better():
    names = tuple("abcdef")
    choice = choose(names, *table((1.5, 1.5, 1.5, 0.0, 0.0, 0.0)), AutoSettings())
    assert choice.weights == pytest.approx([1 / 3] * 3 + [0] * 3)
    assert choice.compared[BEST_ALIKE] > choice.compared[ALIKE]


def test_what_is_measured_did_not_decide_the_weights(monkeypatch):
    chances, truth = table((1.0, 1.0, 1.0))
    seen = []

    def noting(decide, given, known):
        seen.append(set(given[0].tolist()))
        return decide(given, known)

    real = choosing.by_merit
    monkeypatch.setattr(choosing, "by_merit", lambda given, known: noting(real, given, known))
    choose(NAMES, chances, truth, AutoSettings(repeats=3))
    halves = seen[:6]
    for one, other in zip(halves[::2], halves[1::2], strict=True):
        assert not one & other
        assert one | other == set(chances[0].tolist())


def test_the_settings_may_decide():
    chances, truth = table((0.5, 3.0, 0.5))
    assert choose(NAMES, chances, truth, AutoSettings(take="best")).weights.tolist() == [0, 1, 0]
    assert choose(NAMES, chances, truth, AutoSettings(take="blend")).weights == pytest.approx(1 / 3)
    assert choose(("only",), chances[:1], truth, AutoSettings()).weights.tolist() == [1]


def test_the_standard_error_counts_halves_of_the_same_rows_as_dependent():
    differences = np.random.default_rng(0).normal(size=40)
    naive = differences.std(ddof=1) / np.sqrt(40)
    assert standard_error(differences) == pytest.approx(naive * np.sqrt(41))
