"""Settings of MGVAE: every point in which the published code and its repair differ is a field, repaired by default.

No framework is imported, so that listing the settings of all trainers stays cheap. B.1 to B.6 name the sections of the
method's description: B.1 objective, B.2 exemplars, B.3 pre-training and EWC, B.4 networks, B.5 optimizers,
B.6 augmentation.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from training.settings import Share, Units
from training.torch.augmentation.settings import AugmentationSettings

SHRINKAGE = 4  # of an image's sides on the way to the code of the convolutional networks


class MGVAESettings(AugmentationSettings):
    """Settings of MGVAE, AISTATS 2023 (arXiv 2302.10910); `as_published` gives the original's behavior."""

    # Networks, B.4.
    network: Literal["dense", "convolutional"] = Field(
        "dense", description="Encoder and decoder; the latter of images."
    )
    units: Units = Field(
        (300, 300), description="Units of the dense encoder's hidden layers; the decoder's in reverse."
    )
    channels: Annotated[tuple[int, ...], Field(min_length=2, max_length=2)] = Field(
        (48, 96), description="Channels of the convolutional networks at a half and at a quarter of the image's size."
    )
    residual_blocks: int = Field(6, ge=0, description="Residual blocks of the convolutional networks at either size.")
    latent_dim: int = Field(10, ge=1, description="Size of the code z.")
    encoder_variance: Literal["row", "shared"] = Field(
        "row", description="The encoder's variance: of each row and dimension, or the prior's scalar as published."
    )
    # Objective, B.1 and B.2.
    prior: Literal["mixture", "gaussian"] = Field(
        "mixture", description="Prior of the code: majority-guided, or a standard Gaussian to compare with."
    )
    exemplars: int = Field(512, ge=2, description="Majority rows (S) in the prior of a step at most.")
    exemplar_draw: Literal["distinct", "published"] = Field(
        "distinct",
        description="'distinct' draws them without replacement and leaves a row's own component out in pre-training; "
        "'published' draws with replacement and leaves it in.",
    )
    likelihood: Literal["calibrated", "published"] = Field(
        "calibrated",
        description="'calibrated': Gaussian of the running squared error's variance, by column; 'published': squared "
        "error alone, under which the code of a table carries nothing.",
    )
    variance_floor: float = Field(1e-3, gt=0, description="Least variance of the calibrated likelihood.")
    warm_up: Share = Field(0.3, description="Share of pre-training over which the KL term gains its full weight.")
    # Training, B.3 and B.5.
    batch_size: int = Field(100, ge=1, description="Rows in a batch.")
    rate: float = Field(1e-3, gt=0, description="Learning rate of pre-training; 5e-3 as published.")
    pretrain_steps: int = Field(1500, ge=0, description="Steps on majority rows; 0 for no pre-training.")
    finetune_rate: float = Field(1e-3, gt=0, description="Learning rate of fine-tuning; 5e-3 as published.")
    finetune_steps: int = Field(300, ge=0, description="Steps on a rare class's rows at most.")
    steps_per_row: int = Field(
        12,
        ge=0,
        description="Steps at most, of either, for each row of the class: few rows are soon learned by heart; 0: any.",
    )
    held_out: Share = Field(
        0.0,
        lt=1,
        description="Share of a rare class's rows on whose evidence lower bound the number of its steps is chosen; 0: "
        "all are taken. On 25 rows of digits the choice is of too few.",
    )
    fisher: Literal["normalized", "published"] = Field(
        "normalized", description="Fisher information to mean 1 and clipped, from random rows; or raw, from the first."
    )
    fisher_rows: int = Field(200, ge=1, description="Rows that the Fisher information is estimated from.")
    ewc_weight: float = Field(1.0, ge=0, description="Weight lambda of the EWC penalty; 0 for none.")
    # Generation and augmentation, B.6.
    observation_noise: float = Field(
        0.0, ge=0, description="Standard deviations of the decoder's noise that generated numbers get; 0 as published."
    )
    surplus: int = Field(2, ge=1, description="Candidates for each row wanted, of which the best are kept; 1: all are.")
    stored_rows: int = Field(2000, ge=2, description="Majority rows kept in the artifact, to make rows from.")
    ratios: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = Field(
        (0.25, 0.5, 1.0), description="Shares of what a class lacks to the majority's size, to choose from."
    )

    @model_validator(mode="after")
    def _fits_images(self) -> Self:
        if self.network == "convolutional" and not self.image:
            raise ValueError("network is 'convolutional', but no image is given; set image = [channels, height, width]")
        sides = self.image[1:] if self.image and self.network == "convolutional" else ()
        if any(side % SHRINKAGE for side in sides):
            raise ValueError(f"an image of {sides} pixels cannot be halved twice; pad it to multiples of {SHRINKAGE}")
        return self

    @classmethod
    def as_published(cls, **changes: Any) -> Self:  # noqa: ANN401  (fields of any type)
        """Return settings under which each step is the original's; lambda and S are those of its tables."""
        return cls(**PUBLISHED | changes)


PUBLISHED: dict[str, Any] = {
    "encoder_variance": "shared",
    "exemplars": 700,
    "exemplar_draw": "published",
    "likelihood": "published",
    "warm_up": 0.0,
    "rate": 5e-3,
    "finetune_rate": 5e-3,
    "finetune_steps": 200,
    "steps_per_row": 0,
    "classifier_steps_per_row": 0,
    "classifier_lengths": (1.0,),
    "classifier_members": 1,
    "fisher": "published",
    "fisher_rows": 100,
    "ewc_weight": 500.0,
    "surplus": 1,
    "folds": 0,
}
