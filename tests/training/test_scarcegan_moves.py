"""ScarceGAN's and SSGAN's networks: who moves whom, the optimum under leeway, and members that stay apart."""

from functools import partial

import numpy as np
import pytest
from keras import ops
from scipy.special import softmax
from scipy.stats import norm

from training.keras import losses, sampling, scarcegan_moves, ssgan
from training.keras.sampling import Batch
from training.settings import ScarceGANSettings, SSGANSettings

INPUTS, KNOWN, ROWS = 3, 4, 12
TARGETS = losses.leeway_targets(np.array([0.3, 0.3, 0.3, 0.0]))
MODES = [{"mode": mode, "generator": kind} for mode in ("repaired", "as_published") for kind in ("bad", "adversarial")]


def build(members=1, **settings):
    return scarcegan_moves.players(ScarceGANSettings(**settings), INPUTS, KNOWN, list(range(5, 5 + members)))


def batch(members=1, seed=0, targets=TARGETS):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(4, members, ROWS, INPUTS)).astype(np.float32)
    noise = random.normal(size=(2, members, ROWS, 10)).astype(np.float32)
    labels = np.broadcast_to(np.arange(ROWS) % KNOWN, (members, ROWS))
    return Batch(*map(ops.convert_to_tensor, (rows[0], targets[labels], rows[1], noise[0], noise[1])))


def weights(players):
    return [np.array(ops.convert_to_numpy(variable)) for variable in players.variables]


def moved(players, name, given):
    """Positions in `players.variables` of what a move changes, to the bit."""
    before = weights(players)
    next(move for move in players.moves if move.name == name).take(given)
    after = weights(players)
    return {n for n, (one, two) in enumerate(zip(before, after, strict=True)) if not np.array_equal(one, two)}


TRUNK, HEAD, GENERATOR, SECOND = 0, 1, {2, 3, 4, 5}, 6


@pytest.mark.parametrize("settings", MODES, ids=lambda chosen: "-".join(chosen.values()))
def test_generator_step_leaves_the_discriminator_bit_identical(settings):
    assert moved(build(**settings), "generator", batch()) == GENERATOR


def test_discriminator_steps_leave_the_generator_bit_identical():
    players = build()
    assert moved(players, "supervised", batch()) == {TRUNK, HEAD}
    assert moved(players, "unsupervised", batch()) == {TRUNK, HEAD}
    published = build(mode="as_published")
    assert moved(published, "supervised", batch()) == {TRUNK, HEAD}
    assert moved(published, "unsupervised_real", batch()) == {TRUNK, SECOND}
    assert moved(published, "unsupervised_fake", batch()) == {TRUNK, SECOND}


def test_the_published_leak_moves_the_trunk_in_the_generator_step():
    leaky = build(mode="as_published", trunk_leak=True)
    assert moved(leaky, "generator", batch()) == GENERATOR | {TRUNK}
    leaky = build(mode="as_published", trunk_leak=True, generator="adversarial")
    assert moved(leaky, "generator", batch()) == GENERATOR | {TRUNK, SECOND}


def test_ssgan_moves_the_discriminator_and_the_generator_apart():
    players = ssgan.players(SSGANSettings(), INPUTS, KNOWN, [5])
    given = batch(targets=np.eye(KNOWN, dtype=np.float32))
    second, generator = 2, {3, 4, 5, 6}
    assert moved(players, "supervised", given) == {TRUNK, HEAD}
    assert moved(players, "unsupervised_real", given) == {TRUNK, second}
    assert moved(players, "unsupervised_fake", given) == {TRUNK, second}
    assert moved(players, "generator", given) == generator
    assert players.networks()[0].biases[-1].shape == (KNOWN,)


@pytest.mark.parametrize("mode", ["repaired", "as_published"])
def test_without_a_generator_only_the_supervised_step_is_left(mode):
    players = build(mode=mode, generator="none")
    assert [move.name for move in players.moves] == ["supervised"]
    assert len(players.variables) == 2


def test_the_classifier_has_the_known_classes_and_unknown_in_either_mode():
    for settings in MODES:
        assert build(**settings).networks()[0].biases[-1].shape == (KNOWN + 1,)


