"""Weak negative classes where people labelled only "rare" and "not rare".

Takes label codes, features and their schema; gives labels with the regular class split by activity.
ScarceGAN's leeway moves a part of each negative's target to the output `unknown`, and at the optimum of its
supervised loss `unknown` can win over the negatives only where they are at least so many that none of them
has a share above leeway / (1 - leeway): more than (1 - leeway) / leeway negatives, thus three at a leeway of
0.3. With a single negative class `unknown` would be an output that never answers. Activity is a weak label in
the method's own sense: its original classes were dormant, normal and heavy users.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feature_extraction.schema import FEATURE_SEPARATOR, FeatureSchema
from training.trainer import Floats, Labels, RatesLabels, Reader

ACTIVITY_FEATURES = ("active_share", "level", "active_days", "count", "n")
LEVEL_NAMES = {2: ("low", "high"), 3: ("low", "mid", "high")}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeakLabels:
    """Labels over weak classes.

    Attributes:
        labels: class code of each labelled row, positions in `classes`.
        classes: class names, `unknown` not among them.
        rare: the rare class, unchanged.
        activity: the feature that split the regular rows; empty where the labels were left as they are.
        edges: inner bin edges on that feature, ascending.
    """

    labels: Labels
    classes: tuple[str, ...]
    rare: str
    activity: str = ""
    edges: tuple[float, ...] = ()

    @property
    def rare_code(self) -> int:
        """Label code of the rare class."""
        return self.classes.index(self.rare)


def activity_feature(schema: FeatureSchema, wanted: str = "") -> str:
    """Name the feature that tells how active an entity is.

    Args:
        schema: schema of the feature table.
        wanted: a feature's full name; empty for the first `<metric>__active_share`, else the first
            `<metric>__level`, and so on down `ACTIVITY_FEATURES`, else the table's first feature.

    Raises:
        ValueError: `wanted` is not in the schema.
    """
    if wanted:
        if wanted not in schema.names:
            raise ValueError(f"activity feature {wanted!r} is not in the feature table; choose one of {schema.names}")
        return wanted
    for suffix in ACTIVITY_FEATURES:
        for name in schema.names:
            if name.endswith(FEATURE_SEPARATOR + suffix):
                return name
    logger.warning("no feature tells activity; %s splits the regular rows instead", schema.names[0])
    return schema.names[0]


def weak_negatives(
    labels: Labels, features: Floats, schema: FeatureSchema, *, num: int, activity: str = ""
) -> WeakLabels:
    """Split the regular rows of two-class labels into `num` weak classes by quantiles of activity.

    Labels that name more than two classes are left as they are. The edges are quantiles over the labelled
    regular rows; a missing activity counts as the lowest. Where many rows share one activity, edges coincide
    and fewer classes come out, which is logged.

    Args:
        labels: codes of the labelled rows, positions in `schema.classes`, (rows,).
        features: the same rows, raw, (rows, features).
        schema: their schema; its `rare` names the class that is left alone.
        num: weak classes wanted.
        activity: feature to split by; see `activity_feature`.

    Returns:
        New labels: the weak classes in rising activity, then the rare class.
    """
    if len(schema.classes) != 2 or num == 1:
        return WeakLabels(labels, schema.classes, schema.rare)
    name = activity_feature(schema, activity)
    values = features[:, schema.names.index(name)].astype(np.float64)
    values = np.where(np.isnan(values), -np.inf, values)
    regular = labels != schema.rare_code
    edges = np.quantile(values[regular], np.arange(1, num) / num, method="lower")
    bins = np.searchsorted(edges, values, side="left")
    filled = [level for level in range(num) if int((regular & (bins == level)).sum()) >= 2]
    if len(filled) < num:
        logger.warning("%s takes few values: %d weak classes instead of %d", name, len(filled), num)
    merged = np.clip(np.searchsorted(filled, bins, side="right") - 1, 0, None)
    regular_name = next(label for label in schema.classes if label != schema.rare)
    classes = (*_names(regular_name, len(filled)), schema.rare)
    if len({label.lower() for label in classes}) < len(classes):
        raise ValueError(
            f"the weak classes made from {regular_name!r} are {classes[:-1]}, and one is named like the rare class "
            f"{schema.rare!r}; rename that class in the labels"
        )
    codes = np.where(regular, merged, len(classes) - 1).astype(np.int8)
    return WeakLabels(codes, classes, schema.rare, name, tuple(float(edge) for edge in edges))


def label_confidences(reader: Reader, rows: int) -> Floats:
    """Return how far each of the `rows` labels is to be trusted, 1 throughout where the reader does not say."""
    if not isinstance(reader, RatesLabels):
        return np.ones(rows, dtype=np.float32)
    found = np.asarray(reader.confidences(), dtype=np.float32)
    if found.shape != (rows,) or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(
            f"found label confidences of shape {found.shape}, from {found.min(initial=np.inf)} to "
            f"{found.max(initial=-np.inf)}; give one between 0 and 1 for each of the {rows} labelled rows"
        )
    return found


def trusted_targets(targets: Floats, confidences: Floats, *, unknown: bool) -> Floats:
    """Weigh soft targets (rows, classes) by the confidence in each label.

    With `unknown` as the last class it takes what is lost, so that a label of confidence c has the leeway
    1 - (1 - leeway) c; without it the row weighs less.
    """
    trusted = targets * confidences[:, None]
    if unknown:
        trusted[:, -1] += 1 - confidences
    return trusted.astype(np.float32)


def warn_if_unknown_is_inert(classes: tuple[str, ...], rare: str, leeway: Mapping[str, float]) -> bool:
    """Warn where `unknown` can never win over the negatives, and return whether that is so.

    With class posteriors q_k among the negatives, the optimum gives class k the weight (1 - leeway_k) q_k and
    unknown the weight sum_k leeway_k q_k. Unknown does best where all the weights (1 - leeway_k) q_k are
    equal, and beats them if sum_k leeway_k / (1 - leeway_k) > 1; with one leeway for all: more than (1 -
    leeway) / leeway negatives.
    """
    shares = [leeway[name] for name in classes if name != rare]
    if any(share >= 1 for share in shares) or sum(share / (1 - share) for share in shares) > 1:
        return False
    if any(shares):  # a leeway of 0 throughout turns unknown off on purpose
        logger.warning(
            "'unknown' is out of reach: %d negative classes with leeway %s can never lose to it; "
            "use more negative classes (negative_classes) or a larger leeway",
            len(shares),
            shares,
        )
    return True


def _names(regular: str, num: int) -> tuple[str, ...]:
    if num == 1:
        return (regular,)
    levels = LEVEL_NAMES.get(num, tuple(str(level + 1) for level in range(num)))
    return tuple(f"{regular}_{level}" for level in levels)
