"""Translations in plain numpy are those of the networks that were trained."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import safetensors.numpy

from tests.training.mgvae import mgvae_tables as tables
from training.artifact import ArtifactError
from training.torch.mgvae.files import NETWORKS
from training.torch.mgvae.trainer import MGVAE
from training.torch.mgvae.translator import Translator
from training.trainer import Translates

ROWS, _ = tables.features_and_labels(1)


@cache
def fitted(**changes):
    return MGVAE(**tables.TINY | {"folds": 0} | changes).fit(tables.reader())


@pytest.mark.parametrize("code", [1, 2])
@pytest.mark.parametrize("changes", [{}, {"units": (12, 10, 8)}, {"encoder_variance": "shared"}], ids=str)
def test_a_table_is_translated_as_by_torch(code, changes):
    found = fitted(**changes)
    expected = found._generator.translate(ROWS, code).translated
    np.testing.assert_allclose(found.translate(ROWS, code).translated, expected, rtol=1e-4)
    assert (found.translate(ROWS, 1).translated != found.translate(ROWS, 2).translated).any()


def test_an_image_is_translated_as_by_torch():
    digits = tables.Digits(5).task
    from training.torch.course import Place
    from training.torch.mgvae import generator

    settings = tables.tiny(image=(1, 8, 8), brightest=16.0)
    made = generator.train(digits, settings=settings, seed=0, place=Place("digits")).generator
    rows = digits.features[:50]
    found = Translator.from_files(made.files(), 1).translate(rows)
    np.testing.assert_allclose(found, made.translate(rows, 1).translated, rtol=1e-4, atol=1e-4)
    assert found.std(axis=0).max() > 0


def test_translating_needs_no_torch(tmp_path):
    fitted().save(str(tmp_path / "model"))
    np.save(tmp_path / "rows.npy", ROWS)
    code = f"""
import sys, numpy as np
from training import artifact
found = artifact.load({str(tmp_path / "model")!r}).translate(np.load({str(tmp_path / "rows.npy")!r}))
np.save({str(tmp_path / "made.npy")!r}, found.translated)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), fitted().translate(ROWS).translated)


def test_it_says_what_it_translates():
    found = fitted(minority=("few",))
    assert isinstance(found, Translates)
    assert found.translated_from("few") == "many"
    assert [found.translated_from(label) for label in ("many", "fewer", "none")] == [None] * 3
    assert fitted().translated_from("fewer") == "many"


@pytest.mark.parametrize("name", ["2.decoder.1.bias", "2.decoder.1.weight", "2.mean.bias", "2.trunk.0.weight"])
def test_networks_that_do_not_fit_are_refused(name):
    found = fitted()
    arrays = safetensors.numpy.load(found.generator_files[NETWORKS])
    arrays[name] = arrays[name][:-1]
    harmed = type(found).of(
        found.manifest,
        found.classifier,
        found.reference,
        {**found.generator_files, NETWORKS: safetensors.numpy.save(arrays)},
    )
    with pytest.raises(ArtifactError, match="networks of another table"):
        harmed.translate(ROWS)
    with pytest.raises(ArtifactError, match="the generator of this MGVAE"):
        harmed.sample("few", 3, seed=0)
