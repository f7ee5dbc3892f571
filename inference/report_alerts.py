"""One alerted entity as the report shows it: why it is listed, whom it is like, and its series."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One feature's share in an entity's score.

    Attributes:
        feature: column of the feature table, `<metric>__<feature>`.
        value: the entity's value; None or NaN where missing.
        contribution: signed share in the score of the rare class; positive raises it.
        metric: name of the metric.
        definition: what the feature is, one line.
        unit: its unit, as in `feature_extraction.definitions`.
        typical: median of the labelled regular entities, None where unknown.
    """

    feature: str
    value: float | None
    contribution: float
    metric: str
    definition: str = ""
    unit: str = ""
    typical: float | None = None


@dataclass(frozen=True)
class Share:
    """The sum of the contributions of one metric's features that describe one thing.

    Attributes:
        metric: name of the metric.
        component: what they describe, a Prophet component in words: trend, weekly pattern, residual, activity.
        contribution: signed share in the score of the rare class.
    """

    metric: str
    component: str
    contribution: float


@dataclass(frozen=True)
class Neighbor:
    """A labelled entity that the model finds alike.

    Attributes:
        entity_id: id of the entity.
        label: its class.
        distance: distance to the alerted entity; 1 is that of a typical pair of labelled entities.
    """

    entity_id: str
    label: str
    distance: float


@dataclass(frozen=True)
class Change:
    """One fact that would have to be otherwise: a feature, or one of several metrics that holds one value in them.

    Attributes:
        feature: column of the feature table, `<metric>__<feature>`; of several, the one that contributes most.
        metric: name of the metric; of several, all their names with commas between them.
        value: what it is; None where missing.
        needed: what it would have to be.
        unit: its unit, as in `feature_extraction.definitions`.
        definition: what the feature is, one line.
    """

    feature: str
    metric: str
    value: float | None
    needed: float
    unit: str = ""
    definition: str = ""


@dataclass(frozen=True)
class Counterfactual:
    """What would bring an entity under the alert line: few features, each moved towards its usual value.

    Attributes:
        changes: the features, the one that matters most first.
        score: the entity's score with them changed.
        line: score of the last alert; an entity below it is not listed.
        reached: whether the changed score is below the line.
    """

    changes: Sequence[Change]
    score: float
    line: float
    reached: bool


@dataclass(frozen=True)
class Move:
    """One feature that a model would change to make a rare entity of a regular one.

    Attributes:
        feature: column of the feature table, `<metric>__<feature>`.
        metric: name of the metric.
        before: value of the regular entity; None where missing.
        after: what the model makes of it; None where it makes it missing.
        own: value of the alerted entity, to hold beside them; None where missing.
        spreads: how far it is moved, in standard deviations of the labelled entities with tails drawn in.
        unit: its unit, as in `feature_extraction.definitions`.
        definition: what the feature is, one line.
    """

    feature: str
    metric: str
    before: float | None
    after: float | None
    own: float | None
    spreads: float
    unit: str = ""
    definition: str = ""


@dataclass(frozen=True)
class Translation:
    """What a model that makes rare rows would change in the regular entity that an alerted one is most like.

    Attributes:
        entity_id: id of the regular entity.
        label: its class.
        moves: what would change, the farthest first.
        score: the model's score of the regular entity.
        translated_score: its score of the translated one.
    """

    entity_id: str
    label: str
    moves: Sequence[Move]
    score: float
    translated_score: float


@dataclass(frozen=True)
class Alert:
    """One entity to review.

    Attributes:
        rank: its place in the list, from 1.
        entity_id: id of the entity.
        score: the model's probability of the rare class.
        verdict: the class found most likely.
        reasons: by size, largest first.
        uncertainty: standard deviation of the ensemble's scores; None where the model states none.
        probability: calibrated probability of the rare class; None where nothing to calibrate on was held out.
        shares: contributions folded up by metric and component, largest first.
        remarks: sentences on what stands out, such as "baskets fell from 6.1 to 0.4 a week after 12 Aug 2017;
            such a break has 1% of regular entities".
        neighbors: nearest labelled rare entities and nearest regular ones, nearest first.
        counterfactual: what would bring it under the alert line; None where that was not sought.
        translation: the nearest regular entity made rare; None where the model does not translate.
    """

    rank: int
    entity_id: str
    score: float
    verdict: str
    reasons: Sequence[Reason]
    uncertainty: float | None = None
    probability: float | None = None
    shares: Sequence[Share] = ()
    remarks: Sequence[str] = ()
    neighbors: Sequence[Neighbor] = ()
    counterfactual: Counterfactual | None = None
    translation: Translation | None = None


@dataclass(frozen=True)
class Break:
    """A changepoint of a trend that mattered.

    Attributes:
        time: start of the step at which the slope changes, ISO 8601.
        before: slope before, metric per step.
        after: slope after, metric per step.
    """

    time: str
    before: float
    after: float


@dataclass(frozen=True)
class MetricStory:
    """One metric of one entity over time, (steps,) each; NaN where missing or not fitted.

    Attributes:
        metric: name of the metric.
        times: start of each step, ISO 8601.
        values: the series.
        trend: Prophet's trend.
        lower: lower bound of the interval.
        upper: upper bound of the interval.
        expected: fitted value, trend and seasonal patterns together.
        unit: unit of the metric, empty where unknown.
        breaks: changepoints that mattered, by time.
        weekly: the fitted weekly pattern, Monday first, (7,) in units of the metric; empty where none was fitted.
        outlier: position of the step whose residual is largest; None where no residual stands out.
        outlier_sigmas: that residual in standard deviations of the noise, signed.
    """

    metric: str
    times: Sequence[str]
    values: Sequence[float]
    trend: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    expected: Sequence[float]
    unit: str = ""
    breaks: Sequence[Break] = ()
    weekly: Sequence[float] = ()
    outlier: int | None = None
    outlier_sigmas: float | None = None

    def __post_init__(self) -> None:
        columns = ("times", "values", "trend", "lower", "upper", "expected")
        lengths = {name: len(getattr(self, name)) for name in columns}
        if len(set(lengths.values())) != 1 or not self.times:
            raise ValueError(f"story of {self.metric!r}: lengths {lengths}; give at least one step, and equal lengths")


@dataclass(frozen=True)
class EntityStory:
    """The series of one alerted entity and a sentence that says what they show."""

    entity_id: str
    metrics: Sequence[MetricStory]
    sentence: str
