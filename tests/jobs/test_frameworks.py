"""Which framework a run's methods need, and whether they are given GPUs."""

import pytest

from jobs.frameworks import gpus_per_model, methods_of
from jobs.train_settings import TrainSettings


@pytest.mark.parametrize(
    ("named", "auto", "keras", "torch"),
    [
        (("auto", "logistic_regression", "gradient_boosting"), {}, [], []),
        (("auto", "xgboost"), {"few_label_members": ("scarcegan", "self_training")}, ["scarcegan"], []),
        (("auto",), {"members": ("devnet", "extra_trees")}, [], ["devnet"]),
        (("extra_trees",), {"members": ("devnet",)}, [], []),  # what no one asked for needs nothing
        (("mlp", "qast", "mlp"), {}, ["mlp"], ["qast"]),
    ],
)
def test_methods_of_a_framework_are_found_and_only_they_are_given_gpus(named, auto, keras, torch):
    settings = TrainSettings(auto=auto, gpus_per_model=2)
    assert methods_of("keras", named, settings) == keras
    assert methods_of("torch", named, settings) == torch
    assert gpus_per_model(named, settings) == (2 if keras or torch else 0)
    assert gpus_per_model(named, settings.model_copy(update={"gpus_per_model": 0})) == 0
