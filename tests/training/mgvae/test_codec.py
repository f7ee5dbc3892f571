"""Raw rows to encoded ones and back."""

import numpy as np
import pytest

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import codec
from training.torch.augmentation.codec import TableCodec

ROWS, LABELS = tables.features_and_labels(3, (200, 50, 50))


def fitted(rows=ROWS, names=tables.NAMES, **changes):
    return codec.fit(rows, settings=tables.tiny(**changes), names=names)


def test_rows_come_back():
    back = fitted().decode(fitted().encode(ROWS))
    clipped = np.abs(fitted().encode(ROWS)[:, 0]) >= 4
    np.testing.assert_allclose(back[~clipped, 0], ROWS[~clipped, 0], rtol=1e-3)
    np.testing.assert_array_equal(back[:, 1:3], ROWS[:, 1:3])
    np.testing.assert_allclose(back[:, 3], ROWS[:, 3], atol=1e-4)


def test_numbers_are_standardized_and_categories_one_hot():
    layout, encoded = fitted().layout, fitted().encode(ROWS)
    assert (layout.numbers, layout.indicators, layout.categories) == (3, (2,), (3,))
    assert encoded.shape == (300, layout.width)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded[:, :2].std(axis=0), 1, atol=0.05)
    np.testing.assert_array_equal(encoded[:, layout.missing][:, 0], np.isnan(ROWS[:, 3]))
    np.testing.assert_array_equal(encoded[:, layout.blocks[0]].argmax(axis=1), ROWS[:, 1])


def test_whatever_a_network_makes_lies_within_the_range_seen():
    made = np.random.default_rng(0).normal(size=(500, fitted().layout.width), scale=30).astype(np.float32)
    back = fitted().decode(made)
    assert (np.nanmin(back, axis=0) >= np.nanmin(ROWS, axis=0)).all()
    assert (np.nanmax(back, axis=0) <= np.nanmax(ROWS, axis=0)).all()
    assert (back[:, 2] == np.round(back[:, 2])).all()
    assert 0 < np.isnan(back[:, 3]).sum() < 500
    assert not np.isnan(back[:, :3]).any()


def test_columns_that_lack_the_same_rows_share_a_gap():
    rows, _, names = tables.with_a_shared_gap()
    found = fitted(rows, names)
    layout, encoded = found.layout, found.encode(rows)
    assert (layout.indicators, layout.gaps) == ((2, 3), (0, 0))
    assert layout.width == encoded.shape[1] == 4 + 1 + 3
    np.testing.assert_array_equal(encoded[:, layout.missing][:, 0], np.isnan(rows[:, 4]))
    np.testing.assert_array_equal(np.flatnonzero(found.sources[4]), [3, 4])
    np.testing.assert_array_equal(np.isnan(found.decode(encoded)), np.isnan(rows))
    made = np.random.default_rng(0).normal(size=(500, layout.width)).astype(np.float32)
    absent = np.isnan(found.decode(made))
    assert 0 < absent[:, 3].sum() < 500
    np.testing.assert_array_equal(absent[:, 3], absent[:, 4])
    assert codec.from_arrays(found.arrays()).layout == layout


def test_columns_may_be_named_categorical():
    assert fitted(categories=0).layout.categories == ()
    assert fitted(categories=0, categorical=("kind",)).layout.categories == (3,)
    with pytest.raises(ValueError, match=r"\['color'\].*'size'"):
        fitted(categorical=("color",))


def test_a_constant_column_and_one_never_there_come_back():
    rows = np.column_stack([ROWS, np.full(300, 2.5), np.full(300, np.nan)]).astype(np.float32)
    found = fitted(rows, (*tables.NAMES, "same", "never"))
    back = found.decode(found.encode(rows))
    assert (back[:, 4] == 2.5).all()
    assert np.isnan(back[:, 5]).all()


def test_a_column_that_hardly_varies_comes_back_as_its_median():
    rows = (1e6 + np.random.default_rng(0).random((300, 1)) * 0.3).astype(np.float32)
    found = fitted(rows, ("level",), categories=0)
    np.testing.assert_allclose(found.decode(found.encode(rows)), rows, rtol=1e-6)


def test_a_table_of_categories_alone():
    rows = ROWS[:, 1:2]
    found = fitted(rows, ("kind",))
    np.testing.assert_array_equal(found.decode(found.encode(rows)), rows)


def test_what_was_never_missing_may_be():
    rows = np.full((1, 4), np.nan, np.float32)
    assert np.isfinite(fitted().encode(rows)).all()


@pytest.mark.parametrize(("rows", "names", "changes"), [(ROWS, tables.NAMES, {}), (ROWS[:, 1:2], ("kind",), {})])
def test_a_table_codec_is_read_as_it_was(rows, names, changes):
    found = fitted(rows, names, **changes)
    again = codec.from_arrays(found.arrays())
    assert isinstance(again, TableCodec)
    np.testing.assert_array_equal(again.encode(rows), found.encode(rows))
    np.testing.assert_array_equal(again.decode(found.encode(rows)), found.decode(found.encode(rows)))


def test_images():
    pixels = np.random.default_rng(0).integers(0, 17, (10, 64)).astype(np.float32)
    found = fitted(pixels, tuple("p" * 64), image=(1, 8, 8), brightest=16.0)
    encoded = found.encode(pixels)
    assert (encoded.min(), encoded.max()) == (0, 1)
    assert found.layout.image == (1, 8, 8)
    again = codec.from_arrays(found.arrays())
    np.testing.assert_allclose(again.decode(again.encode(pixels)), pixels, rtol=1e-6)
    assert again.decode(np.full((1, 64), 1.5, np.float32)).max() == 16


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"\(300, 3\).*4 features"):
        fitted().encode(ROWS[:, :3])
    with pytest.raises(ValueError, match="7 encoded columns"):
        fitted().decode(ROWS)
    with pytest.raises(ValueError, match=r"\(1, 8, 8\) has 64 pixels"):
        fitted(ROWS, image=(1, 8, 8))