def test_published_losses_are_the_terms_on_the_two_heads():
    """The published losses of one batch, put together from their terms in numpy."""
    players, given = build(mode="as_published", leeway=0.3), batch()
    trunk, head, second = (np.array(ops.convert_to_numpy(players.variables[n]))[0, 0] for n in (TRUNK, HEAD, SECOND))

    def dense(rows, flat, sizes, bent):
        for ins, outs in zip(sizes[:-1], sizes[1:], strict=True):
            kernel, bias, flat = flat[: ins * outs], flat[ins * outs : ins * outs + outs], flat[ins * outs + outs :]
            rows = rows @ kernel.reshape(ins, outs) + bias
            rows = np.where(rows > 0, rows, 0.2 * rows) if bent else rows
        return rows

    features = [dense(np.asarray(part)[0], trunk, (INPUTS, 15, 21, 8), True) for part in (given[0], given[2])]
    supervised = dense(features[0], head, (8, KNOWN + 1), False)
    real = dense(features[1], second, (8, 3), False)
    found = [float(players.moves[number].loss(given)[0]) for number in (0, 1)]
    expected = -(np.asarray(given[1])[0] * np.log(softmax(supervised, axis=1))).sum(axis=1).mean()
    assert found[0] == pytest.approx(expected, rel=1e-4)
    logs = np.log(softmax(real, axis=1))
    assert found[1] == pytest.approx(-(0.7 * logs[:, 0] + 0.3 * logs[:, 1]).mean(), rel=1e-4)


def data(seeds, rows=40):
    random = np.random.default_rng(0)
    inputs, labels = random.normal(size=(rows, INPUTS)).astype(np.float32), np.arange(rows) % KNOWN
    training = [np.arange(rows)[np.arange(rows) % 5 != seed % 5] for seed in seeds]  # a fold of its own for each seed
    pool = ops.convert_to_tensor(random.normal(size=(100, INPUTS)).astype(np.float32))
    return sampling.data(inputs, TARGETS[labels], labels.astype(np.int8), training=training, seeds=seeds, pool=pool)


DRAW = partial(sampling.batch, rows_per_class=8, unlabeled_rows=32, latent_dim=10)


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_members_learn_together_what_each_would_alone(xla):
    """Hence a member does not depend on how many there are either."""

    def learn(seeds):
        players = scarcegan_moves.players(ScarceGANSettings(), INPUTS, KNOWN, seeds)
        means = players.stretch(DRAW, xla=xla)(0, 30, data(seeds))
        return players.networks(), means

    (together, means), (alone, mean) = learn([5, 6, 7]), learn([6])
    for name, loss in mean.items():
        assert loss[0] == pytest.approx(means[name][1], rel=1e-3)
    for one, other in zip(alone[0].arrays("").values(), together[1].arrays("").values(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
    assert np.abs(together[0].kernels[0] - together[1].kernels[0]).max() > 0.1


def test_state_brings_players_back_bit_for_bit():
    players = build(members=2)
    run = players.stretch(DRAW, xla=False)
    run(0, 5, data([5, 6]))
    state = players.state()
    first, after = run(5, 5, data([5, 6])), players.state()
    players.restore(state)
    again = run(5, 5, data([5, 6]))
    assert all((first[name] == again[name]).all() for name in first)
    assert all(np.array_equal(after[name], array) for name, array in players.state().items())


def test_a_stretch_in_two_parts_ends_where_the_whole_one_does():
    whole, parts = build(), build()
    whole.stretch(DRAW, xla=False)(0, 20, data([5]))
    run = parts.stretch(DRAW, xla=False)
    run(0, 7, data([5]))
    run(7, 13, data([5]))
    np.testing.assert_array_equal(whole.networks()[0].kernels[0], parts.networks()[0].kernels[0])


def test_trained_head_reaches_the_optimum_under_leeway():
    """Four normal densities on a line, drawn at their quantiles, so the posteriors pi_k(x) are known.

    The supervised loss is least where class k gets (1 - leeway_k) pi_k and unknown sum_k leeway_k pi_k.
    """
    centers, rows = np.array([-1.5, 0.0, 1.0, 2.5]), 250
    inputs = norm.ppf((np.arange(rows) + 0.5) / rows, loc=centers[:, None]).reshape(1, -1, 1).astype(np.float32)
    targets = losses.leeway_targets(np.array([0.3, 0.3, 0.2, 0.0]))
    given = tuple(map(ops.convert_to_tensor, (inputs, np.repeat(targets, rows, axis=0)[None])))
    settings = ScarceGANSettings(supervised_rate=0.003, generator="none")
    players = scarcegan_moves.players(settings, 1, KNOWN, [0])
    players.stretch(lambda data, step: Batch(*data, None, None, None), xla=False)(0, 3000, given)
    line = np.linspace(-2.5, 3.5, 25)[:, None]
    posterior = norm.pdf(line, loc=centers)
    expected = posterior / posterior.sum(axis=1, keepdims=True) @ targets
    found = softmax(players.networks()[0].logits(line.astype(np.float32)), axis=1)
    np.testing.assert_allclose(found, expected, atol=0.02)
