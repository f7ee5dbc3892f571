"""Settings of QAST: every point in which the published code and its repair differ is a field, repaired by default.

No framework is imported, so that listing the settings of all trainers stays cheap. B.1 to B.9 name the sections of
the method's description: B.1 encoder, B.2 seed rows, B.3 networks, B.4 optimisers, B.5 committee, B.6 losses,
B.7 gate in training, B.8 final synthesis, B.9 quota.
"""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from training.settings import Share
from training.torch.second_stage_settings import SecondStageSettings

MemberName = Literal[
    "svc",
    "linear_svc",
    "smote_linear_svc",
    "smoteenn_linear_svc",
    "smotetomek_linear_svc",
    "easy_ensemble",
    "forest",
    "boosting",
    "neighbors",
    "logistic",
    "network",
]
PAPER_MEMBERS: tuple[MemberName, ...] = (
    "svc",
    "linear_svc",
    "smote_linear_svc",
    "smoteenn_linear_svc",
    "smotetomek_linear_svc",
    "easy_ensemble",
    "network",
)
# Not the published EasyEnsemble and network: on few rows of many classes both are near chance, and one member that
# disagrees with all others keeps every row out of the best bucket.
DIVERSE_MEMBERS: tuple[MemberName, ...] = ("svc", "smote_linear_svc", "logistic", "forest", "boosting", "neighbors")
SMALLEST_BATCH, LARGEST_BATCH, BATCHES = 30, 512, 6


