"""What QAST leaves behind: the classifier of the augmented table, and all that more rows can be made of.

Takes a trained synthesizer as files and the second stage's classifier; gives scores without torch where that
classifier is of trees, and synthetic rows with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from training import artifact
from training.artifact import Manifest
from training.torch import second_stage
from training.torch.augmentation.artifact import AugmentedArtifact
from training.torch.qast.settings import QASTSettings
from training.torch.second_stage import Classifier
from training.trainer import SyntheticRows

if TYPE_CHECKING:
    from training.torch.qast.sampling import Synthesizer


@dataclass(frozen=True)
class QASTArtifact(AugmentedArtifact):
    """A trained QAST; its generator is the synthesizer of stage 1."""

    settings_class: ClassVar = QASTSettings
    to_make_more: ClassVar[str] = "train with noise_labels = 'all' for every class"

    @property
    def made_classes(self) -> Sequence[str]:
        """Classes that the generator makes rows of."""
        return [self.classes[code] for code in self._noise_classes]

    def _made(self, code: int, rows: int, seed: int) -> SyntheticRows:
        return self._synthesizer.synthesize({code: rows}, budget=self._settings.rounds * rows, seed=seed).samples

    @staticmethod
    def classifier_from(files: Mapping[str, bytes]) -> Classifier:
        """Read the classifier; a dense network is no second stage of a QAST."""
        return second_stage.from_files(files)

    @classmethod
    def classes_named(cls, manifest: Manifest) -> Sequence[str]:
        """Return none: the history of a QAST tells classes by their codes."""
        return []

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
                self.generator_files,
                settings=self._settings,
                num_classes=len(self.classes),
                noise_classes=self._noise_classes,
            )
