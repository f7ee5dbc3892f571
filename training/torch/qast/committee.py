"""The committee that votes on the labels of generated rows (B.5): any members, all counted, weighted by their skill.

Takes raw rows with their class codes, or encoded ones as published; gives opinions and tallies of votes. A member's
weight is what it reaches beyond chance on rows that it did not learn from.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from training.artifact import pack_arrays, unpack_arrays
from training.rows_by_class import Rows, bounded, occurrence
from training.scaler import Scaler
from training.torch.qast import gate
from training.torch.qast.gate import Tally
from training.torch.qast.members import fit_member
from training.torch.qast.scorers import Codes, Doubles, Kernel, Linear, Member, Neighbors
from training.torch.qast.settings import MemberName, QASTSettings
from training.trainer import Floats
from training.trees import Trees

COMMITTEE, ARRAYS = "committee.json", "committee.safetensors"
READERS: dict[str, Callable[[Mapping[str, NDArray[Any]]], Member]] = {
    kind.__name__: kind.from_arrays for kind in (Linear, Kernel, Neighbors, Trees)
}
NETWORK = "network"

NetworkFit = Callable[[Floats, Codes, int], Member]
NetworkRead = Callable[[Mapping[str, NDArray[Any]]], Member]


class Opinions(NamedTuple):
    """What m members say of B rows: `votes` (m, B) class codes, `probabilities` (m, B, K)."""

    votes: Codes
    probabilities: Floats


@dataclass(frozen=True, eq=False)
class Committee:
    """Fitted members.

    Attributes:
        names: of the members, in order.
        members: themselves.
        skill: (m,) recall over classes, on held-out rows; NaN where none were held out.
        weights: (m,) of their votes; not negative, and one of them above 0.
        classes: K.
        scaler: raw rows to what members see; None where they see encoded rows.
    """

    names: tuple[MemberName, ...]
    members: tuple[Member, ...]
    skill: Doubles
    weights: Doubles
    classes: int
    scaler: Scaler | None

    @classmethod
    def fit(
        cls,
        features: Floats,
        labels: Codes,
        *,
        classes: int,
        settings: QASTSettings,
        seed: int,
        network: NetworkFit | None = None,
    ) -> Self:
        """Fit every member to all rows, after weighing it by `committee_folds` folds.

        Args:
            features: (n, d) raw rows; encoded ones where `settings.committee_rows` is 'encoded'.
            labels: (n,) class codes.
            classes: K.
            settings: the committee's fields are read.
            seed: of whatever is drawn.
            network: fits the member 'network' to rows, labels and a seed; not needed without that member.

        Raises:
            ValueError: rows are of fewer than two classes, or 'network' is a member and cannot be fitted.
        """
        _check(labels, settings, network)
        scaler = Scaler.fit(features) if settings.committee_rows == "standard" else None
        chosen = bounded(labels, settings.committee_rows_at_most, seed=seed)
        rows, codes = _seen(features[chosen], scaler), labels[chosen]

        def member(name: MemberName, part: Rows) -> Member:
            if name == NETWORK and network:
                return network(rows[part], codes[part], seed)
            return fit_member(name, rows[part], codes[part], classes=classes, settings=settings, seed=seed)

        parts = dealt(codes, settings.committee_folds, seed=seed)
        skill = np.array([_skill(name, member, parts, rows, codes) for name in settings.members])
        members = tuple(member(name, np.arange(len(codes))) for name in settings.members)
        return cls(settings.members, members, skill, weights_of(skill, len(np.unique(codes))), classes, scaler)

    def opinions(self, features: Floats) -> Opinions:
        """Ask every member about rows like those of `fit`; a vote is the likeliest class."""
        rows = _seen(features, self.scaler)
        probabilities = np.stack([member.predict_proba(rows) for member in self.members]).astype(np.float32)
        return Opinions(probabilities.argmax(axis=2), probabilities)

    def tally(self, features: Floats) -> Tally:
        """Ask every member about rows like those of `fit` and count their weighted votes."""
        return gate.tally(*self.opinions(features), self.weights)

    def files(self) -> dict[str, bytes]:
        """Return the committee as files by name; `from_files` reads them back."""
        kinds = [NETWORK if name == NETWORK else type(one).__name__ for name, one in self._named()]
        facts = {
            "names": self.names,
            "kinds": kinds,
            "classes": self.classes,
            "scaler": self.scaler and self.scaler.to_json(),
        }
        arrays = {
            f"{place}.{key}": value for place, one in enumerate(self.members) for key, value in one.arrays().items()
        }
        arrays |= {"skill": self.skill, "weights": self.weights}
        return {COMMITTEE: json.dumps(facts).encode(), ARRAYS: pack_arrays(arrays)}

    def _named(self) -> list[tuple[MemberName, Member]]:
        return list(zip(self.names, self.members, strict=True))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, network: NetworkRead | None = None) -> Self:
        """Read what `files` gave; `network` rebuilds the member of that name and is needed where there is one."""
        facts, arrays = json.loads(files[COMMITTEE]), unpack_arrays(files[ARRAYS])
        own: list[dict[str, NDArray[Any]]] = [{} for _ in facts["names"]]
        for name, array in arrays.items():
            place, dot, key = name.partition(".")
            if dot:
                own[int(place)][key] = array
        readers = READERS | ({NETWORK: network} if network else {})
        members = tuple(readers[kind](mine) for kind, mine in zip(facts["kinds"], own, strict=True))
        scaler = Scaler.from_json(facts["scaler"]) if facts["scaler"] else None
        return cls(tuple(facts["names"]), members, arrays["skill"], arrays["weights"], facts["classes"], scaler)


def dealt(labels: Codes, folds: int, *, seed: int) -> list[tuple[Rows, Rows]]:
    """Deal the rows of each class round the folds, and return each fold's rows to learn from and held-out ones.

    A class of one row is never held out. Of 0 folds there are none.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    fold = np.empty(len(labels), np.intp)
    fold[order] = occurrence(labels[order]) % folds if folds else 0
    fold[np.bincount(labels)[labels] == 1] = -1
    parts = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(folds)]
    return [part for part in parts if len(part[1])]


def weights_of(skill: Doubles, classes: int) -> Doubles:
    """Return each member's recall beyond chance, 1 for a perfect one; equal weights where no member has any."""
    chance = 1 / classes
    beyond = np.nan_to_num(np.maximum(skill - chance, 0) / (1 - chance))
    return np.asarray(beyond if beyond.any() else np.ones(len(skill)))


def _skill(
    name: MemberName,
    fit: Callable[[MemberName, Rows], Member],
    parts: Sequence[tuple[Rows, Rows]],
    rows: Floats,
    codes: Codes,
) -> float:
    if not parts:
        return float("nan")
    held_out = np.concatenate([held for _, held in parts])
    voted = np.concatenate([fit(name, known).predict_proba(rows[held]).argmax(axis=1) for known, held in parts])
    right = np.bincount(codes[held_out], voted == codes[held_out])
    counts = np.bincount(codes[held_out])
    return float((right[counts > 0] / counts[counts > 0]).mean())


def _seen(features: Floats, scaler: Scaler | None) -> Floats:
    return scaler.transform(features) if scaler else np.asarray(features, np.float32)


def _check(labels: Codes, settings: QASTSettings, network: NetworkFit | None) -> None:
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(f"found rows of the classes {present.tolist()} alone; a committee needs at least two classes")
    if NETWORK in settings.members and network is None:
        raise ValueError(f"the members {list(settings.members)} name 'network'; say how to fit it, or leave it out")
