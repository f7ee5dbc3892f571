"""What MGVAE leaves behind: the classifier of the augmented table, and the networks that translate majority rows.

Takes a trained generator as files and a classifier; gives scores, and translations by dense networks, without torch,
synthetic rows with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.occlusion import occlusion
from training.torch.mgvae import mlp
from training.torch.mgvae.mlp import MLP
from training.torch.mgvae.settings import MGVAESettings
from training.torch.mgvae.translator import Pairs, Translator
from training.torch.second_stage import Classifier
from training.trainer import Floats

if TYPE_CHECKING:
    from training.torch.mgvae.generator import Generator, Samples

REFERENCE = "reference.safetensors"
ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class MGVAEArtifact(Described):
    """A trained MGVAE, whatever its classifier.

    Attributes:
        classifier: of the augmented table, over raw rows.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
        generator_files: the generator as files by name; it is built when rows are first asked for.
    """

    classifier: Classifier
    reference: Floats
    generator_files: Mapping[str, bytes]

    @staticmethod
    def of(
        manifest: Manifest, classifier: Classifier, reference: Floats, generator_files: Mapping[str, bytes]
    ) -> "MGVAEArtifact":
        """Make one whose contributions add up if its classifier is the dense network."""
        if isinstance(classifier, MLP):
            return AddingUpMGVAE(manifest, classifier, reference, generator_files, network=classifier)
        return MGVAEArtifact(manifest, classifier, reference, generator_files)

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`.

        Those of the dense network are of balanced classes.
        """
        check_width(features, self.schema)
        parts = [np.empty((0, len(self.classes)), np.float32)]
        for rows in _blocks(features):
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
        """Make synthetic rows of one class by translating majority rows, best first.

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
        return self._generator.sample(code, rows, seed=seed)

    def translate(self, features: Floats, label: str | int | None = None, *, seed: int | None = None) -> "Pairs":
        """Say what raw rows of the majority would look like as rows of another class.

        A pair differs where the class shows, and agrees in the rest: what would have to change for the row to be rare.

        Args:
            features: raw rows (n, d).
            label: name or code of the class; the rare one if empty.
            seed: draws the code within each row's component; without one its middle is taken.

        Raises:
            SchemaMismatch: rows have another width.
            ValueError: there is no such class, or the generator was not trained to make it.
        """
        check_width(features, self.schema)
        code = self._code(self.rare if label is None else label)
        if seed is not None or self._settings.network != "dense":
            return self._generator.translate(features, code, seed=seed)
        with artifact.refusing("the generator of this MGVAE"):
            translator = Translator.from_files(self.generator_files, code)
        rows = np.asarray(features, np.float32)
        return Pairs(rows, translator.translate(rows), code)

    def translated_from(self, label: str) -> str | None:
        """Return the largest class, if its rows were learned to be translated into class `label`; else None."""
        source: str = self.manifest.history["majority"]
        return source if label in self.manifest.history["minority"] else None

    def _code(self, label: str | int) -> int:
        made: list[str] = self.manifest.history["minority"]
        name = self.classes[label] if isinstance(label, int) and 0 <= label < len(self.classes) else label
        if name not in made:
            raise ValueError(
                f"the generator does not make rows of {label!r}; it was trained for {made}. "
                "Ask for one of these, or train with the class's name in `minority`"
            )
        return self.classes.index(str(name))

    @property
    def _settings(self) -> MGVAESettings:
        return MGVAESettings(**self.manifest.settings)

    @cached_property
    def _generator(self) -> "Generator":
        from training.torch.mgvae.generator import Generator  # scoring alone needs no torch

        with artifact.refusing("the generator of this MGVAE"):
            found = Generator.from_files(self.generator_files, self._settings)
            if {self._code(name) for name in self.manifest.history["minority"]} != set(found.networks):
                raise ArtifactError("the generator of this MGVAE is not of the classes it was trained for; train again")
            return found

    def save(self, url: str) -> None:
        """Write classifier, generator and, last, the manifest to a folder."""
        reference = {REFERENCE: artifact.pack_arrays({"reference": self.reference})}
        artifact.save_files(url, self.manifest, {**self.generator_files, **self.classifier.files(), **reference})

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> "MGVAEArtifact":
        """Rebuild an artifact from its files; a reference of another width raises `ArtifactError`."""
        reference = artifact.unpack_arrays(files[REFERENCE])["reference"]
        if reference.shape != (len(manifest.schema.names),):
            raise ArtifactError(f"{REFERENCE} holds a row of another table; train again")
        classes = [manifest.history["majority"], *manifest.history["minority"]]
        if strange := set(classes) - set(manifest.classes):
            raise ArtifactError(f"the manifest's history names {strange}, which are no classes of it; train again")
        classifier = mlp.from_files(files)
        own = {REFERENCE, artifact.HISTORY, *classifier.files()}
        return cls.of(manifest, classifier, reference, {n: data for n, data in files.items() if n not in own})


@dataclass(frozen=True)
class AddingUpMGVAE(MGVAEArtifact):
    """A trained MGVAE whose classifier is the dense network.

    Attributes:
        network: the classifier.
    """

    network: MLP

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the rare class's log-odds, (rows, features), by integrated gradients.

        A row sums to its `contribution_totals`, within the tolerance of `training.integrated_gradients`.
        """
        check_width(features, self.schema)
        parts = [np.empty((0, len(self.schema.names)), np.float32)]
        parts += [self.network.contributions(rows, self.reference, self.schema.rare_code) for rows in _blocks(features)]
        return np.concatenate(parts)

    def contribution_totals(self, features: Floats) -> NDArray[np.float64]:
        """Return the log-odds of the rare class less those of the reference, (rows,)."""
        check_width(features, self.schema)
        code = self.schema.rare_code
        return self.network.log_odds(features, code) - self.network.log_odds(self.reference[None], code)


def _blocks(features: Floats) -> list[Floats]:
    starts = range(0, len(features), ROWS_AT_ONCE)
    return [np.asarray(features[first : first + ROWS_AT_ONCE], np.float32) for first in starts]
