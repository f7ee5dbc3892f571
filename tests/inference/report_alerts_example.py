"""The review list of the example report: entities with every part that an alert can have, made up from a seed."""

from datetime import date, timedelta

import numpy as np

from inference.report import (
    Alert,
    Break,
    Change,
    Counterfactual,
    EntityStory,
    MetricStory,
    Move,
    Neighbor,
    Reason,
    Share,
    Translation,
)

METRICS = ("spend", "baskets", "units", "discount_share", "products")
COMPONENTS = ("trend", "changepoints", "weekly pattern", "residual", "level", "activity", "fit")
GLOSSARY = {
    "trend_slope": ("metric per step", "slope of the trend at the last step"),
    "recency": ("steps", "steps from the last active step to the end of the window"),
    "level_change": ("sd", "mean of y over the recent steps less the mean before, in standard deviations"),
    "residual_last_1": ("sigmas", "residual 0 steps before the last one"),
    "active_share_recent": ("share", "share of the recent steps that are active"),
    "recency_in_gaps": ("gaps", "recency divided by gap_mean: how unusual the present silence is"),
}
TYPICAL = {
    "trend_slope": 0.0031,
    "recency": 4.0,
    "level_change": 0.02,
    "residual_last_1": -0.21,
    "active_share_recent": 0.29,
    "recency_in_gaps": 0.9,
}
LINE = 0.27


def alert(random: np.random.Generator, rank: int) -> Alert:
    """Return an entity at a rank, with all that can be said of one."""
    picked = random.permutation([f"{metric}__{name}" for metric in METRICS for name in GLOSSARY])[:5]
    sizes = np.sort(random.gamma(1.2, 0.4, size=5))[::-1] * np.exp(-rank / 300)
    reasons = tuple(_reason(random, str(column), float(size)) for column, size in zip(picked, sizes, strict=True))
    verdict = "unknown" if random.random() < 0.1 else "lapsed"
    score = float(0.99 * np.exp(-rank / 160))
    return Alert(
        rank, str(random.integers(1, 2500)), score, verdict, reasons,
        uncertainty=float(score * random.beta(2, 30)), probability=float(0.9 * score**1.3),
        shares=_shares(random), remarks=_remarks(random), neighbors=_neighbors(random),
        counterfactual=_counterfactual(random, score, reasons), translation=_translation(reasons),
    )  # fmt: skip


def _reason(random: np.random.Generator, column: str, size: float) -> Reason:
    metric, name = column.split("__")
    unit, definition = GLOSSARY[name]
    typical = TYPICAL[name]
    value = {
        "trend_slope": -abs(random.normal(0.2, 0.1)),
        "recency": float(random.integers(20, 120)),
        "level_change": -abs(random.normal(0.8, 0.3)),
        "residual_last_1": random.normal(-0.6, 0.8),
        "active_share_recent": random.uniform(0, 0.12),
        "recency_in_gaps": random.gamma(4, 2),
    }[name]
    absent = random.random() < 0.04
    lowers = random.random() < 0.15
    return Reason(
        column, None if absent else float(value), -size if lowers else size, metric, definition, unit, typical
    )


def _shares(random: np.random.Generator) -> tuple[Share, ...]:
    pairs = [(metric, component) for metric in METRICS for component in COMPONENTS]
    sizes = random.gamma(0.5, 0.2, size=len(pairs)) * np.where(random.random(len(pairs)) < 0.2, -1, 1)
    order = np.argsort(-np.abs(sizes))
    return tuple(Share(*pairs[place], float(sizes[place])) for place in order)


def _remarks(random: np.random.Generator) -> tuple[str, ...]:
    before, share = random.uniform(3, 9), random.integers(1, 9)
    day = date(2017, 5, 1) + timedelta(days=int(random.integers(0, 120)))
    whole = (
        f"baskets fell from {before:.1f} to {before * random.uniform(0.02, 0.2):.1f} a week after "
        f"{day.day} {day:%b %Y}; such a break has {share}% of regular entities.",
        f"The last active day of spend lies {random.integers(20, 120)} days before the end of the window, "
        f"typically {random.integers(3, 6)}; {share}% of regular entities are silent as long.",
        "discount_share has no value in the last 28 days; 4% of regular entities have none either.",
    )
    return whole[: random.integers(1, 4)]


