"""A report as a run over household shopping would give it, made up from a seed; two test files read it."""

from datetime import date, timedelta

import numpy as np

from inference.report import (
    Alert,
    Course,
    Curve,
    EntityStory,
    Estimate,
    Evaluation,
    Method,
    MetricStory,
    Panel,
    Reason,
    Report,
    Run,
)
from training.metrics import summary

METRICS = ("spend", "baskets", "units", "discount_share", "products")
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
QUALITY = {
    "events": {"read": 1_469_307, "accepted": 1_101_480, "outside_window": 367_411, "refused": 416},
    "refused": {"no time": 12, "spend below its minimum": 404},
    "entities": {
        "total": 2446,
        "labelled": {"regular": 906, "lapsed": 72},
        "unlabelled": 1468,
        "held_out": 1468,
    },
    "labels": {"read": 2469, "used": 2446, "repeated": 0, "refused": {"entity without events": 23}},
    "fit_status": {metric: {"fitted": 2391, "constant": 14, "too_short": 41} for metric in METRICS},
    "missing": {f"{metric}__{name}": 0.0 for metric in METRICS for name in GLOSSARY}
    | {"spend__trend_slope": 0.0225, "discount_share__level_change": 0.0412, "units__recency": 0.0004},
}
SETTINGS = {
    "events": {
        "url": "out/demo/data/transactions",
        "entity": "household_id",
        "metrics": {"spend": {"minimum": 0}},
    },
    "train": {"trainer": "scarcegan", "latent_dim": 10, "patience": None},
    "score": {"alerts": 200},
}


def example(alerts: int = 200, stories: int = 8, *, days: int = 273, seed: int = 0) -> Report:
    """Return a report whose labels were held out for 1,468 households, 108 of them lapsed."""
    random = np.random.default_rng(seed)
    truth = np.zeros(1468, dtype=int)
    truth[random.permutation(len(truth))[:108]] = 1
    shifts = {"scarcegan": 1.9, "gradient_boosting": 1.7, "logistic_regression": 1.2}
    scores = {name: random.normal(size=len(truth)) + shift * truth for name, shift in shifts.items()}
    listed = tuple(_alert(random, rank) for rank in range(1, alerts + 1))
    return Report(
        run=_run(),
        quality=QUALITY,
        evaluation=_evaluation(truth, scores),
        curves=tuple(Curve(name, truth.tolist(), score.tolist()) for name, score in scores.items()),
        alerts=listed,
        stories=tuple(_story(random, alert.entity_id, days) for alert in listed[:stories]),
        glossary=GLOSSARY,
        course=_course(random),
    )


def _run() -> Run:
    return Run(
        id="20261102-081500",
        title="Households about to lapse",
        created="2 November 2026, 08:15 UTC",
        trainer="scarcegan",
        rare="lapsed",
        window_start="2017-01-01T00:00:00",
        window_end="2017-10-01T00:00:00",
        step_seconds=86_400,
        labeled={"regular": 906, "lapsed": 72},
        unlabeled=1468,
        best_step=1450,
        validation_average_precision=0.5312,
        settings=SETTINGS,
        versions={"scarce": "0.1.0", "keras": "3.15.0", "pyspark": "4.0.1"},
    )


def _course(random: np.random.Generator) -> Course:
    looks = np.arange(1, 41)

    def line(start: float, end: float, noise: float) -> list[float]:
        values = end + (start - end) * np.exp(-looks / 9) + noise * random.normal(size=len(looks))
        return np.abs(values).round(5).tolist()

    held_out = "on labelled rows held out from each network"
    losses = {"held-out rows": line(1.3, 1.05, 0.03), "supervised": line(1.4, 0.6, 0.01)}
    losses |= {"unsupervised": line(1.9, 0.9, 0.02), "generator": line(0.4, 3.2, 0.1)}
    recalls = {"lapsed": line(0.7, 0.55, 0.02), "regular_low": line(0.4, 0.8, 0.02)}
    recalls |= {"regular_mid": line(0.2, 0.7, 0.02), "regular_high": line(0.9, 0.85, 0.01)}
    unknown = {"of all rows": line(0.2, 0.1, 0.01), "of lapsed rows": line(0.05, 0.08, 0.015)}
    panels = (
        Panel("Losses", "averages of the steps between; on held-out rows, at the step", losses, is_share=False),
        Panel("Ranking", held_out, {"average precision of lapsed": line(0.3, 0.52, 0.01)}, is_share=False),
        Panel("Verdict unknown", held_out, unknown),
        Panel("Recall by class", held_out, recalls),
    )
    return Course((50 * looks).tolist(), 1450, panels)


def _evaluation(truth: np.ndarray, scores: dict[str, np.ndarray]) -> Evaluation:
    methods = []
    for name, score in scores.items():
        measures = {key: Estimate(**cell) for key, cell in summary(truth, score, 200, resamples=50).items()}
        methods.append(Method(name, measures | {"recall_regular": Estimate(float((score[truth == 0] < 1.2).mean()))}))
    intervals = "Intervals hold 95% of 50 stratified bootstrap resamples of these rows."
    return Evaluation(methods=methods, rows=len(truth), rare=int(truth.sum()), budget=200, intervals=intervals)


def _alert(random: np.random.Generator, rank: int) -> Alert:
    picked = random.permutation([f"{metric}__{name}" for metric in METRICS for name in GLOSSARY])[:5]
    sizes = np.sort(random.gamma(1.2, 0.4, size=5))[::-1] * np.exp(-rank / 300)
    reasons = tuple(_reason(random, str(column), float(size)) for column, size in zip(picked, sizes, strict=True))
    verdict = "unknown" if random.random() < 0.1 else "lapsed"
    entity_id, score = str(random.integers(1, 2500)), float(0.99 * np.exp(-rank / 160))
    return Alert(rank, entity_id, score, verdict, reasons, uncertainty=float(score * random.beta(2, 30)))


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


def _story(random: np.random.Generator, entity_id: str, days: int) -> EntityStory:
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
    weekly = 0.25 * early * np.sin(2 * np.pi * steps / 7)
    sigma = np.nanstd(values)
    times = [(date(2017, 1, 1) + timedelta(days=int(step))).isoformat() for step in steps]
    expected = trend + weekly
    band = (expected - 1.28 * sigma).tolist(), (expected + 1.28 * sigma).tolist()
    return MetricStory(name, times, values.tolist(), trend.tolist(), *band, expected.tolist(), unit)
