"""Settings of the classifiers that learn from a table with synthetic rows; importing them loads no framework."""

from typing import Literal

from pydantic import Field

from training.settings import Settings, Share

SecondStage = Literal["gradient_boosting", "blstm"]
Device = Literal["auto", "cpu", "cuda"]


class SecondStageSettings(Settings):
    """What a generator's trainer says of the classifier that it trains on the augmented table."""

    second_stage: SecondStage = Field("gradient_boosting", description="Classifier trained on real and synthetic rows.")
    boosting_trees: int = Field(100, ge=1, description="Boosting rounds of the gradient boosting.")
    boosting_depth: int = Field(3, ge=1, description="Depth of its trees.")
    boosting_rate: float = Field(0.1, gt=0, description="Its shrinkage of each round.")
    blstm_units: int = Field(128, ge=1, description="Units of a direction of a layer of the BLSTM.")
    blstm_layers: int = Field(2, ge=1, description="Layers of the BLSTM.")
    blstm_epochs: int = Field(300, ge=1, description="Passes of the BLSTM over its rows at most.")
    blstm_batch: int = Field(20, ge=1, description="Rows in a batch of the BLSTM.")
    blstm_rate: float = Field(2e-4, gt=0, description="Learning rate of the BLSTM.")
    blstm_validation: Share = Field(
        0.2,
        lt=1,
        description="Share of each class held out to choose the BLSTM's number of epochs; 0 as published: all.",
    )
    blstm_patience: int = Field(40, ge=1, description="Epochs without a better one before the BLSTM stops.")
    blstm_scaling: Literal["standard", "none"] = Field(
        "standard", description="'none' gives the BLSTM raw features, as published."
    )
    device: Device = Field("auto", description="Where networks train; 'auto' takes a GPU if there is one.")
