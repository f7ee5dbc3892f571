"""The arms: the paper's baselines and ablations, and MGVAE, each from a split and a seed to measures on test rows.

All classifiers are the paper's dense network, here on logits. What a method needs is as section B.7 of its description
says; nothing looks at test rows but the final measure.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional

from tests.benchmarks.mgvae_results import images
from tests.benchmarks.mgvae_results.conditional_vae import ConditionalVAE
from tests.benchmarks.mgvae_results.images import Split
from tests.benchmarks.results import mnist
from training.oversampling import oversample_numbers
from training.torch.augmentation import dense
from training.torch.augmentation.task import Task
from training.torch.course import Place, seeded
from training.torch.mgvae import generator
from training.torch.mgvae.settings import MGVAESettings

Loss = Callable[[Tensor, Tensor], Tensor]
Rows = NDArray[np.float32]
Codes = NDArray[np.int64]

BETA, GAMMA = 0.9999, 1.0  # of class-balanced weights and of the focal loss
MARGIN, SCALE = 0.5, 30.0  # of LDAM
NEIGHBORS = 5
CPU = torch.device("cpu")


class Plan(NamedTuple):
    """How long things are trained: steps of classifier and pre-training, exemplars, and majority rows, 0 for all."""

    classifier_steps: int
    pretrain_steps: int
    exemplars: int
    majority: int


PLANS = {
    "quick": Plan(200, 150, 128, 2000),
    "cpu": Plan(4000, 3000, 512, 0),
    "full": Plan(30_600, 61_200, 2000, 0),
}
ABLATIONS: dict[str, dict[str, Any]] = {
    "mgvae": {},
    "without_ewc": {"ewc_weight": 0.0},
    "without_pretraining": {"pretrain_steps": 0, "finetune_steps": 3000, "steps_per_row": 0},
    "gaussian_prior": {"prior": "gaussian"},
    "published_likelihood": {"likelihood": "published"},
}
ARMS = ("erm", "focal", "rw", "cbrw", "ldam", "rs", "smote", "conditional_vae", *ABLATIONS)
MEASURES = ("b_acc", "acsa", "gm", "average_precision")


class Job(NamedTuple):
    """One measurement."""

    data: str
    ratio: int
    seed: int
    arm: str
    plan: str


def settings_of(job: Job) -> MGVAESettings:
    """Return the settings of generator and classifier of a job."""
    plan = PLANS[job.plan]
    given: dict[str, Any] = {
        "image": mnist.SHAPE,
        "latent_dim": 40,
        "exemplars": plan.exemplars,
        "pretrain_steps": plan.pretrain_steps,
        "classifier_steps": plan.classifier_steps,
        "classifier_members": 1,  # the paper's
        "stored_rows": 40_000,
        "surplus": 1,
        # Of 300 to 3,000, on training images that nothing else uses: more helps 300 rare rows, and does nothing to 50.
        "finetune_steps": 2000,
    }
    return MGVAESettings(**given | ABLATIONS.get(job.arm, {}))


def fingerprint(job: Job) -> str:
    """Return a digest of what a job is, for the ledger."""
    text = json.dumps([job, PLANS[job.plan], settings_of(job).model_dump(mode="json")])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def measure(job: Job) -> dict[str, Any]:
    """Do a job and return its measures, and the processor seconds it took."""
    torch.set_num_threads(1)
    split = images.split(job.data, job.ratio, PLANS[job.plan].majority)
    before = _known(_origin(job)).cpu_seconds if job.arm in ABLATIONS else 0.0
    started = time.process_time()
    chance = _chance(job, split, settings_of(job))
    recalls = [(((chance > 0.5) == code)[split.test_labels == code]).mean() for code in (0, 1)]
    return {
        "b_acc": float(((chance > 0.5) == split.test_labels).mean()),
        "acsa": float(np.mean(recalls)),
        "gm": float(np.sqrt(np.prod(recalls))),
        "average_precision": float(average_precision_score(split.test_labels, chance)),
        "cpu_seconds": round(before + time.process_time() - started, 1),
    }


def _chance(job: Job, split: Split, settings: MGVAESettings) -> NDArray[np.float64]:
    """Return the rare class's probability of each test row."""
    if job.arm == "ldam":
        return _ldam(split, settings, job.seed)
    rows, labels = _table(job, split, settings)
    found = dense.fit(
        rows, labels, classes=2, settings=settings, seed=job.seed, loss=_loss(job.arm, np.bincount(split.labels))
    )
    parts = [found.predict_proba(split.test_rows[at : at + 2000])[:, 1] for at in range(0, len(split.test_rows), 2000)]
    return np.concatenate(parts).astype(np.float64)


