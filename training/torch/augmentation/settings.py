"""Settings that the trainers share which make rows for a classifier; importing them loads no framework."""

from typing import Annotated, Literal

from pydantic import Field

from training.settings import Folds, Units
from training.torch.second_stage_settings import SecondStageSettings


def steps_for(rows: int, most: int, per_row: int) -> int:
    """Return how many steps so many rows are learned in: `most`, and for each row `per_row`, 0 for any number."""
    return min(most, per_row * rows) if per_row else most


class AugmentationSettings(SecondStageSettings):
    """What rows are, for which classes they are made, and what learns from them."""

    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    minority: tuple[str, ...] = Field(
        (), description="Classes to make rows of; empty: the rare one, and those at most half as large as the largest."
    )
    # What a row is.
    image: Annotated[tuple[int, ...], Field(min_length=3, max_length=3)] | None = Field(
        None, description="Channels, height and width where the features are an image's pixels; empty for a table."
    )
    brightest: float = Field(255.0, gt=0, description="Value of an image's brightest pixel; the darkest is 0.")
    categories: int = Field(
        12, ge=0, description="A column of at most this many distinct whole numbers is one of categories; 0: none is."
    )
    categorical: tuple[str, ...] = Field((), description="Features that hold categories, whatever their number.")
    # Which rows the classifier learns from, and the classifier.
    folds: Folds = Field(
        3, description="Folds on which the source and amount of synthetic rows are chosen; 0: the generator's, at most."
    )
    classifier: Literal["mlp", "second_stage"] = Field(
        "mlp", description="Dense network on logits, or that which `second_stage` names."
    )
    classifier_units: Units = Field((256, 128), description="Units of the dense classifier's hidden layers.")
    classifier_steps: int = Field(1500, ge=1, description="Steps of its training.")
    classifier_steps_per_row: int = Field(
        6, ge=0, description="Its steps at most for each labelled row: few rows are soon learned by heart; 0: any."
    )
    classifier_lengths: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = Field(
        (0.1, 0.3, 1.0),
        description="Shares of these steps that the folds choose from by real rows alone: where few rows of many "
        "features say little, fewer rank better. Without folds the largest; 1 as published.",
    )
    classifier_members: int = Field(3, ge=1, description="Networks that are trained at once and averaged; 1 published.")
    classifier_batch: int = Field(100, ge=2, description="Rows in its batch.")
    classifier_rate: float = Field(1e-3, gt=0, description="Its learning rate, falling to a hundredth at the end.")
    checkpoint_url: str = Field("", description="Folder for checkpoints; a killed run goes on from them.")
    checkpoint_every: int = Field(250, ge=1, description="Steps between two checkpoints.")
