"""The committee's network S."""

import numpy as np
import pytest
import torch

from tests.training.qast import qast_tables as tables
from training.torch.qast import network_member
from training.torch.qast.network_member import NetworkMember

FEATURES, LABELS = tables.features_and_labels()
INPUTS = ((FEATURES - FEATURES.mean(axis=0)) / FEATURES.std(axis=0)).astype(np.float32)


def fit(steps=300, seed=0, **settings):
    given = tables.tiny(network_steps=steps, rate=3e-3, **settings)
    return NetworkMember.fit(INPUTS, LABELS, num_classes=3, minority=(1, 2), settings=given, seed=seed)


def recall(member):
    right = member.predict_proba(INPUTS).argmax(axis=1) == LABELS
    return np.array([right[code == LABELS].mean() for code in range(3)])


def test_it_learns_every_class_and_gives_probabilities():
    member = fit()
    assert (recall(member) > 0.7).all()
    np.testing.assert_allclose(member.predict_proba(INPUTS).sum(axis=1), 1, atol=1e-6)
    assert member.predict_proba(INPUTS[:0]).shape == (0, 3)


def test_a_row_is_judged_alone():
    member = fit(20)
    alone = np.concatenate([member.predict_proba(row[None]) for row in INPUTS[:10]])
    np.testing.assert_allclose(alone, member.predict_proba(INPUTS)[:10], rtol=1e-4)


def test_one_seed_gives_one_network_whatever_torch_drew_before():
    one = fit(20)
    torch.rand(17)
    np.testing.assert_array_equal(fit(20).predict_proba(INPUTS), one.predict_proba(INPUTS))
    assert not np.array_equal(fit(20, seed=1).predict_proba(INPUTS), one.predict_proba(INPUTS))


def test_arrays_bring_it_back():
    member = fit(20)
    again = NetworkMember.from_arrays(member.arrays(), num_classes=3, device=tables.CPU)
    np.testing.assert_array_equal(again.predict_proba(INPUTS), member.predict_proba(INPUTS))


def test_a_large_table_is_drawn_from_class_by_class(monkeypatch):
    monkeypatch.setattr(network_member, "WHOLE_ROWS", 30)
    sizes = []
    real = network_member.losses.mined_cross_entropy

    def noted(each_B, members_BK, **arguments):
        sizes.append(members_BK.sum(dim=0).tolist())
        return real(each_B, members_BK, **arguments)

    monkeypatch.setattr(network_member.losses, "mined_cross_entropy", noted)
    member = fit()
    assert sizes[0] == [10, 10, 10]
    assert (recall(member) > 0.7).all()


def test_a_gpu_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="torch finds no GPU"):
        fit(1, device="cuda")
