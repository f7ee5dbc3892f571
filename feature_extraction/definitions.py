"""The table of features: name, unit and one-line definition; the docs, the schema and the report all read it.

"y" is the value of the metric in one step. "Active" steps are those with an observed value other than zero. "Recent"
means the last `features.recent_steps` steps of the window. Features marked `fitted` need Prophet's fit and are
missing where it was not made; every one may be missing, and none is ever filled in.
"""

from dataclasses import dataclass

from feature_extraction.schema import FEATURE_SEPARATOR

LEVEL, HISTORY, ACTIVITY, PERIODS = "level", "length of history", "activity", "periods"
TREND, CHANGEPOINTS, WEEKLY, RESIDUAL = "trend", "changepoints", "weekly pattern", "residual"


@dataclass(frozen=True)
class Feature:
    """One feature of a metric.

    Attributes:
        name: the part of the column name after the separator.
        unit: its unit; "metric" is the unit of the metric itself, "sd" its own standard deviation.
        definition: what it is, in one line.
        component: what it describes, in words: a component of Prophet's model, or a plain fact of the series.
        fitted: whether it needs Prophet's fit.
    """

    name: str
    unit: str
    definition: str
    component: str
    fitted: bool = False


DESCRIPTIVE = (
    Feature("level", "metric", "mean of y since the entity's first event", LEVEL),
    Feature("scale", "metric", "standard deviation of y since the entity's first event", LEVEL),
    Feature("peak", "metric", "largest |y| (Prophet's scale of y)", LEVEL),
    Feature("level_recent", "metric", "mean of y over the recent steps", LEVEL),
    Feature(
        "level_change", "sd", "mean of y over the recent steps less the mean before, in standard deviations", LEVEL
    ),
    Feature("history", "steps", "steps from the entity's first event to the end of the window", HISTORY),
    Feature("recency", "steps", "steps from the last active step to the end of the window", ACTIVITY),
    Feature("active_steps", "steps", "number of active steps", ACTIVITY),
    Feature("active_share", "share", "share of the steps since the first event that are active", ACTIVITY),
    Feature("active_share_recent", "share", "share of the recent steps that are active", ACTIVITY),
    Feature("gap_mean", "steps", "mean distance between neighbouring active steps", ACTIVITY),
    Feature("gap_max", "steps", "largest distance between neighbouring active steps", ACTIVITY),
    Feature("recency_in_gaps", "gaps", "recency divided by gap_mean: how unusual the present silence is", ACTIVITY),
    Feature("burstiness", "-1 to 1", "(sd - mean) / (sd + mean) of the gaps: -1 regular, 0 random, 1 bursty", ACTIVITY),
    Feature("period_1", "steps", "period with the most power in the periodogram", PERIODS),
    Feature("period_2", "steps", "period with the second most power", PERIODS),
    Feature("period_3", "steps", "period with the third most power", PERIODS),
)

FITTED = (
    Feature(
        "offset", "scaled y", "Prophet's trend offset m (logistic: the scaled time of the middle)", TREND, fitted=True
    ),
    Feature("base_rate", "scaled y per history", "Prophet's initial slope k (logistic: rate)", TREND, fitted=True),
    Feature(
        "growth_mean",
        "scaled y per history",
        "mean over changepoints of the summed slope changes",
        CHANGEPOINTS,
        fitted=True,
    ),
    Feature(
        "growth_std",
        "scaled y per history",
        "standard deviation over changepoints of that sum",
        CHANGEPOINTS,
        fitted=True,
    ),
    Feature(
        "delta_mean",
        "scaled y per history",
        "mean slope change over all potential changepoints",
        CHANGEPOINTS,
        fitted=True,
    ),
    Feature(
        "changepoint_count",
        "count",
        "changepoints with a slope change over 0.01 (Prophet's plotting rule)",
        CHANGEPOINTS,
        fitted=True,
    ),
    Feature("changepoint_gap_mean", "steps", "mean distance between those changepoints", CHANGEPOINTS, fitted=True),
    Feature("changepoint_gap_std", "steps", "standard deviation of that distance", CHANGEPOINTS, fitted=True),
    Feature("trend_slope", "metric per step", "slope of the trend at the last step", TREND, fitted=True),
    Feature(
        "trend_slope_change", "metric per step", "that slope less the slope before the recent steps", TREND, fitted=True
    ),
    Feature("trend_last", "metric", "level of the trend at the last step", TREND, fitted=True),
    Feature(
        "trend_change", "sd", "rise of the trend over the recent steps, in standard deviations of y", TREND, fitted=True
    ),
    Feature("break_size", "metric per step", "slope change at the strongest changepoint", CHANGEPOINTS, fitted=True),
    Feature(
        "break_age", "steps", "steps from the strongest changepoint to the end of the window", CHANGEPOINTS, fitted=True
    ),
    Feature(
        "weekly_amplitude",
        "metric",
        "range of the weekly pattern over the days of the week; of a multiplicative one at the last step's trend",
        WEEKLY,
        fitted=True,
    ),
    Feature(
        "weekly_peak_day", "day", "day of the week with the highest weekly pattern (0 = Monday)", WEEKLY, fitted=True
    ),
    Feature("residual_sigma", "metric", "standard deviation of what the fit leaves unexplained", RESIDUAL, fitted=True),
    Feature("residual_recent_mean", "sigmas", "mean residual over the recent steps", RESIDUAL, fitted=True),
    Feature("outside_share", "share", "share of the recent steps outside the interval", RESIDUAL, fitted=True),
    Feature("below_share", "share", "share of the recent steps below the interval", RESIDUAL, fitted=True),
)

