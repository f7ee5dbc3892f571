"""The classifiers of the second stage: both learn, agree with their references, and come back from their files."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier

from training.artifact import ArtifactError
from training.torch import second_stage
from training.torch.blstm import BLSTM, BLSTMNetwork, balanced_errors, held_out_rows
from training.torch.second_stage_settings import SecondStageSettings

BOOSTING = SecondStageSettings(boosting_trees=30)
NETWORK = SecondStageSettings(
    second_stage="blstm", blstm_epochs=30, blstm_units=16, blstm_rate=1e-2, blstm_patience=10, device="cpu"
)
BOTH = pytest.mark.parametrize("settings", [BOOSTING, NETWORK], ids=["boosting", "blstm"])


def table(rows: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 3], rows, p=[0.6, 0.3, 0.1])
    features = random.normal(size=(rows, 5)) * 0.5 + 2 * np.eye(5)[labels]
    features[random.random(rows) < 0.1, 4] = np.nan
    return features.astype(np.float32), labels.astype(np.int64)


def fitted(settings: SecondStageSettings, **more) -> second_stage.Classifier:
    return second_stage.fit(*table(), classes=4, settings=settings, seed=0, **more)


@BOTH
def test_classes_are_learned_and_one_without_rows_is_not_given(settings):
    features, labels = table(seed=1)
    probabilities = fitted(settings).predict_proba(features)
    assert probabilities.shape == (150, 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.85


@BOTH
def test_files_give_the_classifier_back(settings):
    classifier = fitted(settings)
    read = second_stage.from_files(classifier.files())
    rows = table(seed=1)[0]
    np.testing.assert_array_equal(read.predict_proba(rows), classifier.predict_proba(rows))
    assert read.files() == classifier.files()


@BOTH
def test_one_seed_gives_one_classifier(settings):
    assert fitted(settings).files() == fitted(settings).files()


@BOTH
def test_rows_without_any_value_and_no_rows_at_all_are_scored(settings):
    classifier = fitted(settings)
    assert np.isfinite(classifier.predict_proba(np.full((2, 5), np.nan, np.float32))).all()
    assert classifier.predict_proba(np.empty((0, 5), np.float32)).shape == (0, 4)


@BOTH
def test_one_class_alone_and_infinite_values_are_refused(settings):
    features, labels = table()
    with pytest.raises(ValueError, match=r"\[3\] alone"):
        second_stage.fit(features, np.full_like(labels, 3), classes=4, settings=settings, seed=0)
    features[2, 1] = np.inf
    with pytest.raises(ValueError, match=r"feature columns \[1\]"):
        second_stage.fit(features, labels, classes=4, settings=settings, seed=0)


def test_boosting_is_scikit_learns_with_its_defaults():
    features, labels = table()
    features = np.nan_to_num(features)
    fresh = np.nan_to_num(table(seed=1)[0])
    model = GradientBoostingClassifier(random_state=3).fit(features, labels)
    found = second_stage.fit(features, labels, classes=4, settings=SecondStageSettings(), seed=3).predict_proba(fresh)
    np.testing.assert_allclose(found[:, [0, 1, 3]], model.predict_proba(fresh), rtol=1e-5, atol=1e-7)


def test_boosting_takes_missing_for_less_than_any_value():
    features = np.array([[1e6], [2e6], [np.nan], [np.nan]] * 5, np.float32)
    labels = np.array([0, 0, 1, 1] * 5)
    found = second_stage.fit(features, labels, classes=2, settings=BOOSTING, seed=0)
    np.testing.assert_array_equal(found.predict_proba(features).argmax(axis=1), labels)


def test_the_blstm_has_the_published_size():
    network = BLSTMNetwork(9, 128, 2, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 534_026


def test_the_blstm_reads_a_row_as_steps_filled_up_with_zeros():
    network = BLSTMNetwork(5, 8, 1, 2).eval()
    row = torch.arange(5.0)[None]
    with torch.no_grad():
        steps, _ = network.reader(torch.tensor([[[0.0, 1, 2], [3, 4, 0]]]))
        torch.testing.assert_close(network(row), network.head(steps[:, -1]))


def test_training_ends_after_as_many_epochs_as_held_out_rows_ask_for():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 4)).astype(np.float32), random.integers(0, 2, 60)  # nothing to learn
    settings = NETWORK.model_copy(update={"blstm_epochs": 200, "blstm_patience": 5, "blstm_validation": 0.3})
    stopped = second_stage.fit(features, labels, classes=2, settings=settings, seed=0)
    assert isinstance(stopped, BLSTM)
    assert 0 < stopped.epochs < 100
    as_many = settings.model_copy(update={"blstm_epochs": stopped.epochs, "blstm_validation": 0.0})
    again = second_stage.fit(features, labels, classes=2, settings=as_many, seed=0)
    np.testing.assert_array_equal(again.predict_proba(features), stopped.predict_proba(features))


def test_only_real_rows_are_held_out_and_each_class_keeps_one():
    labels = np.repeat([0, 1, 3, 4], [50, 10, 2, 1])
    real = np.arange(63) % 2 == 0
    held = held_out_rows(labels, real, 0.2, seed=0)
    assert real[held].all()
    np.testing.assert_array_equal(np.bincount(labels[held], minlength=5), [5, 1, 0, 1, 0])
    assert len(held_out_rows(labels, real, 0.0, seed=0)) == 0
    everything = held_out_rows(labels, np.ones(63, bool), 0.99, seed=0)
    assert set(np.delete(labels, everything)) == {0, 1, 3, 4}


def test_synthetic_rows_are_learned_from():
    features, labels = table()
    synthetic = labels == 3
    classifier = fitted(NETWORK, synthetic=synthetic)
    assert (classifier.predict_proba(features).argmax(axis=1)[synthetic] == 3).mean() > 0.5


def test_an_error_is_the_mean_over_classes():
    class Fixed(torch.nn.Module):
        def forward(self, rows):
            return rows

    logits = torch.tensor([[2.0, 0, 0], [2.0, 0, 0], [2.0, 0, 0], [0.0, 0, 1]])
    each = [-torch.log_softmax(row, 0)[code].item() for row, code in zip(logits, [0, 0, 0, 1], strict=True)]
    wrong, entropy = balanced_errors(Fixed(), logits, torch.tensor([0, 0, 0, 1]))
    assert wrong == pytest.approx(0.5)
    assert entropy == pytest.approx((each[0] + each[3]) / 2)


def test_an_unknown_kind_is_refused():
    files = second_stage.packed("oracle", {}, {})
    with pytest.raises(ArtifactError, match="'oracle'"):
        second_stage.from_files(files)


def test_boosting_needs_no_torch():
    code = "import sys; import training.torch.second_stage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
