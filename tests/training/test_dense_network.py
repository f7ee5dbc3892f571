"""Dense networks in numpy: equal to Keras forward and backward, and attributions that add up."""

import os

import numpy as np
import pytest

from feature_extraction.schema import FeatureSchema
from training.artifact import Manifest
from training.dense_network import DenseNetwork, DenseNetworkArtifact, softmax
from training.scaler import Scaler

INPUTS, CLASSES, RARE = 12, 5, 3


def random_network(seed, *sizes):
    random = np.random.default_rng(seed)
    layers = list(zip(sizes[:-1], sizes[1:], strict=True))
    kernels = tuple((random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32) for shape in layers)
    return DenseNetwork(kernels, tuple(random.normal(size=shape[1]).astype(np.float32) for shape in layers))


@pytest.fixture
def network():
    return random_network(0, INPUTS, 15, 21, 8, CLASSES)


@pytest.fixture
def rows():
    return np.random.default_rng(1).normal(size=(40, INPUTS)).astype(np.float32)


def test_gradient_is_that_of_finite_differences(network, rows):
    gradient = network.gradient(rows, RARE)
    width = 1e-2
    for column in range(INPUTS):
        step = np.zeros(INPUTS, dtype=np.float32)
        step[column] = width
        slope = (network.log_odds(rows + step, RARE) - network.log_odds(rows - step, RARE)) / (2 * width)
        # A bend of LeakyReLU between the two points spoils a few rows, so the median row is compared.
        assert np.median(np.abs(slope - gradient[:, column])) < 1e-3


def test_log_odds_are_those_of_the_probabilities(network, rows):
    rare = softmax(network.logits(rows))[:, RARE]
    np.testing.assert_allclose(network.log_odds(rows, RARE), np.log(rare / (1 - rare)), rtol=1e-4, atol=1e-4)


def test_large_logits_stay_finite():
    network = DenseNetwork((np.eye(2, dtype=np.float32) * 1000,), (np.zeros(2, dtype=np.float32),))
    rows = np.array([[1, -1], [-1, 1]], dtype=np.float32)
    np.testing.assert_array_equal(softmax(network.logits(rows)), [[1, 0], [0, 1]])
    assert np.isfinite(network.log_odds(rows, 0)).all()
    assert np.isfinite(network.gradient(rows, 0)).all()


def test_arrays_come_back(network, rows):
    again = DenseNetwork.from_arrays(network.arrays("x.") | {"y.kernel0": rows}, "x.")
    np.testing.assert_array_equal(again.logits(rows), network.logits(rows))


def test_equal_to_keras_forward_and_backward(rows):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    from training.keras import stacked

    trunk = stacked.stack((INPUTS, 15, 21, 8), [1], salt=0, bent=True)
    head = stacked.stack((8, CLASSES + 1), [1], salt=1)
    for part in (trunk, head):  # biases begin at zero, which would test nothing
        part.weights.assign(part.weights + 0.1 * np.random.default_rng(3).normal(size=part.weights.shape))
    (network,) = stacked.as_dense_networks([trunk, head], CLASSES)
    inputs = tf.constant(rows)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        probabilities = tf.nn.softmax(head(trunk(inputs[None]))[0, :, :CLASSES])
        log_odds = tf.math.log(probabilities[:, RARE]) - tf.math.log(1 - probabilities[:, RARE])
    np.testing.assert_allclose(softmax(network.logits(rows)), probabilities, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(network.gradient(rows, RARE), tape.gradient(log_odds, inputs), rtol=1e-3, atol=1e-5)


def ensemble(*members):
    schema = FeatureSchema(tuple(f"m__f{number}" for number in range(INPUTS)))
    classes = tuple(f"class {number}" for number in range(CLASSES))
    manifest = Manifest("scarcegan", {}, schema, classes, classes[RARE], {}, {}, 0)
    scaler = Scaler.fit(np.random.default_rng(1).normal(size=(40, INPUTS)).astype(np.float32))
    return DenseNetworkArtifact(manifest, scaler, members, np.zeros(INPUTS, dtype=np.float32))


def test_uncertainty_is_the_spread_of_the_members(rows):
    members = [random_network(seed, INPUTS, 8, CLASSES) for seed in range(3)]
    scores = [ensemble(member).predict(rows)[:, RARE] for member in members]
    together = ensemble(*members)
    np.testing.assert_allclose(together.uncertainty(rows), np.std(scores, axis=0), atol=1e-6)
    np.testing.assert_allclose(together.predict(rows)[:, RARE], np.mean(scores, axis=0), atol=1e-6)
    both = together.predict_with_uncertainty(rows)
    np.testing.assert_array_equal(both[0], together.predict(rows))
    np.testing.assert_array_equal(both[1], together.uncertainty(rows))
    assert together.uncertainty(rows).dtype == np.float32
    assert together.uncertainty(rows[:0]).shape == (0,)
    assert (ensemble(members[0]).uncertainty(rows) == 0).all()