# By `features.active_values`: for series that are short, or measured now and then, as most are outside of shops.
ACTIVE_VALUES = (
    Feature("total", "metric", "sum of y", LEVEL),
    Feature("active_mean", "metric", "mean of y over the active steps", LEVEL),
    Feature("active_sd", "metric", "standard deviation of y over the active steps", LEVEL),
    Feature("active_lowest", "metric", "smallest y of the active steps", LEVEL),
    Feature("active_highest", "metric", "largest y of the active steps", LEVEL),
    Feature("first_value", "metric", "y in the first active step", LEVEL),
    Feature("last_value", "metric", "y in the last active step", LEVEL),
    Feature("last_value_in_sd", "sd", "last_value less active_mean, in standard deviations of the active steps", LEVEL),
    Feature("total_recent_share", "share", "share of the sum of y that the recent steps hold", LEVEL),
    Feature("recent_mean", "metric", "mean of y over the recent active steps", LEVEL),
    Feature("recent_lowest", "metric", "smallest y of the recent active steps", LEVEL),
    Feature("recent_highest", "metric", "largest y of the recent active steps", LEVEL),
    Feature("slope", "metric per step", "slope of the straight line through the active steps", TREND),
    Feature("jump_last", "metric", "y in the last active step less y in the one before", LEVEL),
    Feature("jump_mean", "metric", "mean |change of y| from an active step to the next", LEVEL),
    Feature("jump_highest", "metric", "largest rise of y from an active step to the next", LEVEL),
    Feature("jump_lowest", "metric", "largest fall of y from an active step to the next, negative", LEVEL),
)


def residual_features(count: int) -> tuple[Feature, ...]:
    """Return the features that hold the last `count` residuals, latest first."""
    return tuple(
        Feature(f"residual_last_{i}", "sigmas", f"residual {i - 1} steps before the last one", RESIDUAL, fitted=True)
        for i in range(1, count + 1)
    )


def metric_features(last_residuals: int, *, active_values: bool = False) -> tuple[Feature, ...]:
    """Return all features of one metric in column order."""
    return DESCRIPTIVE + FITTED + residual_features(last_residuals) + (ACTIVE_VALUES if active_values else ())


def column(metric: str, feature: str) -> str:
    """Name the column of a metric's feature."""
    return f"{metric}{FEATURE_SEPARATOR}{feature}"


def columns(metrics: tuple[str, ...], last_residuals: int, *, active_values: bool = False) -> tuple[str, ...]:
    """Name every feature column, metric by metric."""
    features = metric_features(last_residuals, active_values=active_values)
    return tuple(column(metric, feature.name) for metric in metrics for feature in features)


def markdown_table(last_residuals: int = 1, *, active_values: bool = False) -> str:
    """Return the table as Markdown, for the docs; with `active_values` that of what these add, alone."""
    features = ACTIVE_VALUES if active_values else metric_features(last_residuals)
    rows = [f"| `{f.name}` | {f.unit} | {f.definition} |" for f in features]
    return "\n".join(["| feature | unit | definition |", "|---|---|---|", *rows])
