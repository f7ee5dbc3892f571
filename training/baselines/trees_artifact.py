"""Trees as arrays, as the artifact of every baseline that is a forest: nothing of the library that grew them is needed.

Takes raw rows with NaN for missing, which each node sends where it sent those it was grown on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.occlusion import occlusion, usual
from training.trainer import Batch, Floats
from training.trees import Trees

TREES, REFERENCE = "trees.safetensors", "reference.safetensors"


@dataclass(frozen=True)
class TreesArtifact(Described):
    """Fitted trees.

    Attributes:
        trees: the trees, over all features.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
    """

    trees: Trees
    reference: Floats

    @classmethod
    def of(cls, manifest: Manifest, trees: Trees, rows: Batch) -> Self:
        """Return trees as an artifact that is explained against the labelled `rows` that are not rare."""
        return cls(manifest, trees, usual(rows.features[rows.labels != manifest.schema.rare_code]))

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        return self.trees.predict_proba(features).astype(np.float32)

    def contributions(self, features: Floats) -> Floats:
        """Return contributions by occlusion, (rows, features), in units of the rare class's log-odds.

        A feature's contribution is by how much the log-odds fall when it alone is set to the reference's
        median; a row need not sum to anything.
        """
        check_width(features, self.schema)
        asked = np.unique(self.trees.feature[np.isfinite(self.trees.threshold)])
        return occlusion(features, self.reference, self._chance, asked.tolist())

    def _chance(self, rows: Floats) -> NDArray[np.float64]:
        return self.trees.predict_proba(rows)[:, self.classes.index(self.rare)]

    def save(self, url: str) -> None:
        """Write trees, reference and, last, the manifest to a folder."""
        files = {
            TREES: artifact.pack_arrays(self.trees.arrays()),
            REFERENCE: artifact.pack_arrays({"reference": self.reference}),
        }
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; trees over another table raise `ArtifactError`."""
        arrays: dict[str, NDArray[Any]] = artifact.unpack_arrays(files[REFERENCE])
        trees, width = Trees.from_arrays(artifact.unpack_arrays(files[TREES])), len(manifest.schema.names)
        if arrays["reference"].shape != (width,) or len(trees.start) != len(manifest.classes):
            raise ArtifactError(f"{TREES} and {REFERENCE} are those of another table; train again")
        check_asked(trees, width, TREES)
        return cls(manifest, trees, arrays["reference"])


def check_asked(trees: Trees, width: int, name: str) -> None:
    """Raise `ArtifactError` unless trees ask about none but the first `width` columns; `name` is that of their file."""
    if trees.feature.min(initial=0) < 0 or trees.feature.max(initial=0) >= width:
        raise ArtifactError(f"{name} asks about features that the table of {width} does not have; train again")
