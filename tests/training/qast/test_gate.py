"""The gate's pure functions against votes counted by hand."""

import numpy as np
import pytest

from training.torch.qast import gate
from training.torch.qast.gate import Sorted, Tally
from training.torch.qast.settings import QASTSettings

PAPER, REPAIRED = QASTSettings.as_published(), QASTSettings()


def opinions(*votes: tuple[float, ...]) -> Tally:
    counts = np.array(votes, np.float64)
    return Tally(counts, counts / 7, counts / 7)


def one_hot_votes(codes: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[codes]


@pytest.mark.parametrize(
    ("epoch", "quality", "votes"),
    [(0, 0, 0), (50, 0.05, 0), (100, 0.1, 1), (150, 0.2, 1), (200, 0.25, 2), (300, 0.3, 3)],
)
def test_thresholds_are_the_published_ones(epoch, quality, votes):
    assert gate.quality_threshold(epoch) == pytest.approx(quality)
    assert gate.label_threshold(epoch) == votes


def test_thresholds_stay_where_they_end():
    assert (gate.quality_threshold(900), gate.label_threshold(900)) == (0.3, 3)


def test_a_shorter_run_passes_through_the_same_thresholds():
    assert [gate.schedule_epoch(epoch, 301) for epoch in (0, 150, 300)] == [0, 150, 300]
    assert [gate.schedule_epoch(epoch, 61) for epoch in (0, 30, 60)] == [0, 150, 300]
    assert gate.schedule_epoch(0, 1) == 0


def test_equal_weights_count_seven_members_as_whole_votes():
    codes = np.array([[0], [0], [1], [2], [0], [1], [0]])
    found = gate.tally(codes, one_hot_votes(codes, 3), np.ones(7))
    np.testing.assert_array_equal(found.votes, [[4, 2, 1]])
    np.testing.assert_allclose(found.probability, [[4 / 7, 2 / 7, 1 / 7]])


def test_weights_share_seven_votes():
    codes = np.array([[0, 1], [1, 1], [1, 0]])
    found = gate.tally(codes, one_hot_votes(codes, 2), np.array([3.0, 1.0, 0.0]))
    np.testing.assert_allclose(found.votes, [[5.25, 1.75], [0, 7]])


def test_tally_agrees_with_a_count_row_by_row():
    random = np.random.default_rng(0)
    members, rows, classes = 5, 40, 4
    probabilities = random.dirichlet(np.ones(classes), (members, rows))
    codes, weights = probabilities.argmax(axis=2), random.random(members)
    found = gate.tally(codes, probabilities, weights)
    for row in range(rows):
        for code in range(classes):
            mine = codes[:, row] == code
            behind = (weights * probabilities[:, row, code])[mine].sum()
            assert found.votes[row, code] == pytest.approx(7 * weights[mine].sum() / weights.sum())
            assert found.ties[row, code] == pytest.approx(behind / (weights * probabilities[:, row, code]).sum())


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0], [1.0]])
def test_senseless_weights_are_refused(weights):
    codes = np.zeros((2, 1), np.int64)
    with pytest.raises(ValueError, match="of 2 members"):
        gate.tally(codes, one_hot_votes(codes, 2), np.array(weights))


def test_the_tie_break_decides_between_equal_votes_alone():
    votes = np.array([[3.0, 3.0, 1.0], [4.0, 3.0, 0.0], [3.0, 3.0, 1.0]])
    ties = np.array([[0.2, 0.6, 0.9], [0.1, 0.9, 0.0], [0.5, 0.5, 0.9]])
    np.testing.assert_array_equal(gate.committee_label(Tally(votes, ties, votes / 7)), [1, 0, 0])


def test_published_gate_keeps_by_output_and_half_of_the_rest():
    quality = np.repeat([0.21, 0.19], 4000)
    kept = gate.keep_and_relabel(
        quality,
        np.zeros(8000, np.int64),
        opinions(*[(7, 0)] * 8000),
        epoch=150,
        settings=PAPER,
        random=np.random.default_rng(0),
    )
    assert kept.rows[:4000].all()
    assert kept.rows[4000:].mean() == pytest.approx(0.5, abs=0.03)


def test_quantile_gate_drops_the_same_share_of_each_class():
    labels = np.repeat([0, 1], 50)
    quality = np.random.default_rng(0).permutation(100) + 1000.0 * labels
    kept = gate.keep_and_relabel(
        quality, labels, opinions(*[(3.5, 3.5)] * 100), epoch=150, settings=REPAIRED, random=np.random.default_rng(0)
    )
    for code in (0, 1):
        mine = labels == code
        assert kept.rows[mine].mean() == pytest.approx(0.8)
        assert quality[mine & kept.rows].min() > quality[mine & ~kept.rows].max()


