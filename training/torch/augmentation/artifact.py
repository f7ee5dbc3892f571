"""What every trainer that makes rows leaves behind: a classifier of the augmented table, and the generator as files.

Takes a fitted classifier; gives probabilities and contributions without torch. What its rows can be asked for besides
is for the method's own artifact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training import artifact
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.occlusion import occlusion
from training.torch.augmentation import mlp
from training.torch.augmentation.mlp import MLP
from training.torch.augmentation.settings import AugmentationSettings
from training.torch.second_stage import Classifier
from training.torch.second_stage_settings import SecondStageSettings
from training.trainer import Floats, SyntheticRows

if TYPE_CHECKING:
    from training.torch.augmentation.gate import Maker

REFERENCE = "reference.safetensors"
ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class AugmentedArtifact(Described):
    """A classifier of real and synthetic rows, whatever its kind.

    Attributes:
        classifier: of the augmented table, over raw rows.
        reference: medians of the labelled rows that are not rare, raw; contributions compare with it.
        generator_files: the generator as files by name; it is built when rows are first asked for.
        settings_class: of the method's settings.
        to_make_more: what brings a generator of other classes.
    """

    classifier: Classifier
    reference: Floats
    generator_files: Mapping[str, bytes]
    settings_class: ClassVar[type[SecondStageSettings]] = AugmentationSettings
    to_make_more: ClassVar[str] = "train with the class's name in `minority`"

    @property
    def made_classes(self) -> Sequence[str]:
        """Classes that the generator makes rows of."""
        made: list[str] = self.manifest.history["minority"]
        return made

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

    def code_of(self, label: str | int) -> int:
        """Return the code of a class by name or code; one that the generator does not make raises `ValueError`."""
        made = self.made_classes
        name = self.classes[label] if isinstance(label, int) and 0 <= label < len(self.classes) else label
        if name not in made:
            raise ValueError(
                f"the generator does not make rows of {label!r}; it was trained for {list(made)}. "
                f"Ask for one of these, or {self.to_make_more}"
            )
        return self.classes.index(str(name))

    def sample(self, label: str | int, rows: int, *, seed: int) -> SyntheticRows:
        """Make synthetic rows of one class, best first; fewer where the generator refuses too many of its own.

        Args:
            label: name or code of the class.
            rows: how many.
            seed: one seed gives one set of rows.

        Raises:
            ValueError: there is no such class, the generator was not trained to make it, or `rows` is negative.
        """
        code = self.code_of(label)
        if rows < 0:
            raise ValueError(f"rows is {rows}; ask for 0 or more")
        return self._made(code, rows, seed)

    def _made(self, code: int, rows: int, seed: int) -> SyntheticRows:
        return self._generator.sample(code, rows, seed=seed)

    @property
    def _generator(self) -> "Maker":
        """The generator, built from its files."""
        raise NotImplementedError  # each method's own

    def save(self, url: str) -> None:
        """Write classifier, generator and, last, the manifest to a folder."""
        reference = {REFERENCE: artifact.pack_arrays({"reference": self.reference})}
        artifact.save_files(url, self.manifest, {**self.generator_files, **self.classifier.files(), **reference})

    @classmethod
    def of(
        cls, manifest: Manifest, classifier: Classifier, reference: Floats, generator_files: Mapping[str, bytes]
    ) -> Self:
        """Make one; each method's own takes the class that also adds up if its classifier is the dense network."""
        return cls(manifest, classifier, reference, generator_files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files.

        Raises:
            ArtifactError: they are of another table.
            ValueError: the settings are another method's.
        """
        cls.settings_class(**manifest.settings)
        reference = artifact.unpack_arrays(files[REFERENCE])["reference"]
        if reference.shape != (len(manifest.schema.names),):
            raise ArtifactError(f"{REFERENCE} holds a row of another table; train again")
        if strange := set(cls.classes_named(manifest)) - set(manifest.classes):
            raise ArtifactError(f"the manifest's history names {strange}, which are no classes of it; train again")
        classifier = cls.classifier_from(files)
        own = {REFERENCE, artifact.HISTORY, *classifier.files()}
        return cls.of(manifest, classifier, reference, {n: data for n, data in files.items() if n not in own})

    @staticmethod
    def classifier_from(files: Mapping[str, bytes]) -> Classifier:
        """Read the classifier, of a kind that the method trains."""
        return mlp.from_files(files)

    @classmethod
    def classes_named(cls, manifest: Manifest) -> Sequence[str]:
        """Return the classes that a manifest's history names."""
        return [manifest.history["majority"], *manifest.history["minority"]]


class AddingUp(AugmentedArtifact):
    """One whose classifier is the dense network."""

    @property
    def _network(self) -> MLP:
        if not isinstance(self.classifier, MLP):
            raise ArtifactError(f"{type(self.classifier).__name__} has no gradients to integrate; train again")
        return self.classifier

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the rare class's log-odds, (rows, features), by integrated gradients.

        A row sums to its `contribution_totals`, within the tolerance of `training.integrated_gradients`.
        """
        check_width(features, self.schema)
        parts = [np.empty((0, len(self.schema.names)), np.float32)]
        code = self.schema.rare_code
        parts += [self._network.contributions(rows, self.reference, code) for rows in _blocks(features)]
        return np.concatenate(parts)

    def contribution_totals(self, features: Floats) -> NDArray[np.float64]:
        """Return the log-odds of the rare class less those of the reference, (rows,)."""
        check_width(features, self.schema)
        code = self.schema.rare_code
        return self._network.log_odds(features, code) - self._network.log_odds(self.reference[None], code)


def _blocks(features: Floats) -> list[Floats]:
    starts = range(0, len(features), ROWS_AT_ONCE)
    return [np.asarray(features[first : first + ROWS_AT_ONCE], np.float32) for first in starts]
