"""What stands out in an alerted entity, in sentences, the most telling first.

A sentence states a fact (a break, a change, a value that is a reason) and how many regular entities have one as
extreme; nothing is said that was not counted. The fewer have it, the more it tells.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from feature_extraction import definitions
from feature_extraction.schema import FEATURE_SEPARATOR
from inference.report_alerts import MetricStory, Reason
from inference.report_numbers import day, feature_label, number, quantity, shorten, step_name
from inference.standing import Question, Side, Standing

MOST = 4
OF_SERIES = 2  # sentences on the series of metrics, which often tell one event over again
USUAL = 0.25  # what more than this share of regular entities have is not worth a sentence
DAY, WEEK_DAYS = 86_400, 7
# How a value is said where "baskets recency is 216 days" would be jargon; others are told by their feature's name.
PHRASES = {
    "active_share": "{metric} on {value} of the {step}s, typically on {typical}",
    "active_share_recent": "{metric} on {value} of the last {recent} {step}s, typically on {typical}",
    "gap_max": "{metric} pausing for up to {value}, typically up to {typical}",
    "gap_mean": "{metric} once in {value} on average, typically once in {typical}",
    "history": "First seen {value} before the end, typically {typical}",
    "level": "{metric} at {value}{each} on average, typically at {typical}",
    "level_recent": "{metric} at {value}{each} over the last {recent} {step}s, typically at {typical}",
    "recency": "{metric} last seen {value} before the end, typically {typical}",
    "recency_in_gaps": "{metric} silent for {number} times its mean gap, typically {typical_number} times",
}


@dataclass(frozen=True)
class Remark:
    """A sentence in the making.

    Attributes:
        fact: what is so, the beginning of a sentence.
        ending: what so many others have or do, after their share: "have as high a value".
        question: how many have it; None where that cannot be counted.
        of_series: whether it is about the series, and of which metric.
    """

    fact: str
    ending: str = ""
    question: Question | None = None
    of_series: str = ""


@dataclass(frozen=True)
class Wording:
    """What a sentence needs to know of the run.

    Attributes:
        step_seconds: length of a step.
        recent_steps: how many steps "the last steps" are.
        additive: metrics whose values of several steps can be added up.
    """

    step_seconds: int
    recent_steps: int
    additive: frozenset[str]

    @property
    def step(self) -> str:
        """Name of a step."""
        return step_name(self.step_seconds)

    def each(self, step: str) -> str:
        """Say that a number is one of each step."""
        return f" {'an' if step == 'hour' else 'a'} {step}"

    def moved(self, metric: str, before: float, after: float) -> str:
        """Say from where to where a metric's mean went; empty where it stayed, as far as people read."""
        scale, unit = 1.0, ""
        if metric in self.additive:
            weekly = self.step_seconds == DAY and max(abs(before), abs(after)) < 2
            step = "week" if weekly else self.step
            scale, unit = WEEK_DAYS if weekly else 1.0, self.each(step)
        old, new = number(scale * before), number(scale * after)
        if old == new:
            return ""
        return f"{name_of(metric)} {'fell' if after < before else 'rose'} from {old} to {new}{unit}"


def name_of(metric: str) -> str:
    """Return a metric's name as the beginning of a sentence."""
    text = shorten(metric.replace("_", " "))
    return text[:1].upper() + text[1:]


def of_reason(reason: Reason, wording: Wording) -> Remark | None:
    """Say how a reason's value lies to the typical one; None where it is the typical one."""
    name = reason.feature.split(FEATURE_SEPARATOR, 1)[-1]
    subject = f"{name_of(reason.metric)} {feature_label(reason.feature)}"
    typical = None if reason.typical is None else quantity(reason.typical, reason.unit, wording.step_seconds)
    if reason.value is None or math.isnan(reason.value):
        fact = f"{subject} is missing" + (f", typically {typical}" if typical else "")
        return Remark(fact, "lack it", Question((reason.feature,), math.nan, "missing"))
    value = quantity(reason.value, reason.unit, wording.step_seconds)
    if reason.typical is None or typical is None:
        return Remark(f"{subject} is {value}")
    if value == typical:
        return None
    side: Side = "high" if reason.value > reason.typical else "low"
    facts = {
        "metric": name_of(reason.metric),
        "value": value,
        "typical": typical,
        "number": number(reason.value),
        "typical_number": number(reason.typical),
        "recent": wording.recent_steps,
        "step": wording.step,
        "each": wording.each(wording.step) if reason.metric in wording.additive else "",
    }
    usual = f"{subject} is {value}, {'above' if side == 'high' else 'below'} the typical {typical}"
    fact = PHRASES[name].format(**facts) if name in PHRASES else usual
    return Remark(fact, f"have as {side} a value", Question((reason.feature,), reason.value, side))


