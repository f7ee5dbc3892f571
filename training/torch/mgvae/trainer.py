"""MGVAE: rows of rare classes made by translating rows of the majority, for a classifier to learn from.

After "Generative Oversampling for Imbalanced Data via Majority-Guided VAE", AISTATS 2023 (arXiv 2302.10910), repaired
by default; `MGVAESettings.as_published` takes every step as it was published but for the classifier's double softmax.
Takes a reader; gives an artifact over the known classes that also makes and translates rows.

1. Inner validation finds the source and amount of synthetic rows (not as published, `augment`).
2. A VAE whose prior is a mixture over majority rows is trained on the majority (equation 4; `course`, `objective`).
3. It is fine-tuned on each rare class, held by elastic weight consolidation (algorithm 1; `generator`).
4. Majority rows are translated, and a classifier learns from real and synthetic rows (`classifier`).
"""

import hashlib
import json
from typing import Any

import numpy as np

from feature_extraction.schema import FeatureSchema
from training.artifact import Manifest, package_versions
from training.metrics import held_out_rows, held_out_summary
from training.occlusion import usual
from training.splits import check_labels
from training.torch.mgvae import augment, course, generator
from training.torch.mgvae.artifact import MGVAEArtifact
from training.torch.mgvae.augment import Arm, Verdict
from training.torch.mgvae.generator import Task, Trained
from training.torch.mgvae.settings import MGVAESettings
from training.torch.qast.course import Place
from training.trainer import Batch, Reader

NAME = "mgvae"
HALF = 2  # a class with at most the majority's rows divided by this is a small one


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
        place = Place(NAME, self.checkpoint_url, _identity(self, task))
        verdict = None
        if self.folds:
            verdict = augment.validate(task, rare_code=schema.rare_code, settings=self, place=place)
        trained = generator.train(task, settings=self, seed=self.seed, place=place)
        arm = verdict.arm if verdict else Arm("mgvae")
        rows, labels = augment.augmented(task, trained.generator, arm, seed=self.seed)
        classifier = augment.fit_classifier(task, rows, labels, self, seed=self.seed)
        synthetic = np.bincount(labels[len(task.labels) :], minlength=len(task.classes))
        manifest = _manifest(self, task, schema, verdict, _history(task, trained, arm, synthetic))
        reference = usual(task.features[task.labels != schema.rare_code])
        return MGVAEArtifact.of(manifest, classifier, reference, trained.generator.files())


def task_of(labeled: Batch, schema: FeatureSchema, settings: MGVAESettings) -> Task:
    """Return what is learned: the largest class that is not rare is translated into the small ones.

    Raises:
        ValueError: `minority` names no class, one without rows, or the largest.
    """
    counts = np.bincount(labeled.labels, minlength=len(schema.classes))
    majority = int(np.where(np.arange(len(counts)) == schema.rare_code, -1, counts).argmax())
    named = settings.minority or [
        name
        for code, name in enumerate(schema.classes)
        if code != majority and counts[code] and (code == schema.rare_code or counts[code] * HALF <= counts[majority])
    ]
    possible = [name for code, name in enumerate(schema.classes) if code != majority and counts[code]]
    if strange := sorted(set(named) - set(possible)):
        raise ValueError(
            f"minority names {strange}; rows can be made of {possible}, from those of {schema.classes[majority]!r}. "
            "Name some of these, or none for the small ones"
        )
    return Task(
        features=labeled.features,
        labels=labeled.labels.astype(np.int64),
        classes=schema.classes,
        names=schema.names,
        majority=majority,
        minority=tuple(sorted(schema.classes.index(name) for name in named)),
    )


def _identity(settings: MGVAESettings, task: Task) -> str:
    """Return a digest of settings and data, for checkpoints."""
    digest = hashlib.sha256(json.dumps([_own(settings), task.classes, task.names], sort_keys=True).encode())
    for part in (task.features, task.labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _own(settings: MGVAESettings) -> dict[str, Any]:
    """Return the settings that make the result what it is."""
    return settings.model_dump(mode="json", exclude={"checkpoint_url"})


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
    return course.history(trained.looks) | {
        "majority": task.classes[task.majority],
        "minority": list(classes),
        "augmentation": arm.name,
        "classes": classes,
    }


def _manifest(
    settings: MGVAESettings, task: Task, schema: FeatureSchema, verdict: Verdict | None, history: dict[str, Any]
) -> Manifest:
    return Manifest(
        trainer=NAME,
        settings=_own(settings),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows={name: int((task.labels == code).sum()) for code, name in enumerate(schema.classes)},
        metrics=_metrics(task, schema, verdict, settings.seed),
        history=history,
        seed=settings.seed,
        versions=package_versions("imbalanced-learn", "numpy", "safetensors", "scikit-learn", "torch"),
        held_out=held_out_rows(task.labels == schema.rare_code, verdict.held_out) if verdict else None,
    )


def _metrics(task: Task, schema: FeatureSchema, verdict: Verdict | None, seed: int) -> dict[str, Any]:
    if verdict is None:
        return {"reason": "no row was held out (folds = 0)"}
    summary = held_out_summary(task.labels == schema.rare_code, verdict.held_out, seed=seed)
    compared = {name: round(value, 5) for name, value in verdict.precision.items()}
    return summary | {"arm": verdict.arm.name, "average_precision_by_arm": compared}
