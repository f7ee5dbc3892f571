"""What is found without labels, with the thresholds of the method's description (checks 2 to 7)."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import confusion_matrix, f1_score, normalized_mutual_info_score, roc_auc_score

from tests.training.importance import importance_tables as tables
from training.torch.importance import classifier, clusters, published
from training.torch.importance.discovery import discover
from training.torch.importance.encoder import Encoder
from training.torch.importance.settings import ImportanceVectorSettings as Settings
from training.torch.member_networks import Members
from training.trainer import TrainingDiverged

SEEDS = 5


@cache
def found_in_biopsy(scaling="robust"):
    return discover(tables.biopsy()[0], settings=Settings(scaling=scaling))


@cache
def published_training(entropy="information", scaling="standard"):
    """Return the inputs of biopsy, and the report's networks and importances for five seeds."""
    settings = Settings.as_published(members=SEEDS, entropy=entropy, scaling=scaling)
    features = tables.biopsy()[0]
    inputs = Encoder.fit(features, settings=settings).encode(features)
    return inputs, published.train_with_importance(inputs, settings=settings)


def smaller_is_rare(found):
    return found.labels == found.clusters.shares.argmin()


@pytest.mark.shared
@tables.needs_biopsy
def test_conditional_entropy_collapses_and_information_does_not():
    rare, nmi = tables.biopsy()[1], {}
    for entropy in ("conditional", "information"):
        inputs, done = published_training(entropy)
        found = [network.logits(inputs).argmax(axis=1) for network in done.networks]
        nmi[entropy] = [normalized_mutual_info_score(rare, one) for one in found]
    assert sum(value <= 0.05 for value in nmi["conditional"]) >= 4
    assert sum(value >= 0.75 for value in nmi["information"]) >= 4


@pytest.mark.shared
@tables.needs_biopsy
def test_pseudo_labels_of_biopsy():
    rare = tables.biopsy()[1]
    found = smaller_is_rare(found_in_biopsy())
    assert f1_score(rare, found) >= 0.93
    assert normalized_mutual_info_score(rare, found) >= 0.70


@pytest.mark.shared
@tables.needs_biopsy
@pytest.mark.parametrize("scaling", ["standard", "minmax", "maxabs", "robust"])
def test_the_importance_of_clusters_means_rarity_under_every_scaling(scaling):
    assert roc_auc_score(tables.biopsy()[1], found_in_biopsy(scaling).importance) >= 0.95


@pytest.mark.shared
@tables.needs_biopsy
def test_the_trained_importance_does_not():
    rare, auroc = tables.biopsy()[1], []
    for scaling in ("standard", "minmax"):
        auroc += [roc_auc_score(rare, one) for one in published_training(scaling=scaling)[1].importance]
    assert min(auroc) < 0.4  # lower for the rare class than for the other
    assert max(auroc) - min(auroc) > 0.2


@pytest.mark.shared
@tables.needs_biopsy
@pytest.mark.parametrize(("share", "least"), [(0.10, 0.80), (0.05, 0.70)])
def test_few_rare_rows(share, least):
    f1 = []
    for seed in range(SEEDS):
        features, rare = tables.thinned_biopsy(share, seed)
        f1.append(f1_score(rare, smaller_is_rare(discover(features, settings=Settings(seed=seed, members=1)))))
    assert np.mean(f1) >= least


@pytest.mark.shared
@tables.needs_biopsy
def test_categories_alone():
    features, rare = tables.biopsy()
    levels = np.digitize(features, (2.5, 5.5)).astype(np.float32)
    found = discover(levels, settings=Settings())
    assert found.encoder.numbers == ()
    assert f1_score(rare, smaller_is_rare(found)) >= 0.93
    assert normalized_mutual_info_score(rare, smaller_is_rare(found)) >= 0.75
    balanced, _ = found.balanced(levels)
    assert set(np.unique(balanced)) == {0, 1, 2}


@pytest.mark.parametrize("num_clusters", [3, 0], ids=["given", "chosen"])
def test_two_small_classes(num_clusters):
    features, truth = tables.blobs(0)
    found = discover(features, settings=Settings(), num_clusters=num_clusters)
    table = confusion_matrix(truth, found.labels)
    rows, columns = linear_sum_assignment(-table)
    match = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    renamed = np.array([match[code] for code in found.labels.tolist()])
    assert f1_score(truth, renamed, average="macro") >= 0.9
    assert sorted(match[code] for code in found.small) == [1, 2]
    counts = np.bincount(found.balanced(features)[1])
    assert counts.min() == counts.max()
    assert counts.max() == pytest.approx(300, abs=15)


