"""What generated rows are kept, and under which label: the quality control of QAST, B.7 and B.8, as pure functions.

Takes the discriminator's scores of generated rows and the committee's opinions as numpy arrays; gives masks, labels,
buckets and an order. `B` rows, `K` classes, `m` members.

Votes are counted so that those of a row sum to seven, whatever the members' number and weights: the published
thresholds are those of seven members that count alike.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.torch.qast.settings import QASTSettings

Codes = NDArray[np.int64]
Reals = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEVEN = 7.0
BUCKET_VOTES = (7.0, 5.0, 3.0)
PUBLISHED_EPOCHS = 301
EPOCHS_PER_VOTE, MOST_VOTES = 100, 3
QUALITY_EPOCHS, QUALITY_LEVELS = (0, 100, 150, 200, 300), (0.0, 0.1, 0.2, 0.25, 0.3)
ROUNDING = 1e-6  # seven weighted votes may sum to a little less than seven


class Tally(NamedTuple):
    """What a committee thinks of rows.

    Attributes:
        votes: (B, K) weighted votes for each class; a row sums to seven.
        ties: (B, K) the tie-break Q, the weighted share of the members' probability that stands behind their votes.
        probability: (B, K) weighted mean of the members' probabilities.
    """

    votes: Doubles
    ties: Doubles
    probability: Doubles


class Kept(NamedTuple):
    """Which rows the classifier learns from: `rows` (B,) a mask, `labels` (B,) of all rows, relabelled or not."""

    rows: Mask
    labels: Codes


class Sorted(NamedTuple):
    """Final rows: `buckets` (B,) 0 for dropped, else 1 (best) to 3; `labels` (B,); `confidence` (B,) in [0, 1]."""

    buckets: Codes
    labels: Codes
    confidence: Doubles


def schedule_epoch(epoch: int, epochs: int) -> float:
    """Return the epoch of a published run of 301 that stands where `epoch` does in a run of `epochs`."""
    return epoch * (PUBLISHED_EPOCHS - 1) / max(1, epochs - 1)


def quality_threshold(epoch: float) -> float:
    """Return the quality a row needs at an epoch, piecewise linear from 0 to 0.3 (B.7)."""
    return float(np.interp(epoch, QUALITY_EPOCHS, QUALITY_LEVELS))


def label_threshold(epoch: float) -> int:
    """Return the votes its label needs for a row to keep it at an epoch: one more each hundred epochs (B.7)."""
    return min(int(epoch // EPOCHS_PER_VOTE), MOST_VOTES)


def tally(votes: Codes, probabilities: Reals, weights: Doubles) -> Tally:
    """Count what members think.

    Args:
        votes: (m, B) class code that each member gives each row.
        probabilities: (m, B, K) each member's probabilities.
        weights: (m,) of the members, not negative; not all 0.
    """
    members, rows, classes = probabilities.shape
    share = _shares(weights, members)
    cells = np.arange(rows) * classes + votes
    backed = np.take_along_axis(probabilities, votes[:, :, None], axis=2)[:, :, 0] * share[:, None]
    probability = np.einsum("m,mbk->bk", share, probabilities, dtype=np.float64)
    counts = _sums(cells, np.repeat(share * SEVEN, rows), (rows, classes))
    behind = _sums(cells, backed, (rows, classes))
    ties = np.divide(behind, probability, out=np.zeros_like(behind), where=probability > 0)
    return Tally(counts, ties, probability)


def _sums(cells: Codes, amounts: Doubles, shape: tuple[int, int]) -> Doubles:
    sums = np.bincount(cells.ravel(), amounts.ravel(), shape[0] * shape[1])
    return np.asarray(sums, np.float64).reshape(shape)


def _shares(weights: Doubles, members: int) -> Doubles:
    given = np.asarray(weights, np.float64)
    if given.shape != (members,) or given.min() < 0 or given.sum() <= 0:
        raise ValueError(
            f"found weights {given.tolist()} of {members} members; give one of at least 0 for each, not all 0"
        )
    return np.asarray(given / given.sum())


def committee_label(opinions: Tally) -> Codes:
    """Return each row's class with most votes; of equal ones that with the larger tie-break Q, then the first."""
    votes = opinions.votes
    leads = votes >= votes.max(axis=1, keepdims=True) - ROUNDING
    return np.asarray(np.where(leads, opinions.ties, -np.inf).argmax(axis=1), np.int64)


