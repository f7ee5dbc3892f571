"""The series of a few entities with their Prophet fit, and one sentence on what they show."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from feature_extraction import events
from feature_extraction.components import FAILED, TOO_SHORT, Calendar, Components, Doubles
from feature_extraction.extract import series_of
from feature_extraction.feature_rows import ENGINES, Extraction
from feature_extraction.schema import ENTITY
from feature_extraction.series import SeriesBatch
from inference import turns
from inference.report_alerts import EntityStory, MetricStory
from inference.report_numbers import number, step_name


def tell(spark: SparkSession, job: Extraction, entities: Sequence[str]) -> list[EntityStory]:
    """Read the entities' events again, fit their series again, and tell what they show, in the order given.

    Raises:
        ValueError: an entity has no usable event in the log.
    """
    if not entities:
        return []
    spark.conf.set("spark.sql.session.timeZone", job.events.time_zone)
    validated = events.validate(events.read(spark, job.events), job.events, job.window)
    batch = series_of(validated.where(F.col(ENTITY).isin(list(entities))), job)
    place = {entity: row for row, entity in enumerate(batch.entities)}
    absent = [entity for entity in entities if entity not in place]
    if absent:
        raise ValueError(
            f"{job.events.url} holds no usable event of {len(absent)} of {len(entities)} entities, such as "
            f"{absent[0]!r:.80}; give the log that the features were made of"
        )
    fits = {metric: _fit(batch, metric, job) for metric in job.metrics}
    return [_story(entity, place[entity], batch, fits, job) for entity in entities]


def _fit(batch: SeriesBatch, metric: str, job: Extraction) -> Components:
    return ENGINES[job.features.engine](batch.values[metric], Calendar.of(job.window), job.features.of_metric(metric))


def _story(entity: str, row: int, batch: SeriesBatch, fits: dict[str, Components], job: Extraction) -> EntityStory:
    metrics = [_metric_story(metric, row, batch, fit, job) for metric, fit in fits.items()]
    words = sentence({m: batch.values[m][row, batch.first[row] :] for m in job.metrics}, job)
    return EntityStory(entity, metrics, words + unfitted({m: str(fit.status[row]) for m, fit in fits.items()}))


def _metric_story(metric: str, row: int, batch: SeriesBatch, fit: Components, job: Extraction) -> MetricStory:
    moved = int(batch.moved[row]) * job.window.step
    times = [time.isoformat() for time in Calendar.of(job.window).times - moved]
    begin, values = int(batch.first[row]), batch.values[metric][row]
    noise = NormalDist().inv_cdf(0.5 + job.features.interval_width / 2) * fit.sigma[row]
    expected = fit.yhat[row]
    curves = (values, fit.trend[row], expected - noise, expected + noise, expected)
    shown, trend, lower, upper, fitted = [curve[begin:].tolist() for curve in curves]
    standing_out = turns.outlier(fit, row, values)
    return MetricStory(
        metric,
        times[begin:],
        values=shown,
        trend=trend,
        lower=lower,
        upper=upper,
        expected=fitted,
        breaks=turns.breaks(fit, row, times),
        weekly=turns.weekly(fit, row),
        outlier=standing_out[0] - begin if standing_out else None,
        outlier_sigmas=standing_out[1] if standing_out else None,
    )


def unfitted(status: Mapping[str, str]) -> str:
    """Say which metrics have no trend to draw, and why."""
    reasons: dict[str, list[str]] = {}
    for metric, found in status.items():
        if found in (TOO_SHORT, FAILED):
            reasons.setdefault(found, []).append(metric)
    words = {TOO_SHORT: "too few observations for Prophet", FAILED: "Prophet's fit failed"}
    return "".join(f" No trend for {', '.join(metrics)}: {words[found]}." for found, metrics in reasons.items())


def sentence(series: dict[str, Doubles], job: Extraction) -> str:
    """Say in words which metric moved most in the recent steps, and how long the entity has been silent."""
    recent = job.features.recent_steps
    step = step_name(round(job.window.step.total_seconds()))
    moves = {metric: _move(values, recent) for metric, values in series.items()}
    known = {metric: move for metric, move in moves.items() if move is not None}
    words = []
    if known:
        metric, (before, after, _) = max(known.items(), key=lambda item: abs(item[1][2]))
        each = f"{'an' if step == 'hour' else 'a'} {step} in the last {recent} {step}s"
        words.append(f"{metric} {_moved(before, after)} {each}")
    active = [np.flatnonzero(np.isfinite(values) & (values != 0)) for values in series.values()]
    last = max((int(steps[-1]) for steps in active if len(steps)), default=None)
    if last is not None:
        silent = max(len(values) for values in series.values()) - 1 - last
        ago = f"{silent} {step}{'s' if silent > 1 else ''} before the end"
        words.append(f"last active {ago}" if silent else f"active in the last {step}")
    text = "; ".join(words) or f"no active {step} in the window"
    return text[:1].upper() + text[1:] + "."


def _moved(before: float, after: float) -> str:
    old, new = number(before), number(after)
    if old == new:
        return f"stayed at {new}"
    return f"{'fell' if after < before else 'rose'} from {old} to {new}"


def _move(values: Doubles, recent: int) -> tuple[float, float, float] | None:
    """Return the mean before, the mean in the recent steps and their difference in standard deviations."""
    before, after = values[:-recent], values[-recent:]
    if not np.isfinite(before).any() or not np.isfinite(after).any():
        return None
    if np.nanmin(values) == np.nanmax(values):  # the deviation of equal values is not always exactly 0
        return None
    means = float(np.nanmean(before)), float(np.nanmean(after))
    return *means, (means[1] - means[0]) / float(np.nanstd(values))
