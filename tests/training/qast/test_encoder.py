"""The encoder: what goes in comes back, blocks tile the width, and published widths are reproduced."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.artifact import pack_arrays, unpack_arrays
from training.torch.qast.columns import Categories, Mixture
from training.torch.qast.encoder import Encoder
from training.torch.qast.settings import QASTSettings

TABLES = Path(__file__).resolve().parents[4] / "shared/data/tabular/qast"
SETTINGS = QASTSettings()
PUBLISHED = QASTSettings.as_published()
NAMES = ("two_peaks", "count", "flag", "constant", "lacking", "nothing", "lacking_flag")


def table(rows: int = 400, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    peaks = np.where(random.random(rows) < 0.3, random.normal(-50, 1, rows), random.normal(10, 3, rows))
    columns = [
        peaks,
        random.poisson(40, rows),
        random.integers(0, 3, rows),
        np.full(rows, 2.5),
        random.normal(size=rows),
    ]
    features = np.column_stack([*columns, np.full(rows, np.nan), random.integers(0, 2, rows)]).astype(np.float32)
    features[::7, 4] = np.nan
    features[::5, 6] = np.nan
    return features


def test_values_in_range_come_back():
    features = table()
    encoder = Encoder.fit(features, settings=SETTINGS, seed=0)
    encoded = encoder.encode(features)
    starts = [block.start for block in encoder.blocks if block.kind == "value"]
    inside = np.abs(encoded[:, starts[0]]) < 1
    assert inside.mean() > 0.98
    decoded = encoder.decode(encoded)
    np.testing.assert_allclose(decoded[inside, 0], features[inside, 0], rtol=1e-4)
    np.testing.assert_array_equal(decoded[:, 1:4], features[:, 1:4])
    np.testing.assert_array_equal(np.isnan(decoded), np.isnan(features))
    np.testing.assert_array_equal(decoded[:, 5:], features[:, 5:])


def test_blocks_tile_the_width_and_hold_what_they_say():
    features = table()
    encoder = Encoder.fit(features, settings=SETTINGS, seed=0)
    encoded = encoder.encode(features)
    assert encoded.shape == (400, encoder.width)
    assert encoded.dtype == np.float32
    end = 0
    for start, size, kind in encoder.blocks:
        assert start == end
        end += size
        block = encoded[:, start:end]
        if kind == "value":
            assert np.abs(block).max() <= 1
        else:
            np.testing.assert_array_equal(np.sort(block, axis=1)[:, -1], 1)
            np.testing.assert_array_equal(block.sum(axis=1), 1)
    assert end == encoder.width
    kinds = [block.kind for block in encoder.blocks]
    assert kinds == ["value", "modes"] * 2 + ["categories"] * 2 + ["value", "modes"] + ["categories"] * 2


def test_two_peaks_are_two_modes_or_more():
    encoder = Encoder.fit(table(), settings=QASTSettings(modes=2), seed=0)
    peaks = encoder.columns[0]
    assert isinstance(peaks, Mixture)
    np.testing.assert_allclose(np.sort(peaks.modes[:, 0]), [-50, 10], atol=0.5)
    encoded = peaks.encode(np.array([-50.0, 10.0, 16.0]))
    assert encoded[0, 1:].argmax() != encoded[1, 1:].argmax()
    assert encoded[2, 0] == pytest.approx(2 / 4, abs=0.1)  # two standard deviations of four


@pytest.mark.parametrize("settings", [SETTINGS, PUBLISHED], ids=["repaired", "published"])
def test_save_and_load_give_the_same_encoder(settings):
    features = table()
    encoder = Encoder.fit(features, settings=settings, seed=0)
    loaded = Encoder.from_arrays(unpack_arrays(pack_arrays(encoder.arrays())))
    assert loaded.blocks == encoder.blocks
    noise = np.random.default_rng(1).normal(size=(50, encoder.width))
    np.testing.assert_array_equal(loaded.encode(features), encoder.encode(features))
    np.testing.assert_array_equal(loaded.decode(noise), encoder.decode(noise))


def test_one_seed_gives_one_encoder():
    first, second = (Encoder.fit(table(), settings=SETTINGS, seed=3).arrays() for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_a_seed_row_between_categories_becomes_the_nearest():
    column = Categories.fit(np.array([0.0, 1.0, 4.0, np.nan]))
    decoded = column.decode(column.encode(np.array([0.4, 0.6, 2.4, 2.6, 99.0, -99.0, np.nan])))
    np.testing.assert_array_equal(decoded, [0, 1, 1, 4, 4, 0, np.nan])


def test_named_features_are_categories_whatever_their_number():
    features = table()
    settings = QASTSettings(categorical=("count",))
    encoder = Encoder.fit(features, settings=settings, seed=0, names=NAMES)
    assert isinstance(encoder.columns[1], Categories)
    np.testing.assert_array_equal(encoder.decode(encoder.encode(features))[:, 1], features[:, 1])
    with pytest.raises(ValueError, match=r"categorical names \['count'\]"):
        Encoder.fit(features, settings=settings, seed=0)


@pytest.mark.parametrize(("settings", "expected"), [(SETTINGS, 7), (PUBLISHED, 6)], ids=["repaired", "published"])
def test_whole_numbers_are_rounded_or_as_published_cut_off(settings, expected):
    features = np.random.default_rng(0).integers(0, 100, (300, 1)).astype(np.float32)
    column = Encoder.fit(features, settings=settings, seed=0).columns[0]
    assert isinstance(column, Mixture)
    place = column.used[0]
    mean, deviation = column.modes[place, :2]
    encoded = np.zeros((1, 1 + len(column.used)))
    encoded[0, :2] = (6.9 - mean) / (column.scale * deviation), 1
    if abs(encoded[0, 0]) > 1:
        moved = column.modes.copy()
        moved[place, 0] = 6.9
        column = Mixture(moved, column.scale, column.robust, column.rounding, column.missing)
        encoded[0, 0] = 0
    assert column.decode(encoded).tolist() == [expected]


def test_published_tables_with_a_broken_number_are_not_cut_off():
    features = np.column_stack([np.arange(100), np.linspace(0, 1, 100)])
    assert [column.rounding for column in Encoder.fit(features, settings=PUBLISHED, seed=0).columns] == ["none", "none"]


def test_generated_rows_stay_within_one_deviation_as_published_and_four_when_repaired():
    features = np.random.default_rng(0).normal(5, 2, (1000, 1)).astype(np.float32)
    for settings, reach in ((QASTSettings(modes=1), 4), (QASTSettings.as_published(modes=1), 1)):
        encoder = Encoder.fit(features, settings=settings, seed=0)
        top = features.mean() + reach * features.std()
        np.testing.assert_allclose(encoder.decode(np.array([[9.0, 1]])), [[top]], rtol=1e-5)


def test_published_encoding_is_not_clipped_and_repaired_is():
    features = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32)
    far = np.array([[100.0]])
    assert Encoder.fit(features, settings=QASTSettings.as_published(modes=1), seed=0).encode(far)[0, 0] > 50
    assert Encoder.fit(features, settings=QASTSettings(modes=1), seed=0).encode(far)[0, 0] == 1


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("settings", [SETTINGS, PUBLISHED], ids=["repaired", "published"])
def test_few_rows_are_enough(rows, settings):
    features = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    encoder = Encoder.fit(features, settings=settings, seed=0)
    assert np.isfinite(encoder.decode(encoder.encode(features))).all()


def test_values_missing_where_none_were_are_refused():
    encoder = Encoder.fit(np.arange(40.0).reshape(20, 2), settings=SETTINGS, seed=0)
    with pytest.raises(ValueError, match=r"missing in columns \[1\]"):
        encoder.encode(np.array([[1.0, np.nan]], np.float32))


@pytest.mark.parametrize(
    ("rows", "message"), [(np.empty((0, 2)), "at least one row"), (np.array([[1.0, np.inf]]), r"columns \[1\]")]
)
def test_rows_that_cannot_be_fitted_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        Encoder.fit(rows, settings=SETTINGS, seed=0)


def test_another_width_is_refused():
    encoder = Encoder.fit(np.arange(40.0).reshape(20, 2), settings=SETTINGS, seed=0)
    with pytest.raises(ValueError, match="fitted for 2 features"):
        encoder.encode(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match=f"fitted for {encoder.width} encoded columns"):
        encoder.decode(np.zeros((1, 3)))


def test_settings_fit_into_json():
    for settings in (SETTINGS, PUBLISHED):
        assert QASTSettings(**json.loads(json.dumps(settings.model_dump(mode="json")))) == settings


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "width"),
    [("CWRU_Bearing_Dataset_1_20", 71), ("glass", 74), ("balance", 24), ("ecoli", 47), ("new-thyroid", 38)],
)
def test_published_widths_are_reproduced(name, width):
    if not TABLES.exists():
        pytest.skip(f"{TABLES} is absent")
    rows = pd.read_parquet(TABLES / f"{name}.parquet").query("split == 'train'").filter(regex="^x").to_numpy()
    assert Encoder.fit(rows, settings=PUBLISHED, seed=42).width == width
