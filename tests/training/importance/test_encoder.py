"""Columns to inputs."""

import math

import numpy as np
import pytest

from tests.training.importance import importance_tables as tables
from training.torch.importance.encoder import Encoder
from training.torch.importance.settings import ImportanceVectorSettings as Settings

FEATURES = tables.mixed_rows(0)[0]


def fitted(features=FEATURES, names=(), **changes):
    return Encoder.fit(features, settings=Settings(**changes), names=names)


def test_numbers_indicators_and_levels_have_their_places():
    encoder = fitted()
    assert (encoder.numbers, encoder.categorical) == ((0, 1, 3), (2,))
    assert encoder.levels == ((0.0, 1.0, 2.0),)
    inputs = encoder.encode(FEATURES)
    assert inputs.shape == (300, 3 + 1 + 3)
    np.testing.assert_array_equal(inputs[:, 3], np.isnan(FEATURES[:, 3]))
    np.testing.assert_array_equal(inputs[:, 4:].argmax(axis=1), FEATURES[:, 2])


def test_an_unknown_level_is_no_level_and_a_missing_one_is_one_if_it_was_seen():
    features = FEATURES.copy()
    features[::7, 2] = np.nan
    encoder = fitted(features)
    rows = FEATURES[:2].copy()
    rows[:, 2] = [9, np.nan]
    np.testing.assert_array_equal(encoder.encode(rows)[:, 4:], [[0, 0, 0, 0], [0, 0, 0, 1]])


def test_what_only_names_a_row_is_left_out():
    features = FEATURES.copy()
    features[:, 0] = np.arange(300)
    features[:, 1] = 5
    encoder = fitted(features)
    assert encoder.numbers == (3,)
    assert fitted(features, id_share=1.0).numbers == (0, 3)
    shares = encoder.fold(np.ones((2, encoder.width), np.float32))
    np.testing.assert_array_equal(shares, [[0, 0, 3, 2]] * 2)


def test_a_table_of_names_alone_is_refused():
    with pytest.raises(ValueError, match="none of the 1 columns tells rows apart"):
        fitted(np.arange(50, dtype=np.float32)[:, None])


@pytest.mark.parametrize(
    ("scaling", "low", "high"), [("minmax", 0, 1), ("maxabs", -1, 1), ("standard", -4, 4), ("robust", -4, 4)]
)
def test_scalings(scaling, low, high):
    inputs = fitted(scaling=scaling).encode(FEATURES)[:, :2]
    assert inputs.min() >= low - 1e-6
    assert inputs.max() <= high + 1e-6
    if scaling == "standard":
        np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(inputs.std(axis=0), 1, atol=1e-2)
    if scaling == "minmax":
        np.testing.assert_allclose([inputs.min(), inputs.max()], [0, 1], atol=1e-6)


def test_named_categories_of_many_levels_are_embedded():
    features = FEATURES.copy()
    features[:, 0] = np.arange(300) % 20
    encoder = fitted(features, tables.NAMES, categorical=("spend__level",))
    assert encoder.categorical == (0, 2)
    (block,) = encoder.embedded
    assert (block.stop - block.start, block.size) == (20, math.ceil(1.6 * 20**0.56))


def test_json_gives_the_same_inputs():
    features = FEATURES.copy()
    features[::7, 2] = np.nan
    encoder = fitted(features)
    read = Encoder.from_json(encoder.to_json())
    np.testing.assert_array_equal(read.encode(features), encoder.encode(features))


def test_what_cannot_be_encoded_is_refused():
    endless = FEATURES.copy()
    endless[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinite values in feature columns \[1\]"):
        fitted(endless)
    with pytest.raises(ValueError, match="at least one row"):
        fitted(FEATURES[:0])
    with pytest.raises(ValueError, match=r"categorical names \['color'\]"):
        fitted(names=tables.NAMES, categorical=("color",))
    with pytest.raises(ValueError, match="fitted on 4 features"):
        fitted().encode(FEATURES[:, :3])
