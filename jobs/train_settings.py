"""The run file's section on training: which methods learn, with which seeds, and where."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from feature_extraction.settings import Section
from training import baseline_settings as baselines
from training import settings as trainers
from training.auto.settings import AutoSettings
from training.torch.classifier_settings import TorchMLPSettings
from training.torch.devnet_settings import DevNetSettings
from training.torch.importance.settings import ImportanceVectorSettings
from training.torch.imsic.settings import IMSICSettings
from training.torch.mgvae.settings import MGVAESettings
from training.torch.qast.settings import QASTSettings

TrainerName = Literal[
    "scarcegan",
    "scarcegan_no_bad_generator",
    "scarcegan_no_leeway",
    "ssgan",
    "leeway_mlp",
    "mlp",
    "aae",
    "qast",
    "mgvae",
    "imsic",
    "importance_vector",
    "torch_mlp",
    "logistic_regression",
    "kernel_logistic_regression",
    "gradient_boosting",
    "gradient_boosting_plain",
    "random_forest",
    "extra_trees",
    "smote_boosting",
    "self_training",
    "isolation_forest",
    "xgboost",
    "xgbod",
    "devnet",
    "auto",
]
# Methods one model of which several processes can train together.
DATA_PARALLEL = frozenset({"torch_mlp"})


class TrainSettings(Section):
    """Which method learns, and its own settings."""

    trainer: TrainerName = Field(
        "auto",
        description="The method whose scores are published; auto, of several methods, is the best of those measured "
        "in docs/results/arena.md.",
    )
    compare: tuple[TrainerName, ...] = Field(
        ("logistic_regression", "gradient_boosting"),
        description="Methods trained beside it on the same rows and evaluated in the same way.",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (),
        description="Seeds with each of which every method is trained; the one that ranks its held-out rows best is "
        "published. Empty: the method's own seed.",
    )
    ensemble: bool = Field(False, description="Publish the mean of the models of all seeds instead of the best one.")
    workers: Literal["local", "spark"] = Field(
        "local", description="Where models are trained: here, one after the other, or as Spark tasks, all at once."
    )
    gpus_per_model: int = Field(
        1,
        ge=0,
        description="GPUs that Spark gives to each model, where Keras or PyTorch trains one of them; 0: none is asked "
        "for, and none is used.",
    )
    processes: int = Field(
        1,
        ge=1,
        description="Spark tasks that train one model together, each on its share of the rows; torch_mlp alone.",
    )
    retrain_after_days: float = Field(
        0,
        ge=0,
        description="Days, by the end of the window, for which a published model of the same settings and features is "
        "used again. 0: every run trains.",
    )
    reader_threads: int = Field(2, ge=1, description="Threads that read the feature table.")
    memory_limit_mb: int = Field(2_048, ge=0, description="A larger feature table is streamed, not held in memory.")
    scarcegan: trainers.ScarceGANSettings = Field(trainers.ScarceGANSettings(), description="Settings of ScarceGAN.")
    scarcegan_no_bad_generator: trainers.ScarceGANNoBadGeneratorSettings = Field(
        trainers.ScarceGANNoBadGeneratorSettings(), description="Settings of ScarceGAN with an adversarial generator."
    )
    scarcegan_no_leeway: trainers.ScarceGANNoLeewaySettings = Field(
        trainers.ScarceGANNoLeewaySettings(), description="Settings of ScarceGAN without leeway."
    )
    ssgan: trainers.SSGANSettings = Field(
        trainers.SSGANSettings(), description="Settings of the vanilla semi-supervised GAN."
    )
    leeway_mlp: trainers.LeewayMLPSettings = Field(
        trainers.LeewayMLPSettings(), description="Settings of ScarceGAN's network and leeway without a GAN."
    )
    mlp: trainers.MLPSettings = Field(trainers.MLPSettings(), description="Settings of ScarceGAN's network alone.")
    aae: trainers.AAESettings = Field(trainers.AAESettings(), description="Settings of the adversarial auto-encoder.")
    qast: QASTSettings = Field(QASTSettings(), description="Settings of QAST, which makes rows of rare classes.")
    mgvae: MGVAESettings = Field(
        MGVAESettings(), description="Settings of MGVAE, which translates rows of the largest class into rare ones."
    )
    imsic: IMSICSettings = Field(
        IMSICSettings(), description="Settings of IMSIC, which makes rare rows by codes that follow a person's graph."
    )
    importance_vector: ImportanceVectorSettings = Field(
        ImportanceVectorSettings(), description="Settings of the importance vector, which finds rare rows by clusters."
    )
    torch_mlp: TorchMLPSettings = Field(
        TorchMLPSettings(),
        description="Settings of the network for many labels, which several GPUs can train together.",
    )
    logistic_regression: baselines.LogisticRegressionSettings = Field(
        baselines.LogisticRegressionSettings(), description="Settings of logistic regression."
    )
    kernel_logistic_regression: baselines.KernelLogisticRegressionSettings = Field(
        baselines.KernelLogisticRegressionSettings(), description="Settings of kernel logistic regression."
    )
    gradient_boosting: baselines.GradientBoostingSettings = Field(
        baselines.GradientBoostingSettings(), description="Settings of gradient boosting with classes weighted alike."
    )
    gradient_boosting_plain: baselines.PlainGradientBoostingSettings = Field(
        baselines.PlainGradientBoostingSettings(), description="Settings of gradient boosting with rows weighted alike."
    )
    random_forest: baselines.RandomForestSettings = Field(
        baselines.RandomForestSettings(), description="Settings of the random forest."
    )
    extra_trees: baselines.ExtraTreesSettings = Field(
        baselines.ExtraTreesSettings(), description="Settings of extremely randomized trees."
    )
    smote_boosting: baselines.SmoteBoostingSettings = Field(
        baselines.SmoteBoostingSettings(), description="Settings of gradient boosting on a table filled up by SMOTE."
    )
    self_training: baselines.SelfTrainingSettings = Field(
        baselines.SelfTrainingSettings(), description="Settings of boosting that learns from its own sure guesses."
    )
    isolation_forest: baselines.IsolationForestSettings = Field(
        baselines.IsolationForestSettings(), description="Settings of the isolation forest, which learns from no label."
    )
    xgboost: baselines.XGBoostSettings = Field(
        baselines.XGBoostSettings(), description="Settings of XGBoost; needs the extra of that name."
    )
    xgbod: baselines.XGBODSettings = Field(
        baselines.XGBODSettings(),
        description="Settings of XGBOD, to which rows without label count as not rare; needs the extra.",
    )
    devnet: DevNetSettings = Field(
        DevNetSettings(), description="Settings of DevNet, to which rows without label count as not rare."
    )
    auto: AutoSettings = Field(AutoSettings(), description="Settings of the short list of methods that auto tries.")

    @field_validator("workers", mode="before")
    @classmethod
    def _number_of_threads(cls, given: object) -> object:
        if str(given).isdigit():
            raise ValueError(
                "it says where models are trained, 'local' or 'spark'; the number of threads that read is "
                "train.reader_threads"
            )
        return given

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"train.seeds names a seed twice: {list(self.seeds)}")
        if self.ensemble and len(self.seeds) < 2:
            raise ValueError("train.ensemble averages the models of several seeds; name two or more in train.seeds")
        if self.processes > 1 and self.workers != "spark":
            raise ValueError("train.processes above 1 needs Spark to start them; set train.workers = 'spark'")
        if self.processes > 1 and not DATA_PARALLEL & {self.trainer, *self.compare}:
            raise ValueError(
                f"train.processes is {self.processes}, but none of the methods named can be trained by several "
                f"processes; only {', '.join(sorted(DATA_PARALLEL))} can"
            )
        return self