def votes_for(opinions: Tally, labels: Codes) -> Doubles:
    """Return the votes, of seven, for each row's label, (B,)."""
    return np.asarray(np.take_along_axis(opinions.votes, labels[:, None], axis=1)[:, 0])


def class_ranks(quality: Doubles, labels: Codes) -> Doubles:
    """Return each row's quality as a rank among those of its label: (place + 1/2) / rows, in (0, 1)."""
    order = np.lexsort((quality, labels))
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    ordered = labels[order]
    ranks = np.empty(len(labels))
    ranks[order] = (np.arange(len(labels)) - starts[ordered] + 0.5) / sizes[ordered]
    return ranks


def _quality(quality: Reals, labels: Codes, settings: QASTSettings) -> Doubles:
    given = np.asarray(quality, np.float64)
    return class_ranks(given, labels) if settings.gate == "quantile" else given


def keep_and_relabel(
    quality: Reals,
    labels: Codes,
    opinions: Tally | None,
    *,
    epoch: float,
    settings: QASTSettings,
    random: np.random.Generator,
) -> Kept:
    """Choose what the classifier learns from in one batch (B.7).

    Args:
        quality: (B,) the discriminator's output for each row, a probability where the gate is the published one.
        labels: (B,) classes the rows were made for.
        opinions: the committee's; none is needed while `label_threshold(epoch)` is 0.
        epoch: of the schedule, see `schedule_epoch`.
        settings: `gate`, `leak` and `relabel` are read.
        random: draws which of the poor rows are kept.
    """
    enough = _quality(quality, labels, settings) >= quality_threshold(epoch)
    rows = enough | (random.random(len(labels)) < settings.leak)
    needed = label_threshold(epoch)
    if needed == 0:
        return Kept(rows, labels)
    if opinions is None:
        raise ValueError(f"labels need {needed} votes at epoch {epoch:g}, but no opinions are given; ask the committee")
    agreed = votes_for(opinions, labels) >= needed - ROUNDING
    if settings.relabel:
        return Kept(rows, np.where(agreed, labels, committee_label(opinions)))
    return Kept(rows & agreed, labels)


def final_buckets(quality: Reals, labels: Codes, opinions: Tally, *, settings: QASTSettings) -> Sorted:
    """Sort final rows by how many of seven votes their label has, 7, 5 or 3, after relabelling (B.8).

    A row of too little quality is dropped, as is one for whose label, its own or else the committee's, fewer than
    three vote. Confidence is the committee's probability of the label.
    """
    own = votes_for(opinions, labels)
    stays = own >= BUCKET_VOTES[-1] - ROUNDING
    chosen = np.where(stays, labels, committee_label(opinions)) if settings.relabel else labels
    votes = votes_for(opinions, chosen)
    reached = sum((votes >= least - ROUNDING).astype(np.int64) for least in BUCKET_VOTES)
    good = (_quality(quality, labels, settings) >= settings.final_quality) & (reached > 0)
    confidence = np.take_along_axis(opinions.probability, chosen[:, None], axis=1)[:, 0]
    return Sorted(np.where(good, len(BUCKET_VOTES) + 1 - reached, 0), chosen, confidence)


def final_order(found: Sorted, *, settings: QASTSettings) -> NDArray[np.intp]:
    """Return the positions of the rows that are not dropped: bucket 1, 2, 3, inside by `settings.order`."""
    confidence = found.confidence if settings.order == "confidence" else np.zeros(len(found.buckets))
    order = np.asarray(np.lexsort((-confidence, found.buckets)), np.intp)
    return np.asarray(order[found.buckets[order] > 0])
