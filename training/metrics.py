"""What scores are worth where labels are known: ranking, alerts within a budget, and how sure one can be.

Takes scores and labels as numpy; gives numbers with bootstrap intervals as plain dicts that fit in JSON.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from training.held_out import HeldOut

Doubles = NDArray[np.float64]

BLOCK = 4_000_000  # cells of (resamples, rows) held at once, 32 MB a float64 array


class Estimate(TypedDict, total=False):
    """A value and its interval; all None, with a `reason`, where it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    reason: str


def at_budget(truth_is_rare: ArrayLike, score: ArrayLike, budget: int) -> tuple[float, float]:
    """Return recall and precision of the `budget` highest scores; of equal ones the earlier row is first."""
    truth = np.asarray(truth_is_rare, dtype=bool)
    alerts = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")[:budget]
    found = int(truth[alerts].sum())
    return found / max(1, int(truth.sum())), found / max(1, len(alerts))


def class_recall(truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> dict[str, float | None]:
    """Return the share of each class's rows that were given that class; None for a class without rows."""
    codes, given = np.asarray(truth), np.asarray(predicted)
    recall: dict[str, float | None] = {}
    for code, name in enumerate(classes):
        rows = codes == code
        recall[name] = float((given[rows] == code).mean()) if rows.any() else None
    return recall


def held_out_scores(num_rows: int, parts: Sequence[tuple[NDArray[np.intp], Doubles]]) -> Doubles:
    """Return each row's mean score over the models that did not learn from it, NaN where there is none.

    Args:
        num_rows: rows in all.
        parts: for each model, the rows held out from it and its scores of them.
    """
    total, count = np.zeros(num_rows), np.zeros(num_rows)
    for rows, scores in parts:
        total[rows] += scores
        count[rows] += 1
    return np.divide(total, count, out=np.full(num_rows, np.nan), where=count > 0)


def held_out_rows(truth_is_rare: ArrayLike, parts: Sequence[tuple[NDArray[np.intp], Doubles]]) -> HeldOut:
    """Return the rows that some model did not learn from, and their scores, which are to be probabilities."""
    truth = np.asarray(truth_is_rare, dtype=bool)
    return HeldOut.of(truth, held_out_scores(len(truth), parts))


def held_out_summary(
    truth_is_rare: ArrayLike, parts: Sequence[tuple[NDArray[np.intp], Doubles]], *, seed: int
) -> dict[str, Any]:
    """Summarise the scores of rows by models that did not learn from them, with as many alerts as rare rows.

    Returns what `summary` returns, and the `rows`, the `rare_rows` and the `budget` it is measured on.
    """
    truth = np.asarray(truth_is_rare, dtype=bool)
    scores = held_out_scores(len(truth), parts)
    covered = ~np.isnan(scores)
    budget = max(1, int(truth[covered].sum()))
    measures = summary(truth[covered], scores[covered], budget, seed=seed)
    return {"rows": int(covered.sum()), "rare_rows": int(truth[covered].sum()), "budget": budget, **measures}


def summary(
    truth_is_rare: ArrayLike,
    score: ArrayLike,
    budget: int,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Measure a ranking, with percentile bootstrap intervals.

    Rows are drawn with replacement within the rare rows and within the others (stratified), so that every
    resample holds both and the share of rare rows, on which precision depends, is that of the data.

    Args:
        truth_is_rare: whether each row is rare, (rows,).
        score: higher means more likely rare, (rows,), finite.
        budget: how many rows people can look at.
        resamples: bootstrap resamples.
        confidence: share of the resamples inside an interval.
        seed: seed of the resamples.

    Returns:
        `average_precision`, `auroc`, `recall_at_budget` and `precision_at_budget`, each {"value", "low",
        "high"}; the three are None and `reason` says why where the rows are of one class.
    """
    truth, scores = np.asarray(truth_is_rare, dtype=bool), np.asarray(score, dtype=np.float64)
    _check(truth, scores, budget)
    names = ("average_precision", "auroc", "recall_at_budget", "precision_at_budget")
    if truth.all() or not truth.any():
        kind = "no row is rare" if not truth.any() else "every row is rare"
        reason = f"{kind} among {len(truth)}; a ranking needs both"
        return {name: Estimate(value=None, low=None, high=None, reason=reason) for name in names}
    values = (
        float(average_precision_score(truth, scores)),
        float(roc_auc_score(truth, scores)),
        *at_budget(truth, scores, budget),
    )
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(_resampled(truth, scores, budget, resamples, seed), [tail, 100 - tail], axis=0)
    return {
        name: Estimate(value=value, low=float(bottom), high=float(top))
        for name, value, bottom, top in zip(names, values, low, high, strict=True)
    }


def _check(truth: NDArray[np.bool_], scores: Doubles, budget: int) -> None:
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"labels of shape {truth.shape} and scores of shape {scores.shape}; give one of each per row")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite; score the rows again")
    if budget < 1:
        raise ValueError(f"budget is {budget}; at least one row must be looked at")


def _resampled(truth: NDArray[np.bool_], scores: Doubles, budget: int, resamples: int, seed: int) -> Doubles:
    """Return the four measures of each resample, (resamples, 4)."""
    random = np.random.default_rng(seed)
    order = np.argsort(-scores, kind="stable")
    ranked_truth, ranked_scores = truth[order], scores[order]
    block = max(1, BLOCK // len(truth))
    parts = []
    for done in range(0, resamples, block):
        counts = np.zeros((min(block, resamples - done), len(truth)))
        for rows in (np.flatnonzero(ranked_truth), np.flatnonzero(~ranked_truth)):
            counts[:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=len(counts))
        parts.append(_measures(counts, ranked_truth, ranked_scores, budget))
    return np.concatenate(parts)


def _measures(counts: Doubles, truth: NDArray[np.bool_], scores: Doubles, budget: int) -> Doubles:
    """Measure rows that are ranked best first and occur `counts` (resamples, rows) times."""
    last_of_tie = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    rare = np.cumsum(counts * truth, axis=1)
    seen = np.cumsum(counts, axis=1)
    num_rare, num_rows = rare[:, -1], seen[:, -1]
    hits, alerts = rare[:, last_of_tie], seen[:, last_of_tie]
    new_hits = np.diff(hits, axis=1, prepend=0)
    average_precision = (new_hits * hits / np.maximum(alerts, 1)).sum(axis=1) / num_rare
    misses = alerts - hits
    new_misses = np.diff(misses, axis=1, prepend=0)
    auroc = (new_misses * (hits - new_hits / 2)).sum(axis=1) / (num_rare * (num_rows - num_rare))
    taken = np.clip(budget - (seen - counts), 0, counts)
    found = (taken * truth).sum(axis=1)
    return np.stack([average_precision, auroc, found / num_rare, found / np.minimum(budget, num_rows)], axis=1)