def _loss(arm: str, counts: Codes) -> Loss:
    if arm == "focal":
        return _focal
    if arm in ("rw", "cbrw"):
        weights = 1 / counts if arm == "rw" else (1 - BETA) / (1 - BETA**counts)
        weights = weights / weights.sum() * len(counts)
        return partial(functional.cross_entropy, weight=torch.from_numpy(weights.astype(np.float32)))
    return functional.cross_entropy


def _focal(logits_BK: Tensor, codes_B: Tensor) -> Tensor:
    entropy_B = functional.cross_entropy(logits_BK, codes_B, reduction="none")
    return ((1 - (-entropy_B).exp()) ** GAMMA * entropy_B).mean()


def _table(job: Job, split: Split, settings: MGVAESettings) -> tuple[Rows, Codes]:
    """Return real rows and then those that an arm makes to balance the classes."""
    counts = np.bincount(split.labels)
    lacking, rare = int(counts[0] - counts[1]), split.rows[split.labels == 1]
    random = np.random.default_rng([job.seed, 1])
    if job.arm == "rs":
        made = rare[random.integers(0, len(rare), lacking)]
    elif job.arm == "smote":
        targets = {1: int(counts[0])}
        made = oversample_numbers(split.rows, split.labels, targets, neighbors=NEIGHBORS, seed=job.seed)[0]
    elif job.arm == "conditional_vae":
        vae = ConditionalVAE.fit(split.rows / 255, split.labels, settings=settings, seed=job.seed)
        made = vae.sample(1, lacking, random) * 255
    elif job.arm in ABLATIONS:
        pretrained = _known(_origin(job)).pretrained
        trained = generator.finetune(pretrained, _task(split), settings, job.seed, Place(job.arm))
        made = trained.generator.sample(1, lacking, seed=job.seed).features
    else:
        return split.rows, split.labels
    rows = np.concatenate([split.rows, np.asarray(made, np.float32)])
    return rows, np.concatenate([split.labels, np.ones(lacking, np.int64)])


def _task(split: Split) -> Task:
    names = tuple(f"pixel{number}" for number in range(split.rows.shape[1]))
    return Task(split.rows, split.labels, ("majority", "rare"), names, 0, (1,))


def _origin(job: Job) -> Job:
    """Return the job whose pre-training is that of a job: the majority is the same whatever the ratio."""
    arm = "mgvae" if job.arm == "without_ewc" else job.arm
    return job._replace(ratio=max(images.ROWS_PER_CLASS), arm=arm)


@dataclass(frozen=True)
class _Known:
    """A pre-training, and the processor seconds it took."""

    pretrained: generator.Pretrained
    cpu_seconds: float


@lru_cache(maxsize=len(ABLATIONS))
def _known(job: Job) -> _Known:
    started = time.process_time()
    split = images.split(job.data, job.ratio, PLANS[job.plan].majority)
    pretrained = generator.pretrain(_task(split), settings=settings_of(job), seed=job.seed, place=Place(job.arm))
    return _Known(pretrained, time.process_time() - started)


class _Cosine(nn.Module):
    """Logits as cosines of features and class directions."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, inputs))

    def forward(self, features_BH: Tensor) -> Tensor:
        return functional.normalize(features_BH) @ functional.normalize(self.weight).T


def _ldam(split: Split, settings: MGVAESettings, seed: int) -> NDArray[np.float64]:
    """Train with label-distribution-aware margins (Cao et al., NeurIPS 2019), without deferred re-weighting."""
    margins = torch.from_numpy(np.bincount(split.labels) ** -0.25).float()
    margins_K = margins / margins.max() * MARGIN
    with seeded(seed, device=CPU):
        units = settings.classifier_units
        body = dense.dense((split.rows.shape[1], *units))
        network = nn.Sequential(body, nn.LeakyReLU(0.1), _Cosine(units[-1], 2))
    optimizer = torch.optim.Adam(network.parameters(), settings.classifier_rate, fused=True)
    random = np.random.default_rng([seed, 2])
    for _ in range(settings.classifier_steps):
        drawn = random.integers(0, len(split.labels), settings.classifier_batch)
        codes = torch.from_numpy(split.labels[drawn])
        cosines = network(torch.from_numpy(split.rows[drawn] / 255))
        shifted = SCALE * (cosines - functional.one_hot(codes, 2) * margins_K[codes][:, None])
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(shifted, codes))
        optimizer.step()
    with torch.no_grad():
        chance = (SCALE * network(torch.from_numpy(split.test_rows / 255))).softmax(dim=1)[:, 1]
    return np.asarray(chance.numpy(), np.float64)