def test_new_rows_have_an_importance_too():
    features, truth = tables.blobs(0)
    found = discover(features, settings=Settings(members=2), num_clusters=3)
    fresh, kinds = tables.blobs(1)
    means = [found.importance_of(fresh)[kinds == kind].mean() for kind in range(3)]
    assert means[0] < 1 < means[1] < means[2]
    np.testing.assert_allclose(found.importance_of(features), found.importance, rtol=1e-5)


def test_k_means_counts_where_the_networks_do_not_agree():
    features, truth = tables.blobs(0)
    lost = discover(features, settings=Settings(members=1, epochs=0, warm_start=0, agreement=0.99), num_clusters=3)
    assert lost.clusters.fell_back
    assert normalized_mutual_info_score(lost.clusters.kmeans, lost.labels) > 0.99
    assert normalized_mutual_info_score(truth, lost.labels) > 0.8
    assert lost.importance[truth == 2].mean() > lost.importance[truth == 0].mean()


@pytest.mark.parametrize(
    ("pass_rows", "passes"),
    [(None, 40), (390, 40), (195, 20), (1, 2)],
    ids=["as set", "as many rows", "twice as many", "at least one"],
)
def test_larger_tables_get_fewer_passes(pass_rows, passes):
    features, _ = tables.blobs(0)
    settings = Settings(members=1, warm_start=10, epochs=30, pass_rows=pass_rows)
    assert max(clusters.fit(features, 3, settings=settings).looks) == passes


def test_a_classifier_takes_as_many_steps_on_a_larger_table(monkeypatch):
    features, truth = tables.blobs(0)
    steps, step = [], torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: steps.append(step(self)))
    for pass_rows in (None, 195):
        settings = Settings(members=1, classifier_epochs=30, classifier_batch=39, pass_rows=pass_rows)
        classifier.fit(features, truth, np.ones(len(truth)), num_classes=3, settings=settings)
    assert len(steps) == 300 + 150


@pytest.mark.parametrize("numbers", [(5, 5, 5), (5, 40, 40)])
def test_labels_hold_clusters_to_their_classes(numbers, monkeypatch):
    features, truth = tables.blobs(0)
    turned = 2 - truth
    shown = np.concatenate([np.flatnonzero(turned == code)[:number] for code, number in enumerate(numbers)])
    passed = set()
    forward = Members.forward
    monkeypatch.setattr(Members, "forward", lambda self, rows: passed.add(rows.shape[1]) or forward(self, rows))
    found = clusters.fit(
        features,
        3,
        settings=Settings(members=2, batch_size=32),
        known=clusters.Known(features[shown], turned[shown]),
    )
    assert (found.chances(features).argmax(axis=1) == turned).mean() > 0.95
    assert max(passed) <= 33  # of many labelled rows as many as of the others go with a step


def test_a_draw_of_labelled_rows_has_the_loss_of_all_of_them():
    features, truth = tables.blobs(0)
    known = clusters.Known(features, truth)
    given = {"known": known, "embedded": ()}
    whole = clusters._Course(features, truth, 3, settings=Settings(members=1, batch_size=len(truth)), **given)
    drawn = clusters._Course(features, truth, 3, settings=Settings(members=1, batch_size=40), **given)
    with torch.no_grad():
        losses = torch.cat([drawn._label_loss() for _ in range(400)])
        expected = float(whole._label_loss())
    error = float(losses.std()) / 20
    assert error < 0.02 * expected
    assert abs(float(losses.mean()) - expected) < 4 * error


@pytest.mark.parametrize("on_labels", [True, False])
def test_networks_start_on_labels_where_k_means_finds_something_else(on_labels):
    random = np.random.default_rng(0)
    features = random.normal(size=(300, 3)).astype(np.float32)
    features[:, 0] += 8 * random.integers(0, 2, 300)
    truth = (features[:, 1 if on_labels else 0] > (1 if on_labels else 4)).astype(np.int64)
    shown = np.concatenate([np.flatnonzero(truth == code)[:12] for code in (0, 1)])
    known = clusters.Known(features[shown], truth[shown])
    found = clusters.fit(features, 2, settings=Settings(members=2), known=known)
    assert found.on_labels == on_labels
    assert (found.chances(features).argmax(axis=1) == truth).mean() > 0.85


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(ValueError, match="5 clusters of 4 rows"):
        discover(tables.blobs(0)[0][:4], settings=Settings(), num_clusters=5)


def test_extreme_rates_are_told():
    features, _ = tables.blobs(0)
    with pytest.raises(TrainingDiverged, match="lower the rate"):
        discover(features, settings=Settings(rate=1e30, members=1, epochs=20), num_clusters=3)
