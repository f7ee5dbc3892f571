"""The final synthesis: quotas, budgets, order, and rows that are no copies."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from tests.training.qast import qast_tables as tables
from training.torch.course import Place
from training.torch.qast import course, gate
from training.torch.qast.gate import Tally
from training.torch.qast.moves import Adversaries
from training.torch.qast.sampling import CANDIDATES_AT_ONCE, SURPLUS, Synthesizer


@cache
def trained():
    settings = tables.tiny(epochs=30, checkpoint_every=30)
    fitted = tables.encoder(settings)
    players = tables.players(fitted, settings)
    made = tables.table(fitted, settings)
    judge = tables.by_distance(fitted)
    course.follow(made, players, judge, Place("qast"))
    return Synthesizer(players.adversaries, fitted, judge, 3, made.plan.noise_classes)


def changed(synthesizer, **settings):
    old = synthesizer.adversaries
    new = Adversaries(old.generator, old.discriminator, old.settings.model_copy(update=settings))
    return dataclasses.replace(synthesizer, adversaries=new)


def refusing(code):
    """A judge by whom rows of one class are of class 0."""
    judge = trained().judge

    def judges(encoded):
        found = judge(encoded)
        votes = found.votes.copy()
        votes[:, 0] += votes[:, code]
        votes[:, code] = 0
        return Tally(votes, found.ties, found.probability)

    return judges


def test_every_class_meets_its_quota_and_nothing_else_is_made():
    outcome = trained().synthesize({1: 40, 2: 53}, budget=4000, seed=0)
    assert np.bincount(outcome.samples.labels).tolist() == [0, 40, 53]
    assert len(outcome.samples.features) == len(outcome.samples.quality) == 93
    assert sum(outcome.generated.values()) < 4000  # enough is enough


def test_a_class_that_nobody_votes_for_is_short_and_takes_nothing_from_the_others():
    judged = dataclasses.replace(trained(), judge=refusing(2))
    outcome = judged.synthesize({1: 40, 2: 53}, budget=3000, seed=0)
    assert np.bincount(outcome.samples.labels, minlength=3).tolist() == [0, 40, 0]
    assert outcome.accepted[2] == 0
    assert sum(outcome.generated.values()) == 3000
    assert outcome.generated[2] > outcome.generated[1]


def test_the_budget_is_never_passed():
    for budget in (0, 1, 10, CANDIDATES_AT_ONCE + 7):
        outcome = dataclasses.replace(trained(), judge=refusing(2)).synthesize({2: 50}, budget=budget, seed=0)
        assert sum(outcome.generated.values()) == budget


def test_nothing_wanted_is_nothing_made():
    outcome = trained().synthesize({1: 0}, budget=100, seed=0)
    assert outcome.samples.features.shape == (0, 4)
    assert sum(outcome.generated.values()) == 0


def test_one_seed_gives_one_set_of_rows():
    one, again, other = (trained().synthesize({1: 30, 2: 30}, budget=2000, seed=seed).samples for seed in (3, 3, 4))
    for part, same in zip(one, again, strict=True):
        np.testing.assert_array_equal(part, same)
    assert not np.array_equal(one.features, other.features)


def test_rows_are_sorted_by_bucket_and_confidence_within_a_class():
    samples = trained().synthesize({1: 30, 2: 30}, budget=2000, seed=0).samples
    for code in (1, 2):
        own = samples.take(samples.labels == code)
        found = gate.Sorted(own.bucket, own.labels, own.confidence)
        order = gate.final_order(found, settings=tables.tiny())
        np.testing.assert_array_equal(order, np.arange(30))


def test_what_is_said_of_rows_is_what_the_judges_say():
    synthesizer = trained()
    samples = synthesizer.synthesize({1: 30, 2: 30}, budget=2000, seed=0).samples
    opinions = synthesizer.judge(synthesizer.encoder.encode(samples.features))
    np.testing.assert_array_equal(samples.votes, gate.votes_for(opinions, samples.labels))
    assert ((samples.confidence >= 0) & (samples.confidence <= 1)).all()
    assert ((samples.quality >= 0) & (samples.quality <= 1)).all()
    assert set(samples.bucket) <= {1, 2, 3}


def test_as_published_labels_are_uniform_and_the_whole_budget_is_spent():
    synthesizer = dataclasses.replace(changed(trained(), balanced=False, gate="paper"), noise_classes=(0, 1, 2))
    outcome = synthesizer.synthesize({1: 10, 2: 10}, budget=CANDIDATES_AT_ONCE + 2000, seed=0)
    shares = np.array(list(outcome.generated.values())) / (CANDIDATES_AT_ONCE + 2000)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    assert len(outcome.samples.labels) <= 20


def test_rounds_are_joined_best_first():
    synthesizer = changed(trained(), balanced=False, gate="paper", order="confidence")
    synthesizer = dataclasses.replace(synthesizer, judge=tables.by_distance(trained().encoder, softness=30.0))
    few = synthesizer.synthesize({1: 300}, budget=CANDIDATES_AT_ONCE, seed=0).samples
    more = synthesizer.synthesize({1: 300}, budget=3 * CANDIDATES_AT_ONCE, seed=0).samples
    assert more.confidence.min() >= few.confidence.min()
    assert more.confidence.mean() > few.confidence.mean()


def test_surplus_bounds_what_is_asked_for():
    outcome = trained().synthesize({1: 100}, budget=100_000, seed=0)
    assert outcome.accepted[1] <= 2 * SURPLUS * 100


def test_whole_numbers_and_categories_come_back_as_such():
    samples = trained().synthesize({1: 40, 2: 40}, budget=4000, seed=0).samples
    np.testing.assert_array_equal(samples.features[:, 2], np.round(samples.features[:, 2]))
    assert set(samples.features[:, 3]) <= {0.0, 1.0, 2.0}


def test_rows_are_no_copies_of_the_table():
    real, _ = tables.features_and_labels()
    samples = trained().synthesize({1: 40, 2: 40}, budget=4000, seed=0).samples
    copied = (samples.features[:, None] == real[None]).all(axis=2).any(axis=1)
    assert copied.mean() < 0.05


@pytest.mark.parametrize("inference", ["eval", "train"])
def test_networks_judge_in_the_mode_of_the_settings(inference):
    synthesizer = changed(trained(), inference=inference)
    modes = []
    hooks = [
        network.register_forward_hook(lambda module, rows, out: modes.append(module.training))
        for network in (synthesizer.adversaries.generator, synthesizer.adversaries.discriminator)
    ]
    synthesizer.synthesize({1: 5}, budget=100, seed=0)
    for hook in hooks:
        hook.remove()
    assert set(modes) == {inference == "train"}
