"""The Keras trainers on torch: the same draws and losses, so the same scores as on TensorFlow to rounding."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.keras import backends
from training.reader import ArrayReader
from training.trainer import TRAINERS, load_class

NAMES = ("scarcegan", "ssgan", "aae")
FIT = """
import sys
import numpy as np
sys.path.insert(0, {root!r})
sys.path.insert(0, {here!r})
from test_torch_backend import NAMES, fitted_scores
np.savez({out!r}, **{{name: fitted_scores(name) for name in NAMES}})
"""


def fitted_scores(name):
    """Scores of a tiny ensemble, in whatever backend this process has."""
    from feature_extraction.schema import FeatureSchema

    random = np.random.default_rng(0)
    features = random.normal(size=(120, 3)).astype(np.float32)
    labels = np.where(np.arange(120) < 60, np.arange(120) % 3 == 0, -1).astype(np.int8)
    features[labels == 1, 1] += 2
    schema = FeatureSchema(("m__a", "m__b", "m__c"), ("regular", "rare"), "rare")
    trainer = load_class(TRAINERS[name])(members=2, steps=20, evaluate_every=10, latent_dim=2)
    return trainer.fit(ArrayReader(features, labels, schema)).predict(features)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.skipif(backends.BACKEND != "tensorflow", reason="compares with TensorFlow in this process")
def test_torch_gives_the_scores_that_tensorflow_gives(tmp_path):
    here = Path(__file__).resolve().parent
    out = tmp_path / "scores.npz"
    code = FIT.format(root=str(here.parents[1]), here=str(here), out=str(out))
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"KERAS_BACKEND": "torch"}, check=True)
    found = np.load(out)
    for name in NAMES:
        np.testing.assert_allclose(found[name], fitted_scores(name), atol=1e-5, err_msg=name)


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(backends, "BACKEND", "jax")
    with pytest.raises(ValueError, match="runs on 'jax', this trainer needs one of"):
        fitted_scores("mlp")