@pytest.mark.parametrize(("epoch", "expected"), [(99, [0, 0, 0]), (100, [0, 0, 1]), (200, [0, 1, 1])])
def test_a_label_with_too_few_votes_becomes_the_committees(epoch, expected):
    found = opinions((2, 5), (1, 6), (0, 7))
    labels = np.zeros(3, np.int64)
    random = np.random.default_rng(0)
    kept = gate.keep_and_relabel(np.ones(3), labels, found, epoch=epoch, settings=PAPER, random=random)
    np.testing.assert_array_equal(kept.labels, expected)
    assert kept.rows.all()


def test_without_relabeling_refused_rows_go():
    settings = QASTSettings(relabel=False, gate="paper")
    found = opinions((2, 5), (0, 7))
    labels = np.zeros(2, np.int64)
    random = np.random.default_rng(0)
    kept = gate.keep_and_relabel(np.ones(2), labels, found, epoch=100, settings=settings, random=random)
    np.testing.assert_array_equal(kept.rows, [True, False])
    np.testing.assert_array_equal(kept.labels, labels)


def test_the_committee_is_asked_for_only_when_it_decides():
    labels, random = np.zeros(2, np.int64), np.random.default_rng(0)
    kept = gate.keep_and_relabel(np.ones(2), labels, None, epoch=99, settings=REPAIRED, random=random)
    np.testing.assert_array_equal(kept.labels, labels)
    with pytest.raises(ValueError, match="ask the committee"):
        gate.keep_and_relabel(np.ones(2), labels, None, epoch=100, settings=REPAIRED, random=random)


def test_buckets_are_by_seven_five_and_three_votes():
    found = opinions((7, 0, 0), (5, 2, 0), (6, 1, 0), (4, 3, 0), (3, 4, 0), (2, 5, 0), (0, 0, 7), (2.5, 2.5, 2))
    sorted_rows = gate.final_buckets(np.ones(8), np.zeros(8, np.int64), found, settings=PAPER)
    np.testing.assert_array_equal(sorted_rows.buckets, [1, 2, 2, 3, 3, 2, 1, 0])
    np.testing.assert_array_equal(sorted_rows.labels[:7], [0, 0, 0, 0, 0, 1, 2])
    assert sorted_rows.confidence[5] == pytest.approx(5 / 7)


def test_final_rows_of_poor_quality_are_dropped():
    found = opinions(*[(7, 0)] * 4)
    paper = gate.final_buckets(np.array([0.29, 0.3, 0.9, 0.1]), np.zeros(4, np.int64), found, settings=PAPER)
    np.testing.assert_array_equal(paper.buckets, [0, 1, 1, 0])
    ranked = gate.final_buckets(np.array([-9.0, -8.0, 50.0, -7.0]), np.zeros(4, np.int64), found, settings=REPAIRED)
    np.testing.assert_array_equal(ranked.buckets, [0, 1, 1, 1])


def test_without_relabeling_the_committees_rows_are_dropped():
    settings = QASTSettings(relabel=False, final_quality=0)
    found = gate.final_buckets(np.ones(2), np.zeros(2, np.int64), opinions((7, 0), (0, 7)), settings=settings)
    np.testing.assert_array_equal(found.buckets, [1, 0])


def test_order_is_by_bucket_then_confidence_or_generation():
    found = Sorted(np.array([2, 1, 0, 1, 2]), np.zeros(5, np.int64), np.array([0.1, 0.2, 0.9, 0.3, 0.4]))
    by_confidence = REPAIRED.model_copy(update={"order": "confidence"})
    np.testing.assert_array_equal(gate.final_order(found, settings=by_confidence), [3, 1, 4, 0])
    for settings in (REPAIRED, PAPER):
        np.testing.assert_array_equal(gate.final_order(found, settings=settings), [1, 3, 0, 4])


def test_ranks_are_within_a_class():
    ranks = gate.class_ranks(np.array([5.0, 1.0, 3.0, -2.0]), np.array([2, 0, 2, 2]))
    np.testing.assert_allclose(ranks, [5 / 6, 0.5, 0.5, 1 / 6])


def test_no_rows_are_no_rows():
    nothing = np.empty(0, np.int64)
    found = gate.tally(np.empty((3, 0), np.int64), np.empty((3, 0, 2)), np.ones(3))
    assert gate.final_buckets(np.empty(0), nothing, found, settings=REPAIRED).buckets.shape == (0,)
