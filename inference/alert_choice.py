"""How scores are to be read and where the list of alerts ends: what the held-out rows say, by the run's settings.

Takes an artifact's held-out rows and a histogram of the scores of all entities; gives probabilities, a line, and what
is to be expected above it. Hidden labels play no part.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inference.ranking import Histogram
from inference.settings import ScoreSettings
from training import alert_line, calibrating
from training.calibration import Calibration
from training.held_out import HeldOut

logger = logging.getLogger(__name__)


class NothingHeldOut(ValueError):
    """A threshold is asked for, and no held-out row is there to find it by."""


@dataclass(frozen=True)
class Reading:
    """What is known about scores.

    Attributes:
        held_out: rows by which it is known; None where there are none.
        calibration: of probabilities; None where none is made.
        share: of rare entities among all, None where nothing was held out.
        share_from: where the share comes from. "labels": it is that of labelled rows, because the settings say so or
            because the scores do not tell it; unless labels were drawn at random, that is most often too many.
    """

    held_out: HeldOut | None
    calibration: Calibration | None = None
    share: float | None = None
    share_from: Literal["settings", "scores", "labels", ""] = ""

    def facts(self) -> dict[str, Any]:
        """Return what is to be kept of it, as plain values."""
        if self.calibration is None:
            return {"method": "none", "population_share": self.share, "population_share_from": self.share_from}
        found = self.calibration
        return {
            "method": found.method,
            "rows": found.rows,
            "rare": found.rare,
            "labeled_share": round(found.rare / found.rows, 6),
            "population_share": found.population_share,
            "population_share_from": self.share_from,
        }


def read(held_out: HeldOut | None, histogram: Histogram, settings: ScoreSettings) -> Reading:
    """Say how scores are to be read.

    Raises:
        NothingHeldOut: there is a threshold, and the artifact was trained without held-out rows.
    """
    if held_out is None:
        if settings.threshold != "budget":
            raise NothingHeldOut(
                f"threshold = '{settings.threshold}' needs rows that were held out from training, and the model has "
                "none; train again with folds, or set score.threshold = 'budget'"
            )
        return Reading(None)
    labeled = sum(held_out.is_rare) / len(held_out.is_rare)
    drawn = settings.population_share == "labels"
    given = None if isinstance(settings.population_share, str) else settings.population_share
    if settings.calibration == "none":
        return Reading(held_out, None, given or labeled, "settings" if given else "labels")
    found = calibrating.fit(held_out, settings.calibration)
    if given or drawn:
        share = given or labeled
        return Reading(held_out, found.of_population(share), share, "settings" if given else "labels")
    estimate = calibrating.population_share(found, histogram.scores, histogram.unlabeled)
    if estimate:
        return Reading(held_out, found.of_population(estimate), estimate, "scores")
    logger.warning(
        "score: the scores do not tell how many entities are rare; probabilities assume the share among labelled "
        "rows, %.3g. Set score.population_share if you know it",
        found.labeled_share,
    )
    return Reading(held_out, found, found.labeled_share, "labels")


def line(reading: Reading, settings: ScoreSettings) -> float:
    """Return the score below which no entity is an alert; infinity where no score meets the target."""
    if settings.threshold == "budget" or settings.target is None or not reading.held_out or not reading.share:
        return -math.inf
    if settings.threshold == "recall":
        return alert_line.for_recall(reading.held_out, reading.share, settings.target).line
    found = alert_line.for_precision(reading.held_out, reading.share, settings.target)
    if found is None:
        logger.warning(
            "score: no score promises a precision of %.3g on %d held-out rows, with %.3g of all entities rare "
            "(population_share); the list is empty. Ask for less, or label more",
            settings.target,
            len(reading.held_out.scores),
            reading.share,
        )
    return found.line if found else math.inf


def facts(reading: Reading, settings: ScoreSettings, least: float, alerts: Sequence[float]) -> dict[str, Any]:
    """Say where the list ended and what to expect of it, as plain values.

    Args:
        reading: how scores are read.
        settings: of the run.
        least: what `line` returned.
        alerts: scores of the alerts, falling.

    Returns:
        `threshold`, `target`, `line` (the score that the target asks for, None without a target or where no score
        meets it), `alerts`, `lowest_score` (of an alert), `ended_by` (budget, line or entities), and
        `expected_precision` and `expected_recall` of all entities from where the list ends up, which is the line or,
        where the budget is spent before, the lowest score; None where nothing is known or nobody is listed.
    """
    ended_by = "entities" if settings.threshold == "budget" else "line"
    if len(alerts) == settings.alerts:
        ended_by = "budget"
    expected = None
    if reading.held_out and reading.share and len(alerts):
        end = least if ended_by == "line" else alerts[-1]
        expected = alert_line.expected(reading.held_out, reading.share, end)
    return {
        "threshold": settings.threshold,
        "target": settings.target,
        "line": least if math.isfinite(least) else None,
        "alerts": len(alerts),
        "lowest_score": alerts[-1] if len(alerts) else None,
        "ended_by": ended_by,
        "expected_precision": expected.precision if expected else None,
        "expected_recall": expected.recall if expected else None,
    }
