"""What MGVAE leaves behind: the classifier of the augmented table, and the networks that translate majority rows.

Takes a trained generator as files and a classifier; gives scores, and translations by dense networks, without torch,
synthetic rows with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from training import artifact
from training.artifact import ArtifactError, Manifest, check_width
from training.torch.augmentation.artifact import AddingUp, AugmentedArtifact
from training.torch.augmentation.mlp import MLP
from training.torch.mgvae.settings import MGVAESettings
from training.torch.mgvae.translator import Pairs, Translator
from training.torch.second_stage import Classifier
from training.trainer import Floats

if TYPE_CHECKING:
    from training.torch.mgvae.generator import Generator


@dataclass(frozen=True)
class MGVAEArtifact(AugmentedArtifact):
    """A trained MGVAE, whatever its classifier."""

    settings_class: ClassVar = MGVAESettings

    @classmethod
    def of(
        cls, manifest: Manifest, classifier: Classifier, reference: Floats, generator_files: Mapping[str, bytes]
    ) -> "MGVAEArtifact":
        """Make one whose contributions add up if its classifier is the dense network."""
        kind = AddingUpMGVAE if isinstance(classifier, MLP) else MGVAEArtifact
        return kind(manifest, classifier, reference, generator_files)

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
        code = self.code_of(self.rare if label is None else label)
        if seed is not None or self._settings.network != "dense":
            return self._generator.translate(features, code, seed=seed)
        with artifact.refusing("the generator of this MGVAE"):
            translator = Translator.from_files(self.generator_files, code)
        rows = np.asarray(features, np.float32)
        return Pairs(rows, translator.translate(rows), code)

    def translated_from(self, label: str) -> str | None:
        """Return the largest class, if its rows were learned to be translated into class `label`; else None."""
        source: str = self.manifest.history["majority"]
        return source if label in self.made_classes else None

    @property
    def _settings(self) -> MGVAESettings:
        return MGVAESettings(**self.manifest.settings)

    @cached_property
    def _generator(self) -> "Generator":
        from training.torch.mgvae.generator import Generator  # scoring alone needs no torch

        with artifact.refusing("the generator of this MGVAE"):
            found = Generator.from_files(self.generator_files, self._settings)
            if {self.code_of(name) for name in self.made_classes} != set(found.networks):
                raise ArtifactError("the generator of this MGVAE is not of the classes it was trained for; train again")
            return found


class AddingUpMGVAE(AddingUp, MGVAEArtifact):
    """A trained MGVAE whose classifier is the dense network."""
