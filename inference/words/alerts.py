"""What is said of the review list and of each entity on it."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from inference.report_alerts import Alert, Change, Counterfactual, Move, Neighbor, Reason, Share, Translation
from inference.report_data import Report
from inference.report_numbers import feature_label, number, percent, quantity, score, shorten, signed, tenths
from inference.words.evaluation import worth
from inference.words.scores import expected_rare

PARTS = {
    "remarks": "what stands out in words",
    "probability": "a calibrated probability",
    "shares": "weights by metric and component",
    "neighbors": "the nearest labelled entities",
    "counterfactual": "what would take an entity off the list",
}
OF_SOME_MODELS = ("translation",)  # which is not missed where the model can give none
MOST_SHARES = 6  # drawn; the rest is summed


def headline(report: Report) -> str:
    """Say in a sentence or two what was found, and what it was worth where that was measured."""
    listed, unlabeled = len(report.alerts), report.quality["entities"]["unlabelled"]
    if not listed:
        return f"None of {number(unlabeled)} unlabelled entities is listed for review."
    rare = shorten(report.run.rare)
    known = worth(report.evaluation, rare)
    if report.evaluation is None:  # what was measured says more than what is expected
        known = f"{known} {expected_rare(report.alerts, rare)}".rstrip()
    return f"{number(listed)} of {number(unlabeled)} unlabelled entities to review, likeliest {rare} first. {known}"


def given(alerts: Sequence[Alert]) -> frozenset[str]:
    """Return which optional parts some alert has."""
    return frozenset(name for name in (*PARTS, *OF_SOME_MODELS) if any(_has(getattr(alert, name)) for alert in alerts))


def _has(part: "float | Counterfactual | Translation | Collection[object] | None") -> bool:
    return len(part) > 0 if isinstance(part, Collection) else part is not None


def not_given(parts: Collection[str]) -> str:
    """Say which optional parts no alert has; empty where each is there."""
    absent = [words for name, words in PARTS.items() if name not in parts]
    return f"This run does not give {_joined(absent, 'or')}." if absent else ""


def _joined(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def passed_over(alerts: Sequence[Alert]) -> str:
    """Say why ranks are missing from the list; empty where none is."""
    beyond = alerts[-1].rank - len(alerts) if alerts else 0
    if beyond < 1:
        return ""
    return f"Ranks count all scored entities; the {number(beyond)} between that are not listed have a label already."


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


def largest(parts: Sequence[Share] | Sequence[Reason]) -> float:
    """Return the size of the largest contribution, for bars to be drawn against."""
    return max((abs(part.contribution) for part in parts), default=0.0)


def weight(contribution: float, largest: float) -> str:
    """Write a contribution with as many decimals as the largest beside it needs for three digits."""
    decimals = min(9, max(0, 2 - math.floor(math.log10(largest)))) if largest else 0
    return f"{contribution:+,.{decimals}f}".replace("-", "−")


def rest(shares: Sequence[Share]) -> str:
    """Say what the shares that are not drawn come to; empty where all are."""
    others = shares[MOST_SHARES:]
    if not others:
        return ""
    return f"{number(len(others))} more, together {signed(math.fsum(share.contribution for share in others))}"


def by_metric(shares: Sequence[Share]) -> str:
    """Say what each metric comes to, largest first."""
    metrics = dict.fromkeys(share.metric for share in shares)
    totals = {name: math.fsum(share.contribution for share in shares if share.metric == name) for name in metrics}
    ordered = sorted(totals.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{shorten(name)} {signed(total)}" for name, total in ordered)


def by_label(found: Sequence[Neighbor]) -> dict[str, list[Neighbor]]:
    """Sort labelled entities by their class, nearest first."""
    return {label: [n for n in found if n.label == label] for label in dict.fromkeys(n.label for n in found)}


def neighbors(found: Sequence[Neighbor], rare: str) -> str:
    """Say which kind of labelled entity lies nearest."""
    nearest = {kind: [n.distance for n in found if (n.label == rare) is kind] for kind in (True, False)}
    shown = shorten(rare)
    if not nearest[True] or not nearest[False]:
        return f"Only {shown} ones are given." if nearest[True] else f"None that is {shown} is given."
    like, unlike = min(nearest[True]), min(nearest[False])
    if number(like) == number(unlike):
        return f"It lies as near to one that is {shown} as to one that is not."
    if like < unlike:
        return f"It lies nearer to one that is {shown} than to any that is not."
    return f"It lies nearer to one that is not {shown}: look twice."


def change(found: Change, step_seconds: int) -> str:
    """Say what a feature would have to be."""
    is_known = found.value is not None and not math.isnan(found.value)
    needed = (
        number(found.needed) if is_known and found.unit != "share" else quantity(found.needed, found.unit, step_seconds)
    )
    return f"{needed} instead of {quantity(found.value, found.unit, step_seconds)}"


def counterfactual(found: Counterfactual) -> str:
    """Say where a changed score lies to the alert line."""
    line = f"the line of {score(found.line)}, the last score on the list"
    if not found.changes:
        return f"No change was found that brings the score under {line}."
    these = "this" if len(found.changes) == 1 else "these"
    if found.reached:
        return f"With {these} the score would be {score(found.score)}, under {line}:"
    return f"Even with {these} the score stays at {score(found.score)}, not under {line}:"


def translation(found: Translation, rare: str) -> str:
    """Say what becomes of the score of the regular entity that is made rare."""
    both = f"the {shorten(found.label)} one most like it, to one that is {shorten(rare)}"
    if not found.moves:
        return f"{both}, the model would change hardly anything."
    scores = f"{score(found.score)} to {score(found.translated_score)}"
    if found.translated_score <= found.score:
        return f"{both}, the model would change this, but the score does not rise ({scores}), so make little of it:"
    return f"{both}, the model would change this, and the score would go from {scores}:"


def move(found: Move, step_seconds: int) -> str:
    """Say from where to where a feature is moved, and where the alerted entity's lies."""
    before, after, own = (quantity(value, found.unit, step_seconds) for value in (found.before, found.after, found.own))
    return f"{before} to {after}; here {own}"


def certainty(alert: Alert, rare: str) -> Iterator[str]:
    """Say how sure the score is."""
    if alert.probability is not None:
        yield f"Calibrated probability of being {shorten(rare)}: {tenths(alert.probability)}."
    if alert.uncertainty is not None:
        yield f"The networks’ scores of it have a standard deviation of {score(alert.uncertainty)}."
    if alert.verdict != rare:
        yield f"The class found most likely is {shorten(alert.verdict)}, not {shorten(rare)}."
