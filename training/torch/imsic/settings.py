"""Settings of IMSIC; no framework is imported, so that listing the settings of all trainers stays cheap.

B.2 to B.8 and F name the sections of the method's description: B.2 networks, B.7 the corrected structure loss, B.8
optimizers and sampling, F tables.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.settings import Share, Units
from training.torch.augmentation.settings import AugmentationSettings
from training.torch.imsic.graph_file import GivenGraph

SHRINKAGE = 4  # of an image's sides before the generator's convolutions

Weight = Annotated[float, Field(ge=0)]


class IMSICSettings(AugmentationSettings):
    """Settings of IMSIC, IJCAI 2021 (doi 10.24963/ijcai.2021/350), with its structure loss corrected."""

    graph: GivenGraph = Field(
        None,
        description="File with the factors, their parents and columns; empty: a factor for each metric, eight at most.",
    )
    structure_weights: Annotated[tuple[Weight, ...], Field(min_length=1)] = Field(
        (1.0,),
        description="Weight of the structure loss; of several, that under which held-out rows rank best. 0: the graph "
        "is not asked for.",
    )
    forbidden_weight: float = Field(
        0.3, ge=0, description="Weight of the forbidden edges' correlations within the structure loss (mu)."
    )
    # Networks, B.2 and F.
    network: Literal["dense", "convolutional"] = Field(
        "dense", description="Generator and discriminator; the latter of images."
    )
    units: Units = Field((256, 256), description="Units of the dense networks' hidden layers.")
    generator_channels: Annotated[tuple[int, ...], Field(min_length=2, max_length=2)] = Field(
        (128, 64),
        description="Channels of the generator's convolutions up to half of the image's size, and at it.",
    )
    trunk_channels: Annotated[tuple[int, ...], Field(min_length=1)] = Field(
        (16, 32, 64, 128), description="Channels of the discriminator's convolutions, each of which halves the image."
    )
    noise_dim: int = Field(32, ge=1, description="Size of the noise z; 62 as published.")
    dropout: float = Field(0.25, ge=0, lt=1, description="Share of the discriminator's units left out in a step.")
    temperatures: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=2, max_length=2)] = Field(
        (0.66, 0.2), description="Temperature of generated categories at the first and at the last step."
    )
    # Training, B.8.
    adversarial: Literal["hinge", "least_squares"] = Field(
        "hinge", description="Adversarial loss; least squares as published."
    )
    batch_size: int = Field(64, ge=4, description="Real rows, and generated rows, in a batch; classes in equal shares.")
    steps: int = Field(3000, ge=1, description="Steps, each of the discriminator and then of the generator.")
    fold_steps: int | None = Field(
        1000,
        ge=1,
        description="Steps at most of the generators of the folds; empty: as many as of the last one.",
    )
    steps_per_row: int = Field(
        12, ge=0, description="Steps at most for each row: few rows are soon learned by heart; 0: any."
    )
    rate: float = Field(2e-4, gt=0, description="Learning rate of generator and code head.")
    discriminator_rate: float = Field(2e-4, gt=0, description="Learning rate of the discriminator.")
    average: float = Field(
        0.999, ge=0, lt=1, description="Decay of the mean over steps of the generator's weights, which makes the rows."
    )
    # Sampling, F.
    noise_spread: float = Field(
        1.0,
        ge=0,
        description="Standard deviation of the noise z that rows are made from, where 1 is what was trained with: less "
        "makes surer rows that differ less; 0.5 and 0.2 as published.",
    )
    jitter: float = Field(
        0.05, ge=0, description="Standard deviation of what is added to the codes of real rows that are drawn."
    )
    least_confidence: Share = Field(
        0.5, description="Probability, by the class head, of its own class below which a row is refused."
    )
    least_distance: Share = Field(
        0.01, description="Quantile of real rows' distances below which a row is refused as a copy; 0: none is."
    )
    greatest_distance: Share = Field(
        0.99, description="Quantile of real rows' distances above which a row is refused as junk; 1: none is."
    )
    attempts: int = Field(20, ge=1, description="Candidates at most for each row wanted, before fewer are given.")
    stored_rows: int = Field(
        2000, ge=2, description="Rows of a class at most that are kept, to take codes from and to compare with."
    )
    ratios: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        (0.5, 1.0, 2.0, 5.0), description="Synthetic rows for each real row of a small class, to choose from."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network == "convolutional" and not self.image:
            raise ValueError("network is 'convolutional', but no image is given; set image = [channels, height, width]")
        sides = self.image[1:] if self.image and self.network == "convolutional" else ()
        if any(side % SHRINKAGE for side in sides):
            raise ValueError(f"an image of {sides} pixels cannot be halved twice; pad it to multiples of {SHRINKAGE}")
        if self.least_distance >= self.greatest_distance:
            raise ValueError(
                f"least_distance {self.least_distance} is not below greatest_distance {self.greatest_distance}, so "
                "every row would be refused; give the smaller quantile first"
            )
        if len(self.structure_weights) > 1 and not self.folds:
            raise ValueError(
                f"structure_weights names {len(self.structure_weights)} weights, which are compared on held-out rows, "
                "but folds is 0; give one weight, or 2 folds or more"
            )
        return self
