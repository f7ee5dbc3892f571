"""A fitted XGBOD: detectors and boosted trees as arrays, which score without PyOD or XGBoost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.baselines.detectors import Detectors
from training.baselines.trees_artifact import REFERENCE, TREES, check_asked
from training.occlusion import occlusion
from training.trainer import Floats
from training.trees import Trees

DETECTORS = "detectors.safetensors"


@dataclass(frozen=True)
class XGBODArtifact(Described):
    """Detectors, and trees over features and what the detectors find.

    Attributes:
        detectors: over the features in `present`.
        trees: over these features and the detectors' scores.
        medians: what stands for a missing value, (features,), raw.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
        present: positions of the features that are read.
    """

    detectors: Detectors
    trees: Trees
    medians: Floats
    reference: Floats
    present: NDArray[np.int64]

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        inputs = filled(features, self.medians, self.present)
        found = np.column_stack([inputs, self.detectors.scores(inputs)])
        return self.trees.predict_proba(found.astype(np.float32)).astype(np.float32)

    def contributions(self, features: Floats) -> Floats:
        """Return contributions by occlusion, (rows, features), in units of the rare class's log-odds.

        A feature's contribution is by how much the log-odds fall when it alone is set to the reference's median, in
        the eyes of the detectors as well; a row need not sum to anything.
        """
        check_width(features, self.schema)
        code = self.classes.index(self.rare)
        return occlusion(features, self.reference, lambda rows: self.predict(rows)[:, code], self.present.tolist())

    def save(self, url: str) -> None:
        """Write detectors, trees, reference and, last, the manifest to a folder."""
        rows: dict[str, NDArray[Any]] = {
            "medians": self.medians,
            "reference": self.reference,
            "present": self.present,
        }
        files = {
            DETECTORS: artifact.pack_arrays(self.detectors.arrays()),
            TREES: artifact.pack_arrays(self.trees.arrays()),
            REFERENCE: artifact.pack_arrays(rows),
        }
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; what does not fit together raises `ArtifactError`."""
        rows = artifact.unpack_arrays(files[REFERENCE])
        detectors = Detectors.from_arrays(artifact.unpack_arrays(files[DETECTORS]))
        trees = Trees.from_arrays(artifact.unpack_arrays(files[TREES]))
        width, read = len(manifest.schema.names), len(detectors.mean)
        if rows["medians"].shape != (width,) or rows["reference"].shape != (width,) or rows["present"].shape != (read,):
            raise ArtifactError(f"{DETECTORS} and {REFERENCE} are those of another table; train again")
        check_asked(trees, read + detectors.num, TREES)
        check_asked(detectors.isolation.trees, read, DETECTORS)
        return cls(manifest, detectors, trees, rows["medians"], rows["reference"], rows["present"])


def filled(features: Floats, medians: Floats, present: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the features in `present`, (rows, present), with medians for missing values."""
    rows = np.where(np.isnan(features), medians, features)
    return np.asarray(rows[:, present], dtype=np.float64)
