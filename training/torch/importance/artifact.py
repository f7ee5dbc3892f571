"""What the importance vector leaves behind: a classifier, clusters that rate any row's rarity, and seeds for SMOTE.

Takes and gives numpy; nothing needs torch. The seeds are rows of the training table, as SMOTE cannot do without.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.dense_network import DenseNetwork, mean_log_odds, shares_of, softmax
from training.torch.importance import rarity
from training.torch.importance.encoder import Encoder
from training.trainer import Floats

if TYPE_CHECKING:
    from training.torch.importance.settings import ImportanceVectorSettings

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

WEIGHTS, ENCODER, SEEDS = "weights.safetensors", "encoder.json", "seeds.safetensors"
ROWS_AT_ONCE = 8192
COMPARED = 2_000_000  # distances held at once


class Samples(NamedTuple):
    """Synthetic rows, best first.

    Attributes:
        features: raw rows, (n, d) float32.
        labels: class code of each.
        confidence: the classifier's probability of the label.
        votes: members of the classifier that give the row that label.
        quality: share of the seeds that lie at least as far from the next seed as the row does from its next one.
    """

    features: Floats
    labels: Codes
    confidence: Doubles
    votes: Doubles
    quality: Doubles


@dataclass(frozen=True)
class ImportanceVectorArtifact(Described):
    """A trained importance vector.

    Attributes:
        encoder: raw rows to inputs.
        classifier: networks over the classes.
        clusters: networks over the classes that rate rarity; none as published.
        shares: each cluster's share of the training rows, (K,).
        reference: median inputs of the rows that are not rare; contributions compare with it.
        seeds: raw rows that SMOTE starts from, (n, d), and `seed_labels` their class codes.
    """

    encoder: Encoder
    classifier: tuple[DenseNetwork, ...]
    clusters: tuple[DenseNetwork, ...]
    shares: Doubles
    reference: Floats
    seeds: Floats
    seed_labels: Codes

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        return np.asarray(self._by_member(features).mean(axis=0), np.float32)

    def predict_with_uncertainty(self, features: Floats) -> tuple[Floats, Floats]:
        """Return what `predict` returns and the standard deviation of the members' scores, (rows,)."""
        chances = self._by_member(features)
        spread = chances[:, :, self.schema.rare_code].std(axis=0)
        return chances.mean(axis=0).astype(np.float32), spread.astype(np.float32)

    def _by_member(self, features: Floats) -> Doubles:
        check_width(features, self.schema)
        parts = [np.empty((len(self.classifier), 0, len(self.classes)))]
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.encoder.encode(features[first : first + ROWS_AT_ONCE])
            parts.append(np.stack([softmax(member.logits(inputs)) for member in self.classifier]))
        return np.concatenate(parts, axis=1)

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the rare class's log-odds, (rows, features), by integrated gradients.

        A row sums to its `contribution_totals`, within the tolerance of `training.integrated_gradients`.
        """
        check_width(features, self.schema)
        parts = [np.empty(features[:0].shape, dtype=np.float32)]
        code = self.schema.rare_code
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.encoder.encode(features[first : first + ROWS_AT_ONCE])
            parts.append(self.encoder.fold(shares_of(self.classifier, inputs, self.reference, code)))
        return np.concatenate(parts)

    def contribution_totals(self, features: Floats) -> Doubles:
        """Return the members' mean log-odds of the rare class less that of the reference, (rows,)."""
        check_width(features, self.schema)
        inputs, code = self.encoder.encode(features), self.schema.rare_code
        return mean_log_odds(self.classifier, inputs, code) - mean_log_odds(self.classifier, self.reference[None], code)

    def importance(self, features: Floats) -> Doubles:
        """Return how rare the group of each raw row is, (rows,): 1 for a group of average size, more for a smaller.

        Among rows of one class it points to those that are unlike the rest: what to label next.

        Raises:
            SchemaMismatch: rows have another width.
            ValueError: trained as published, where a row that was not trained on has no importance.
        """
        check_width(features, self.schema)
        if not self.clusters:
            raise ValueError(
                "as published a row has an importance only while it is trained on; train with mode = 'repaired'"
            )
        parts = [np.empty(0)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            inputs = self.encoder.encode(features[first : first + ROWS_AT_ONCE])
            chances = np.mean([softmax(member.logits(inputs)) for member in self.clusters], axis=0)
            parts.append(rarity.row_importance(chances, self.shares))
        return np.concatenate(parts)

    def sample(self, label: str | int, rows: int, *, seed: int) -> Samples:
        """Make rows of one class by SMOTE, SMOTE-NC or SMOTEN between the seeds of that class, best first.

        Args:
            label: name or code of the class.
            rows: how many.
            seed: one seed gives one set of rows.

        Raises:
            ValueError: there is no such class, it has no seeds, or `rows` is negative.
        """
        from training.oversampling import oversample  # scoring needs no imbalanced-learn

        code = self._code(label)
        if rows < 0:
            raise ValueError(f"rows is {rows}; ask for 0 or more")
        own = self.seeds[self.seed_labels == code]
        features, labels = oversample(
            self.seeds,
            self.seed_labels,
            {code: len(own) + rows},
            categorical=self.encoder.categorical,
            neighbors=self._settings.neighbors,
            seed=seed,
        )
        chances = self._by_member(features)
        confidence, votes = chances.mean(axis=0)[:, code], (chances.argmax(axis=2) == code).sum(axis=0)
        quality = _quality(self.encoder.encode(features), self.encoder.encode(own))
        order = np.argsort(-confidence, kind="stable")
        return Samples(features[order], labels[order], confidence[order], votes[order].astype(float), quality[order])

    def _code(self, label: str | int) -> int:
        name = self.classes[label] if isinstance(label, int) and 0 <= label < len(self.classes) else label
        made = [self.classes[code] for code in np.unique(self.seed_labels)]
        if name not in made:
            raise ValueError(f"there are no seeds of {label!r}; ask for one of {made}")
        return self.classes.index(str(name))

    @property
    def _settings(self) -> "ImportanceVectorSettings":
        from training.torch.importance.settings import ImportanceVectorSettings

        return ImportanceVectorSettings(**self.manifest.settings)

    def save(self, url: str) -> None:
        """Write weights, encoder, seeds and, last, the manifest to a folder."""
        arrays: dict[str, Floats] = {"reference": self.reference}
        for kind, networks in (("classifier", self.classifier), ("clusters", self.clusters)):
            for number, member in enumerate(networks):
                arrays |= member.arrays(f"{kind}{number}.")
        seeds: dict[str, NDArray[Any]] = {"features": self.seeds, "labels": self.seed_labels, "shares": self.shares}
        files = {
            WEIGHTS: artifact.pack_arrays(arrays),
            ENCODER: self.encoder.to_json().encode(),
            SEEDS: artifact.pack_arrays(seeds),
        }
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; networks over other classes raise `ArtifactError`."""
        arrays, seeds = artifact.unpack_arrays(files[WEIGHTS]), artifact.unpack_arrays(files[SEEDS])
        classifier = _networks(arrays, "classifier")
        if not classifier or classifier[0].biases[-1].shape != (len(manifest.classes),):
            raise ArtifactError(f"{WEIGHTS} does not hold networks over the classes {manifest.classes}; train again")
        if seeds["features"].shape != (len(seeds["labels"]), len(manifest.schema.names)):
            raise ArtifactError(f"{SEEDS} holds rows of another table; train again")
        return cls(
            manifest,
            Encoder.from_json(files[ENCODER].decode()),
            classifier,
            _networks(arrays, "clusters"),
            seeds["shares"],
            arrays["reference"],
            seeds["features"],
            seeds["labels"],
        )


def _networks(arrays: Mapping[str, Floats], kind: str) -> tuple[DenseNetwork, ...]:
    found: list[DenseNetwork] = []
    while f"{kind}{len(found)}.kernel0" in arrays:
        found.append(DenseNetwork.from_arrays(arrays, f"{kind}{len(found)}."))
    return tuple(found)


def _quality(made: Floats, seeds: Floats) -> Doubles:
    usual = np.sort(_to_next(seeds, seeds, own=True))
    return 1 - np.searchsorted(usual, _to_next(made, seeds), side="left") / len(usual)


def _to_next(rows: Floats, seeds: Floats, *, own: bool = False) -> Doubles:
    """Return each row's distance to the next seed, (rows,); to another one where the rows are the seeds."""
    block, parts = max(1, COMPARED // max(1, len(seeds))), [np.empty(0)]
    squares = (seeds.astype(np.float64) ** 2).sum(axis=1)
    for first in range(0, len(rows), block):
        some = rows[first : first + block].astype(np.float64)
        distance = (some**2).sum(axis=1)[:, None] + squares - 2 * some @ seeds.T.astype(np.float64)
        if own:
            at = np.arange(len(some))
            distance[at, first + at] = np.inf
        parts.append(np.sqrt(np.maximum(distance.min(axis=1), 0)))
    return np.concatenate(parts)
