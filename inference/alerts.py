"""Everything there is to say of each alert: reasons, shares, remarks, neighbours, and what would change its score.

Takes the alerts' scores, the model and the feature table; reads the alerts' rows and the labelled ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from feature_extraction.schema import ENTITY
from inference import neighbors, remarks, table
from inference.components import defined, fold
from inference.counterfactual import Fact, Moved, Search
from inference.labeled import LabeledRows
from inference.remarks import Remark, Wording
from inference.report_alerts import Alert, Change, Counterfactual, EntityStory, Neighbor, Reason, Share
from inference.settings import ScoreSettings
from inference.standing import standings
from inference.translations import translations
from training.trainer import Artifact, Floats


@dataclass(frozen=True)
class Subjects:
    """The alerts and what is known of them.

    Attributes:
        scores: their rows of the scores table, by rank.
        names: feature columns.
        features: their raw rows, (alerts, features).
        contributions: each feature's share in their score, (alerts, features).
        labeled: the labelled rows.
    """

    scores: pd.DataFrame
    names: tuple[str, ...]
    features: Floats
    contributions: Floats
    labeled: LabeledRows

    @classmethod
    def read(cls, url: str, scores: pd.DataFrame, model: Artifact) -> "Subjects":
        """Read the alerts' feature rows from the table at `url`, and have the model account for them."""
        names = model.schema.names
        features = table.features(url, names, scores[ENTITY].tolist())
        return cls(scores, names, features, model.contributions(features), LabeledRows.read(url, names))

    @property
    def entities(self) -> list[str]:
        """Their ids."""
        return list(self.scores[ENTITY])


def alerts_of(
    url: str,
    scores: pd.DataFrame,
    model: Artifact,
    settings: ScoreSettings,
    stories: Sequence[EntityStory],
    wording: Wording,
) -> list[Alert]:
    """Return the alerts by rank, each with all that explains it.

    Args:
        url: the feature table.
        scores: rows of the scores table; without a column `uncertainty` or `probability` nothing is said of it.
        model: what made the scores.
        settings: how much is said of each.
        stories: series of the first few.
        wording: what sentences need to know of the run.
    """
    listed = scores[scores["alert"]].sort_values("rank", ignore_index=True)
    if listed.empty:
        return []
    subjects = Subjects.read(url, listed, model)
    told = _Told.of(url, subjects, {story.entity_id: story for story in stories}, wording)
    shares = fold(subjects.names, subjects.contributions)
    alike = neighbors.nearest(
        subjects.entities,
        subjects.features,
        subjects.contributions,
        subjects.labeled,
        count=settings.neighbors,
    )
    otherwise = _counterfactuals(subjects, model, settings.counterfactual)
    turned = translations(
        model,
        subjects.entities,
        subjects.features,
        subjects.contributions,
        subjects.labeled,
        most=settings.translation,
    )
    rows = zip(listed.to_dict("records"), told.reasons, told.remarks, shares, alike, otherwise, strict=True)
    alerts = [_alert(row, *parts) for row, *parts in rows]
    return [replace(alert, translation=own) for alert, own in zip(alerts, turned, strict=True)]


def _alert(
    row: Mapping[str, Any],
    reasons: Sequence[Reason],
    sentences: Sequence[str],
    shares: Sequence[Share],
    alike: Sequence[Neighbor],
    otherwise: Counterfactual | None,
) -> Alert:
    return Alert(
        rank=int(row["rank"]),
        entity_id=row[ENTITY],
        score=float(row["score"]),
        verdict=row["verdict"],
        reasons=reasons,
        uncertainty=_known(row.get("uncertainty")),
        probability=_known(row.get("probability")),
        shares=shares,
        remarks=sentences,
        neighbors=alike,
        counterfactual=otherwise,
    )


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


@dataclass(frozen=True)
class _Told:
    """What is said of each alert."""

    reasons: list[list[Reason]]
    remarks: list[list[str]]

    @classmethod
    def of(cls, url: str, subjects: Subjects, stories: Mapping[str, EntityStory], wording: Wording) -> "_Told":
        typical = dict(zip(subjects.names, subjects.labeled.typical().tolist(), strict=True))
        reasons = [[_reason(one, typical) for one in row] for row in subjects.scores["reasons"]]
        made = [
            _remarks(own, dict(zip(subjects.names, row.tolist(), strict=True)), stories.get(entity), wording)
            for entity, own, row in zip(subjects.entities, reasons, subjects.features, strict=True)
        ]
        questions = list(dict.fromkeys(one.question for row in made for one in row if one.question is not None))
        answers = dict(zip(questions, standings(url, subjects.labeled, questions), strict=True))
        return cls(reasons, [remarks.told(row, answers) for row in made])


def _reason(reason: Mapping[str, Any], typical: Mapping[str, float]) -> Reason:
    metric, feature = defined(reason["feature"])
    return Reason(
        feature=reason["feature"],
        value=_known(reason["value"]),
        contribution=float(reason["contribution"]),
        metric=metric,
        definition=feature.definition,
        unit=feature.unit,
        typical=_known(typical[reason["feature"]]),
    )


def _remarks(
    reasons: Sequence[Reason], features: Mapping[str, float], story: EntityStory | None, wording: Wording
) -> list[Remark]:
    of_series = (
        [one for metric in story.metrics for one in remarks.of_story(metric, features, wording)] if story else []
    )
    of_reasons = [remarks.of_reason(reason, wording) for reason in reasons]
    return of_series + [one for one in of_reasons if one is not None]


def _counterfactuals(subjects: Subjects, model: Artifact, most: int) -> list[Counterfactual | None]:
    """Seek what would bring each alert under the score of the last one; None where it is not to be sought."""
    if not most:
        return [None] * len(subjects.scores)
    code, line = model.classes.index(model.rare), float(subjects.scores["score"].min())
    search = Search.towards_usual(subjects.labeled, lambda rows: model.predict(rows)[:, code], line=line, most=most)
    found = search.run(subjects.features, subjects.contributions)
    return [_counterfactual(moved, row, line, subjects) for moved, row in zip(found, subjects.features, strict=True)]


def _counterfactual(moved: Moved, row: Floats, line: float, subjects: Subjects) -> Counterfactual:
    changes = [_change(fact, row, moved, subjects.names) for fact in moved.facts]
    return Counterfactual(changes, moved.score, line, moved.reached)


def _change(fact: Fact, row: Floats, moved: Moved, names: Sequence[str]) -> Change:
    _, feature = defined(names[fact[0]])
    metrics = ", ".join(defined(names[place])[0] for place in fact)
    value, needed = float(row[fact[0]]), float(moved.row[fact[0]])
    return Change(names[fact[0]], metrics, value, needed, feature.unit, feature.definition)
