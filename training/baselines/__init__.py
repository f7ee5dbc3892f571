"""What people would use instead: trainers of well-known libraries, which every other one must beat.

Each takes a reader's labelled rows, self-training, XGBOD and the isolation forest the unlabelled ones as well. Unless
their settings say otherwise each class weighs the same, however few its rows, and so do the probabilities they give.
The one that needs torch is `training.torch.devnet`.
"""

from training.baselines.boosting import GradientBoosting as GradientBoosting
from training.baselines.boosting import GradientBoostingArtifact as GradientBoostingArtifact
from training.baselines.linear import LogisticRegression as LogisticRegression
from training.baselines.linear import LogisticRegressionArtifact as LogisticRegressionArtifact
