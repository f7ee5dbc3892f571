"""Fits a semi-supervised classifier: what ScarceGAN, its ablations and SSGAN do alike around their own moves.

Takes a reader and a `Method`; gives the artifact of an ensemble whose members are trained at once.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from training.artifact import Manifest, package_versions
from training.dense_network import DenseNetwork, DenseNetworkArtifact
from training.keras import backends, course, ensemble, sampling
from training.keras.course import Course, Look, Plan
from training.keras.ensemble import Table
from training.keras.players import Players
from training.keras.sampling import Pool
from training.settings import EnsembleSettings, SemiSupervisedSettings
from training.splits import check_labels
from training.trainer import Floats, Reader
from training.weak_labels import WeakLabels, label_confidences, trusted_targets, weak_negatives


class Method(NamedTuple):
    """What a method has of its own.

    Attributes:
        name: in `TRAINERS`.
        extra_classes: classes of the classifier after the known ones: `unknown`, or none.
        targets: from the weak labels to each class's soft target, (known classes, classes).
        players: from the number of inputs, that of known classes and the members' seeds to the networks.
    """

    name: str
    extra_classes: tuple[str, ...]
    targets: Callable[[WeakLabels], Floats]
    players: Callable[[int, int, Sequence[int]], Players]


def fit(settings: SemiSupervisedSettings, reader: Reader, method: Method) -> DenseNetworkArtifact:
    """Learn from labelled and unlabelled rows.

    Args:
        settings: of the method.
        reader: a feature table with rows of the rare class, of at least one other, and without label; where it
            `RatesLabels`, soft targets follow its confidences.
        method: the rest of it.

    Returns:
        An artifact whose probabilities are those of balanced classes.

    Raises:
        ValueError: no labelled row is rare, all are of one class, a class has one row only, or none is unlabelled.
        TrainingDiverged: a loss is no longer a number.
    """
    backends.prepare()
    table = _table(settings, reader, method)
    seeds = [settings.seed + number for number in range(settings.members)]
    players = method.players(table.scaler.num_inputs, len(table.weak.classes), seeds)
    pool = Pool(reader, table.scaler, settings, settings.unlabeled_rows)
    data = sampling.data(
        table.inputs, table.targets, table.weak.labels, training=table.parts.training, seeds=seeds, pool=pool.after(0)
    )

    def look(step: int, losses: Mapping[str, float], networks: list[DenseNetwork]) -> tuple[Look, str]:
        found = ensemble.look_at(table, step, losses, networks)
        return found, ensemble.words(table, found)

    done = course.follow(
        Plan(method.name, settings, identity(settings, method.name, table), settings.patience),
        players,
        draw=partial(
            sampling.batch,
            rows_per_class=settings.rows_per_class,
            unlabeled_rows=settings.unlabeled_rows,
            latent_dim=settings.latent_dim,
        ),
        data=lambda looks: data._replace(pool_PI=pool.after(looks)),
        look=look,
    )
    return _artifact(settings, method, table, done, pool.read(len(done.looks)))


def own_settings(settings: EnsembleSettings) -> dict[str, object]:
    """Return the settings that make the result what it is."""
    return settings.model_dump(mode="json", exclude={"checkpoint"})


def identity(settings: EnsembleSettings, name: str, table: Table) -> str:
    """Return a digest of the method, its settings and the data, for checkpoints."""
    digest = hashlib.sha256(json.dumps([name, own_settings(settings)], sort_keys=True).encode())
    for part in (table.inputs.tobytes(), table.weak.labels.tobytes(), table.targets.tobytes()):
        digest.update(part)
    digest.update((table.scaler.to_json() + table.schema.to_json()).encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of the packages that train."""
    return package_versions("keras", "numpy", "safetensors") | {backends.BACKEND: backends.version()}


def _table(settings: SemiSupervisedSettings, reader: Reader, method: Method) -> Table:
    labeled = reader.labeled()
    check_labels(labeled.labels, reader.schema)
    weak = weak_negatives(
        labeled.labels, labeled.features, reader.schema, num=settings.negative_classes, activity=settings.activity
    )
    targets = method.targets(weak)[weak.labels]
    confidences = label_confidences(reader, len(weak.labels))
    parts = ensemble.split(weak.labels, settings, weak.classes)
    scaler = ensemble.fit_scaler(labeled.features, reader, settings)
    return Table(
        schema=reader.schema,
        weak=weak,
        classes=(*weak.classes, *method.extra_classes),
        scaler=scaler,
        inputs=scaler.transform(labeled.features),
        targets=trusted_targets(targets, confidences, unknown=bool(method.extra_classes)),
        parts=parts,
    )


def _artifact(
    settings: SemiSupervisedSettings, method: Method, table: Table, done: Course, unlabeled: int
) -> DenseNetworkArtifact:
    weak = table.weak
    edges = [edge if np.isfinite(edge) else None for edge in weak.edges]  # JSON knows no infinity
    rows = {name: int((weak.labels == code).sum()) for code, name in enumerate(weak.classes)}
    manifest = Manifest(
        trainer=method.name,
        settings=own_settings(settings),
        schema=table.schema,
        classes=table.classes,
        rare=weak.rare,
        rows=rows | {"unlabeled": unlabeled},
        metrics=ensemble.metrics(table, done.networks, settings.seed),
        history=done.history() | {"activity": weak.activity, "activity_edges": edges},
        seed=settings.seed,
        versions=versions(),
        held_out=ensemble.held_out(table, done.networks),
    )
    reference = np.median(table.inputs[weak.labels != weak.rare_code], axis=0)
    return DenseNetworkArtifact(manifest, table.scaler, done.networks, reference)
