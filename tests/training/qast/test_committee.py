"""The committee: members equal to scikit-learn's, weights by skill on rows not learned, and files that give it back."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

from training.torch.qast.committee import Committee, dealt, weights_of
from training.torch.qast.members import MEMBERS, fit_member
from training.torch.qast.scorers import Kernel, Linear, Neighbors
from training.torch.qast.settings import QASTSettings

SETTINGS = QASTSettings()
ALONE = tuple(MEMBERS)


def table(rows: int = 120, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.sort(random.choice(classes, rows, p=np.arange(classes, 0, -1) / np.arange(classes + 1).sum()))
    features = random.normal(size=(rows, 4)) + 3 * np.eye(4)[labels % 4]
    return features.astype(np.float32), labels.astype(np.int64)


class Constant:
    """A member that always says the same."""

    def __init__(self, shares):
        self.shares = np.asarray(shares, np.float64)

    def predict_proba(self, rows):
        return np.tile(self.shares, (len(rows), 1))

    def arrays(self):
        return {"shares": self.shares}


def margins(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 2 else np.column_stack([-values, values])


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_converted_models_give_scikit_learns_probabilities(classes):
    features, labels = table(classes=classes)
    rows, fresh = features.astype(np.float64), table(seed=1)[0].astype(np.float64)
    svc = SVC(class_weight="balanced").fit(rows, labels)
    found = Kernel.of(svc, classes).predict_proba(fresh)
    np.testing.assert_allclose(found, softmax(margins(svc.decision_function(fresh)), axis=1), rtol=1e-9)
    linear = LinearSVC(class_weight="balanced", max_iter=10_000).fit(rows, labels)
    found = Linear.of(linear, classes).predict_proba(fresh)
    np.testing.assert_allclose(found, softmax(margins(linear.decision_function(fresh)), axis=1), rtol=1e-9)
    logistic = LogisticRegression(max_iter=1000).fit(rows, labels)
    found = Linear.of(logistic, classes).predict_proba(fresh)
    np.testing.assert_allclose(found, logistic.predict_proba(fresh), rtol=1e-9)


def test_neighbors_of_a_small_class_count_more():
    rows = np.array([[0.0], [0.1], [0.2], [0.3], [5.0]], np.float32)
    member = Neighbors.of(rows, np.array([0, 0, 0, 0, 2]), 3, nearest=5)
    np.testing.assert_allclose(member.predict_proba(rows[:1]), [[0.5, 0, 0.5]])
    near = Neighbors.of(rows, np.array([0, 0, 0, 0, 2]), 3, nearest=1)
    np.testing.assert_array_equal(near.predict_proba(np.array([[4.0], [0.0]])).argmax(axis=1), [2, 0])


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("classes", [2, 4])
def test_every_member_learns_and_never_votes_for_a_class_without_rows(name, classes):
    features, labels = table(classes=classes)
    labels = np.where(labels == classes - 1, classes, labels)  # code classes - 1 has no rows now
    member = fit_member(name, features, labels, classes=classes + 1, settings=SETTINGS, seed=0)
    found = member.predict_proba(features)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[:, classes - 1] == 0).all()
    assert (found.argmax(axis=1) == labels).mean() > 0.7


@pytest.mark.parametrize("name", ALONE)
def test_every_member_works_with_classes_of_one_and_two_rows(name):
    random = np.random.default_rng(0)
    labels = np.array([0] * 9 + [1] * 2 + [2])
    member = fit_member(name, random.normal(size=(12, 3)), labels, classes=3, settings=SETTINGS, seed=0)
    found = member.predict_proba(random.normal(size=(5, 3)).astype(np.float32))
    assert np.isfinite(found).all()


def test_features_that_tell_nothing_leave_easy_ensemble_undecided():
    member = fit_member("easy_ensemble", np.ones((8, 2)), np.arange(8) % 2, classes=3, settings=SETTINGS, seed=0)
    np.testing.assert_allclose(member.predict_proba(np.ones((1, 2), np.float32)), [[0.5, 0.5, 0]])


def test_opinions_and_tally_have_their_shapes():
    features, labels = table()
    settings = QASTSettings(committee_folds=2)
    committee = Committee.fit(features, labels, classes=3, settings=settings, seed=0)
    votes, probabilities = committee.opinions(features[:7])
    members = len(SETTINGS.members)
    assert votes.shape == (members, 7)
    assert probabilities.shape == (members, 7, 3)
    assert (votes.dtype, probabilities.dtype) == (np.int64, np.float32)
    np.testing.assert_array_equal(votes, probabilities.argmax(axis=2))
    tally = committee.tally(features)
    np.testing.assert_allclose(tally.votes.sum(axis=1), 7)
    assert (tally.votes.argmax(axis=1) == labels).mean() > 0.9


def test_files_give_the_committee_back_with_its_network():
    features, labels = table()
    features[::9, 1] = np.nan
    settings = QASTSettings(members=(*ALONE, "network"), committee_folds=0)
    committee = Committee.fit(
        features,
        labels,
        classes=3,
        settings=settings,
        seed=0,
        network=lambda rows, codes, seed: Constant([0.2, 0.5, 0.3]),
    )
    read = Committee.from_files(committee.files(), network=lambda arrays: Constant(arrays["shares"]))
    np.testing.assert_array_equal(read.opinions(features).probabilities, committee.opinions(features).probabilities)
    np.testing.assert_array_equal(read.weights, committee.weights)
    assert read.names == settings.members


def test_a_member_no_better_than_chance_has_no_weight():
    features, labels = table()
    settings = QASTSettings(members=("forest", "network"))
    says_first = Committee.fit(
        features, labels, classes=3, settings=settings, seed=0, network=lambda rows, codes, seed: Constant([1, 0, 0])
    )
    assert says_first.skill[1] == pytest.approx(1 / 3)
    assert says_first.weights[0] > 0.8
    assert says_first.weights[1] == pytest.approx(0)


def test_skill_is_of_rows_that_were_not_learned():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(300, 4)).astype(np.float32), random.integers(0, 2, 300)
    settings = QASTSettings(members=("forest",))
    committee = Committee.fit(features, labels, classes=2, settings=settings, seed=0)
    assert (committee.opinions(features).votes[0] == labels).mean() > 0.95  # it knows its rows by heart
    assert committee.skill[0] < 0.65


def test_published_members_count_alike_and_see_rows_as_they_are():
    features, labels = table()
    settings = QASTSettings.as_published(members=("svc", "linear_svc"))
    committee = Committee.fit(features, labels, classes=3, settings=settings, seed=0)
    assert committee.scaler is None
    np.testing.assert_array_equal(committee.weights, [1, 1])
    assert np.isnan(committee.skill).all()


def test_one_seed_gives_one_committee():
    features, labels = table()
    settings = QASTSettings(members=("smote_linear_svc", "forest"), committee_folds=0)
    first, second = (Committee.fit(features, labels, classes=3, settings=settings, seed=5) for _ in range(2))
    assert first.files() == second.files()


def test_weights_are_recall_beyond_chance():
    np.testing.assert_allclose(weights_of(np.array([1.0, 0.75, 0.5, 0.2]), 2), [1, 0.5, 0, 0])
    np.testing.assert_array_equal(weights_of(np.array([0.5, 0.1]), 2), [1, 1])


def test_folds_hold_each_row_out_once_but_the_only_one_of_a_class():
    labels = np.array([0] * 7 + [1] * 2 + [2])
    parts = dealt(labels, 3, seed=0)
    held = np.concatenate([held for _, held in parts])
    assert sorted(held) == list(range(9))
    for known, out in parts:
        assert set(known) | set(out) == set(range(10))
        assert set(labels[known]) == {0, 1, 2}
    assert dealt(labels, 0, seed=0) == []


def test_one_class_alone_or_a_network_unexplained_is_refused():
    features, labels = table()
    with pytest.raises(ValueError, match="at least two classes"):
        Committee.fit(features, np.ones_like(labels), classes=3, settings=SETTINGS, seed=0)
    with pytest.raises(ValueError, match="say how to fit it"):
        Committee.fit(features, labels, classes=3, settings=QASTSettings(members=("network",)), seed=0)
