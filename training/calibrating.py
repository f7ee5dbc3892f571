"""Scores to probabilities, by rows that were held out from training and the share of rare ones among all entities.

A score ranks; nothing makes it a probability. Here the log-odds of the score become those of being rare by one of

- Platt's sigmoid (Platt, 1999, with his smoothed targets; maximum likelihood as Lin, Lin and Weng, Machine Learning
  68, 2007, define it): a straight line, which few rows suffice for;
- isotonic regression (Zadrozny and Elkan, KDD 2002) of the same targets: any rising curve, which takes many rows.

Both are fitted to labelled rows, in which rare ones are far more common than among all entities. With the class
densities unchanged (prior shift), the odds are multiplied by the ratio of the prior odds, and the share of rare
entities is the one under which the unlabelled scores are likeliest (Saerens, Latinne and Decaestecker, Neural
Computation 14, 2002).

What such a probability means stands and falls with that assumption: labelled rare rows must score like the rare
entities nobody has found, and labelled regular ones like the other regular ones. Labels from a rule or from
complaints, weak negatives, or cases chosen because they were easy break it; then the probability is that of "looks
like the labelled rare ones", and only a random sample of reviewed entities can tell how far it is off.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from training.calibration import Calibration, Doubles, Method, log_odds
from training.held_out import HeldOut

# Below a thousand rows isotonic regression overfits and Platt's sigmoid is better (Niculescu-Mizil and Caruana, ICML
# 2005); a step of the curve rests on the rare rows in it, so there are to be enough of these too.
ISOTONIC_ROWS, ISOTONIC_RARE = 1_000, 100


class Fit(NamedTuple):
    """Knots and the log-odds at them."""

    knots: Doubles
    log_odds: Doubles


def fit(held_out: HeldOut, method: Literal["auto", "isotonic", "platt"] = "auto") -> Calibration:
    """Calibrate scores by held-out rows.

    Args:
        held_out: rows of both classes.
        method: auto takes isotonic regression where there are `ISOTONIC_ROWS` rows and `ISOTONIC_RARE` rare ones.

    Returns:
        A calibration for a population like the held-out rows.

    Raises:
        ValueError: all rows are of one class.
    """
    rare = np.array(held_out.is_rare, dtype=bool)
    if rare.all() or not rare.any():
        raise ValueError(
            f"{int(rare.sum())} of {len(rare)} held-out rows are rare; a calibration needs rare rows and others: "
            "label more, or set score.calibration = 'none'"
        )
    many = len(rare) >= ISOTONIC_ROWS and rare.sum() >= ISOTONIC_RARE
    chosen: Method = ("isotonic" if many else "platt") if method == "auto" else method
    targets = smoothed(rare)
    made = (_isotonic if chosen == "isotonic" else _platt)(log_odds(held_out.scores), targets)
    share = float(targets.mean())
    return Calibration(
        method=chosen,
        rows=len(rare),
        rare=int(rare.sum()),
        knots=tuple(made.knots.tolist()),
        log_odds=tuple(made.log_odds.tolist()),
        labeled_share=share,
        population_share=share,
    )


def smoothed(rare: NDArray[np.bool_]) -> Doubles:
    """Return Platt's targets, (rows,): (N+ + 1) / (N+ + 2) for rare rows and 1 / (N- + 2) for others.

    With 0 and 1 in their place, classes that a few rows tell apart would be told apart for certain.
    """
    found, others = int(rare.sum()), int((~rare).sum())
    return np.where(rare, (found + 1) / (found + 2), 1 / (others + 2))


def population_share(calibration: Calibration, scores: ArrayLike, counts: ArrayLike) -> float | None:
    """Estimate the share of rare entities from scores without labels.

    Under share s the scores have log-likelihood sum log(1 + s (r - 1)), with r the ratio of the class densities. The
    EM of Saerens et al. climbs to its only maximum, slowly where classes overlap; here its slope's root is bracketed.

    None where the scores do not tell it: they fit no mixture of the two (the maximum is at 0 or 1), or r, which comes
    of the few held-out rows, is not known well enough. The latter is told by the information about s in as many rows
    as r rests on: if a share of that standard error cannot be told from 0, or from 1, neither can this one.

    Args:
        calibration: fitted to held-out rows.
        scores: distinct scores, or one for each narrow bin.
        counts: entities with each.
    """
    weight = np.asarray(counts, dtype=np.float64)
    if not weight.sum():
        return None
    weight /= weight.sum()
    gain = np.expm1(calibration.log_ratio(scores))

    def slope(share: float) -> float:
        return float((weight * gain / (1 + share * gain)).sum())

    if slope(0.0) <= 0 or slope(1.0) >= 0:
        return None
    share = float(brentq(slope, 0.0, 1.0, xtol=1e-12))
    information = float((weight * (gain / (1 + share * gain)) ** 2).sum()) * calibration.rows
    error = 1 / math.sqrt(information)
    return share if error < min(share, 1 - share) else None


def _platt(scores: Doubles, targets: Doubles) -> Fit:
    """Fit a line by maximum likelihood; one that would fall is level, for then the scores tell nothing."""
    rows, both = np.concatenate([scores, scores])[:, None], np.repeat([1, 0], len(scores))
    center = float(scores.mean())
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(rows - center, both, sample_weight=np.concatenate([targets, 1 - targets]))
    slope, level = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        slope, level = 0.0, float(log_odds(targets.mean()))
    knots = log_odds([0.0, 1.0])
    return Fit(knots, level + slope * (knots - center))


def _isotonic(scores: Doubles, targets: Doubles) -> Fit:
    model = IsotonicRegression(out_of_bounds="clip").fit(scores, targets)
    return Fit(np.asarray(model.X_thresholds_, dtype=np.float64), log_odds(model.y_thresholds_))