class QASTSettings(SecondStageSettings):
    """Settings of QAST, AAAI 2023 (10.1609/aaai.v37i5.25811); `as_published` gives the original's behavior."""

    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    epochs: int = Field(100, ge=1, description="Adversarial epochs; 301 as published. Its schedules stretch with them.")
    batch_size: int | None = Field(
        None, ge=2, description="Rows in a batch, about; empty: a sixth of the rows, at least 30 and at most 512."
    )
    folds: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        None, description="Folds of the rows of large and of small classes, as published; empty: from the batch size."
    )
    features_at_most: int | None = Field(
        40,
        ge=2,
        description="Features that rows are made in at most, those that tell classes best; the others of a made row "
        "are those of a real row of its class near it. Empty: all, as published.",
    )
    # Encoder, B.1.
    modes: int = Field(8, ge=1, description="Modes of a column's Gaussian mixture at most.")
    mode_weight: Share = Field(0.01, description="Weight above which a mode is used.")
    encoder_scale: float = Field(
        4.0, gt=0, description="Standard deviations of a mode that an encoded value of 1 stands for; 1 as published."
    )
    mixtures: Literal["robust", "published"] = Field(
        "robust",
        description="'robust' fits standardized columns, finds modes by log-probabilities and clips encoded values to "
        "[-1, 1]; 'published' fits raw ones, by probabilities that may all be 0, and clips decoded values alone.",
    )
    categories: int = Field(
        12, ge=0, description="A column of at most this many distinct whole numbers is one of categories; 0: none is."
    )
    categorical: tuple[str, ...] = Field((), description="Features that hold categories, whatever their number.")
    integers: Literal["round", "truncate"] = Field(
        "round", description="How columns of whole numbers get theirs back; 'truncate' as published."
    )
    # Seed rows, B.2.
    mixup: Literal["row", "pair"] = Field(
        "row", description="Draw partner and mixing weight for each row, or for a pair of classes as published."
    )
    mixup_partners: int = Field(3, ge=1, description="Large classes that a small one is mixed with at most.")
    smote_scaling: Literal["standard", "none"] = Field(
        "standard",
        description="What the neighbors of SMOTE's seed rows are found in; 'none': raw columns, as published.",
    )
    smote_neighbors: int = Field(3, ge=1, description="Neighbors in every use of SMOTE.")
    # Networks and losses, B.3, B.4, B.6.
    labels: Literal["onehot", "scalar"] = Field("onehot", description="How networks are given labels.")
    noise_labels: Literal["minority", "all"] = Field(
        "minority", description="Classes whose rows are made from noise: the small ones, or all as published."
    )
    matching: Literal["class", "batch"] = Field(
        "class", description="Real rows a generated one is drawn to: of its class, or any as published."
    )
    adversarial: Literal["hinge", "wgan_gp", "bce"] = Field(
        "hinge", description="Adversarial loss: hinge with R1, Wasserstein with a gradient penalty, or as published."
    )
    penalty: float | None = Field(
        None, ge=0, description="Weight of the gradient penalty; empty: that of the loss (hinge 1, wgan_gp 10, bce 1)."
    )
    fake_weights: Literal["present", "all"] = Field(
        "present", description="Classes in the normalizer of the classifier's loss on generated rows; 'all' published."
    )
    initialization: Literal["identity", "small"] = Field(
        "identity", description="Conditional norm starts as the identity, or near zero as published."
    )
    inference: Literal["eval", "train"] = Field(
        "eval", description="Mode of networks that judge or make final rows; 'train' as published."
    )
    generator_rate: float = Field(3e-3, gt=0, description="Learning rate of the generator.")
    generator_decay: float = Field(1e-4, ge=0, description="Weight decay of the generator.")
    rate: float = Field(3e-4, gt=0, description="Learning rate of discriminator, classifier and network member.")
    reconstruction: float = Field(1.0, ge=0, description="Weight of the generator's reconstruction term.")
    # Committee, B.5.
    members: Annotated[tuple[MemberName, ...], Field(min_length=1)] = Field(
        DIVERSE_MEMBERS, description="Classifiers that vote on the label of a generated row."
    )
    committee_rows: Literal["standard", "encoded"] = Field(
        "standard", description="What members see: standardized features, or encoded rows as published."
    )
    committee_folds: int = Field(
        3,
        ge=0,
        description="Folds by which a member's weight is measured on rows it did not see; 0: weights are equal.",
    )
    committee_rows_at_most: int = Field(
        10_000, ge=1, description="Rows that a member learns from at most; small classes keep theirs."
    )
    network_steps: int = Field(1001, ge=1, description="Steps of the network member.")
    # Gate, B.7 and B.8.
    gate: Literal["quantile", "paper"] = Field(
        "quantile", description="Quality is a rank within each class, or the discriminator's output as published."
    )
    leak: Share = Field(
        0.0, description="Chance of a row below the quality threshold to be kept in training; 0.5 as published."
    )
    final_quality: Share = Field(
        0.3, description="Quality below which a final row is dropped: a quantile, or the published output."
    )
    relabel: bool = Field(True, description="Let the committee relabel generated rows; else rows it refuses go.")
    order: Literal["confidence", "generated"] = Field(
        "generated", description="Order inside a bucket of votes: as generated (published), or by confidence."
    )
    # Synthesis and quota, B.8 and B.9.
    rounds: int = Field(100, ge=1, description="Candidates in all, as a multiple of the number of rows.")
    quota: int | None = Field(
        None, ge=0, description="Rows, real and synthetic, of each small class; empty: by the sizes of the large ones."
    )
    minority: tuple[str, ...] = Field((), description="Small classes by name; empty: those with fewer rows than quota.")
    balanced: bool = Field(
        True, description="Generate class by class until its quota; as published: labels over all classes, uniformly."
    )
    # The classifier on the augmented table and what decides on each class.
    fallback: Literal["none", "smote", "off"] = Field(
        "none", description="For a class without gain in inner validation: no rows, or SMOTE's; 'off' asks nothing."
    )
    fallback_folds: int = Field(3, ge=2, description="Folds of the inner validation.")
    fallback_errors: float = Field(
        1.0,
        ge=0,
        description="Standard errors by which inner validation must find less generated rows better for any to be "
        "left out, as few rows find that by chance; 0: wherever it sees no gain.",
    )
    checkpoint_url: str = Field("", description="Folder for checkpoints; a killed run goes on from them.")
    checkpoint_every: int = Field(25, ge=1, description="Epochs between two checkpoints.")

    @classmethod
    def as_published(cls, **changes: Any) -> Self:  # noqa: ANN401  (fields of any type)
        """Return settings under which every step is the original's; `folds` is by table, so give it if it matters."""
        return cls(**PUBLISHED | changes)

    def narrowed_to(self, features: int) -> int | None:
        """Return in how many of a table's features its rows are made; None: in all."""
        return self.features_at_most if features > (self.features_at_most or features) else None

    def fold_counts(self, majority_rows: int, minority_rows: int) -> tuple[int, int]:
        """Return into how many folds the rows of large and of small classes are cut, (large, small).

        A batch joins one fold of each (B.6). Without `folds` the small classes have half of a batch at most, and at
        least two folds.
        """
        if self.folds:
            return self.folds
        rows = self.batch_size or min(max((majority_rows + minority_rows) // BATCHES, SMALLEST_BATCH), LARGEST_BATCH)
        small = max(2, math.ceil(2 * minority_rows / rows))
        return max(1, round(majority_rows / max(1, rows - minority_rows / small))), small


PUBLISHED: dict[str, Any] = {
    "epochs": 301,
    "features_at_most": None,
    "encoder_scale": 1.0,
    "mixtures": "published",
    "categories": 0,
    "integers": "truncate",
    "mixup": "pair",
    "smote_scaling": "none",
    "labels": "scalar",
    "noise_labels": "all",
    "matching": "batch",
    "adversarial": "bce",
    "fake_weights": "all",
    "initialization": "small",
    "inference": "train",
    "members": PAPER_MEMBERS,
    "committee_rows": "encoded",
    "committee_folds": 0,
    "committee_rows_at_most": 1_000_000_000,
    "gate": "paper",
    "leak": 0.5,
    "order": "generated",
    "balanced": False,
    "fallback": "off",
    "blstm_validation": 0.0,
    "blstm_scaling": "none",
}
