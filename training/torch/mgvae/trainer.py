"""MGVAE: rows of rare classes made by translating rows of the majority, for a classifier to learn from.

After "Generative Oversampling for Imbalanced Data via Majority-Guided VAE", AISTATS 2023 (arXiv 2302.10910), repaired
by default; `MGVAESettings.as_published` takes every step as it was published but for the classifier's double softmax.
Takes a reader; gives an artifact over the known classes that also makes and translates rows.

1. Inner validation finds the source and amount of synthetic rows (not as published, `augment`).
2. A VAE whose prior is a mixture over majority rows is trained on the majority (equation 4; `course`, `objective`).
3. It is fine-tuned on each rare class, held by elastic weight consolidation (algorithm 1; `generator`).
4. Majority rows are translated, and a classifier learns from real and synthetic rows (`augmentation.dense`).
"""

from typing import Any

import numpy as np

from training.occlusion import usual
from training.splits import check_labels
from training.torch import course
from training.torch.augmentation import gate
from training.torch.augmentation.gate import Arm
from training.torch.augmentation.manifest import identity, manifest_of
from training.torch.augmentation.task import Task, task_of
from training.torch.course import Place
from training.torch.mgvae import augment, generator
from training.torch.mgvae.artifact import MGVAEArtifact
from training.torch.mgvae.generator import Trained
from training.torch.mgvae.settings import MGVAESettings
from training.trainer import Reader

NAME = "mgvae"


class MGVAE(MGVAESettings):
    """Majority-guided variational autoencoder."""

    def fit(self, reader: Reader) -> MGVAEArtifact:
        """Learn from the labelled rows; unlabelled ones are not read.

        Raises:
            ValueError: no labelled row is rare, all are of one class, `minority` names no class or the largest, or,
                with folds, a class has one row only.
            TrainingDiverged: a loss is no longer a number.
        """
        labeled, schema = reader.labeled(), reader.schema
        check_labels(labeled.labels, schema)
        task = task_of(labeled, schema, self)
        place = Place(NAME, self.checkpoint_url, identity(self, task))
        verdict = None
        if self.folds:
            verdict = augment.validate(task, rare_code=schema.rare_code, settings=self, place=place)
        trained = generator.train(task, settings=self, seed=self.seed, place=place)
        arm = verdict.arm if verdict else Arm(augment.SOURCE)
        rows, labels = gate.augmented(task, trained.generator, arm, seed=self.seed)
        length = verdict.length if verdict else max(self.classifier_lengths)
        classifier = gate.fit_classifier(task, rows, labels, self, seed=self.seed, length=length)
        synthetic = np.bincount(labels[len(task.labels) :], minlength=len(task.classes))
        history = _history(task, trained, arm, synthetic)
        manifest = manifest_of(NAME, self, task, schema, verdict=verdict, history=history)
        reference = usual(task.features[task.labels != schema.rare_code])
        return MGVAEArtifact.of(manifest, classifier, reference, trained.generator.files())


def _history(task: Task, trained: Trained, arm: Arm, synthetic: np.ndarray[Any, Any]) -> dict[str, Any]:
    classes = {
        task.classes[code]: {
            "synthetic": int(synthetic[code]),
            "steps": looks[-1].step if looks else 0,
            "reconstruction": round(looks[-1].reconstruction, 5) if looks else None,
            "kl": round(looks[-1].kl, 5) if looks else None,
            "ewc": round(looks[-1].penalty, 5) if looks else None,
        }
        for code, looks in trained.finetuned.items()
    }
    return course.history(trained.looks, ("step", "reconstruction", "kl")) | {
        "majority": task.classes[task.majority],
        "minority": list(classes),
        "augmentation": arm.name,
        "classes": classes,
    }