def of_story(story: MetricStory, features: Mapping[str, float], wording: Wording) -> Iterator[Remark]:
    """Say what stands out in one metric's series: its break, its last steps, and a step unlike the others.

    Args:
        story: the series and its fit.
        features: the entity's features by column.
        wording: what a sentence needs to know of the run.
    """
    yield from _break(story, features, wording)
    yield from _recent(story, features, wording)
    yield from _outlier(story, wording)


def _outlier(story: MetricStory, wording: Wording) -> Iterator[Remark]:
    """Give the outlier if it is among the recent steps: of a long series one step is nearly always far off."""
    step, sigmas = story.outlier, story.outlier_sigmas
    if step is None or sigmas is None or step < len(story.values) - wording.recent_steps:
        return
    side = "above" if sigmas > 0 else "below"
    yield Remark(
        f"{name_of(story.metric)} on {day(story.times[step])} was {number(story.values[step])}, "
        f"{number(abs(sigmas))} standard deviations of the noise {side} the expected {number(story.expected[step])}",
        of_series=story.metric,
    )


def _break(story: MetricStory, features: Mapping[str, float], wording: Wording) -> Iterator[Remark]:
    """Give the strongest break, if the series lies on the side to which it turns.

    How sharp a break is for its entity is the slope change in standard deviations of the series.
    """
    measure = (definitions.column(story.metric, "break_size"), definitions.column(story.metric, "scale"))
    size, scale = (features.get(name, math.nan) for name in measure)
    if not story.breaks or math.isnan(size) or not scale > 0:
        return
    strongest = max(story.breaks, key=lambda turn: abs(turn.after - turn.before))
    place = story.times.index(strongest.time)
    means = _mean(story.values[:place]), _mean(story.values[place:])
    if math.isnan(sum(means)) or (means[1] > means[0]) != (size > 0):
        return
    fact = wording.moved(story.metric, *means)
    if fact:
        question = Question(measure, size / scale, "high" if size > 0 else "low")
        yield Remark(f"{fact} after {day(strongest.time)}", "have such a break", question, story.metric)


def _recent(story: MetricStory, features: Mapping[str, float], wording: Wording) -> Iterator[Remark]:
    column = definitions.column(story.metric, "level_change")
    change, recent = features.get(column, math.nan), wording.recent_steps
    means = _mean(story.values[:-recent]), _mean(story.values[-recent:])
    if math.isnan(change) or math.isnan(sum(means)) or (means[1] > means[0]) != (change > 0):
        return
    fact = wording.moved(story.metric, *means)
    if fact:
        side: Side = "high" if change > 0 else "low"
        ending = f"{'rose' if change > 0 else 'fell'} as far for their usual swing"
        words = f"{fact} in the last {recent} {wording.step}s"
        yield Remark(words, ending, Question((column,), change, side), story.metric)


def told(remarks: Sequence[Remark], standings: Mapping[Question, Standing]) -> list[str]:
    """Return the sentences worth telling, the most telling first: one at least where there is any remark."""
    order = sorted(remarks, key=lambda remark: (_is_absence(remark), _share(remark, standings)))
    chosen: list[Remark] = []
    for remark in order:
        of_series = [one.of_series for one in chosen if one.of_series]
        again = remark.of_series and (remark.of_series in of_series or len(of_series) == OF_SERIES)
        if len(chosen) < MOST and not again and (not chosen or _share(remark, standings) <= USUAL):
            chosen.append(remark)
    return [_sentence(remark, standings) for remark in chosen]


def _is_absence(remark: Remark) -> bool:
    """Whether it says that a value is missing, which tells a reader less than a value does."""
    return remark.question is not None and remark.question.side == "missing"


def _share(remark: Remark, standings: Mapping[Question, Standing]) -> float:
    if remark.question is None:
        return USUAL if remark.of_series else 1.0
    return standings[remark.question].share


def _sentence(remark: Remark, standings: Mapping[Question, Standing]) -> str:
    if remark.question is None:
        return f"{remark.fact}."
    standing = standings[remark.question]
    return f"{remark.fact}; {standing.words} {_agreed(remark.ending, standing.count)}."


def _agreed(ending: str, count: int) -> str:
    """Bring the verb to one, after `none of`."""
    if count:
        return ending
    verb, *rest = ending.split(" ")
    return " ".join([{"have": "has", "lack": "lacks"}.get(verb, verb), *rest])


def _mean(values: Sequence[float]) -> float:
    there = [value for value in values if math.isfinite(value)]
    return fmean(there) if there else math.nan
