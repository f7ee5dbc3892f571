"""What IMSIC leaves behind: the classifier of the augmented table, and a generator whose codes a person named.

Takes a trained generator as files and a classifier; gives scores without torch, and with it synthetic rows, the factors
of any row, and what each code changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from training import artifact
from training.artifact import ArtifactError, Manifest, check_width
from training.torch.augmentation.artifact import AddingUp, AugmentedArtifact
from training.torch.augmentation.mlp import MLP
from training.torch.imsic.graph import Graph
from training.torch.imsic.settings import IMSICSettings
from training.torch.second_stage import Classifier
from training.trainer import Floats

if TYPE_CHECKING:
    from training.torch.imsic.generator import Generator, Traversal

VALUES = (-1.0, -0.5, 0.0, 0.5, 1.0)


@dataclass(frozen=True)
class IMSICArtifact(AugmentedArtifact):
    """A trained IMSIC, whatever its classifier."""

    settings_class: ClassVar = IMSICSettings

    @classmethod
    def of(
        cls, manifest: Manifest, classifier: Classifier, reference: Floats, generator_files: Mapping[str, bytes]
    ) -> "IMSICArtifact":
        """Make one whose contributions add up if its classifier is the dense network."""
        kind = AddingUpIMSIC if isinstance(classifier, MLP) else IMSICArtifact
        return kind(manifest, classifier, reference, generator_files)

    @cached_property
    def graph(self) -> Graph:
        """The graph it was trained with."""
        with artifact.refusing("the graph of this IMSIC"):
            return Graph(**self.manifest.history["graph"])

    def encode_codes(self, features: Floats) -> Floats:
        """Return the factors of raw rows, (rows, factors), as the code head reads them; another width is refused."""
        check_width(features, self.schema)
        return self._generator.encode_codes(features)

    def traverse(
        self,
        label: str | int,
        factor: str | int,
        *,
        values: Sequence[float] = VALUES,
        rows: int = 8,
        seed: int = 0,
    ) -> "Traversal":
        """Let the code of one factor take each value, all else that rows of a class are made of staying as it is.

        Args:
            label: name or code of the class.
            factor: its name, or its place in the graph.
            values: of the code, each between -1 and 1.
            rows: how many rows are varied.
            seed: one seed gives one set of rows.

        Raises:
            ValueError: there is no such factor or class, or a value is out of range.
        """
        place = self._place(factor)
        if strange := [value for value in values if not -1 <= value <= 1]:
            raise ValueError(f"values holds {strange}; a code lies between -1 and 1")
        code = self.code_of(label)
        return self._generator.traverse(code, place, values=values, rows=rows, seed=seed)

    def correlations(self, *, rows: int = 4000, seed: int = 0) -> NDArray[np.float64]:
        """Return the correlation of each factor with each code over fresh rows of all classes, (factors, codes)."""
        return self._generator.correlations(rows=rows, seed=seed)

    def _place(self, factor: str | int) -> int:
        names = self.graph.names
        if isinstance(factor, int) and 0 <= factor < len(names):
            return factor
        if factor not in names:
            raise ValueError(f"no factor is {factor!r}; the graph has {list(names)}: name one of these, or its place")
        return names.index(str(factor))

    @cached_property
    def _generator(self) -> "Generator":
        from training.torch.imsic.generator import Generator  # scoring alone needs no torch

        with artifact.refusing("the generator of this IMSIC"):
            settings = IMSICSettings(**self.manifest.settings)
            found = Generator.from_files(
                self.generator_files,
                graph=self.graph,
                names=self.schema.names,
                classes=len(self.classes),
                settings=settings,
            )
            if not {self.code_of(name) for name in self.made_classes} <= set(found.clouds):
                raise ArtifactError("the generator of this IMSIC is not of the classes it was trained for; train again")
            return found


class AddingUpIMSIC(AddingUp, IMSICArtifact):
    """A trained IMSIC whose classifier is the dense network."""
