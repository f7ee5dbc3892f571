"""What MGVAE must do on real tables: keep its code alive, keep the columns' ranges, and harm no ranking."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from torch.nn import functional

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation import dense, gate
from training.torch.augmentation.gate import Arm
from training.torch.augmentation.task import Task
from training.torch.course import Place
from training.torch.mgvae import generator
from training.torch.mgvae.settings import MGVAESettings

FOLDER = tables.SHARED / "data/tabular/qast"
PAGE_BLOCKS = tables.SHARED / "data/tabular/adbench/27_PageBlocks.npz"  # that of the description, less duplicates
RARE = {"pageblocks": (0, 2, 3), "yeast": (5,), "abalone": (17,), "winequality-red": (0, 1), "satimage": (4,)}
QUICK = {"pretrain_steps": 600, "exemplars": 256}
pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="reads the tables in ../shared, which is absent"),
]


@cache
def split(name):
    table = pd.read_parquet(FOLDER / f"{name}.parquet")
    columns = [column for column in table if column.startswith("x")]
    known = (table["split"] == "train").to_numpy()
    features = table[columns].to_numpy(np.float32)
    labels = table["label"].isin(RARE[name]).to_numpy().astype(np.int64)
    task = Task(features[known], labels[known], ("rest", "rare"), tuple(columns), 0, (1,))
    return task, features[~known], labels[~known]


@cache
def trained(name, **changes):
    settings = MGVAESettings(**QUICK | changes)
    return generator.train(split(name)[0], settings=settings, seed=0, place=Place(name))


@pytest.mark.parametrize("name", RARE)
def test_the_code_does_not_collapse(name):
    assert trained(name).looks[-1].kl > 3


@pytest.mark.parametrize("name", RARE)
def test_rows_keep_to_what_their_columns_hold(name):
    task, _, _ = split(name)
    made = trained(name).generator.sample(1, 300, seed=0).features
    assert np.isfinite(made).all()
    assert (made >= task.features.min(axis=0)).all()
    assert (made <= task.features.max(axis=0)).all()
    whole = (task.features == np.round(task.features)).all(axis=0)
    assert (made[:, whole] == np.round(made[:, whole])).all()
    translated = trained(name).generator.translate(task.features[task.labels == 0], 1).translated
    assert translated.std(axis=0).max() > 0


def test_the_published_likelihood_collapses():
    assert trained("yeast", likelihood="published", pretrain_steps=300).looks[-1].kl < 3


def precision_against_real_rows_alone(task, made, rows, truth):
    """Average precision on other rows with MGVAE's rows, as a share of that of plain training on the real ones."""
    plain = dense.fit(
        task.features, task.labels, classes=2, settings=made.settings, seed=0, loss=functional.cross_entropy
    )
    more, labels = gate.augmented(task, made, Arm("mgvae"), seed=0)
    augmented = gate.fit_classifier(task, more, labels, made.settings, seed=0)
    before, after = (average_precision_score(truth, one.predict_proba(rows)[:, 1]) for one in (plain, augmented))
    return after / before


def test_synthetic_rows_do_not_harm_the_ranking():
    with np.load(PAGE_BLOCKS) as table:
        features, labels = table["X"].astype(np.float32), table["y"].astype(np.int64)
    known = np.random.default_rng(0).permutation(len(labels)) < len(labels) * 0.6
    columns = tuple(f"x{number}" for number in range(features.shape[1]))
    task = Task(features[known], labels[known], ("text", "other"), columns, 0, (1,))
    made = generator.train(task, settings=MGVAESettings(**QUICK), seed=0, place=Place("whole")).generator
    assert precision_against_real_rows_alone(task, made, features[~known], labels[~known]) >= 0.93


@pytest.mark.xfail(
    strict=True, reason="0.88: of the 26 rare rows that a tenth of the same table leaves, too little is learned"
)
def test_synthetic_rows_do_not_harm_the_ranking_of_a_tenth_of_the_rows():
    task, rows, truth = split("pageblocks")
    assert precision_against_real_rows_alone(task, trained("pageblocks").generator, rows, truth) >= 0.93
