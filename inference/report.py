"""One self-contained HTML file: which entities to review, why each one, and how far the list can be trusted.

Takes a `Report` of plain values; gives HTML text that loads nothing, reads without JavaScript and is the
same, byte for byte, for the same input.
"""

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inference import report_numbers
from inference.charts import drawing
from inference.charts import evaluation as evaluation_charts
from inference.charts import scores as score_charts
from inference.charts import series as series_charts
from inference.charts import training as training_charts
from inference.report_alerts import (
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
from inference.report_data import (
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
from inference.words import alerts, evaluation, record, scores, series

__all__ = [
    "Alert",
    "Break",
    "Calibration",
    "Change",
    "Counterfactual",
    "Course",
    "Curve",
    "Drift",
    "EntityStory",
    "Estimate",
    "Evaluation",
    "Method",
    "MetricStory",
    "ModelCard",
    "Move",
    "Neighbor",
    "Panel",
    "Reason",
    "Report",
    "Run",
    "Share",
    "Translation",
    "render",
]

TOP_REMARKS, TOP_REASONS = 2, 3  # of an alert, that are shown unfolded; reasons where it has no remark
WORDS = {"alerts": alerts, "evaluation": evaluation, "record": record, "scores": scores, "series": series}
CHARTS = {
    "drawing": drawing,
    "evaluation": evaluation_charts,
    "scores": score_charts,
    "series": series_charts,
    "training": training_charts,
}


def render(report: Report) -> str:
    """Return the page as HTML text.

    Raises:
        ValueError: `report.quality` lacks a part that the page accounts for.
    """
    missing = {"events", "entities", "labels"} - set(report.quality)
    if missing:
        raise ValueError(
            f"the quality record lacks {sorted(missing)}, it holds {sorted(report.quality)}; pass features/quality.json"
        )
    script, digest = _script()
    text = environment().get_template("report.html.j2").render(
        report=report, run=report.run, quality=report.quality, evaluation=report.evaluation,
        words=WORDS, numbers=report_numbers, charts=CHARTS, script=script, script_digest=digest,
        alert_of={alert.entity_id: alert for alert in report.alerts},
        story_of={story.entity_id: position for position, story in enumerate(report.stories, 1)},
        given=alerts.given(report.alerts), top_remarks=TOP_REMARKS, top_reasons=TOP_REASONS,
    )  # fmt: skip
    # An id may hold half a surrogate pair, which no file can.
    return text.encode("utf-8", "replace").decode()


@cache
def environment() -> Environment:
    """Return what every page is rendered by: templates, escaping, and filters for numbers and names."""
    made = Environment(
        loader=PackageLoader("inference", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": report_numbers.number,
        "percent": report_numbers.percent,
        "score": report_numbers.score,
        "tenths": report_numbers.tenths,
        "short": report_numbers.shorten,
        "name": report_numbers.feature_label,
    }
    return made


@cache
def _script() -> tuple[Markup, str]:
    """Return the page's script and its digest, the only one that the page's security policy lets run."""
    templates = environment()
    assert templates.loader is not None
    text = templates.loader.get_source(templates, "report.js")[0]
    return Markup(text), base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
