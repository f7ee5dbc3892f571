"""QAST: rows of rare classes made by an adversarial network, judged by a committee, for a classifier to learn from.

After "Quality-Aware Self-Training on Differentiable Synthesis of Rare Relational Data", AAAI 2023
(10.1609/aaai.v37i5.25811), repaired by default; `QASTSettings.as_published` takes every step as it was published.
Takes a reader; gives an artifact over the known classes that also makes rows.

1. Inner validation finds the classes that gain by generated rows (not as published).
2. Stage 1: encoder, committee, adversarial epochs with a gate on what the classifier C learns from (`stage`). Of a
   table of more than `features_at_most` features it sees those that tell classes best (`donors`; not in the paper).
3. Final synthesis up to the quota of each small class (`sampling`).
4. Stage 2: a classifier learns from real and synthetic rows (`augment`, `second_stage`).
"""

import hashlib
import json
from typing import Any

import numpy as np

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.artifact import Manifest, package_versions
from training.metrics import held_out_rows, held_out_summary
from training.occlusion import usual
from training.splits import check_labels
from training.torch.course import Place
from training.torch.qast import augment, course, stage
from training.torch.qast.artifact import QASTArtifact
from training.torch.qast.augment import Source, Verdict
from training.torch.qast.sampling import Outcome
from training.torch.qast.settings import QASTSettings
from training.torch.qast.stage import Task, Trained
from training.trainer import Floats, Reader

NAME = "qast"
UNLABELED_ROWS = 8192  # that the encoder's mixtures learn from, beside the labelled ones


class QAST(QASTSettings):
    """Quality-aware self-training on synthesised rare rows."""

    def fit(self, reader: Reader) -> QASTArtifact:
        """Learn from labelled rows; unlabelled ones shape the encoder alone.

        Raises:
            ValueError: no labelled row is rare, all are of one class, or, with a fallback, a class has one row only.
            TrainingDiverged: a loss is no longer a number.
        """
        labeled, schema = reader.labeled(), reader.schema
        check_labels(labeled.labels, schema)
        task = Task(
            features=labeled.features,
            labels=labeled.labels.astype(np.int64),
            unlabeled=_unlabeled(reader, self.seed),
            classes=schema.classes,
            names=schema.names,
        )
        place = Place(NAME, self.checkpoint_url, _identity(self, task))
        verdict = None
        if self.fallback != "off":
            verdict = augment.validate(task, rare_code=schema.rare_code, settings=self, place=place)
        trained = stage.train(task, settings=self, seed=self.seed, place=place)
        outcome = trained.synthesize(len(task.labels), self.seed)
        sources = _sources(trained, verdict)
        rows, labels = augment.augmented(
            task, outcome.samples, trained.quota.needed, sources=sources, settings=self, seed=self.seed
        )
        classifier = augment.second_stage_of(task, rows, labels, self)
        history = course.history(trained.looks) | {
            "synthesis": _synthesis(
                task, trained, outcome, sources=sources, used=np.bincount(labels[len(task.labels) :])
            )
        }
        manifest = _manifest(self, task, schema, verdict, history)
        regular = task.features[task.labels != schema.rare_code]
        return QASTArtifact(manifest, classifier, usual(regular), trained.files())


def _unlabeled(reader: Reader, seed: int) -> Floats:
    if any((batch.labels == UNLABELED).any() for batch in reader.scan()):
        return next(reader.unlabeled(UNLABELED_ROWS, seed=seed))
    return np.empty((0, len(reader.schema.names)), np.float32)


def _identity(settings: QASTSettings, task: Task) -> str:
    """Return a digest of settings and data, for checkpoints."""
    digest = hashlib.sha256(json.dumps([_own(settings), task.classes, task.names], sort_keys=True).encode())
    for part in (task.features, task.labels, task.unlabeled):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _own(settings: QASTSettings) -> dict[str, Any]:
    """Return the settings that make the result what it is."""
    return settings.model_dump(mode="json", exclude={"checkpoint_url"})


def _sources(trained: Trained, verdict: Verdict | None) -> dict[int, Source]:
    """Return where each small class's rows come from; the folds may not have had every one of them as small."""
    found = verdict.sources if verdict else {}
    return {code: found.get(code, "generator") for code in trained.quota.minority}


def _synthesis(
    task: Task, trained: Trained, outcome: Outcome, *, sources: dict[int, Source], used: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Say for each small class what was wanted, made, accepted and used, what is lacking, and of which features."""
    made = np.bincount(outcome.samples.labels, minlength=len(task.classes))
    used = np.append(used, np.zeros(len(task.classes), np.int64))
    classes = {
        task.classes[code]: {
            "quota": trained.quota.rows,
            "needed": needed,
            "generated": outcome.generated.get(code, 0),
            "accepted": outcome.accepted.get(code, 0),
            "synthesized": int(made[code]),
            "shortfall": int(needed - made[code]),
            "source": sources[code],
            "used": int(used[code]),
        }
        for code, needed in trained.quota.needed.items()
    }
    donors = trained.synthesizer.donors
    chosen = donors.chosen.tolist() if donors else range(len(task.names))
    skill = zip(trained.committee.names, trained.committee.skill.tolist(), strict=True)
    return {
        "classes": classes,
        "features": [task.names[place] for place in chosen],
        "noise_classes": list(trained.synthesizer.noise_classes),
        "committee_skill": {name: None if np.isnan(value) else round(value, 4) for name, value in skill},
    }


def _manifest(
    settings: QASTSettings, task: Task, schema: FeatureSchema, verdict: Verdict | None, history: dict[str, Any]
) -> Manifest:
    rows = {name: int((task.labels == code).sum()) for code, name in enumerate(schema.classes)}
    return Manifest(
        trainer=NAME,
        settings=_own(settings),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows=rows | {"unlabeled": len(task.unlabeled)},
        metrics=_metrics(task, schema, verdict, settings.seed),
        history=history,
        seed=settings.seed,
        versions=package_versions("imbalanced-learn", "numpy", "safetensors", "scikit-learn", "torch"),
        held_out=held_out_rows(task.labels == schema.rare_code, verdict.held_out) if verdict else None,
    )


def _metrics(task: Task, schema: FeatureSchema, verdict: Verdict | None, seed: int) -> dict[str, Any]:
    if verdict is None:
        return {"reason": "no row was held out (fallback = 'off')"}
    summary = held_out_summary(task.labels == schema.rare_code, verdict.held_out, seed=seed)
    f1 = {
        arm: dict(zip(schema.classes, np.round(values, 5).tolist(), strict=True)) for arm, values in verdict.f1.items()
    }
    return summary | {"arm": verdict.arm, "f1": f1}
