"""The adversarial autoencoder: who moves whom, what it does not learn from, its score, threshold and reasons."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from keras import ops
from scipy.special import logit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.keras import aae
from training.keras.aae import AAE
from training.reader import ArrayReader
from training.settings import AAESettings

SCHEMA = FeatureSchema(("m__a", "m__b", "m__c", "m__d"), ("regular", "rare"), "rare")
TINY = {"members": 2, "steps": 200, "evaluate_every": 100, "latent_dim": 1, "rows": 64}


def table(seed=0):
    """Rows on a line in four dimensions; the rare ones lie beside it, each feature within its usual range."""
    random = np.random.default_rng(seed)
    line = random.normal(size=(600, 1))
    features = (line * [1, -1, 0.5, 2] + 0.1 * random.normal(size=(600, 4))).astype(np.float32)
    labels = np.full(600, UNLABELED, dtype=np.int8)
    labels[:200] = np.arange(200) % 5 == 0
    features[labels == 1, 1] *= -1
    return ArrayReader(features, labels, SCHEMA)


@pytest.fixture(scope="module")
def fitted():
    return AAE(**TINY | {"steps": 1000}).fit(table())


def test_each_move_changes_its_own_networks_alone():
    players = aae.players(AAESettings(), 4, [0, 1])
    random = np.random.default_rng(0)
    parts = random.normal(size=(2, 8, 4)), *random.normal(size=(3, 2, 8, 10))
    batch = aae.Batch(*(ops.convert_to_tensor(part.astype(np.float32)) for part in parts))
    before = [np.array(ops.convert_to_numpy(variable)) for variable in players.variables]

    def moved():
        after = [np.array(ops.convert_to_numpy(variable)) for variable in players.variables]
        return [not np.array_equal(one, two) for one, two in zip(before, after, strict=True)]

    players.moves[0].take(batch)
    assert moved() == [False, False, True]  # encoder, decoder, discriminator
    before = [np.array(ops.convert_to_numpy(variable)) for variable in players.variables]
    players.moves[1].take(batch)
    assert moved() == [True, True, False]


def test_batches_hold_the_pool_and_a_members_own_labelled_rows():
    numbers = np.arange(10, dtype=np.float32)[:, None]
    data = aae.Data(
        seeds_M=ops.convert_to_tensor(np.array([0, 1])),
        labeled_NI=ops.convert_to_tensor(numbers),
        rows_ML=ops.convert_to_tensor(np.array([[0, 1, 2, 3], [7, 8, 7, 8]], dtype=np.int32)),
        counts_M=ops.convert_to_tensor(np.array([4, 2], dtype=np.int32)),
        pool_PI=ops.convert_to_tensor(numbers[:6] + 100),
    )
    draw = partial(aae.draw, rows=400, latent_dim=3)
    batch = draw(data, ops.convert_to_tensor(0, dtype="int64"))
    first, second = ops.convert_to_numpy(batch.rows_MBI)[:, :, 0].astype(int)
    assert set(first) == {0, 1, 2, 3, *range(100, 106)}
    assert set(second) == {7, 8, *range(100, 106)}
    assert 0.3 < (first < 10).mean() < 0.5
    assert ops.convert_to_numpy(batch.prior_MBZ).shape == (2, 400, 3)


def test_it_finds_what_no_single_feature_tells(fitted):
    reader = table(1)
    known = reader.labels != UNLABELED
    score = fitted.predict(reader.features[known])[:, 1]
    assert roc_auc_score(reader.labels[known], score) > 0.8


def test_labels_and_rows_of_the_rare_class_do_not_reach_the_networks():
    reader = table()
    other = reader.features.copy()
    other[reader.labels == 1] = 50
    one, two = (AAE(**TINY).fit(ArrayReader(features, reader.labels, SCHEMA)) for features in (reader.features, other))
    for first, second in zip(one.members, two.members, strict=True):
        np.testing.assert_array_equal(first.encoder.kernels[0], second.encoder.kernels[0])
        np.testing.assert_array_equal(first.decoder.kernels[0], second.decoder.kernels[0])
    assert one.scale.threshold == two.scale.threshold


def test_score_is_reconstruction_error_and_surprise_standardised(fitted):
    rows = table(1).features[:20]
    inputs, scores = fitted.scaler.transform(rows), []
    for number, member in enumerate(fitted.members):
        code = member.encoder.logits(inputs)
        error = ((inputs - member.decoder.logits(code)) ** 2).mean(axis=1)
        surprise = -norm.logpdf(code).sum(axis=1) - code.shape[1] * np.log(2 * np.pi) / 2
        parts = (np.stack([error, surprise], axis=1) - fitted.scale.center[number]) / fitted.scale.spread[number]
        scores.append(parts.sum(axis=1))
    log_odds = np.arcsinh(np.mean(scores, axis=0) - fitted.scale.threshold)
    np.testing.assert_allclose(logit(fitted.predict(rows)[:, 1].astype(float)), log_odds, rtol=1e-3, atol=1e-4)


def test_uncertainty_is_the_spread_of_the_members(fitted):
    rows, (first, second) = table(1).features[:20], fitted.members
    scale = fitted.scale
    alone = [
        replace(fitted, members=(member,), scale=replace(scale, center=scale.center[[i]], spread=scale.spread[[i]]))
        for i, member in enumerate((first, second))
    ]
    scores = [one.predict(rows)[:, 1] for one in alone]
    np.testing.assert_allclose(fitted.uncertainty(rows), np.std(scores, axis=0), atol=1e-6)
    assert fitted.uncertainty(rows).max() > 0.001
    assert fitted.uncertainty(rows).dtype == np.float32
    assert (alone[0].uncertainty(rows) == 0).all()
    assert fitted.uncertainty(rows[:0]).shape == (0,)


def test_latent_weight_0_leaves_the_reconstruction_error(fitted):
    reader = table()
    plain = AAE(**TINY | {"steps": 1000}, latent_weight=0).fit(reader)
    inputs = plain.scaler.transform(reader.features)
    pairs = zip(plain.members, plain.scale.spread, strict=True)
    error = np.mean([member.surprise(inputs)[:, 0] / spread[0] for member, spread in pairs], axis=0)
    np.testing.assert_array_equal(np.argsort(plain.predict(reader.features)[:, 1])[-30:], np.argsort(error)[-30:])
    assert not np.array_equal(plain.predict(reader.features), fitted.predict(reader.features))


def test_threshold_lets_the_wanted_share_of_regular_rows_alarm(fitted):
    recall = fitted.manifest.metrics["class_recall"]
    assert 0.95 <= recall["regular"] < 0.97
    fresh = table(2)
    regular = fresh.labels == 0
    assert (fitted.predict(fresh.features[regular])[:, 1] > 0.5).mean() < 0.15


def test_contributions_add_up_to_the_difference_in_log_odds(fitted):
    rows = table(1).features[:40]
    log_odds = logit(fitted.predict(rows)[:, 1].astype(float))
    spread, unit = np.asarray(fitted.scaler.spread), np.asarray(fitted.scaler.unit)
    bent = fitted.reference * spread + np.asarray(fitted.scaler.mean)
    reference = np.asarray(fitted.scaler.median) + np.sign(bent) * np.expm1(np.abs(bent)) * unit
    base = logit(fitted.predict(reference.astype(np.float32)[None])[:, 1].astype(float))
    error = np.abs(fitted.contributions(rows).sum(axis=1) - (log_odds - base)).mean()
    assert error < 0.02 * np.abs(log_odds - base).mean()


def test_far_rows_keep_their_order(fitted):
    rows = np.outer([3, 4, 5, 6], [1, 1, -1, 2]).astype(np.float32)
    score = fitted.predict(rows)[:, 1]
    assert (np.diff(score) > 0).all()


def test_a_code_that_holds_every_feature_is_warned_of(caplog):
    AAE(**TINY | {"steps": 1, "latent_dim": 3}).fit(table())
    assert "tells little" not in caplog.text
    AAE(**TINY | {"steps": 1, "latent_dim": 4}).fit(table())
    assert "a code of 4 numbers can hold all of 4 features" in caplog.text


def test_more_classes_become_not_rare_and_rare():
    reader = table()
    labels = reader.labels.copy()
    labels[100:150] = np.where(labels[100:150] == 0, 2, labels[100:150])
    schema = FeatureSchema(SCHEMA.names, ("regular", "rare", "heavy"), "rare")
    fitted = AAE(**TINY).fit(ArrayReader(reader.features, labels, schema))
    assert fitted.classes == ("not rare", "rare")
    assert set(fitted.manifest.rows) == {"regular", "rare", "heavy", "unlabeled"}


def test_resumed_training_ends_where_the_whole_one_does(tmp_path):
    reader, settings = table(), TINY | {"checkpoint": str(tmp_path)}
    AAE(**settings).fit(reader)
    again, whole = AAE(**settings).fit(reader), AAE(**TINY).fit(reader)
    np.testing.assert_array_equal(again.predict(reader.features), whole.predict(reader.features))
    assert again.manifest == whole.manifest
