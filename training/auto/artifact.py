"""Members and how their scores are blended, as one artifact.

The score's log-odds are a weighted sum of the members' log-odds, each of which is brought to one scale first; so a
row's contributions are the same sum of the members' contributions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from training import artifact, member_files
from training.artifact import ArtifactError, Described, Manifest, check_width
from training.auto.blend import Blend, Doubles
from training.auto.settings import NAME
from training.trainer import Artifact, Floats

BLEND = "blend.safetensors"
REFUSED = (NAME, "ensemble")
TINY = 1e-12


@dataclass(frozen=True)
class AutoArtifact(Described):
    """The members that were taken.

    Attributes:
        members: their artifacts.
        blend: how their scores become one.
        files: all their files, each under its member's number.
    """

    members: tuple[Artifact, ...]
    blend: Blend
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, manifest: Manifest, blend: Blend, found: Sequence[tuple[Manifest, Mapping[str, bytes]]]) -> Self:
        """Join members, given as manifests and files, under a blend of as many."""
        return cls.read(manifest, {**member_files.packed(found), BLEND: artifact.pack_arrays(blend.arrays())})

    def predict(self, features: Floats) -> Floats:
        """Return probabilities (rows, classes) of raw rows; another width raises `SchemaMismatch`.

        What the rare class leaves is shared among the others as the members that know them all do on average.
        """
        check_width(features, self.schema)
        given = [member.predict(features) for member in self.members]
        rare = expit(self.blend.heights(self._chances(given)))
        others = self._others(given)
        chances = others * ((1 - rare) / others.sum(axis=1))[:, None]
        chances[:, self.classes.index(self.rare)] = rare
        return np.asarray(chances, np.float32)

    def _chances(self, given: list[Floats]) -> Doubles:
        pairs = zip(self.members, given, strict=True)
        return np.array([found[:, member.classes.index(self.rare)] for member, found in pairs], np.float64)

    def _others(self, given: list[Floats]) -> Doubles:
        """Return weights of the classes but the rare one, whose own is 0, (rows, classes)."""
        own = set(self.classes)
        total = np.full((len(given[0]), len(self.classes)), TINY)
        for member, found in zip(self.members, given, strict=True):
            if own <= set(member.classes):
                total += found[:, [member.classes.index(name) for name in self.classes]]
        total[:, self.classes.index(self.rare)] = 0
        return total

    def contributions(self, features: Floats) -> Floats:
        """Return each feature's signed share in the log-odds of the rare class, (rows, features).

        They are the members' own, of which only those by gradients add up, weighted as the members' scores are.
        """
        check_width(features, self.schema)
        pairs = zip(self.blend.steepness(), self.members, strict=True)
        return np.asarray(sum(weight * member.contributions(features) for weight, member in pairs), np.float32)

    def save(self, url: str) -> None:
        """Write the members' files, the blend and, last, the manifest to a folder."""
        files = {**self.files, BLEND: artifact.pack_arrays(self.blend.arrays())}
        artifact.save_files(url, self.manifest, files)

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> Self:
        """Rebuild an artifact from its files; one of other members or classes raises `ArtifactError`."""
        own = dict(files)
        blend = Blend.from_arrays(artifact.unpack_arrays(own.pop(BLEND)))
        found = member_files.members(own, refused=REFUSED)
        if any(member.schema.fingerprint != manifest.schema.fingerprint for member in found):
            raise ArtifactError("a member was trained on another table; train again")
        if manifest.classes != manifest.schema.classes:
            raise ArtifactError(
                f"the classes are {manifest.classes}, the table's {manifest.schema.classes}; train again"
            )
        if len(blend.weights) != len(found):
            raise ArtifactError(f"{BLEND} blends {len(blend.weights)} members, found {len(found)}; train again")
        return cls(manifest, found, blend, own)
