"""What the report page shows, as frozen values: the contract between the explanation job and the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.report_alerts import Alert, EntityStory


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
        chosen: which methods the trainer took, where it takes some, and why: a sentence without its full stop.
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
    chosen: str = ""
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
class Calibration:
    """How the calibrated probabilities lie to what was found on held-out labels, by bins of equal numbers of rows.

    Attributes:
        method: how they were calibrated: isotonic or platt.
        rows: validation rows that the calibration was fitted on.
        rare: rare ones among them.
        population_share: share of rare entities that the probabilities assume for all that were scored.
        predicted: mean probability in each bin, rising.
        observed: share of rare rows in each bin.
        counts: held-out rows in each bin.
        error: expected calibration error over the bins; None where there is no bin.
    """

    method: str
    rows: int
    rare: int
    population_share: float
    predicted: Sequence[float]
    observed: Sequence[float]
    counts: Sequence[int]
    error: float | None


@dataclass(frozen=True)
class Drift:
    """How this run's scores lie to those of the run before it.

    Attributes:
        run: id of the run before.
        population_stability: population stability index over ten bins of the earlier scores; 0 is equal, above 0.2
            is commonly called a shift.
        largest_gap: Kolmogorov-Smirnov distance of the two distributions, 0 to 1.
        entities: entities scored in both runs.
        kept_alerts: alerts of the run before that are alerts again.
        alerts_before: alerts of the run before.
        unknown_before: share of entities found `unknown` then; None where the model has no such class.
        same_model: whether both runs used one model.
        edges: inner edges of the bins, rising.
        shares_before: share of the earlier scores in each bin, one more than edges.
        shares_now: share of this run's scores in each bin.
    """

    run: str
    population_stability: float
    largest_gap: float
    entities: int
    kept_alerts: int
    alerts_before: int
    unknown_before: float | None
    same_model: bool
    edges: Sequence[float]
    shares_before: Sequence[float]
    shares_now: Sequence[float]


@dataclass(frozen=True)
class ModelCard:
    """What a reader must know before acting on the list; every text is computed from the run or set by the user.

    Attributes:
        data: what the model learned from, sentences.
        limits: what it cannot tell, sentences.
        intended_use: what the list is for, sentences.
        sensitive_use: what it must not be used for alone, sentences.
    """

    data: Sequence[str]
    limits: Sequence[str]
    intended_use: Sequence[str]
    sensitive_use: Sequence[str]


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
        calibration: how far the probabilities can be taken at their word; None where none were calibrated.
        drift: this run beside the one before; None where it is the first.
        unknown: share of all scored entities found `unknown`; None where the model has no such class.
        card: the model card.
    """

    run: Run
    quality: Mapping[str, Any]
    evaluation: Evaluation | None
    curves: Sequence[Curve]
    alerts: Sequence[Alert]
    stories: Sequence[EntityStory]
    glossary: Mapping[str, tuple[str, str]]
    course: Course | None = None
    calibration: Calibration | None = None
    drift: Drift | None = None
    unknown: float | None = None
    card: ModelCard | None = None
