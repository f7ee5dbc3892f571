"""What would bring an entity under the alert line: the fewest named features, each moved towards its usual value.

Takes a model's scores, whatever the model; gives for each entity the features that would have to be otherwise, and
what the model itself says of the entity then. It says what the score hangs on, not what an entity ought to do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_extraction.definitions import column
from feature_extraction.schema import FEATURE_SEPARATOR
from inference.components import defined
from inference.labeled import LabeledRows
from training.trainer import Floats

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Fact = tuple[int, ...]  # positions of the features that say it, the one that contributes most first

# Nobody changes how long they have been known, or how long ago a turn was.
FIXED = frozenset({"history", "break_age"})
# What is another two by definition: it is not moved by itself, and follows when one of them is.
RATIOS = {"recency_in_gaps": ("recency", "gap_mean"), "active_share": ("active_steps", "history")}
OF_METRIC = ("metric", "metric per step")  # units in which one number is another thing in every metric
CONSIDERED = 20  # facts that contribute most; more of them are not tried
BISECTIONS = 10


@dataclass(frozen=True)
class Moved:
    """One entity with some features moved.

    Attributes:
        facts: what changed, the fact that contributed most first.
        row: the changed row, (features,).
        score: what the model says of it.
        reached: whether that is below the line.
    """

    facts: tuple[Fact, ...]
    row: Floats
    score: float
    reached: bool


@dataclass(frozen=True)
class Search:
    """What a search needs to know.

    Attributes:
        names: feature columns.
        score: the rare class's probability (rows,) of raw rows.
        target: what a feature is moved to, (features,); NaN where it cannot be moved.
        whole: features that hold whole numbers and keep them, (features,).
        line: the score to come below.
        most: facts that may be changed.
    """

    names: tuple[str, ...]
    score: Callable[[Floats], NDArray[np.floating[Any]]]
    target: Doubles
    whole: Flags
    line: float
    most: int

    @cached_property
    def ratios(self) -> tuple[tuple[int, int, int], ...]:
        """Positions of each ratio that the rows hold, and of the two features it is made of."""
        at = {name: place for place, name in enumerate(self.names)}
        found = []
        for name, place in at.items():
            metric, feature = defined(name)
            above, below = (at.get(column(metric, part)) for part in RATIOS.get(feature.name, ("", "")))
            if above is not None and below is not None:
                found.append((place, above, below))
        return tuple(found)

    @cached_property
    def bounded(self) -> tuple[tuple[int, int], ...]:
        """Positions of each number of steps that the rows hold, and of the history it cannot exceed."""
        at = {name: place for place, name in enumerate(self.names)}
        owners = [(place, *defined(name)) for name, place in at.items()]
        histories = [
            (place, at.get(column(metric, "history"))) for place, metric, feature in owners if feature.unit == "steps"
        ]
        return tuple((place, history) for place, history in histories if history is not None)

    @classmethod
    def towards_usual(
        cls,
        labeled: LabeledRows,
        score: Callable[[Floats], NDArray[np.floating[Any]]],
        *,
        line: float,
        most: int,
    ) -> "Search":
        """Move features to the median of the labelled entities that are not rare, and whole numbers to whole ones."""
        whole, target = labeled.whole(), labeled.typical()
        fixed = [name.split(FEATURE_SEPARATOR, 1)[-1] in FIXED | RATIOS.keys() for name in labeled.names]
        target = np.where(fixed, np.nan, np.where(whole, np.round(target), target))
        return cls(labeled.names, score, target, whole, line, most)

    def run(self, features: Floats, contributions: Floats) -> list[Moved]:
        """Find for each row the facts to change.

        1 List the row's facts that speak for the rare class. A fact is a feature, or one feature of several metrics
        with one value, such as the steps since the last event of any kind: these move together, as they would, to
        one value.
        2 Move the fact that brings the score down furthest, as the model says, and again, until the score is below the
        line, nothing helps any more, or `most` facts are moved.
        3 Where the line was reached, move all of them back by the same share of their way, as far as the score stays
        below it.

        What is missing stays missing, and no number of steps exceeds the entity's history. Ratios of two features
        follow them, see `RATIOS`; looser ties, such as that of a mean to its recent part, are left out of account.

        Args:
            features: raw rows, (rows, features).
            contributions: each feature's share in the score, (rows, features).
        """
        targets = np.tile(self.target, (len(features), 1))
        for place, history in self.bounded:
            targets[:, place] = np.minimum(targets[:, place], features[:, history])
        facts = [self.facts(*parts) for parts in zip(features, contributions, targets, strict=True)]
        for own, targets_of_row in zip(facts, targets, strict=True):
            for fact in own:
                targets_of_row[[*fact]] = targets_of_row[fact[0]]
        moved, reached = self._moved(features, targets, facts)
        fractions = self._as_far_as_needed(features, targets, moved, reached)
        changed = self.blended(features, targets, moved, fractions)
        scores = self._scores(changed)
        return [
            Moved(tuple(fact for fact in facts[i] if differs[[*fact]].any()), changed[i], float(scores[i]), bool(below))
            for i, (differs, below) in enumerate(zip(moved & (changed != features), reached, strict=True))
        ]

    def facts(self, row: Floats, contributions: Floats, target: Doubles) -> list[Fact]:
        """List a row's facts that speak for the rare class and can be changed, those that say most first."""
        members: dict[tuple[str, str], list[int]] = {}
        for place in np.flatnonzero(np.isfinite(target) & np.isfinite(row)):
            _, feature = defined(self.names[place])
            about = self.names[place] if feature.unit in OF_METRIC else feature.name
            members.setdefault((about, repr(row[place])), []).append(int(place))
        facts = [tuple(sorted(places, key=lambda place: -contributions[place])) for places in members.values()]
        sizes = {fact: float(contributions[[*fact]].sum()) for fact in facts}
        movable = [fact for fact, size in sizes.items() if size > 0 and row[fact[0]] != target[fact[0]]]
        return sorted(movable, key=lambda fact: -sizes[fact])[:CONSIDERED]

    def blended(self, features: Floats, targets: Doubles, moved: Flags, fractions: Doubles) -> Floats:
        """Return rows with the `moved` features (rows, features) a fraction (rows,) of the way to their targets."""
        way = targets - features
        place = np.where(fractions[:, None] >= 1, targets, features + fractions[:, None] * way)
        place = np.where(self.whole, np.where(way > 0, np.ceil(place), np.floor(place)), place)
        rows = np.where(moved, place, features).astype(np.float32)
        for ratio, above, below in self.ratios:
            follows = (moved[:, above] | moved[:, below]) & (rows[:, below] != 0) & np.isfinite(rows[:, ratio])
            rows[follows, ratio] = rows[follows, above] / rows[follows, below]
        return rows

    def _moved(self, features: Floats, targets: Doubles, facts: Sequence[Sequence[Fact]]) -> tuple[Flags, Flags]:
        """Return which features to move (rows, features), and whether that is enough (rows,)."""
        moved, scores, left = np.zeros(features.shape, dtype=bool), self._scores(features), [list(own) for own in facts]
        for _ in range(self.most):
            trials = [(i, fact) for i in np.flatnonzero(scores >= self.line) for fact in left[i]]
            if not trials:
                break
            rows = np.array([i for i, _ in trials])
            tried = moved[rows]
            for trial, (_, fact) in zip(tried, trials, strict=True):
                trial[[*fact]] = True
            found = self._scores(self.blended(features[rows], targets[rows], tried, np.ones(len(rows))))
            for i in np.unique(rows):
                own = np.flatnonzero(rows == i)
                best = own[found[own].argmin()]
                if found[best] >= scores[i]:
                    left[i] = []
                    continue
                moved[i], scores[i] = tried[best], found[best]
                left[i].remove(trials[best][1])
        return moved, scores < self.line

    def _as_far_as_needed(self, features: Floats, targets: Doubles, moved: Flags, reached: Flags) -> Doubles:
        """Return the smallest fraction (rows,) that keeps the score below the line; 1 where it was not reached."""
        low, high = np.zeros(len(features)), np.ones(len(features))
        for _ in range(BISECTIONS if reached.any() else 0):
            middle = (low + high) / 2
            below = self._scores(self.blended(features, targets, moved, middle)) < self.line
            low, high = np.where(below, low, middle), np.where(below, middle, high)
        return np.where(reached, high, 1.0)

    def _scores(self, rows: Floats) -> Doubles:
        return np.asarray(self.score(rows), np.float64)
