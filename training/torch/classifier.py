"""A dense network for tables with many labels, trained by one process or by several on a GPU each.

Data-parallel training (Li et al., "PyTorch Distributed", VLDB 2020) on every labelled row; rows are streamed where they
do not fit in memory. Takes a reader, which in a group of processes is a share of the table; gives, in every process
alike, an artifact that needs no torch.

1. The processes agree on held-out rows, scaler, class weights and the number of steps (`shares`).
2. Each step every process takes as many rows of its own, and all move by the mean of their gradients (`learner`). The
   loss is the class-weighted focal loss (Lin et al., ICCV 2017), by default its special case, cross-entropy.
3. Every few steps the held-out rows of all processes are ranked together; the networks of the best look are kept, and
   process 0 leaves a checkpoint (`learner`).

Shapes: M members, B rows, K classes.
"""

import hashlib
import json
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from feature_extraction.schema import FeatureSchema
from training.artifact import Manifest, package_versions
from training.dense_network import DenseNetworkArtifact
from training.metrics import held_out_rows, held_out_summary
from training.torch import distributed, learner, shares
from training.torch.classifier_settings import TorchMLPSettings
from training.torch.distributed import Group
from training.torch.learner import NAME, Course
from training.torch.shares import Share
from training.trainer import Reader


def weighted_focal(logits_MBK: Tensor, codes_B: Tensor, weights_K: Tensor, exponent: float) -> Tensor:
    """Return each member's mean of w (1 - p)^exponent (-log p), p being the probability of a row's class, (M,)."""
    codes_MB = codes_B.expand(len(logits_MBK), -1)
    log_p_MB = functional.log_softmax(logits_MBK, dim=2).gather(2, codes_MB[..., None])[..., 0]
    losses_MB = -weights_K[codes_B] * log_p_MB
    if exponent:
        losses_MB = losses_MB * (1 - log_p_MB.exp()) ** exponent
    return losses_MB.mean(dim=1)


class TorchMLP(TorchMLPSettings):
    """Dense networks on all labelled rows."""

    def fit(self, reader: Reader) -> DenseNetworkArtifact:
        """Learn from the labelled rows, together with the other processes of the group if there is one.

        Returns:
            An artifact whose probabilities are those of balanced classes.

        Raises:
            ValueError: no labelled row is rare, a class has one row only, or a share of the table has no labelled row.
            TrainingDiverged: the loss is no longer a number.
        """
        group = distributed.current()
        share = shares.agree(reader, self, group)
        task = learner.Task(self, share, group, _identity(self, share, reader.schema), weighted_focal)
        return _artifact(self, share, group, reader.schema, learner.follow(task, reader))


def _own(settings: TorchMLPSettings) -> dict[str, Any]:
    """Return the settings that make the result what it is."""
    return settings.model_dump(mode="json", exclude={"checkpoint"})


def _identity(settings: TorchMLPSettings, share: Share, schema: FeatureSchema) -> str:
    """Return a digest of settings and data, for checkpoints."""
    parts = [_own(settings), share.scaler.to_json(), share.labeled_K.tolist(), share.limit, schema.to_json()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _artifact(
    settings: TorchMLPSettings, share: Share, group: Group, schema: FeatureSchema, course: Course
) -> DenseNetworkArtifact:
    truth, scores = learner.ranking(share, group, course.networks, schema.rare_code)
    parts = [(np.arange(len(scores)), scores)]
    manifest = Manifest(
        trainer=NAME,
        settings=_own(settings),
        schema=schema,
        classes=schema.classes,
        rare=schema.rare,
        rows=dict(zip(schema.classes, share.labeled_K.tolist(), strict=True)) | {"unlabeled": 0},
        metrics=held_out_summary(truth, parts, seed=settings.seed),
        history=course.history() | {"processes": group.size, "steps_per_epoch": share.steps_per_epoch},
        seed=settings.seed,
        versions=package_versions("numpy", "safetensors", "torch"),
        held_out=held_out_rows(truth, parts),
    )
    return DenseNetworkArtifact(manifest, share.scaler, course.networks, share.reference)