def _neighbors(random: np.random.Generator) -> tuple[Neighbor, ...]:
    labels = ["lapsed"] * 3 + ["regular"] * 3
    distances = np.concatenate([np.sort(random.gamma(4, 0.1, size=3)), np.sort(random.gamma(6, 0.12, size=3))])
    return tuple(
        Neighbor(str(random.integers(1, 2500)), label, float(distance))
        for label, distance in zip(labels, distances, strict=True)
    )


def _counterfactual(random: np.random.Generator, score: float, reasons: tuple[Reason, ...]) -> Counterfactual:
    reached = random.random() < 0.8
    chosen = reasons[: 1 + int(random.integers(0, 3))]
    changes = tuple(Change(r.feature, r.metric, r.value, r.typical or 0.0, r.unit, r.definition) for r in chosen)
    return Counterfactual(changes, min(score, LINE - 0.004) if reached else max(score * 0.9, LINE), LINE, reached)


def _translation(reasons: tuple[Reason, ...]) -> Translation:
    moves = [Move(r.feature, r.metric, r.typical, r.value, r.value, 2.5, r.unit, r.definition) for r in reasons[:3]]
    return Translation("841", "regular", moves, 0.021, 0.874)


def story(random: np.random.Generator, entity_id: str, days: int) -> EntityStory:
    """Return the series of an entity that stops coming."""
    steps = np.arange(days)
    turn = int(days * random.uniform(0.45, 0.8))
    visits = random.random(days) < np.where(steps < turn, 0.34, 0.34 * np.exp(-(steps - turn) / 25))
    spend = np.where(visits, random.gamma(3, 14, size=days), 0.0)
    series = {
        "spend": spend,
        "baskets": visits * random.integers(1, 3, size=days).astype(float),
        "units": np.where(visits, random.poisson(11, size=days), 0).astype(float),
        "discount_share": np.where(visits, random.beta(2, 8, size=days), np.nan),
        "products": np.where(visits, random.poisson(8, size=days), 0).astype(float),
    }
    units = {"spend": "USD", "discount_share": "share"}
    metrics = tuple(_metric(name, values, turn, units.get(name, "")) for name, values in series.items())
    silent = days - 1 - int(np.flatnonzero(visits)[-1])
    sentence = f"Spend falls from about day {turn}; the last visit lies {silent} days before the end of the window."
    return EntityStory(entity_id, metrics, sentence)


def _metric(name: str, values: np.ndarray, turn: int, unit: str) -> MetricStory:
    steps = np.arange(len(values))
    early, late = np.nanmean(values[:turn]), np.nanmean(np.append(values[turn:], 0))
    fall = np.clip((steps - turn) / max(1, len(steps) - turn), 0, 1)
    trend = early - 2 * (early - late) * fall * 0.8
    weekly = 0.25 * early * np.sin(2 * np.pi * np.arange(7) / 7)
    sigma = np.nanstd(values)
    times = [(date(2017, 1, 1) + timedelta(days=int(step))).isoformat() for step in steps]
    expected = trend + weekly[steps % 7]
    band = (expected - 1.28 * sigma).tolist(), (expected + 1.28 * sigma).tolist()
    residual = (values - expected) / sigma
    outlier = int(np.nanargmax(np.abs(residual)))
    slope = float(trend[-1] - trend[-2])
    breaks = [Break(times[turn], 0.0, slope)]
    if name == "baskets":
        breaks = [Break(times[turn // 2], 0.01, 0.0), *breaks]
    return MetricStory(
        name, times, values.tolist(), trend.tolist(), *band, expected.tolist(), unit,
        breaks=breaks if name != "products" else (), weekly=weekly.tolist(),
        outlier=outlier if abs(residual[outlier]) > 3 else None,
        outlier_sigmas=float(residual[outlier]) if abs(residual[outlier]) > 3 else None,
    )  # fmt: skip
