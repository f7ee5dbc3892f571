"""What the report page shows, as frozen values: the contract between the explanation job and the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """What ran.

    Attributes:
        id: run id.
        title: heading of the page.
        created: when the run was made, as text.
        trainer: name of the trainer.
        rare: name of the rare class.
        window_start: first instant of the window, ISO 8601, inclusive.
        window_end: end of the window, ISO 8601, exclusive.
        step_seconds: length of one step of the series, seconds.
        labeled: labelled rows that training saw, by class.
        unlabeled: unlabelled rows that training saw.
        best_step: training step whose weights were kept, where the trainer has steps.
        validation_average_precision: average precision on the validation rows at that step.
        settings: the run file, nested.
        versions: library name to version.
    """

    id: str
    title: str
    created: str
    trainer: str
    rare: str
    window_start: str
    window_end: str
    step_seconds: int
    labeled: Mapping[str, int]
    unlabeled: int
    best_step: int | None = None
    validation_average_precision: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A measured value and its interval; None where it is undefined, `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Method:
    """One ranking of the held-out rows and what it was worth, by measure.

    `average_precision`, `auroc`, `recall_at_budget` and `precision_at_budget` are known by name; any other
    measure, such as `recall_<class>`, gets a column too.
    """

    name: str
    measures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """What held-out labels say.

    Attributes:
        methods: the main one first, then baselines.
        rows: held-out rows with a known label.
        rare: rare ones among them.
        budget: length of the list that `recall_at_budget` and `precision_at_budget` are about.
        intervals: how the intervals were made, a sentence.
    """

    methods: Sequence[Method]
    rows: int
    rare: int
    budget: int
    intervals: str

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError("an evaluation without methods: give the main one, or None for the whole evaluation")

    @property
    def base_rate(self) -> float:
        """Share of rare rows, which is the average precision of a random order; NaN without rows."""
        return self.rare / self.rows if self.rows else float("nan")


@dataclass(frozen=True)
class Curve:
    """Truth (1 = rare) and score of the held-out rows under one method, (rows,) each."""

    name: str
    truth: Sequence[int]
    score: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.truth) != len(self.score):
            raise ValueError(f"curve {self.name!r}: {len(self.truth)} labels, {len(self.score)} scores; give one each")


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
class Alert:
    """One entity to review.

    Attributes:
        rank: its place in the list, from 1.
        entity_id: id of the entity.
        score: probability of the rare class.
        verdict: the class found most likely.
        reasons: by size, largest first.
        uncertainty: standard deviation of the ensemble's scores; None where the model states none.
    """

    rank: int
    entity_id: str
    score: float
    verdict: str
    reasons: Sequence[Reason]
    uncertainty: float | None = None


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
    """

    metric: str
    times: Sequence[str]
    values: Sequence[float]
    trend: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    expected: Sequence[float]
    unit: str = ""

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


@dataclass(frozen=True)
class Panel:
    """What is drawn together of a training: name of each line to its value at each look, None where it has none."""

    title: str
    note: str
    lines: Mapping[str, Sequence[float | None]]
    is_share: bool = True


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        steps: steps done at each look, rising.
        kept: the step whose networks the model is, None where that is not known.
        panels: what the looks found.
    """

    steps: Sequence[int]
    kept: int | None
    panels: Sequence[Panel]

    def __post_init__(self) -> None:
        lengths = {len(values) for panel in self.panels for values in panel.lines.values()}
        if not self.steps or lengths - {len(self.steps)}:
            raise ValueError(f"{len(self.steps)} looks, lines of {sorted(lengths)} values; give one each, of one look")

    @property
    def place(self) -> int | None:
        """Position of the look whose networks were kept."""
        return next((place for place, step in enumerate(self.steps) if step == self.kept), None)


@dataclass(frozen=True)
class Report:
    """Everything the page shows.

    Attributes:
        run: what ran.
        quality: `quality.json` of the feature table.
        evaluation: None where no held-out labels exist; the page then says so.
        curves: rankings to draw, in the order of the evaluation's methods.
        alerts: the review list, rank 1 first.
        stories: series of the first few alerts.
        glossary: feature, the part after `__`, to its unit and definition.
        course: how the training went; None where the trainer notes no steps.
    """

    run: Run
    quality: Mapping[str, Any]
    evaluation: Evaluation | None
    curves: Sequence[Curve]
    alerts: Sequence[Alert]
    stories: Sequence[EntityStory]
    glossary: Mapping[str, tuple[str, str]]
    course: Course | None = None
