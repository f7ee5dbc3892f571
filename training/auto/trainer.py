"""`auto`: a short list of methods, compared on held-out rows, of which the best or a blend is taken.

Each `fit` is: 1 fit the members that suit the table, each of which measures itself on held-out rows; 2 compare them,
and their blends, on halves of those rows that did not decide the weights; 3 keep the members that are taken. The
manifest says which they are, and why.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from feature_extraction.schema import FeatureSchema
from training.artifact import Manifest
from training.auto.artifact import AutoArtifact
from training.auto.blend import Blend
from training.auto.choosing import choose
from training.auto.facts import facts
from training.auto.members import Member, fit_all
from training.auto.settings import NAME, AutoSettings
from training.held_out import HeldOut
from training.metrics import held_out_summary
from training.splits import check_labels
from training.trainer import Labels, Reader


class Auto(AutoSettings):
    """The blend of a short list of methods that nested validation finds best."""

    def fit(self, reader: Reader) -> AutoArtifact:
        """Learn from labelled rows, and from unlabelled ones where a member does.

        Raises:
            ValueError: one class only, a class of one row, or no member could be fitted.
        """
        schema, labels = reader.schema, reader.labeled().labels
        check_labels(labels, schema)
        truth = labels == schema.rare_code
        members, left_out = fit_all(self, reader, truth)
        chances = np.stack([member.scores for member in members])
        choice = choose([member.name for member in members], chances, truth, self)
        taken = np.flatnonzero(choice.weights > 0)
        blend = Blend.fit(chances[taken], truth, choice.weights[taken])
        kept = [members[place] for place in taken.tolist()]
        scores = expit(blend.heights(chances[taken]))
        metrics = held_out_summary(truth, [(np.arange(len(truth)), scores)], seed=self.seed)
        manifest = Manifest(
            trainer=NAME,
            settings=self.model_dump(),
            schema=schema,
            classes=schema.classes,
            rare=schema.rare,
            rows=_rows(labels, schema, members),
            metrics=metrics | {NAME: facts(choice, members, left_out)},
            seed=self.seed,
            versions={name: found for member in kept for name, found in member.manifest.versions.items()},
            held_out=HeldOut.of(truth, scores),
        )
        return AutoArtifact.of(manifest, blend, [(member.manifest, member.files) for member in kept])


def _rows(labels: Labels, schema: FeatureSchema, members: Sequence[Member]) -> dict[str, int]:
    known = {name: int((labels == code).sum()) for code, name in enumerate(schema.classes)}
    return known | {"unlabeled": max(member.manifest.rows.get("unlabeled", 0) for member in members)}
