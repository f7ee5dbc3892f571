"""The report's sentences and small tables, computed from what was measured; none is written beforehand.

Takes the values of `inference.report_data`; gives plain text, which the template escapes.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from inference.report_alerts import Alert, MetricStory, Reason
from inference.report_data import Course, Estimate, Evaluation, Method, Panel, Report
from inference.report_numbers import day, feature_label, number, percent, quantity, score, shorten, step_name

RANKINGS = {"average_precision": "average precision", "auroc": "AUROC"}
SHARES = {"recall_at_budget": "recall", "precision_at_budget": "precision"}
FEW = 100  # rare rows below which the page warns of noise


class Balance(NamedTuple):
    """A whole, its parts by name, and what the parts leave unexplained."""

    total: int
    parts: dict[str, int]
    difference: int


class Bounded(NamedTuple):
    """An average precision that has an interval."""

    value: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The value, and the interval in parentheses."""
        return f"{score(self.value)} ({score(self.low)} to {score(self.high)})"


def headline(report: Report) -> str:
    """Say in a sentence or two what was found, and what it was worth where that was measured."""
    listed, unlabeled = len(report.alerts), report.quality["entities"]["unlabelled"]
    if not listed:
        return f"None of {number(unlabeled)} unlabelled entities is listed for review."
    rare = shorten(report.run.rare)
    return (
        f"{number(listed)} of {number(unlabeled)} unlabelled entities to review, likeliest {rare} first. "
        f"{_worth(report.evaluation, rare)}"
    )


def _worth(evaluation: "Evaluation | None", rare: str) -> str:
    if evaluation is None:
        return f"No labels were held out, so how many of them are truly {rare} has not been measured."
    measures = evaluation.methods[0].measures
    recall, precision = measures.get("recall_at_budget"), measures.get("precision_at_budget")
    if recall is None or recall.value is None or precision is None or precision.value is None:
        reason = recall.reason if recall and recall.reason else "recall and precision are undefined"
        return f"Held-out labels could not tell what the list is worth: {reason}."
    length, found = min(evaluation.budget, evaluation.rows), round(recall.value * evaluation.rare)
    return (
        f"Among {number(evaluation.rows)} entities whose labels training never saw, a list of {number(length)} "
        f"holds {number(found)} of the {number(evaluation.rare)} that are {rare} "
        f"(recall {percent(recall.value)}, precision {percent(precision.value)})."
    )


def reason_words(reason: Reason, step_seconds: int) -> str:
    """Say a feature's value and how it lies to the typical one."""
    value = quantity(reason.value, reason.unit, step_seconds)
    if reason.typical is None or math.isnan(reason.typical):
        return value
    if reason.value is None or math.isnan(reason.value):
        return f"{value}, typically {quantity(reason.typical, reason.unit, step_seconds)}"
    typical = percent(reason.typical) if reason.unit == "share" else number(reason.typical)
    if value == quantity(reason.typical, reason.unit, step_seconds):
        return f"{value}, as is typical"
    return f"{value}, {'above' if reason.value > reason.typical else 'below'} the typical {typical}"


def leading(alerts: Sequence[Alert], most: int = 6) -> list[tuple[str, str, int]]:
    """Count which feature leads the reasons: (metric, feature label, alerts), commonest first."""
    firsts = Counter((a.reasons[0].metric, feature_label(a.reasons[0].feature)) for a in alerts if a.reasons)
    return [(metric, label, count) for (metric, label), count in firsts.most_common(most)]


def disagreement(alerts: Sequence[Alert]) -> str:
    """Say how far an ensemble's networks disagree on the list; empty where there is nothing to disagree."""
    stated = [(alert.uncertainty, -alert.rank) for alert in alerts if alert.uncertainty is not None]
    largest, rank = max(stated, default=(0.0, 0))
    if not largest:
        return ""
    middle = median(spread for spread, _ in stated)
    return (
        f"the networks disagree by {score(middle)} on the middle entity of this list and by {score(largest)} on the "
        f"one they disagree on most, rank {number(-rank)}"
    )


def measure_names(evaluation: Evaluation) -> list[str]:
    """List the measures of all methods, known ones first, each once."""
    known = [*RANKINGS, *SHARES]
    given = dict.fromkeys(name for method in evaluation.methods for name in method.measures)
    return [name for name in known if name in given] + [name for name in given if name not in known]


def measure_label(name: str, budget: int) -> str:
    """Name a measure as a column heading."""
    if name in SHARES:
        return f"{SHARES[name]} in the first {number(budget)}"
    if name.startswith("recall_"):
        return f"recall of {shorten(name.removeprefix('recall_'))}"
    return RANKINGS.get(name, shorten(name.replace("_", " ")))


def measured(name: str, value: float) -> str:
    """Write a measure: recall and precision as a percentage with one decimal, others with three decimals."""
    return f"{100 * value:.1f}%" if name.startswith(("recall", "precision")) else score(value)


