"""IMSIC: rows of rare classes from a generator whose codes follow a graph that a person gives.

After "Interpretable Minority Synthesis for Imbalanced Classification", IJCAI 2021 (doi 10.24963/ijcai.2021/350), with
its structure loss corrected: as released it is constant, and its codes change nothing. Real labels teach the class
head, where the released code leaves classes to chance. Takes a reader; gives an artifact over the known classes that
also makes rows, and tells what each code changes.

1. Inner validation finds source and amount of synthetic rows, and the structure weight (not as published; `augment`).
2. Generator and discriminator learn from all classes in equal shares (`course`), held to the graph (`structure`).
3. Codes of real rows are drawn anew, and what is strange, a copy or junk is refused (`cloud`, `generator`).
4. A classifier learns from real and synthetic rows (`augmentation.dense`).
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.occlusion import usual
from training.splits import check_labels
from training.torch import course
from training.torch.augmentation import gate
from training.torch.augmentation.gate import Arm
from training.torch.augmentation.manifest import identity, manifest_of
from training.torch.augmentation.task import Task, task_of
from training.torch.course import Place
from training.torch.imsic import augment, graph
from training.torch.imsic.artifact import IMSICArtifact
from training.torch.imsic.course import Look
from training.torch.imsic.generator import Drawn, Generator, Trained
from training.torch.imsic.settings import IMSICSettings
from training.trainer import Reader

NAME = "imsic"

logger = logging.getLogger(__name__)


class IMSIC(IMSICSettings):
    """Interpretable minority synthesis; without a graph of its own a factor for each metric, at most eight."""

    def fit(self, reader: Reader) -> IMSICArtifact:
        """Learn from the labelled rows; unlabelled ones are not read.

        Raises:
            ValueError: no labelled row is rare, all are of one class, `minority` names no class or the largest, the
                graph names a column that the table lacks, or, with folds, a class has one row only.
            TrainingDiverged: a loss is no longer a number.
        """
        labeled, schema = reader.labeled(), reader.schema
        check_labels(labeled.labels, schema)
        task = task_of(labeled, schema, self)
        given = self.graph or graph.default(schema.names)
        given.columns(schema.names)  # refuses a graph of another table before anything is trained
        place = Place(NAME, self.checkpoint_url, identity(self, task, given.digest()))
        verdict = None
        if self.folds:
            verdict = augment.validate(task, given, rare_code=schema.rare_code, settings=self, place=place)
        arm = verdict.arm if verdict else Arm(augment.SOURCE, max(self.ratios), "real")
        weight = augment.sources(self).get(arm.source, self.structure_weights[0])
        trained = augment.learner(weight, given, self)(task, self.seed, place)
        rows, labels = gate.augmented(task, trained.generator, arm, seed=self.seed)
        length = verdict.length if verdict else max(self.classifier_lengths)
        classifier = gate.fit_classifier(task, rows, labels, self, seed=self.seed, length=length)
        history = _history(task, trained, arm, labels[len(task.labels) :], self) | {"structure_weight": weight}
        manifest = manifest_of(NAME, self, task, schema, verdict=verdict, history=history)
        reference = usual(task.features[task.labels != schema.rare_code])
        return IMSICArtifact.of(manifest, classifier, reference, trained.generator.files())


def _history(
    task: Task, trained: Trained, arm: Arm, synthetic: NDArray[np.int64], settings: IMSICSettings
) -> dict[str, Any]:
    wanted, made = gate.wanted(task, arm), np.bincount(synthetic, minlength=len(task.classes))
    given = trained.generator.graph
    classes = {
        task.classes[code]: {"wanted": wanted.get(code, 0), "synthetic": int(made[code])}
        | _yield(trained.generator, task, code, settings)
        for code in task.minority
    }
    return course.history(trained.looks, Look._fields) | {
        "majority": task.classes[task.majority],
        "minority": list(classes),
        "augmentation": arm.name,
        "graph": given.model_dump(mode="json"),
        "graph_digest": given.digest(),
        "classes": classes,
    }


def _yield(made: Generator, task: Task, code: int, settings: IMSICSettings) -> dict[str, Any]:
    """Say how many rows of a class can be made of it and what is refused, as many asked for as it has real ones."""
    rows = int((task.labels == code).sum())
    found = made.draw(code, rows, seed=settings.seed)
    if len(found.samples.labels) < rows:
        logger.warning("imsic: %s", _shortfall(task.classes[code], rows, found))
    return {"tried": found.tried, "passed": len(found.samples.labels), "refused": found.refused}


def _shortfall(name: str, rows: int, found: Drawn) -> str:
    refused = ", ".join(f"{number} {reason}" for reason, number in found.refused.items())
    return (
        f"of {found.tried} rows made of class {name!r} {len(found.samples.labels)} passed, where {rows} were asked for "
        f"(refused: {refused}); the class gets fewer synthetic rows. More steps, or wider least_distance and "
        "greatest_distance, let more pass"
    )
