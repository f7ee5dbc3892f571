"""Settings of DevNet; importing them loads no framework."""

from pydantic import Field

from training.settings import Settings, Units
from training.torch.second_stage_settings import Device


class DevNetSettings(Settings):
    """Settings of the deviation network; sizes, steps, margin and penalty are the published ones."""

    seed: int = Field(0, ge=0, description="Seed of weights, batches and of the folds that give the metrics.")
    units: Units = Field((20,), description="Units of the hidden layers.")
    epochs: int = Field(50, ge=1, description="Epochs.")
    batches: int = Field(20, ge=1, description="Batches of an epoch.")
    rows: int = Field(512, ge=2, description="Rows in a batch: half labelled rare ones, half of all others.")
    rate: float = Field(1e-3, gt=0, description="Learning rate of RMSprop.")
    l2_regularization: float = Field(0.01, ge=0, description="Weight of the squared kernels of the hidden layers.")
    margin: float = Field(
        5.0,
        gt=0,
        description="Standard deviations above the mean of the reference that a rare row's score is to reach.",
    )
    reference_scores: int = Field(
        5_000,
        ge=2,
        description="Draws of a standard normal, the reference, whose mean and deviation scores are told in.",
    )
    unlabeled_rows: int = Field(
        100_000,
        ge=0,
        description="Unlabelled rows at most, which count as not rare; of more, so many are drawn. 0: none.",
    )
    device: Device = Field("auto", description="Where the network trains; 'auto' takes a GPU if there is one.")
