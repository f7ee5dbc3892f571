"""Settings of every trainer as frozen pydantic models, so that listing them imports no framework."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

FOLDS = 5
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Settings(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LogisticRegressionSettings(Settings):
    """Settings of balanced logistic regression."""

    seed: int = Field(0, description="Seed of the cross-validation that gives the metrics.")
    C: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.001, 0.01, 0.1, 1.0),
        min_length=1,
        description="Inverse strengths of the squared penalty to choose from, by cross-validated average precision.",
    )
    max_iter: int = Field(2000, ge=1, description="Iterations of the solver at most.")


class GradientBoostingSettings(Settings):
    """Settings of balanced histogram gradient boosting; the defaults are small trees, as labels are few."""

    seed: int = Field(0, description="Seed of the model and of the cross-validation that gives the metrics.")
    trees: int = Field(100, ge=1, description="Boosting rounds.")
    leaves: int = Field(8, ge=2, description="Leaves of a tree at most.")
    bins: int = Field(64, ge=2, le=255, description="Values of a feature that are told apart; few labels need few.")
    rows_per_leaf: int = Field(10, ge=1, description="Rows in a leaf at least.")
    learning_rate: float = Field(0.05, gt=0, description="Shrinkage of each round.")
    l2_regularization: float = Field(1.0, ge=0, description="Squared penalty on the values of the leaves.")


class ScarceGANSettings(Settings):
    """Settings of ScarceGAN, Chakrabarty, Talwadker and Mukherjee, CIKM 2021."""

    seed: int = Field(0, ge=0, description="Seed of weights, batches, noise and folds.")
    members: int = Field(5, ge=1, description="Networks, each with its own seed and fold, that are averaged.")
    folds: int = Field(FOLDS, ge=2, description="Parts of the labelled rows; a member holds out one of them.")
    latent_dim: int = Field(10, ge=1, description="Size of the generator's noise vector.")
    generator_units: int = Field(30, ge=1, description="Units of the generator's hidden layer.")
    discriminator_units: tuple[int, ...] = Field(
        (15, 21, 8), min_length=1, description="Units of the discriminator's trunk."
    )
    leeway: Share = Field(0.3, description="Share of a weak negative's target that may go to 'unknown'.")
    class_leeway: dict[str, Share] = Field(
        default_factory=dict, description="Leeway of single classes by name, instead of the common one."
    )
    negative_classes: int = Field(
        3, ge=1, description="Weak negative classes made of 'not rare' where labels name just two classes."
    )
    activity: str = Field(
        "", description="Feature that splits them; empty for the first '<metric>__active_share' or its like."
    )
    known_share: Share = Field(
        0.9, description="Expected share of known rows among the unlabelled; their mean is drawn towards it."
    )
    known_weight: float = Field(0.1, ge=0, description="Weight of that batch-level term (gamma).")
    feature_matching: float = Field(1.0, ge=0, description="Weight of the generator's feature matching.")
    pull_away: float = Field(0.1, ge=0, description="Weight of the row-normalised pull-away term.")
    low_density: float = Field(0.1, ge=0, description="Weight of the generator's low-density term.")
    low_density_quantile: Share = Field(
        0.5, description="Quantile of the unlabelled rows' confidence above which the low-density term acts."
    )
    rows_per_class: int = Field(8, ge=1, description="Labelled rows of each class in a batch.")
    unlabeled_rows: int = Field(32, ge=2, description="Unlabelled rows, and generated rows, in a batch.")
    steps: int = Field(3000, ge=1, description="Steps at most.")
    evaluate_every: int = Field(50, ge=1, description="Steps between two looks at the held-out rows.")
    patience: int = Field(20, ge=1, description="Looks without a better one before stopping.")
    supervised_rate: float = Field(
        1e-3, gt=0, description="Learning rate of the supervised step, decayed x0.96 per 500 steps."
    )
    adversarial_rate: float = Field(1e-4, gt=0, description="Learning rate of the unsupervised and generator steps.")
    checkpoint: str = Field(
        "", description="Folder for checkpoints, from which a killed run goes on; not part of the result."
    )
