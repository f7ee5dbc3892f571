"""What the report reads of a scores table: the alerts by rank, the entities asked for, one share of all; no more."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyarrow import parquet

from feature_extraction.schema import ENTITY
from inference import published_scores, table

CLASSES = ("regular", "rare", "unknown")
REASONS = [{"feature": "m__level", "value": 1.0, "contribution": 0.5}]


@pytest.fixture
def url(tmp_path):
    """Write 300 entities in three files, whose rank is not their order; every tenth is an alert."""
    number = np.random.default_rng(0).permutation(300)
    whole = pa.table(
        {
            ENTITY: [f"entity {one}" for one in number],
            "score": (300 - number).astype(np.float32) / 300,
            "rank": number + 1,
            "alert": number % 10 == 0,
            "verdict": np.array(CLASSES)[number % 3],
            "uncertainty": np.full(300, np.nan, np.float32),
            "reasons": pa.array([REASONS if one % 10 == 0 else [] for one in number]),
        }
    )
    for part in range(3):
        parquet.write_table(whole.slice(100 * part, 100), tmp_path / f"part-{part}.parquet")
    return str(tmp_path)


def test_alerts_come_by_rank_with_their_reasons(url):
    found = published_scores.alerts(url)
    assert found[ENTITY].tolist() == [f"entity {one}" for one in range(0, 300, 10)]
    assert all(found["alert"])
    assert list(found["reasons"].iloc[3]) == REASONS
    assert "probability" not in found


def test_entities_are_found_and_strangers_left_out(url):
    found = published_scores.of_entities(url, ["entity 7", "nobody", "entity 250"]).set_index(ENTITY)
    assert sorted(found.index) == ["entity 250", "entity 7"]
    assert found.loc["entity 7", "score"] == pytest.approx(293 / 300)
    assert "reasons" not in found


def test_the_unknown_are_counted_over_all_entities(url):
    assert published_scores.unknown_share(url, CLASSES) == pytest.approx(1 / 3)
    assert published_scores.unknown_share(url, ("regular", "rare")) is None


def test_rows_are_chosen_before_they_are_gathered(url):
    assert len(table.select(url, ["score"], ds.field("rank") <= 12)) == 12
    assert table.count(url, ds.field("verdict") == "rare") == 100
    assert sum(batch.num_rows for batch in table.batches(url, ["score"])) == 300
    assert table.column_names(url)[:2] == [ENTITY, "score"]
