"""Settings of the baselines as frozen pydantic models; importing them loads no library that trains.

A field that holds several values is chosen from, by cross-validated average precision on the labelled rows.
"""

from typing import Annotated, Literal

from pydantic import Field

from training.settings import Settings

Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Leaves = Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)]
Rates = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
Ratios = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
Chances = Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)]
SEED = "Seed of the model and of the cross-validation that gives the metrics."
TABLE_ROWS = "Labelled rows at most that it learns from: all of small classes, a draw of large ones."


class LogisticRegressionSettings(Settings):
    """Settings of balanced logistic regression."""

    seed: int = Field(0, description="Seed of the cross-validation that gives the metrics.")
    C: Rates = Field(
        (0.001, 0.01, 0.1, 1.0),
        description="Inverse strengths of the squared penalty to choose from, by cross-validated average precision.",
    )
    max_iter: int = Field(2000, ge=1, description="Iterations of the solver at most.")


class KernelLogisticRegressionSettings(Settings):
    """Settings of kernel logistic regression with classes weighted alike."""

    seed: int = Field(0, ge=0, description=SEED)
    C: Rates = Field((1.0, 10.0), description="Inverse strengths of the squared penalty; the best is chosen.")
    width: Rates = Field(
        (3.0, 20.0),
        description="Widths of the kernel, as the squared distance per input at which it falls to 1/e; the best is "
        "chosen.",
    )
    landmarks: int = Field(300, ge=2, description="Rows that others are compared with, at most.")
    unlabeled_rows: int = Field(5_000, ge=1, description="Unlabelled rows at most; of more, so many are drawn.")
    table_rows: int = Field(50_000, ge=2, description=TABLE_ROWS)
    max_iter: int = Field(500, ge=1, description="Iterations of the solver at most.")


class BoostingSettings(Settings):
    """What the histogram gradient boostings share; the defaults are small trees, as labels are few."""

    seed: int = Field(0, ge=0, description=SEED)
    trees: int = Field(100, ge=1, description="Boosting rounds.")
    leaves: Leaves = Field((4, 16), description="Leaves of a tree at most; of several the best is chosen.")
    bins: int = Field(64, ge=2, le=255, description="Values of a feature that are told apart; few labels need few.")
    rows_per_leaf: int = Field(10, ge=1, description="Rows in a leaf at least.")
    learning_rate: float = Field(0.05, gt=0, description="Shrinkage of each round.")
    l2_regularization: float = Field(1.0, ge=0, description="Squared penalty on the values of the leaves.")
    balanced: bool = Field(True, description="Let each class weigh the same, however few its rows.")


class GradientBoostingSettings(BoostingSettings):
    """Settings of balanced histogram gradient boosting."""


class PlainGradientBoostingSettings(BoostingSettings):
    """Settings of histogram gradient boosting in which each row weighs the same; everything else is alike."""

    balanced: bool = Field(False, description="Let each class weigh the same, however few its rows.")


class SmoteBoostingSettings(BoostingSettings):
    """Settings of histogram gradient boosting on a table that SMOTE has filled up."""

    leaves: Leaves = Field((8,), description="Leaves of a tree at most; of several the best is chosen.")
    balanced: bool = Field(False, description="Weigh classes alike as well, where SMOTE leaves them of unlike size.")
    shares: Ratios = Field(
        (0.2, 1.0),
        description="Rows that smaller classes are filled up to, as a share of the largest class; the best is chosen.",
    )
    neighbors: int = Field(5, ge=1, description="Nearest rows of a class between which and a row new ones lie.")


class SelfTrainingSettings(BoostingSettings):
    """Settings of self-training over histogram gradient boosting."""

    leaves: Leaves = Field((8,), description="Leaves of a tree at most; of several the best is chosen.")
    confidences: Chances = Field(
        (0.9, 0.99),
        description="Probability from which a model's guess of an unlabelled row is learned from as its label.",
    )
    rounds: int = Field(5, ge=1, description="Times that unlabelled rows are given labels, at most.")
    unlabeled_rows: int = Field(20_000, ge=1, description="Unlabelled rows at most; of more, so many are drawn.")


class ForestSettings(Settings):
    """What random forest and extra trees share."""

    seed: int = Field(0, ge=0, description=SEED)
    trees: int = Field(200, ge=1, description="Trees.")
    rows_per_leaf: Counts = Field((1, 5), description="Rows in a leaf at least; of several the best is chosen.")
    features_per_split: float | Literal["sqrt", "log2"] = Field(
        "sqrt", description="Features that a split is chosen from: a rule, or their share."
    )
    table_rows: int = Field(50_000, ge=2, description=TABLE_ROWS)


class RandomForestSettings(ForestSettings):
    """Settings of a random forest with classes weighted alike."""


class ExtraTreesSettings(ForestSettings):
    """Settings of extremely randomized trees with classes weighted alike."""


class IsolationForestSettings(Settings):
    """Settings of the isolation forest."""

    seed: int = Field(0, ge=0, description=SEED)
    trees: int = Field(200, ge=1, description="Trees.")
    rows_per_tree: int = Field(256, ge=2, description="Rows that a tree is grown on at most.")
    table_rows: int = Field(100_000, ge=2, description="Rows of the table at most; of more, so many are drawn.")
    alarm_share: float = Field(
        0.05, gt=0, lt=1, description="Share of the labelled rows that are not rare above the threshold."
    )


class XGBoostSettings(Settings):
    """Settings of XGBoost, which the `xgboost` extra installs."""

    seed: int = Field(0, ge=0, description=SEED)
    trees: int = Field(100, ge=1, description="Boosting rounds.")
    depth: Counts = Field((2, 4), description="Depth of a tree at most; of several the best is chosen.")
    learning_rate: float = Field(0.1, gt=0, le=1, description="Shrinkage of each round.")
    l2_regularization: float = Field(1.0, ge=0, description="Squared penalty on the values of the leaves.")
    row_share: float = Field(0.8, gt=0, le=1, description="Share of the rows that a tree is grown on.")
    feature_share: float = Field(0.8, gt=0, le=1, description="Share of the features that a tree is grown on.")
    balanced: bool = Field(True, description="Let each class weigh the same, however few its rows.")


class XGBODSettings(Settings):
    """Settings of XGBOD, which the `xgbod` extra installs; detectors and trees are by default those of PyOD."""

    seed: int = Field(0, ge=0, description=SEED)
    neighbors: Counts = Field(
        (1, 3, 5, 10, 20, 30, 40, 50),
        description="Nearest rows that a detector by distance and one by density look at; as many of each.",
    )
    bins: Leaves = Field((5, 10, 15, 20, 25, 30, 50), description="Bins of a feature of the detectors by histograms.")
    outside_shares: Chances = Field(
        (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99),
        description="Share of the rows outside the boundary of a one-class support vector machine at most.",
    )
    forests: Counts = Field((10, 20, 50, 70, 100, 150, 200), description="Trees of the isolation forests.")
    trees: int = Field(100, ge=1, description="Boosting rounds of XGBoost.")
    depth: int = Field(3, ge=1, description="Depth of its trees at most.")
    learning_rate: float = Field(0.1, gt=0, le=1, description="Shrinkage of each round.")
    l2_regularization: float = Field(1.0, ge=0, description="Squared penalty on the values of the leaves.")
    balanced: bool = Field(True, description="Let rare rows and all others weigh the same, however few they are.")
    unlabeled_rows: int = Field(
        1_000,
        ge=0,
        description="Unlabelled rows at most, which count as not rare; of more, so many are drawn. 0: none.",
    )
