"""DevNet: its loss by hand, what its batches are made of, and scores as chances."""

import numpy as np
import pytest
import torch

from feature_extraction.schema import UNLABELED
from tests.training.trainer_checks import HIDDEN, RARE, REGULAR, toy_table
from training.torch.devnet import DevNet, batches, deviation_loss, squared_kernels, train, with_chances
from training.torch.member_networks import RELU, Members
from training.trainer import Batch, TrainingDiverged
from training.two_classes import rare_and_others

TINY = {"epochs": 5, "batches": 10, "rows": 64, "rate": 5e-3}
INPUTS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
FIRST_TEN = np.arange(40) < 10


def test_the_loss_is_that_of_the_paper_by_hand():
    # Mean 1 and deviation 2, so scores deviate by -1, 2, 1 and 6; a rare row is to reach 5.
    scores, rare = torch.tensor([-1.0, 5.0, 3.0, 13.0]), torch.tensor([False, False, True, True])
    found = deviation_loss(scores, rare, np.array([-1.0, 3.0]), 5.0)
    assert found.item() == pytest.approx((1 + 2 + 4 + 0) / 4)


def test_the_penalty_is_on_the_kernels_of_hidden_layers_alone():
    networks = Members([3, 2, 2, 1], [0], slope=RELU)
    with torch.no_grad():
        for kernel, value in zip(networks.kernels, (1.0, 2.0, 30.0), strict=True):
            kernel.fill_(value)
        for bias in networks.biases:
            bias.fill_(50.0)
    assert squared_kernels(networks).item() == 6 * 1 + 4 * 4


@pytest.mark.parametrize("size", [8, 9])
def test_half_of_a_batch_is_rare_however_few_rare_rows_there_are(size):
    rare = np.arange(50) < 2
    draw = batches(rare, size, np.random.default_rng(0))
    drawn = [draw() for _ in range(200)]
    assert {rare[rows].sum() for rows in drawn} == {4}
    assert {len(rows) for rows in drawn} == {size}
    assert set(np.concatenate(drawn)) == set(range(50))


def test_rows_without_label_and_of_any_other_class_count_as_not_rare():
    rows = Batch(INPUTS[:4], np.array([1, 0, 2, 1], np.int8))
    features, rare = rare_and_others(rows, INPUTS[4:9], 1)
    np.testing.assert_array_equal(features, INPUTS[:9])
    assert rare.tolist() == [True, False, False, True, *[False] * 5]


def test_rare_rows_without_label_lower_the_scores_of_rare_rows():
    reader = toy_table()
    rows = reader.features[:RARE]
    reader.features[reader.labels == UNLABELED] = np.tile(rows, (HIDDEN // RARE + 1, 1))[:HIDDEN]
    believing, alone = (DevNet(**TINY, unlabeled_rows=most).fit(reader) for most in (HIDDEN, 0))
    assert believing.manifest.rows == {"regular": REGULAR, "rare": RARE, "unlabeled": HIDDEN}
    assert alone.manifest.rows["unlabeled"] == 0
    assert alone.predict(rows)[:, 1].mean() - believing.predict(rows)[:, 1].mean() > 0.1


def test_training_draws_scores_to_zero_and_rare_ones_beyond_the_margin_and_notes_each_epoch():
    inputs = INPUTS + 4 * FIRST_TEN[:, None].astype(np.float32)
    network, looks = train(DevNet(**TINY | {"epochs": 30}), inputs, FIRST_TEN)
    scores = network.logits(inputs)[:, 0]
    assert np.median(scores[~FIRST_TEN]) == pytest.approx(0, abs=0.3)
    assert scores[FIRST_TEN].min() > 4 > scores[~FIRST_TEN].max()
    assert [look.step for look in looks] == list(range(10, 310, 10))
    assert looks[-1].loss_deviation < looks[0].loss_deviation / 2


def test_the_same_seed_trains_the_same_network_and_another_one_another():
    one, again, other = (train(DevNet(**TINY, seed=seed), INPUTS, FIRST_TEN)[0].logits(INPUTS) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("code", [0, 1])
def test_log_odds_are_the_score_less_half_the_margin(code):
    network = Members([3, 4, 1], [0], slope=RELU).export()[0]
    chances = with_chances(network, code, 5.0)
    np.testing.assert_allclose(chances.log_odds(INPUTS, code), network.logits(INPUTS)[:, 0] - 2.5, rtol=1e-5)


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(TrainingDiverged, match="in epoch 1 of devnet the means of the deviation loss became"):
        DevNet(**TINY | {"rate": 1e30}).fit(toy_table())