def interval(name: str, estimate: Estimate) -> str:
    """Write a measure's interval; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{measured(name, estimate.low)} to {measured(name, estimate.high)}"


def readings(evaluation: Evaluation) -> Iterator[str]:
    """Say what the figures allow one to conclude, from average precision and its intervals."""
    main, *others = evaluation.methods
    own = _bounded(main)
    if own is None:
        reason = getattr(main.measures.get("average_precision"), "reason", "")
        yield f"{shorten(main.name)} has no average precision with an interval{': ' if reason else ''}{reason}."
    else:
        yield _against_chance(shorten(main.name), own, evaluation.base_rate)
        yield from (_against(shorten(main.name), own, other) for other in others)
    if 0 < evaluation.rare < FEW:
        yield (
            f"Only {number(evaluation.rare)} held-out entities are rare: one more or one fewer found moves "
            f"recall by {percent(1 / evaluation.rare)}. Small differences are noise."
        )


def _bounded(method: Method) -> Bounded | None:
    found = method.measures.get("average_precision")
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    return Bounded(found.value, found.low, found.high)


def _against_chance(name: str, own: Bounded, base_rate: float) -> str:
    verdict = "ranks better than" if own.low > base_rate else "is not shown to beat"
    return (
        f"{name} {verdict} a random order: its average precision is {own.words}, "
        f"that of a random order {score(base_rate)}."
    )


def _against(name: str, own: Bounded, other: Method) -> str:
    rival, theirs = shorten(other.name), _bounded(other)
    if theirs is None:
        return f"{rival} has no average precision with an interval to compare with."
    if own.low > theirs.high:
        return f"{name} ranks better than {rival}, {theirs.words}: the intervals do not overlap."
    if own.high < theirs.low:
        return f"{name} ranks worse than {rival}, {theirs.words}: the intervals do not overlap. Prefer {rival}."
    order = "above" if own.value > theirs.value else "below" if own.value < theirs.value else "level with"
    return f"{name} is {order} {rival}, {theirs.words}, but the intervals overlap: no difference is shown."


def course(record: Course) -> str:
    """Say in a sentence or two how long a training was, and which of its networks were kept."""
    looks, last = len(record.steps), record.steps[-1]
    length = f"{number(last)} {'step' if last == 1 else 'steps'}, measured {_times(looks)}."
    if record.kept is None:
        return length
    return f"{length} The model is made of the networks as they were at step {number(record.kept)}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{number(count)} times"


def looked(panel: Panel, value: float | None) -> str:
    """Write what a look found: a share as a percentage, anything else with three digits."""
    return percent(value) if panel.is_share else number(value)


def panel_words(record: Course, panel: Panel) -> str:
    """Say in words what a panel of a training shows, for those who do not see it."""
    places = {0: f"at step {number(record.steps[0])}", len(record.steps) - 1: f"at step {number(record.steps[-1])}"}
    if record.place is not None:
        places[record.place] = f"at step {number(record.steps[record.place])}, kept"
    return "; ".join(
        f"{shorten(name)} " + ", ".join(f"{looked(panel, values[at])} {words}" for at, words in sorted(places.items()))
        for name, values in panel.lines.items()
    )


def balance(total: int, parts: Mapping[str, int]) -> Balance:
    """Hold a whole against its parts."""
    return Balance(total, dict(parts), total - sum(parts.values()))


def event_fates(events: Mapping[str, int]) -> dict[str, int]:
    """Return what became of the events of a quality record."""
    return {
        "accepted": events["accepted"],
        "outside the window": events["outside_window"],
        "refused": events["refused"],
    }


def entity_classes(entities: Mapping[str, Any]) -> dict[str, int]:
    """Return the parts that the entities of a quality record fall into."""
    labeled = {f"labelled {name}": count for name, count in entities.get("labelled", {}).items()}
    return labeled | {"unlabelled": entities["unlabelled"]}


def label_fates(labels: Mapping[str, Any], held_out: int) -> dict[str, int]:
    """Return what became of the labels of a quality record."""
    hidden = {"held out": held_out} if held_out else {}
    repeated = {"repeated": labels["repeated"]} if labels.get("repeated") else {}
    refused = {f"refused: {reason}": count for reason, count in labels.get("refused", {}).items()}
    return {"shown to training": labels["used"] - held_out} | hidden | repeated | refused


def statuses(fit_status: Mapping[str, Mapping[str, int]]) -> list[str]:
    """List the outcomes that fits had, in the order in which they first appear."""
    return list(dict.fromkeys(status for counts in fit_status.values() for status in counts))


def gaps(missing: Mapping[str, float]) -> list[tuple[str, float]]:
    """List the features that some entities lack, most lacking first."""
    return sorted(((name, share) for name, share in missing.items() if share > 0), key=lambda item: (-item[1], item[0]))


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give nested settings as dotted keys and text, the way the command line overrides them."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "not set" if value is None else shorten(value, 200)


def absent_steps(metric: MetricStory, step_seconds: int) -> str:
    """Say how many steps of a series are missing; empty where none is."""
    absent = sum(not math.isfinite(value) for value in metric.values)
    steps = f"{step_name(step_seconds)}s"
    return f"{number(absent)} of {number(len(metric.values))} {steps} missing" if absent else ""


def chart_words(metric: MetricStory, changed: int | None) -> str:
    """Say in words what a chart of a series shows, for those who do not see it."""
    there = [value for value in metric.values if math.isfinite(value)]
    if not there:
        return "every value is missing"
    dates = f"{day(metric.times[0])} to {day(metric.times[-1])}"
    span = f"values from {number(min(there))} to {number(max(there))}, {dates}"
    trend = [value for value in metric.trend if math.isfinite(value)]
    if not trend:
        return f"{span}; no trend was fitted"
    turn = f", turning most on {day(metric.times[changed])}" if changed is not None else ""
    return f"{span}; trend from {number(trend[0])} to {number(trend[-1])}{turn}"
