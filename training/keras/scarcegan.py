"""ScarceGAN: a semi-supervised GAN for a rare class among several weakly labelled negative ones.

After Chakrabarty, Talwadker and Mukherjee, "ScarceGAN: Discriminative Classification Framework for Rare
Class Identification for Longitudinal Data with Weak Prior", CIKM 2021, DOI 10.1145/3459637.3482474. Takes a
reader; gives an artifact whose classes are the known ones and `unknown`.

1. Labels of two classes only are refined: the regular rows become weak negative classes by activity.
2. The discriminator sees class-balanced labelled rows. Each negative leaves a share of its target, the
   leeway, to the output `unknown`; the rare class leaves none.
3. It sees unlabelled rows as real and generated rows as fake; the unlabelled batch's mean share of known
   rows is drawn towards an expected one.
4. The generator is a "bad" one: its features match those of the unlabelled batch in the mean (feature
   matching), point in different directions (pull-away), and shun what the discriminator is sure of (low
   density).
5. Every few steps the networks are measured on labelled rows that they do not learn from, and those with the
   best average precision of the rare class are kept; of equal ones, those with the lower loss. Each member of
   the ensemble holds out another fold and the folds are ranked together, as a fold alone has few rare rows.

Steps 2 to 4 keep the terms of the authors' public description and are repaired where their published code does
something else: one head of K + 2 logits instead of two heads with two unrelated unknowns; the term on known
rows acts on the batch mean instead of giving each row one constant target; features are matched to unlabelled
instead of labelled rows; pull-away normalises each row instead of the whole matrix, where it was a thousand
times too small; the low-density term takes part; a generator step leaves the discriminator alone, where
freezing it had no effect; the best networks are used, not the last; the terms on false alarms, which had no
gradient, are left out. Sizes of the networks, learning rates and leeway are theirs. Steps 1 and 5 and the
ensemble are ours.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from feature_extraction.schema import UNKNOWN
from training.artifact import Manifest, package_versions
from training.dense_network import DenseNetworkArtifact
from training.keras import scarcegan_course
from training.keras import scarcegan_losses as losses
from training.keras import scarcegan_members as ensemble
from training.keras.scarcegan_course import Course
from training.keras.scarcegan_members import Member, Table
from training.keras.scarcegan_steps import Players
from training.progress import StepProgress
from training.reader import class_balanced
from training.scaler import Scaler
from training.settings import ScarceGANSettings
from training.splits import Rows, check_labels, folds
from training.trainer import Batch, Reader
from training.weak_labels import WeakLabels, warn_if_unknown_is_inert, weak_negatives

SCALER_ROWS = 8192  # unlabelled rows that the scaler's quantiles are taken from

logger = logging.getLogger(__name__)


class ScarceGAN(ScarceGANSettings):
    """An ensemble of ScarceGANs that differ in their seed and in the fold they hold out."""

    def fit(self, reader: Reader) -> DenseNetworkArtifact:
        """Learn from labelled and unlabelled rows.

        Args:
            reader: a feature table with rows of the rare class, of at least one other, and without label.

        Returns:
            An artifact over the known classes and `unknown`; its probabilities are those of balanced classes.

        Raises:
            ValueError: no labelled row is rare, all are of one class, or a class has one row only.
            TrainingDiverged: a loss is no longer a number.
        """
        _prepare_keras()
        labeled = reader.labeled()
        check_labels(labeled.labels, reader.schema)
        weak = weak_negatives(
            labeled.labels, labeled.features, reader.schema, num=self.negative_classes, activity=self.activity
        )
        leeway = self._leeway(weak)
        warn_if_unknown_is_inert(weak.classes, weak.rare, leeway)
        parts = folds(weak.labels, self.folds, seed=self.seed, names=weak.classes)
        parts = [parts[number % self.folds] for number in range(self.members)]
        scaler = _fit_scaler(labeled, [held_out for _, held_out in parts], reader, self.seed)
        table = Table(
            schema=reader.schema,
            weak=weak,
            scaler=scaler,
            inputs=scaler.transform(labeled.features),
            targets=losses.leeway_targets(np.array([leeway[name] for name in weak.classes], dtype=np.float32)),
        )
        members = [
            Member(self.seed + number, training, held_out, self._players(table, self.seed + number).state())
            for number, (training, held_out) in enumerate(parts)
        ]
        course = self._train(table, members, reader)
        return self._artifact(table, members, course)

    def _train(self, table: Table, members: list[Member], reader: Reader) -> Course:
        """Take steps until the course is finished, with a look, and a checkpoint, every few of them."""
        identity, players = self._identity(table), self._players(table, self.seed)
        course = Course()
        if self.checkpoint:
            states = [member.state for member in members]
            course, states = scarcegan_course.resume(self.checkpoint, identity, states)
            members = [replace(member, state=state) for member, state in zip(members, states, strict=True)]
        unlabeled = reader.unlabeled(self.unlabeled_rows, seed=self.seed, start=course.step)
        labeled = [self._labeled(table, member, course.step) for member in members]
        with StepProgress("scarcegan", self.steps, logger) as progress:
            while not course.finished(self.steps, self.patience):
                first = course.step
                num = min(self.evaluate_every, self.steps - first)
                real = np.stack([table.scaler.transform(rows) for rows in islice(unlabeled, num)])
                members = [
                    ensemble.advance(table, member, players, list(islice(rows, num)), unlabeled_SBI=real, first=first)
                    for member, rows in zip(members, labeled, strict=True)
                ]
                look = ensemble.look_at(table, members, first + num)
                course = course.after(look, [member.network for member in members])
                if self.checkpoint:
                    states = [member.state for member in members]
                    scarcegan_course.save(self.checkpoint, identity, course, states)
                progress.reach(look.step, ensemble.words(look, table.weak))
        return course

    def _leeway(self, weak: WeakLabels) -> dict[str, float]:
        strange = sorted(set(self.class_leeway) - set(weak.classes))
        if strange:
            raise ValueError(
                f"class_leeway names {strange}, which are not among the classes {list(weak.classes)}; "
                "name the classes that training uses, after the regular one was split by activity"
            )
        leeway = {name: self.class_leeway.get(name, self.leeway) for name in weak.classes}
        return leeway | {weak.rare: self.class_leeway.get(weak.rare, 0.0)}

    def _players(self, table: Table, seed: int) -> Players:
        return Players(self, inputs=table.scaler.num_inputs, known=len(table.weak.classes), seed=seed)

    def _labeled(self, table: Table, member: Member, start: int) -> Iterator[Rows]:
        """Give the positions of each step's labelled rows, without end."""
        labels = table.weak.labels[member.training]
        for rows in class_balanced(labels, self.rows_per_class, seed=member.seed, start=start):
            yield member.training[rows]

    def _own_settings(self) -> dict[str, object]:
        """Return the settings that make the result what it is."""
        return self.model_dump(mode="json", exclude={"checkpoint"})

    def _identity(self, table: Table) -> str:
        """Return a digest of the settings and the data, for checkpoints."""
        digest = hashlib.sha256(json.dumps(self._own_settings(), sort_keys=True).encode())
        for part in (table.inputs.tobytes(), table.weak.labels.tobytes(), table.scaler.to_json().encode()):
            digest.update(part)
        digest.update(table.schema.to_json().encode())
        return digest.hexdigest()

    def _artifact(self, table: Table, members: list[Member], course: Course) -> DenseNetworkArtifact:
        weak = table.weak
        edges = [edge if np.isfinite(edge) else None for edge in weak.edges]  # JSON knows no infinity
        rows = {name: int((weak.labels == code).sum()) for code, name in enumerate(weak.classes)}
        manifest = Manifest(
            trainer="scarcegan",
            settings=self._own_settings(),
            schema=table.schema,
            classes=(*weak.classes, UNKNOWN),
            rare=weak.rare,
            rows=rows | {"unlabeled": course.step * self.unlabeled_rows},
            metrics=ensemble.held_out_metrics(table, members, course.networks, self.seed),
            history=course.history() | {"activity": weak.activity, "activity_edges": edges},
            seed=self.seed,
            versions=package_versions("keras", "numpy", "safetensors") | {"tensorflow": tf.__version__},
        )
        reference = np.median(table.inputs[weak.labels != weak.rare_code], axis=0)
        return DenseNetworkArtifact(manifest, table.scaler, course.networks, reference)


def _prepare_keras() -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras runs on {keras.backend.backend()!r}, this trainer needs 'tensorflow'; "
            "set KERAS_BACKEND=tensorflow before the program starts"
        )
    # One seed must give one artifact. Noise is stateless and layers get seeds, so none is set globally.
    tf.config.experimental.enable_op_determinism()


def _fit_scaler(labeled: Batch, held_out: list[Rows], reader: Reader, seed: int) -> Scaler:
    """Fit to unlabelled rows and those labelled ones that no member holds out."""
    seen = np.setdiff1d(np.arange(len(labeled.labels)), np.concatenate(held_out))
    unlabeled = next(reader.unlabeled(SCALER_ROWS, seed=seed))
    return Scaler.fit(np.concatenate([labeled.features[seen], unlabeled]))
