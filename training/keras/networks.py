"""Keras networks of the adversarial trainers, as builder functions.

Takes sizes and a seed; gives Keras models whose weights depend on these alone. Kernels are Glorot-uniform,
biases zero.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from training.dense_network import SLOPE, DenseNetwork

# Keras publishes no types, so its models and layers are `Any` here.
Model = Any


def generator(latent_dim: int, units: int, outputs: int, *, seed: int) -> Model:
    """Build noise (rows, latent_dim) -> generated inputs (rows, outputs).

    One hidden layer, batch normalisation, LeakyReLU 0.2. The output is linear, as scaled features lie on both
    sides of 0 and beyond 1: a ReLU or tanh, as in the published code, cannot reach most of them, and the
    discriminator would know a generated row by its range.
    """
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            _dense(units, seed),
            keras.layers.BatchNormalization(),
            keras.layers.LeakyReLU(negative_slope=SLOPE),
            _dense(outputs, seed + 1),
        ],
        name="generator",
    )


def trunk(inputs: int, units: Sequence[int], *, seed: int) -> Model:
    """Build the discriminator's features, inputs (rows, inputs) -> (rows, units[-1])."""
    layers: list[Any] = [keras.Input((inputs,))]
    for depth, size in enumerate(units):
        layers += [_dense(size, seed + depth), keras.layers.LeakyReLU(negative_slope=SLOPE)]
    return keras.Sequential(layers, name="trunk")


def head(features: int, logits: int, *, seed: int) -> Model:
    """Build the discriminator's one head, features (rows, features) -> logits (rows, logits)."""
    return keras.Sequential([keras.Input((features,)), _dense(logits, seed)], name="head")


def as_dense_network(models: Sequence[Model], outputs: int) -> DenseNetwork:
    """Copy the dense layers of models in sequence to numpy, with the first `outputs` logits of the last."""
    dense = [layer for model in models for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    kernels = [np.array(layer.kernel, dtype=np.float32) for layer in dense]
    biases = [np.array(layer.bias, dtype=np.float32) for layer in dense]
    kernels[-1], biases[-1] = kernels[-1][:, :outputs], biases[-1][:outputs]
    return DenseNetwork(tuple(kernels), tuple(biases))


def _dense(units: int, seed: int) -> Any:  # noqa: ANN401  (a Keras layer has no static type)
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))
