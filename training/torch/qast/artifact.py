"""What QAST leaves behind: the classifier of the augmented table, and all that more rows can be made of.

Takes a trained synthesizer as files and the second stage's classifier; gives scores without torch where that
classifier is of trees, and synthetic rows with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.occlusion import occlusion
from training.torch import second_stage
from training.torch.qast.settings import QASTSettings
from training.torch.second_stage import Classifier
from training.trainer import Floats

if TYPE_CHECKING:
    from training.torch.qast.sampling import Samples, Synthesizer

REFERENCE = "reference.safetensors"
ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class QASTArtifact(Described):
    """A trained QAST.

    Attributes:
        classifier: the second stage's, over raw rows.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
        stage_files: the synthesizer as files by name; it is built when rows are first asked for.
    """

    classifier: Classifier
    reference: Floats
    stage_files: Mapping[str, bytes]

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`."""
        check_width(features, self.schema)
        parts = [np.empty((0, len(self.classes)), np.float32)]
        for first in range(0, len(features), ROWS_AT_ONCE):
            rows = np.asarray(features[first : first + ROWS_AT_ONCE], np.float32)
            parts.append(np.asarray(self.classifier.predict_proba(rows), np.float32))
        return np.concatenate(parts)

    def contributions(self, features: Floats) -> Floats:
        """Return contributions by occlusion, (rows, features), in units of the rare class's log-odds.

        A feature's contribution is by how much the log-odds fall when it alone is set to the reference's median.
        """
        check_width(features, self.schema)
        return occlusion(features, self.reference, self._chance, range(len(self.reference)))

    def _chance(self, rows: Floats) -> Floats:
        return self.classifier.predict_proba(rows)[:, self.schema.rare_code]

    def sample(self, label: str | int, rows: int, *, seed: int) -> "Samples":
        """Make synthetic rows of one class, best first; fewer where the budget does not bring enough.

        Args:
            label: name or code of the class.
            rows: how many.
            seed: one seed gives one set of rows.

        Raises:
            ValueError: there is no such class, the generator was not trained to make it, or `rows` is negative.
        """
        code = self._code(label)
        if rows < 0:
            raise ValueError(f"rows is {rows}; ask for 0 or more")
        return self._synthesizer.synthesize({code: rows}, budget=self._settings.rounds * rows, seed=seed).samples

    def _code(self, label: str | int) -> int:
        made = [self.classes[code] for code in self._noise_classes]
        name = self.classes[label] if isinstance(label, int) and 0 <= label < len(self.classes) else label
        if name not in made:
            raise ValueError(
                f"the generator does not make rows of {label!r}; it was trained for {made}. "
                "Ask for one of these, or train with noise_labels = 'all' for every class"
            )
        return self.classes.index(str(name))

    @property
    def _settings(self) -> QASTSettings:
        return QASTSettings(**self.manifest.settings)

    @property
    def _noise_classes(self) -> tuple[int, ...]:
        return tuple(self.manifest.history["synthesis"]["noise_classes"])

    @cached_property
    def _synthesizer(self) -> "Synthesizer":
        from training.torch.qast import stage  # scoring alone needs no torch

        with artifact.refusing("the synthesizer of this QAST"):
            return stage.synthesizer_from(
                self.stage_files,
                settings=self._settings,
                num_classes=len(self.classes),
                noise_classes=self._noise_classes,
            )

    def save(self, url: str) -> None:
        """Write both stages and, last, the manifest to a folder."""
        reference = {REFERENCE: artifact.pack_arrays({"reference": self.reference})}
        artifact.save_files(url, self.manifest, {**self.stage_files, **self.classifier.files(), **reference})

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; a reference of another width raises `ArtifactError`."""
        reference = artifact.unpack_arrays(files[REFERENCE])["reference"]
        if reference.shape != (len(manifest.schema.names),):
            raise ArtifactError(f"{REFERENCE} holds a row of another table; train again")
        classifier = second_stage.from_files(files)
        own = {REFERENCE, artifact.HISTORY, *classifier.files()}
        return cls(manifest, classifier, reference, {name: data for name, data in files.items() if name not in own})
