"""Score drift: what is equal, what has moved, and which columns it takes to tell."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from feature_extraction.publishing import Run
from inference import drift

GENERATOR = np.random.default_rng(5)
UNIFORM = GENERATOR.random(5000).astype(np.float32)


@pytest.fixture
def published(tmp_path):
    """Publish a scores table of two part files; return its run."""

    def publish(name, scores, entities=None, alerts=10, **columns):
        order = np.argsort(-scores)
        names = np.array([f"entity {i}" for i in range(len(scores))] if entities is None else entities)
        frame = pd.DataFrame({"entity_id": names[order], "score": scores[order]})
        frame["alert"] = np.arange(len(frame)) < alerts
        frame = frame.assign(**{"verdict": "regular"} | columns)
        run = Run(str(tmp_path), "scores", name)
        folder = tmp_path / "scores" / f"run={name}"
        folder.mkdir(parents=True)
        for number, rows in enumerate(np.array_split(np.arange(len(frame)), 2)):
            frame.iloc[rows].to_parquet(folder / f"part-{number}.parquet", index=False)
        (folder / "run.json").write_text(json.dumps({"run": name, "model": "m"}))
        return run

    return publish


def test_equal_scores_have_not_moved(published):
    found = drift.drift_of(published("now", UNIFORM), published("before", UNIFORM))
    assert (found.population_stability, found.largest_gap) == (0, 0)
    assert (found.run, found.entities, found.kept_alerts, found.alerts_before) == ("before", 5000, 10, 10)
    assert found.shares_before == pytest.approx([0.1] * 10, abs=1e-3)
    assert found.same_model
    assert found.unknown_before is None


def test_moved_scores_are_measured_as_by_the_textbook(published):
    moved = np.sqrt(UNIFORM)
    found = drift.drift_of(published("now", moved), published("before", UNIFORM))
    edges = np.quantile(UNIFORM, np.arange(1, 10) / 10)
    old = np.array([np.mean(part) for part in in_bins(UNIFORM, edges)])
    new = np.array([np.mean(part) for part in in_bins(moved, edges)])
    assert found.edges == pytest.approx(edges.tolist())
    assert found.shares_now == pytest.approx(new.tolist())
    assert found.population_stability == pytest.approx(float(((new - old) * np.log(new / old)).sum()))
    assert found.population_stability > 0.2
    assert found.largest_gap == pytest.approx(stats.ks_2samp(UNIFORM, moved).statistic)
    # The distribution function of a uniform's square root is x squared: the largest gap of x - x^2 is 1/4.
    assert found.largest_gap == pytest.approx(0.25, abs=0.03)


def in_bins(scores, edges):
    bounds = [-np.inf, *edges, np.inf]
    return [(scores >= low) & (scores < high) for low, high in zip(bounds, bounds[1:], strict=False)]


def test_entities_and_alerts_are_matched_by_name(published):
    old = published("before", UNIFORM, alerts=100)
    shown = [f"entity {i}" if i % 2 else f"stranger {i}" for i in range(5000)]
    now = published("now", UNIFORM, entities=shown, alerts=50)
    found = drift.drift_of(now, old)
    assert found.entities == 2500
    best = np.argsort(-UNIFORM)[:50]
    assert found.kept_alerts == sum(i % 2 for i in best)
    assert found.alerts_before == 100


def test_unknown_verdicts_are_counted_where_the_model_has_them(published):
    verdicts = np.where(np.arange(5000) < 500, "unknown", "regular")
    old = published("before", UNIFORM, verdict=verdicts, p_unknown=np.float32(0))
    assert drift.drift_of(published("now", UNIFORM), old).unknown_before == 0.1


@pytest.mark.parametrize(
    ("before", "now"),
    [(np.zeros(50, np.float32), np.ones(50, np.float32)), (np.zeros(50, np.float32), np.zeros(50, np.float32))],
)
def test_equal_scores_of_all_entities_fall_into_one_bin(published, before, now):
    found = drift.drift_of(published("now", now), published("before", before))
    moved = bool(before[0] != now[0])
    assert found.shares_before == [0, 1, 0]
    assert found.shares_now == ([0, 0, 1] if moved else [0, 1, 0])
    assert found.largest_gap == float(moved)
    assert (found.population_stability > 10) == moved


def test_many_equal_scores_share_a_bin(published):
    mixed = np.concatenate([np.zeros(2500, np.float32), UNIFORM[:2500]])
    found = drift.drift_of(published("now", mixed), published("before", mixed))
    assert len(found.edges) < 9
    assert sum(found.shares_before) == pytest.approx(1)
    assert found.shares_before[0] >= 0.5


def test_a_run_that_was_removed_gives_no_drift(published, tmp_path):
    gone = Run(str(tmp_path), "scores", "gone")
    assert drift.drift_of(published("now", UNIFORM), gone) is None
