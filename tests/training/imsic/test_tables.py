"""What IMSIC must do on a real table with columns of categories: keep the columns' values and ranges."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.training.mgvae import mgvae_tables as tables
from training.torch.augmentation.task import Task
from training.torch.course import Place, seeded
from training.torch.imsic import generator, graph
from training.torch.imsic.networks import Causes
from training.torch.imsic.settings import IMSICSettings

TABLE = tables.SHARED / "data/tabular/qast/thyroid.parquet"
RARE = (1, 2)
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not TABLE.exists(), reason="reads the tables in ../shared, which is absent"),
]


@pytest.fixture(scope="module")
def task():
    table = pd.read_parquet(TABLE)
    columns = [column for column in table if column.startswith("x")]
    known = table[table["split"] == "train"]
    labels = known["label"].isin(RARE).to_numpy().astype(np.int64)
    return Task(known[columns].to_numpy(np.float32), labels, ("rest", "rare"), tuple(columns), 0, (1,))


@pytest.fixture(scope="module")
def made(task):
    settings = IMSICSettings(steps=200, units=(64, 64), least_distance=0.0, greatest_distance=1.0, least_confidence=0.0)
    given = graph.default(task.names)
    return generator.train(
        task, graph=given, structure_weight=1.0, settings=settings, seed=0, place=Place("thyroid")
    ).generator


def test_the_table_has_numbers_and_categories(made):
    assert made.codec.layout.numbers > 0
    assert len(made.codec.layout.categories) > 0


def test_every_block_of_a_generated_row_is_one_category(made):
    layout = made.codec.layout
    with seeded(0, device=made._device):
        causes = Causes(made._noise(300), made._noise(300)[:, 0].gt(0).long(), made._noise(300)[:, :4].clamp(-1, 1))
        rows = made.network(causes, 0.2).detach().numpy()
    assert np.isfinite(rows).all()
    for block in layout.blocks:
        np.testing.assert_array_equal(rows[:, block].sum(axis=1), np.ones(300))


@pytest.mark.parametrize("code", [0, 1])
def test_rows_keep_to_what_their_columns_hold(made, task, code):
    rows = made.sample(code, 300, seed=0).features
    assert rows.shape == (300, task.features.shape[1])
    assert np.isfinite(rows).all()
    assert (rows >= task.features.min(axis=0)).all()
    assert (rows <= task.features.max(axis=0)).all()
    for column in made.codec.columns:
        assert set(np.unique(rows[:, column])) <= set(np.unique(task.features[:, column]))


def test_less_noise_makes_rows_that_differ_less(made):
    calm = replace(made, settings=made.settings.model_copy(update={"noise_spread": 0.1, "jitter": 0.0}))
    spreads = [
        source.codec.encode(source.sample(1, 300, seed=0).features)[:, : source.codec.layout.numbers].std(axis=0).mean()
        for source in (made, calm)
    ]
    assert spreads[1] < 0.8 * spreads[0]
