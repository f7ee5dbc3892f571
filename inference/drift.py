"""How the scores of a run lie to those of the run before it: has the population, the data or the model moved?

Takes two published scores tables; reads single columns of them, never whole rows.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray
from scipy import stats

from feature_extraction import publishing
from feature_extraction.publishing import Run
from feature_extraction.schema import ENTITY, UNKNOWN
from inference import table
from inference.report_data import Drift
from training.trainer import Floats

BINS = 10
# Stands in for the share of an empty bin, whose logarithm would be infinite.
SMALLEST_SHARE = 1e-4


def drift_of(now: Run, before: Run) -> Drift | None:
    """Hold the scores of `now` against those of `before`; None where `before` is no finished run any more.

    The ten bins hold a tenth of the earlier scores each, fewer where many of them are equal. Entities are told apart by
    64 bits of their names, so that ten million take 80 MB: one pair in ten million runs of that size is mistaken.
    """
    then, today = before.manifest(), now.manifest()
    if then is None or today is None:
        return None
    old, new = before.url, now.url
    old_scores, new_scores = _scores(old), _scores(new)
    edges = bin_edges(old_scores)
    shares_before, shares_now = shares(old_scores, edges), shares(new_scores, edges)
    alerts = _alerts(old)
    return Drift(
        run=before.id,
        population_stability=population_stability(shares_before, shares_now),
        largest_gap=largest_gap(old_scores, new_scores),
        entities=_entities_in_both(old, new),
        kept_alerts=len(alerts & _alerts(new)),
        alerts_before=len(alerts),
        unknown_before=_unknown_share(old),
        same_model=then["model"] == today["model"],
        edges=edges.tolist(),
        shares_before=shares_before.tolist(),
        shares_now=shares_now.tolist(),
    )


def bin_edges(scores: Floats) -> NDArray[np.float64]:
    """Return the inner edges, rising, that cut these scores into bins of equal numbers.

    Where all scores are equal there are three bins: below them, they themselves, and above.
    """
    if not len(scores):
        return np.empty(0)
    smallest = np.float64(scores.min())
    inner = np.unique(np.quantile(scores, np.arange(1, BINS) / BINS)).astype(np.float64)
    # An edge at the smallest score would only cut off an empty bin.
    above: NDArray[np.float64] = inner[inner > smallest]
    return above if len(above) else np.array([smallest, np.nextafter(smallest, np.inf)])


def shares(scores: Floats, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the scores in each bin, (edges + 1,); a score on an edge lies above it."""
    counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1)
    return counts / max(1, len(scores))


def population_stability(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Return the population stability index: the sum over bins of (now - before) x ln(now / before)."""
    old, new = np.maximum(before, SMALLEST_SHARE), np.maximum(now, SMALLEST_SHARE)
    return float(np.sum((new - old) * np.log(new / old)))


def largest_gap(before: Floats, now: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance: the largest gap between the two distribution functions; 0 to 1."""
    if not len(before) or not len(now):
        return 0.0
    return float(stats.ks_2samp(before, now, method="asymp").statistic)


def _scores(url: str) -> Floats:
    parts: list[Floats] = [batch.column(0).to_numpy() for batch in table.batches(url, ["score"])]
    return np.concatenate([np.empty(0, np.float32), *parts], dtype=np.float32)


def _alerts(url: str) -> set[str]:
    return set(table.select(url, [], ds.field("alert"))[ENTITY])


def _unknown_share(url: str) -> float | None:
    if f"p_{UNKNOWN}" not in table.column_names(url):
        return None
    return table.count(url, ds.field("verdict") == UNKNOWN) / max(1, publishing.footer_rows(url))


def _entities_in_both(one: str, other: str) -> int:
    return len(np.intersect1d(_hashes(one), _hashes(other), assume_unique=True))


def _hashes(url: str) -> NDArray[np.uint64]:
    found = [_hashed(batch.column(0)) for batch in table.batches(url, [ENTITY])]
    return np.concatenate([np.empty(0, np.uint64), *found])


def _hashed(entities: pa.Array) -> NDArray[np.uint64]:
    hashes: NDArray[np.uint64] = pd.util.hash_array(entities.to_numpy(zero_copy_only=False), categorize=False)
    return hashes
