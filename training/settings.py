"""Settings of every trainer as frozen pydantic models, so that listing them imports no framework."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

FOLDS = 5
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Units = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
GeneratorKind = Literal["bad", "adversarial", "none"]


def _none_or_several(folds: int) -> int:
    if folds == 1:
        raise ValueError("1 fold would hold out every row; give 2 or more, or 0 to hold out none")
    return folds


Folds = Annotated[int, Field(ge=0), AfterValidator(_none_or_several)]


class Settings(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EnsembleSettings(Settings):
    """What the Keras trainers share: several small networks trained at once, and the mean of their scores."""

    seed: int = Field(0, ge=0, description="Seed of weights, batches, noise and folds.")
    members: int = Field(5, ge=1, description="Networks, each with its own seed and fold, that are averaged.")
    folds: Folds = Field(
        FOLDS,
        description="Parts of the labelled rows; a member holds out one of them. 0: every member learns from all "
        "labelled rows, nothing is measured, and the last networks are kept.",
    )
    scaling: Literal["standard", "none"] = Field(
        "standard", description="'none' takes features as they are, for tables that were scaled before."
    )
    latent_dim: int = Field(10, ge=1, description="Size of the noise or code vector.")
    resident_rows: int = Field(
        100_000,
        ge=1,
        description="Unlabelled rows kept on the device. Of a table with more, that many are kept at a time, and some "
        "of them replaced after each look.",
    )
    steps: int = Field(3000, ge=1, description="Steps at most.")
    evaluate_every: int = Field(50, ge=1, description="Steps between two looks at the held-out rows.")
    xla: bool | None = Field(
        None,
        description="Compile by XLA: a step takes a seventh to a half of the time, the start 1 to 3 s more. "
        "Empty: where there is a GPU.",
    )
    checkpoint: str = Field(
        "", description="Folder for checkpoints, from which a killed run goes on; not part of the result."
    )


class SemiSupervisedSettings(EnsembleSettings):
    """What the semi-supervised GANs share; sizes and rates are those of ScarceGAN's authors."""

    generator_units: int = Field(30, ge=1, description="Units of the generator's hidden layer.")
    discriminator_units: Units = Field((15, 21, 8), description="Units of the discriminator's trunk.")
    negative_classes: int = Field(
        3, ge=1, description="Weak negative classes made of 'not rare' where labels name just two classes."
    )
    activity: str = Field(
        "", description="Feature that splits them; empty for the first '<metric>__active_share' or its like."
    )
    rows_per_class: int = Field(8, ge=1, description="Labelled rows of each class in a batch.")
    unlabeled_rows: int = Field(32, ge=2, description="Unlabelled rows, and generated rows, in a batch.")
    patience: int = Field(20, ge=1, description="Looks without a better one before stopping.")
    supervised_rate: float = Field(
        1e-3, gt=0, description="Learning rate of the supervised step, decayed x0.96 per 500 steps."
    )
    adversarial_rate: float = Field(1e-4, gt=0, description="Learning rate of the unsupervised and generator steps.")


class SSGANSettings(SemiSupervisedSettings):
    """Settings of the vanilla semi-supervised GAN, with ScarceGAN's sizes and rates to differ in the method alone."""


class ScarceGANSettings(SemiSupervisedSettings):
    """Settings of ScarceGAN, Chakrabarty, Talwadker and Mukherjee, CIKM 2021."""

    mode: Literal["repaired", "as_published"] = Field(
        "repaired", description="'as_published' takes the losses and updates that the authors' code executes."
    )
    generator: GeneratorKind = Field(
        "bad", description="What the generator learns; 'none' is the same classifier without a GAN."
    )
    trunk_leak: bool = Field(
        False, description="As published, also let the generator's step move the discriminator, as that code does."
    )
    leeway: Share = Field(0.3, description="Share of a weak negative's target that may go to 'unknown'.")
    class_leeway: dict[str, Share] = Field(
        default_factory=dict, description="Leeway of single classes by name, instead of the common one."
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

    @model_validator(mode="after")
    def _leak_is_published(self) -> Self:
        if self.trunk_leak and self.mode != "as_published":
            raise ValueError("trunk_leak reproduces a fault of the published code; set mode = 'as_published' with it")
        return self


class ScarceGANNoBadGeneratorSettings(ScarceGANSettings):
    """ScarceGAN with an ordinary, adversarial generator; everything else is the same."""

    generator: GeneratorKind = Field("adversarial", description="What the generator learns.")


class ScarceGANNoLeewaySettings(ScarceGANSettings):
    """ScarceGAN without leeway; everything else is the same."""

    leeway: Share = Field(0.0, description="Share of a weak negative's target that may go to 'unknown'.")


class LeewayMLPSettings(ScarceGANSettings):
    """ScarceGAN's classifier with leeway and without a GAN: shows what the GAN adds."""

    generator: GeneratorKind = Field("none", description="What the generator learns; 'none' for no GAN.")


class MLPSettings(LeewayMLPSettings):
    """ScarceGAN's classifier with neither leeway nor a GAN."""

    leeway: Share = Field(0.0, description="Share of a weak negative's target that may go to 'unknown'.")


class AAESettings(EnsembleSettings):
    """Settings of the adversarial autoencoder; sizes and rate are those of ScarceGAN's authors."""

    folds: int = Field(FOLDS, ge=2, description="Parts of the labelled rows; a member holds out one of them.")
    latent_dim: int = Field(10, ge=1, description="Size of the code; fewer than the features, or nothing is learned.")
    encoder_units: Units = Field((15,), description="Units of the encoder's hidden layers; the decoder's in reverse.")
    discriminator_units: Units = Field((15, 21), description="Units of the discriminator of codes.")
    rows: int = Field(32, ge=2, description="Rows in a batch.")
    rate: float = Field(1e-3, gt=0, description="Learning rate of both steps.")
    adversarial_weight: Share = Field(
        0.5, description="Weight of fooling the discriminator; reconstruction has the rest."
    )
    latent_weight: float = Field(
        1.0, ge=0, description="Weight of the code's -log density beside the reconstruction error in the score."
    )
    alarm_share: float = Field(
        0.05, gt=0, lt=1, description="Share of held-out rows that are not rare above the threshold."
    )
