"""Settings of the importance vector: what the report did and its repair differ by fields, repaired by default.

No framework is imported, so that listing the settings of all trainers stays cheap. B.1 to F.7 name the sections of the
method's description: B.1 entropy loss, B threshold and retraining, F.1 to F.7 repairs.
"""

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from training.settings import Folds, Settings, Share, Units
from training.torch.second_stage_settings import Device

Mode = Literal["repaired", "as_published"]
Scaling = Literal["robust", "standard", "minmax", "maxabs"]
Threshold = Literal["third", "midpoint", "kmeans", "mixture", "otsu"]
Entropy = Literal["information", "conditional"]


class ImportanceVectorSettings(Settings):
    """Settings of the importance vector, internship report, VIPLAB, IIT Kharagpur 2021; `as_published` repeats it."""

    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    mode: Mode = Field(
        "repaired",
        description="'repaired': importance of clusters, a loss that knows the clusters' sizes, labels are used. "
        "'as_published': a trained number for each row, two clusters, labels unused; other fields then default to the "
        "report's values.",
    )
    members: int = Field(5, ge=1, description="Networks that are trained at once and averaged.")
    units: Units = Field((96, 32), description="Units of the hidden layers of all networks.")
    epochs: int = Field(100, ge=0, description="Passes of the clustering networks over the rows.")
    batch_size: int = Field(
        256, ge=2, description="Rows in a batch: enough for their mean to show a cluster of 1 %; 32 as published."
    )
    pass_rows: int | None = Field(
        4_000,
        ge=1,
        description="Rows of the largest table that gets all the passes that are set; a larger one gets fewer, of "
        "about as many steps in all. Empty: every table gets all, as published.",
    )
    rate: float = Field(1e-3, gt=0, description="Learning rate of Adam for all networks.")
    unlabeled_rows: int = Field(20_000, ge=0, description="Unlabelled rows that are learned from at most.")
    # Encoder, F.1 and F.7.
    scaling: Scaling = Field(
        "robust", description="Scale of numbers: logarithm around the median, standardized, to [0, 1], or to [-1, 1]."
    )
    categories: int = Field(
        8, ge=0, description="A column of at most this many distinct whole numbers is one of categories; 0: none is."
    )
    categorical: tuple[str, ...] = Field((), description="Features that hold categories, whatever their number.")
    id_share: Share = Field(
        0.9, description="A column of whole numbers with more distinct values than this share of rows is left out."
    )
    # Clusters, F.2, F.3 and F.4.
    warm_start: int = Field(30, ge=0, description="Passes in which the networks learn the k-means clusters first.")
    prior_weight: float = Field(
        5.0, ge=0, description="Weight of KL(mean prediction || expected sizes) beside the entropy (alpha)."
    )
    consistency: float = Field(0.25, ge=0, description="Weight of agreeing on a row and its perturbation (beta).")
    noise: float = Field(0.3, ge=0, description="Perturbation: standard deviations of Gaussian noise.")
    masked: Share = Field(0.15, lt=1, description="Perturbation: chance of an input to become its mean.")
    prior_memory: Share = Field(0.99, description="Share of the expected sizes that outlives a step.")
    label_weight: float = Field(1.0, ge=0, description="Weight of the cross-entropy on labelled rows.")
    agreement: Share = Field(
        0.5,
        description="Normalized mutual information below which k-means and networks, or k-means and labels, disagree.",
    )
    # Balance, F.4 and F.5.
    confidence: Share = Field(0.6, description="Probability below which a row gets no pseudo-label.")
    growth: float = Field(10.0, ge=1, description="A class grows by oversampling to this multiple of itself at most.")
    neighbors: int = Field(5, ge=1, description="Neighbors in SMOTE.")
    # Classifier on the balanced table.
    classifier_epochs: int = Field(100, ge=1, description="Passes of the classifier over its rows; 20 as published.")
    classifier_batch: int = Field(64, ge=2, description="Rows in a batch of the classifier; 32 as published.")
    classifier_decay: float = Field(1e-3, ge=0, description="Squared penalty on the weights of the classifier.")
    pseudo_weight: float = Field(
        1.0, ge=0, description="Weight of a class's pseudo-labelled rows together, as a multiple of its labelled rows'."
    )
    folds: Folds = Field(3, description="Parts of the labelled rows that choose what is learned from; 0: all of it is.")
    # As published, B.
    entropy: Entropy = Field(
        "information", description="As published: H(p) less the entropy of the mean, or H(p) alone, which collapses."
    )
    entropy_weight: float = Field(1.0, ge=0, description="As published: weight of the entropy of the mean (lambda).")
    importance_rate: float | None = Field(
        None, gt=0, description="As published: learning rate of the rows' importances; empty: that of the networks."
    )
    threshold: Threshold = Field(
        "third", description="As published: cut on the importance; (max + min) / 3 in the report."
    )
    retraining: Literal["unsupervised", "supervised"] = Field(
        "unsupervised", description="As published: second training by the same loss, or on the pseudo-labels."
    )
    device: Device = Field("auto", description="Where networks train; 'auto' takes a GPU if there is one.")

    @classmethod
    def as_published(cls, **changes: Any) -> Self:  # noqa: ANN401  (fields of any type)
        """Return settings under which every step is the report's, as far as it tells them."""
        return cls(**{"mode": "as_published"} | changes)

    def passes_over(self, rows: int, wanted: int) -> int:
        """Return how many of the wanted passes are made over so many rows."""
        return math.ceil(wanted * min(1.0, (self.pass_rows or rows) / rows))

    @model_validator(mode="before")
    @classmethod
    def _published_unless_given(cls, given: Any) -> Any:  # noqa: ANN401  (what pydantic hands over)
        published = isinstance(given, dict) and given.get("mode") == "as_published"
        return PUBLISHED | given if published else given


PUBLISHED: dict[str, Any] = {
    "members": 1,
    "batch_size": 32,
    "pass_rows": None,
    "scaling": "standard",
    "categories": 0,
    "id_share": 1.0,
    "classifier_epochs": 20,
    "classifier_batch": 32,
    "classifier_decay": 0.0,
    "folds": 0,
}
