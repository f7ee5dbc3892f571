"""Several artifacts of one method as one: probabilities, spread and contributions are those of its members together.

Takes the folders of trained artifacts, such as one method's with several seeds; gives an artifact that keeps their
files as they are, each under the number of its member, and whose manifest holds a digest of every one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import artifact as artifacts
from training import member_files
from training.artifact import Described, Manifest, save_files
from training.held_out import HeldOut
from training.metrics import held_out_summary
from training.trainer import AddsUp, Artifact, Floats, StatesUncertainty

NAME = "ensemble"


class MembersDiffer(ValueError):
    """Artifacts cannot be averaged: they take other rows or give other classes."""


@dataclass(frozen=True)
class EnsembleArtifact(Described):
    """The mean of several artifacts over the same features and classes.

    Attributes:
        members: the artifacts.
        files: all their files, each under its member's number.
    """

    members: tuple[Artifact, ...]
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, urls: Sequence[str]) -> "EnsembleArtifact":
        """Join the artifacts in these folders, in this order.

        Raises:
            MembersDiffer: they do not share features, classes and the rare class.
            ArtifactError: a folder does not hold a whole artifact.
        """
        found = [artifacts.load_files(url) for url in urls]
        manifests = [manifest for manifest, _ in found]
        for manifest, url in zip(manifests, urls, strict=True):
            _check_same(manifests[0], manifest, url)
        return cls.read(_manifest(manifests), member_files.packed(found))

    @classmethod
    def read(cls, manifest: Manifest, files: Mapping[str, bytes]) -> "EnsembleArtifact":
        """Rebuild an ensemble from its members' files."""
        members = member_files.members(files, refused=(NAME,))
        kind = AddingUpEnsemble if all(isinstance(member, AddsUp) for member in members) else EnsembleArtifact
        return kind(manifest, members, dict(files))

    def predict(self, features: Floats) -> Floats:
        """Return the members' mean probabilities (rows, classes) of raw rows."""
        return self.predict_with_uncertainty(features)[0]

    def predict_with_uncertainty(self, features: Floats) -> tuple[Floats, Floats]:
        """Return the mean probabilities and the spread of the rare class's, (rows, classes) and (rows,).

        The spread is the standard deviation over all networks where members are ensembles of equally many: by the law
        of total variance, the mean of the variances within members and the variance between them.
        """
        code = self.classes.index(self.rare)
        pairs = [_with_spread(member, features) for member in self.members]
        chances = np.stack([found for found, _ in pairs]).astype(np.float64)
        within = np.stack([spread for _, spread in pairs]).astype(np.float64)
        variance = (within**2).mean(axis=0) + chances[:, :, code].var(axis=0)
        return chances.mean(axis=0).astype(np.float32), np.sqrt(variance).astype(np.float32)

    def contributions(self, features: Floats) -> Floats:
        """Return the members' mean contributions, (rows, features)."""
        return self._mean_contributions(features).astype(np.float32)

    def _mean_contributions(self, features: Floats) -> NDArray[np.float64]:
        parts = [member.contributions(features) for member in self.members]
        return np.asarray(np.mean(parts, axis=0, dtype=np.float64), dtype=np.float64)

    def save(self, url: str) -> None:
        """Write the members' files and, last, the manifest to a folder."""
        save_files(url, self.manifest, self.files)


@dataclass(frozen=True)
class AddingUpEnsemble(EnsembleArtifact):
    """An ensemble each of whose members can say what its contributions add up to.

    A member's contributions miss its total by a little. Where the members' totals cancel each other, the same little is
    a large part of what is left, so it is dealt out in proportion to the contributions.
    """

    def contributions(self, features: Floats) -> Floats:
        """Return the members' mean contributions, (rows, features), which sum to `contribution_totals`."""
        shares = self._mean_contributions(features)
        sizes = np.abs(shares)
        missing = self.contribution_totals(features) - shares.sum(axis=1)
        weights = np.divide(sizes, sizes.sum(axis=1, keepdims=True), out=np.zeros_like(sizes), where=sizes > 0)
        return np.asarray(shares + weights * missing[:, None], dtype=np.float32)

    def contribution_totals(self, features: Floats) -> NDArray[np.float64]:
        """Return what a row's contributions sum to, (rows,): the mean of the members' totals."""
        totals = [member.contribution_totals(features) for member in self.members if isinstance(member, AddsUp)]
        return np.asarray(np.mean(totals, axis=0), dtype=np.float64)


def _with_spread(member: Artifact, features: Floats) -> tuple[Floats, Floats]:
    if isinstance(member, StatesUncertainty):
        return member.predict_with_uncertainty(features)
    return member.predict(features), np.zeros(len(features), np.float32)


def _manifest(members: Sequence[Manifest]) -> Manifest:
    first, held_out = members[0], _held_out(members)
    return replace(
        first,
        trainer=NAME,
        settings={"trainer": first.trainer, "members": [member.settings for member in members]},
        metrics=_metrics(held_out, first.seed),
        history={"seeds": ", ".join(str(member.seed) for member in members)},
        held_out=held_out,
    )


def _held_out(members: Sequence[Manifest]) -> HeldOut | None:
    """Return every labelled row and the mean of its held-out scores; None where a member held out only some."""
    found = [member.held_out for member in members if member.held_out]
    labeled = [sum(rows for name, rows in member.rows.items() if name != "unlabeled") for member in members]
    whole = [len(part.scores) for part in found] == labeled
    return HeldOut.mean(found) if whole else None


def _metrics(held_out: HeldOut | None, seed: int) -> dict[str, Any]:
    if held_out is None:
        return {"reason": "the members did not all hold out the same rows; each one's measures are in its own manifest"}
    return held_out_summary(held_out.is_rare, [(np.arange(len(held_out.scores)), np.array(held_out.scores))], seed=seed)


def _check_same(first: Manifest, other: Manifest, url: str) -> None:
    for what in ("trainer", "classes", "rare"):
        if getattr(first, what) != getattr(other, what):
            raise MembersDiffer(
                f"{url}: its {what} is {getattr(other, what)!r}, that of the first member {getattr(first, what)!r}; "
                "only models of one method over the same classes can be averaged: train them on one table"
            )
    first.schema.check(other.schema.names, url)
    if first.schema.fingerprint != other.schema.fingerprint:
        raise MembersDiffer(
            f"{url}: trained on steps of {other.schema.step_seconds:,} s, the first member on "
            f"{first.schema.step_seconds:,} s; train all members on one table"
        )
