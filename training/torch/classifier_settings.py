"""Settings of the classifier for tables with many labels; importing them loads no framework."""

from pydantic import Field

from training.settings import Settings, Share, Units
from training.torch.second_stage_settings import Device


class TorchMLPSettings(Settings):
    """Settings of a dense network trained on every labelled row, by one process or by several together."""

    seed: int = Field(0, ge=0, description="Seed of weights and of the order of the rows.")
    members: int = Field(1, ge=1, description="Networks with different first weights that are averaged.")
    units: Units = Field((64, 32), description="Units of the hidden layers.")
    epochs: int = Field(20, ge=1, description="Passes over the labelled rows at most.")
    rows: int = Field(1024, ge=2, description="Rows in a batch, over all processes that train one model together.")
    rate: float = Field(1e-3, gt=0, description="Learning rate of AdamW.")
    decay: float = Field(1e-4, ge=0, description="Decoupled decay of the weights.")
    focal: float = Field(
        0.0,
        ge=0,
        description="Exponent of the focal loss: how much less a row counts that is right already; 0: cross-entropy. "
        "Above 0 probabilities lean to the middle.",
    )
    held_out_share: Share = Field(0.2, gt=0, lt=1, description="Share of the labelled rows held out at most.")
    held_out_rows: int = Field(100_000, ge=1, description="Rows held out at most.")
    evaluate_every: int = Field(
        500, ge=1, description="Steps at most between two looks at the held-out rows, each with a checkpoint."
    )
    patience: int = Field(10, ge=0, description="Looks without a better one before stopping; 0: never.")
    device: Device = Field("auto", description="Where the network trains; 'auto' takes a GPU if there is one.")
    checkpoint: str = Field(
        "", description="Folder for checkpoints, from which a killed run goes on; not part of the result."
    )
