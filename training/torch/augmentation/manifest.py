"""What is known of a training that made rows: its manifest, and the digest by which its checkpoints know it.

Takes settings, a task and what the validation found; gives text and a `Manifest`.
"""

import hashlib
import json
from typing import Any

import numpy as np

from feature_extraction.schema import FeatureSchema
from training.artifact import Manifest, package_versions
from training.metrics import held_out_rows, held_out_summary
from training.torch.augmentation.gate import Verdict
from training.torch.augmentation.settings import AugmentationSettings
from training.torch.augmentation.task import Task


def own_settings(settings: AugmentationSettings) -> dict[str, Any]:
    """Return the settings that make the result what it is."""
    return settings.model_dump(mode="json", exclude={"checkpoint_url"})


def identity(settings: AugmentationSettings, task: Task, *more: str) -> str:
    """Return a digest of settings, data and whatever else the result depends on, for checkpoints."""
    known = [own_settings(settings), task.classes, task.names, *more]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for part in (task.features, task.labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def manifest_of(
    trainer: str,
    settings: AugmentationSettings,
    task: Task,
    schema: FeatureSchema,
    *,
    verdict: Verdict | None,
    history: dict[str, Any],
) -> Manifest:
    """Return the manifest of a trainer's artifact; `verdict` is None where no row was held out."""
    rare = task.labels == schema.rare_code
    return Manifest(
        trainer=trainer,
        settings=own_settings(settings),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows={name: int((task.labels == code).sum()) for code, name in enumerate(schema.classes)},
        metrics=_metrics(task, schema, verdict, settings.seed),
        history=history,
        seed=settings.seed,
        versions=package_versions("imbalanced-learn", "numpy", "safetensors", "scikit-learn", "torch"),
        held_out=held_out_rows(rare, verdict.held_out) if verdict else None,
    )


def _metrics(task: Task, schema: FeatureSchema, verdict: Verdict | None, seed: int) -> dict[str, Any]:
    if verdict is None:
        return {"reason": "no row was held out (folds = 0)"}
    summary = held_out_summary(task.labels == schema.rare_code, verdict.held_out, seed=seed)
    compared = {name: round(value, 5) for name, value in verdict.precision.items()}
    chosen = {"arm": verdict.arm.name, "classifier_length": verdict.length}
    return summary | chosen | {"average_precision_by_arm": compared}
