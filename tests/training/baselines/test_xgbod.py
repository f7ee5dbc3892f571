"""XGBOD kept as arrays gives what PyOD's own class gives."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.training.tiny_settings import TINY_SETTINGS
from tests.training.trainer_checks import HIDDEN, RARE, REGULAR, toy_table
from training.artifact import load
from training.baselines.detectors import from_fitted
from training.reader import ArrayReader

pytest.importorskip("pyod", reason="the xgbod extra is not installed")
pytest.importorskip("xgboost", reason="the xgbod extra is not installed")
from training.baselines import xgbod

ROOT = Path(__file__).parents[3]
TINY = TINY_SETTINGS["xgbod"]


@pytest.fixture(scope="module")
def fitted():
    return xgbod.XGBOD(**TINY).fit(toy_table())


def by_pyod(settings, inputs, rare):
    model = xgbod.published(settings, rare)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(inputs, rare.astype(int))


@pytest.mark.parametrize("settings", [{}, TINY], ids=["all", "tiny"])
def test_detectors_find_what_those_of_pyod_find(settings):
    rows = toy_table().labeled()
    inputs = np.nan_to_num(rows.features, nan=1.0).astype(np.float64)
    model = by_pyod(xgbod.XGBOD(**settings), inputs, rows.labels == 1)
    found = from_fitted(inputs, model.estimator_list_)
    assert found.num == model.n_detector_
    asked = np.nan_to_num(toy_table(1).features, nan=1.0).astype(np.float64)
    for some in (asked, 10 * asked, inputs):
        np.testing.assert_allclose(found.scores(some), model._generate_new_features(some), rtol=1e-5, atol=1e-8)


def test_probabilities_are_those_of_pyod_with_medians_for_missing_values(fitted):
    rows = toy_table().labeled()
    medians = np.nanmedian(rows.features, axis=0)

    def inputs(features):
        return np.where(np.isnan(features), medians, features).astype(np.float64)

    model = by_pyod(xgbod.XGBOD(**TINY), inputs(rows.features), rows.labels == 1)
    asked = toy_table(1).features
    expected = model.predict_proba(inputs(asked))
    np.testing.assert_allclose(fitted.predict(asked)[:, 1], expected, atol=1e-5)
    np.testing.assert_array_equal(fitted.predict(asked)[:5], fitted.predict(inputs(asked[:5]).astype(np.float32)))


def test_rows_without_label_count_as_not_rare_up_to_a_number_of_them(fitted):
    reader = toy_table()
    some = xgbod.XGBOD(**TINY | {"unlabeled_rows": 100}).fit(reader)
    assert fitted.manifest.rows == {"regular": REGULAR, "rare": RARE, "unlabeled": 0}
    assert some.manifest.rows["unlabeled"] == 100
    assert len(some.detectors.nearness.rows) == len(fitted.detectors.nearness.rows) + 100
    rare_hidden = reader.features[-HIDDEN : -HIDDEN + RARE]
    assert some.predict(rare_hidden)[:, 1].mean() < fitted.predict(rare_hidden)[:, 1].mean()


def test_what_is_rare_weighs_as_much_as_what_is_not_if_it_is_to():
    rare = np.arange(12) < 3
    weights = [
        xgbod.published(xgbod.XGBOD(**TINY, balanced=balanced), rare).scale_pos_weight for balanced in (True, False)
    ]
    assert weights == [3, 1]


def test_a_feature_that_is_missing_throughout_is_not_read():
    reader = toy_table()
    reader.features[:, 2] = np.nan
    made = xgbod.XGBOD(**TINY).fit(ArrayReader(reader.features, reader.labels, reader.schema))
    rows = toy_table(1).features
    changed = rows.copy()
    changed[:, 2] = 1e6
    np.testing.assert_array_equal(made.predict(rows), made.predict(changed))
    assert not made.contributions(rows[:5])[:, 2].any()


def test_four_labels_are_enough():
    rows = toy_table().labeled()
    few = np.r_[0:2, RARE : RARE + 2]
    made = xgbod.XGBOD(**TINY).fit(ArrayReader(rows.features[few], rows.labels[few], toy_table().schema))
    assert made.detectors.nearness.counts.tolist() == [3]
    assert np.isfinite(made.predict(rows.features)).all()


def test_it_is_read_and_scores_without_pyod_and_xgboost(fitted, tmp_path):
    fitted.save(str(tmp_path / "model"))
    rows = toy_table(1).features[:20]
    np.save(tmp_path / "rows.npy", rows)
    code = (
        "import sys; sys.modules['pyod'] = sys.modules['xgboost'] = None\n"
        "import numpy as np\n"
        "from training.artifact import load\n"
        f"found = load({str(tmp_path / 'model')!r}).predict(np.load({str(tmp_path / 'rows.npy')!r}))\n"
        f"np.save({str(tmp_path / 'scores.npy')!r}, found)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), load(str(tmp_path / "model")).predict(rows))
