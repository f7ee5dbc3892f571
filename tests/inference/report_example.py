"""A report as a run over household shopping would give it, made up from a seed; two test files read it."""

import dataclasses

import numpy as np

from inference.report import (
    Calibration,
    Course,
    Curve,
    Drift,
    Estimate,
    Evaluation,
    Method,
    ModelCard,
    Panel,
    Report,
    Run,
)
from tests.inference.report_alerts_example import GLOSSARY, METRICS, alert, story
from training.metrics import summary

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
    listed = tuple(alert(random, rank) for rank in range(1, alerts + 1))
    return Report(
        run=_run(),
        quality=QUALITY,
        evaluation=_evaluation(truth, scores),
        curves=tuple(Curve(name, truth.tolist(), score.tolist()) for name, score in scores.items()),
        alerts=listed,
        stories=tuple(story(random, entity.entity_id, days) for entity in listed[:stories]),
        glossary=GLOSSARY,
        course=_course(random),
        calibration=_calibration(),
        drift=_drift(),
        unknown=0.1214,
        card=_card(),
    )


def bare(report: Report) -> Report:
    """Return a report without any part that a run may lack."""
    plain = {"uncertainty": None, "probability": None, "shares": (), "remarks": (), "neighbors": ()}
    alerts = [dataclasses.replace(entity, **plain, counterfactual=None, translation=None) for entity in report.alerts]
    parts = ("evaluation", "course", "calibration", "drift", "unknown", "card")
    run = dataclasses.replace(report.run, settings={}, versions={}, best_step=None, validation_average_precision=None)
    absent = dict.fromkeys(parts)
    return dataclasses.replace(report, run=run, alerts=alerts, curves=(), stories=(), glossary={}, **absent)


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


def _calibration() -> Calibration:
    predicted = (0.004, 0.008, 0.013, 0.02, 0.031, 0.045, 0.066, 0.098, 0.16, 0.41)
    observed = (0.0, 0.014, 0.007, 0.02, 0.041, 0.034, 0.088, 0.075, 0.109, 0.347)
    counts = (147, 147, 147, 147, 147, 147, 147, 147, 147, 145)
    error = float(np.average(np.abs(np.subtract(predicted, observed)), weights=counts))
    return Calibration("isotonic", 195, 16, 0.0811, predicted, observed, counts, error)


def _drift() -> Drift:
    edges = (0.021, 0.034, 0.05, 0.07, 0.096, 0.13, 0.19, 0.3, 0.52)
    now = (0.08, 0.09, 0.095, 0.1, 0.1, 0.1, 0.105, 0.11, 0.11, 0.11)
    before = (0.1,) * 10
    index = float(sum((a - b) * np.log(a / b) for a, b in zip(now, before, strict=True)))
    return Drift("20261101-081500", index, 0.035, 2431, 163, 200, 0.104, True, edges, before, now)


def _card() -> ModelCard:
    return ModelCard(
        data=["978 labelled and 1,468 unlabelled households, 1 Jan 2017 to 30 Sep 2017; 72 of them lapsed."],
        limits=["Measured on 108 lapsed households: the interval of the average precision is 0.16 wide."],
        intended_use=["Choosing whom to call before they stop coming."],
        sensitive_use=["Prices or credit."],
    )
