"""The members of a ScarceGAN ensemble: what each learns from, how it advances, what its held-out rows show.

Takes the labelled table and batches; gives losses, looks and metrics.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from feature_extraction.schema import FeatureSchema
from training.dense_network import DenseNetwork, softmax
from training.keras.scarcegan_course import Look
from training.keras.scarcegan_losses import TINY
from training.keras.scarcegan_steps import LOSSES, Batches, Players, State
from training.metrics import class_recall, held_out_scores, held_out_summary
from training.scaler import Scaler
from training.splits import Rows
from training.trainer import Floats, Labels
from training.weak_labels import WeakLabels


class TrainingDiverged(ValueError):
    """A loss is no longer a number."""


@dataclass(frozen=True)
class Member:
    """One network of the ensemble and the rows it learns from and is checked with.

    Attributes:
        seed: seed of its weights, noise and batches.
        training: positions of the labelled rows it learns from.
        held_out: positions of those it never sees.
        state: its weights and those of its optimizers.
        losses: mean training losses of the last steps, by name.
        network: its classifier after the last steps.
    """

    seed: int
    training: Rows
    held_out: Rows
    state: State
    losses: dict[str, float] = field(default_factory=dict)
    network: DenseNetwork = field(default=DenseNetwork((), ()))


@dataclass(frozen=True)
class Table:
    """The labelled rows, ready for the networks.

    Attributes:
        schema: schema of the feature table.
        weak: labels over weak classes.
        scaler: raw features to inputs.
        inputs: scaled labelled rows, (rows, inputs).
        targets: soft target of each class, (K, K + 1).
    """

    schema: FeatureSchema
    weak: WeakLabels
    scaler: Scaler
    inputs: Floats
    targets: Floats


def advance(
    table: Table, member: Member, players: Players, labeled: list[Rows], *, unlabeled_SBI: Floats, first: int
) -> Member:
    """Take one step per batch, the first of them number `first`, and return the member as it is then."""
    rows_SB = np.stack(labeled)
    targets_SBK = table.targets[table.weak.labels[rows_SB]]
    players.restore(member.state)
    means = players.run(Batches(table.inputs[rows_SB], targets_SBK, unlabeled_SBI), first, seed=member.seed)
    if not np.isfinite(list(means.values())).all():
        raise TrainingDiverged(
            f"between steps {first} and {first + len(labeled)} the losses became {means}; "
            "lower supervised_rate or adversarial_rate, and look for extreme values among the features"
        )
    return replace(member, state=players.state(), losses=means, network=players.discriminator())


def look_at(table: Table, members: list[Member], step: int) -> Look:
    """Measure the members on the rows held out from them.

    The rows of all folds are ranked together: with few rare rows, the mean of a precision per fold is much noisier.
    """
    rare = table.weak.rare_code
    parts, balanced = [], []
    for member in members:
        labels = table.weak.labels[member.held_out]
        probabilities = softmax(member.network.logits(table.inputs[member.held_out]))
        parts.append((member.held_out, probabilities[:, rare]))
        balanced.append(_balanced_loss(probabilities, labels, table.targets))
    scores = held_out_scores(len(table.weak.labels), parts)
    held_out = ~np.isnan(scores)
    precision = average_precision_score(table.weak.labels[held_out] == rare, scores[held_out])
    training = {name: float(np.mean([member.losses[name] for member in members])) for name in LOSSES}
    return Look(step, float(precision), float(np.mean(balanced)), training)


def _balanced_loss(probabilities: NDArray[np.float64], labels: Labels, targets: Floats) -> float:
    """Return the supervised loss with every class weighing the same, as in training."""
    losses_B = -(targets[labels] * np.log(probabilities + TINY)).sum(axis=1)
    return float(np.mean([losses_B[labels == code].mean() for code in np.unique(labels)]))


def held_out_metrics(
    table: Table, members: list[Member], networks: tuple[DenseNetwork, ...], seed: int
) -> dict[str, Any]:
    """Measure the scores of labelled rows by the members that hold them out.

    The look was chosen by these rows too, so the figures lean a little to the good side; a single member ranks
    worse than the ensemble, so they lean to the bad side as well.
    """
    weak = table.weak
    found = [
        (member.held_out, softmax(network.logits(table.inputs[member.held_out])))
        for member, network in zip(members, networks, strict=True)
    ]
    parts = [(rows, probabilities[:, weak.rare_code]) for rows, probabilities in found]
    truth = np.concatenate([weak.labels[rows] for rows, _ in found])
    verdicts = np.concatenate([probabilities.argmax(axis=1) for _, probabilities in found])
    recall = class_recall(truth, verdicts, weak.classes)
    unknown = float((verdicts == len(weak.classes)).mean())
    summary = held_out_summary(weak.labels == weak.rare_code, parts, seed=seed)
    return summary | {"class_recall": recall, "unknown_share": unknown}


def words(look: Look, weak: WeakLabels) -> str:
    """Say what a look found, with the names of the classes."""
    training = ", ".join(f"{name} {value:.3f}" for name, value in look.training.items())
    return (
        f"loss {training}; held-out rows: average precision of {weak.rare!r} {look.average_precision:.3f}, "
        f"loss {look.loss:.3f} over {', '.join(weak.classes)}"
    )
