"""What the scores are worth on labels that training never saw, beside other methods on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from feature_extraction.schema import ENTITY, LABEL, FeatureSchema
from inference import table
from training import artifact as artifacts
from training import metrics


@dataclass(frozen=True)
class Evaluation:
    """Measured on the hidden labels.

    Attributes:
        rows: entities with a hidden label.
        rare_rows: rare ones among them.
        budget: alerts that fell on them, or 1 where none did; other methods get as many.
        methods: method name to measure to {"value", "low", "high"}.
        class_recall: method name to class name to the share of its entities that were given that class.
        truth: (rows,) whether each is rare.
        scores: method name to (rows,) scores.
    """

    rows: int
    rare_rows: int
    budget: int
    methods: dict[str, dict[str, Any]]
    class_recall: dict[str, dict[str, float | None]]
    truth: NDArray[np.bool_]
    scores: dict[str, NDArray[np.float64]]

    def to_json(self) -> dict[str, Any]:
        """Return the measures without the rows, as plain values."""
        plain = {"rows": self.rows, "rare_rows": self.rare_rows, "budget": self.budget}
        share = {"base_rate": self.rare_rows / self.rows}
        return plain | share | {"methods": self.methods, "class_recall": self.class_recall}


def evaluate(
    features_url: str, scores: pd.DataFrame, main: str, others: Mapping[str, str], seed: int = 0
) -> Evaluation | None:
    """Measure the published scores and other artifacts on the hidden labels; None where there are none.

    Args:
        features_url: the feature table, with its hidden labels.
        scores: the scores table, at least `entity_id`, `score`, `alert` and `verdict`.
        main: name of the method that made the scores.
        others: name to artifact URL of methods trained on the same rows.
        seed: seed of the bootstrap.

    Raises:
        ValueError: an entity with a hidden label has no score.
        SchemaMismatch: another artifact was trained on other features.
    """
    schema, hidden = table.schema(features_url), table.holdout(features_url)
    if hidden.empty:
        return None
    hidden = hidden.sort_values(ENTITY, ignore_index=True)
    published = _published(scores, hidden[ENTITY], features_url)
    truth = (hidden[LABEL] == schema.rare).to_numpy()
    found = {main: published["score"].to_numpy(dtype=np.float64)}
    verdicts = {main: published["verdict"].to_numpy(dtype=object)}
    for name, url in others.items():
        model = artifacts.load(url)
        model.schema.check(schema.names, features_url)
        chances = model.predict(table.features(features_url, model.schema.names, list(hidden[ENTITY])))
        found[name] = chances[:, model.classes.index(model.rare)].astype(np.float64)
        verdicts[name] = np.array(model.classes, dtype=object)[chances.argmax(axis=1)]
    budget = max(1, int(published["alert"].sum()))
    return Evaluation(
        rows=len(hidden),
        rare_rows=int(truth.sum()),
        budget=budget,
        methods={name: dict(metrics.summary(truth, values, budget, seed=seed)) for name, values in found.items()},
        class_recall={name: _class_recall(hidden[LABEL], given, schema) for name, given in verdicts.items()},
        truth=truth,
        scores=found,
    )


def _published(scores: pd.DataFrame, entities: "pd.Series[str]", features_url: str) -> pd.DataFrame:
    absent = entities[~entities.isin(scores[ENTITY])]
    if len(absent):
        raise ValueError(
            f"{len(absent):,} of {len(entities):,} entities with a hidden label have no score, such as "
            f"{absent.iloc[0]!r:.80}: the scores are not those of {features_url}; score that table again"
        )
    return scores.set_index(ENTITY).loc[entities.tolist()]


def _class_recall(
    truth: "pd.Series[str]", given: NDArray[np.object_], schema: FeatureSchema
) -> dict[str, float | None]:
    """Recall of each class; a weak negative class counts as the class it was made from, 'unknown' as none.

    Training makes weak classes where there is just one class that is not rare, and names them after it.
    """
    back = {name: code for code, name in enumerate(schema.classes)}
    regular = [name for name in schema.classes if name != schema.rare]
    if len(regular) == 1:
        weak = {name for name in given if name.startswith(f"{regular[0]}_")}
        back = dict.fromkeys(weak, back[regular[0]]) | back
    codes = np.array([back.get(name, -1) for name in given])
    return metrics.class_recall(truth.map(back).to_numpy(), codes, schema.classes)
