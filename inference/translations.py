"""What a model that makes rare rows of regular ones would change in the regular entity most like an alerted one.

Takes an artifact that translates, and the alerts' rows; gives for each the features that the translation moves most.
A translation is the generator's idea of the rare class, not an entity that exists, and not the reason of a score.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference import neighbors
from inference.components import defined
from inference.labeled import LabeledRows
from inference.report_alerts import Move, Translation
from training.scaler import Scaler
from training.trainer import Artifact, Floats, Translates

Doubles = NDArray[np.float64]

LEAST = 0.25  # typical spreads; a smaller move is the networks' blur


def translations(
    model: Artifact,
    entities: Sequence[str],
    features: Floats,
    contributions: Floats,
    labeled: LabeledRows,
    *,
    most: int,
) -> list[Translation | None]:
    """Translate the nearest labelled entity of the class that `model` translates from, for each entity.

    Args:
        model: whatever made the scores; None is given for each entity where it does not translate into its rare class.
        entities: ids, (rows,).
        features: their raw rows, (rows, features).
        contributions: their contributions, (rows, features), which say what makes entities alike.
        labeled: whom to liken them to.
        most: features that are named; 0 for no translations.
    """
    source = model.translated_from(model.rare) if isinstance(model, Translates) else None
    if not isinstance(model, Translates) or source is None or not most:
        return [None] * len(entities)
    kinds = [labeled.labels == source]
    alike = neighbors.nearest(entities, features, contributions, labeled, count=1, kinds=kinds)
    place = {str(entity): at for at, entity in enumerate(labeled.entities)}
    chosen = {at: place[found[0].entity_id] for at, found in enumerate(alike) if found}
    if not chosen:
        return [None] * len(entities)
    before = labeled.features[list(chosen.values())]
    after = model.translate(before).translated
    code = model.classes.index(model.rare)
    scores = np.stack([model.predict(before)[:, code], model.predict(after)[:, code]], axis=1).tolist()
    moves = _moves(labeled.names, (before, after, features[list(chosen)]), Scaler.fit(labeled.features), most)
    made = {
        at: Translation(str(labeled.entities[row]), source, own, *pair)
        for (at, row), own, pair in zip(chosen.items(), moves, scores, strict=True)
    }
    return [made.get(at) for at in range(len(entities))]


def _moves(names: Sequence[str], rows: tuple[Floats, Floats, Floats], scaler: Scaler, most: int) -> list[list[Move]]:
    """Return the largest moves of each triple of rows: before, after, and the alerted entity's own."""
    before, after, _ = rows
    sizes = scaler.fold(np.abs(scaler.transform(after) - scaler.transform(before)))
    return [
        [
            _move(names[place], [float(one[at, place]) for one in rows], float(size[place]))
            for place in np.argsort(-size, kind="stable")[:most]
            if size[place] >= LEAST
        ]
        for at, size in enumerate(sizes)
    ]


def _move(name: str, values: Sequence[float], spreads: float) -> Move:
    metric, feature = defined(name)
    before, after, own = (None if np.isnan(value) else value for value in values)
    return Move(name, metric, before, after, own, spreads, feature.unit, feature.definition)
