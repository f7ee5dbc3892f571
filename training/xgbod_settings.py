"""Settings of XGBOD; importing them loads no library that trains."""

from pydantic import Field

from training.baseline_settings import Chances, Counts, Leaves
from training.settings import Settings


class XGBODSettings(Settings):
    """Settings of XGBOD, which the `xgbod` extra installs; detectors and trees are by default those of PyOD."""

    seed: int = Field(0, ge=0, description="Seed of the model and of the cross-validation that gives the metrics.")
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
