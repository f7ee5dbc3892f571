"""Every trainer in the table passes one list of checks."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import pytest

from training.artifact import ARTIFACTS
from training.trainer import TRAINERS, Artifact


def _load_checks():
    # Tests are no packages (importlib mode), so the list of checks beside this file is imported by its path.
    name = "trainer_checks"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


checks = _load_checks()
OPTIONAL = {"xgboost": "xgboost", "xgbod": "pyod"}  # trainers of packages that no other trainer needs


@cache
def fitted(name: str) -> Artifact:
    return checks.trainer(name).fit(checks.toy_table())


@pytest.fixture(autouse=True)
def _installed(request):
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name], reason=f"the {name} extra is not installed")


def test_every_trainer_has_tiny_settings_and_an_artifact():
    assert set(checks.TINY_SETTINGS) == set(TRAINERS) == set(ARTIFACTS) - {"ensemble"}


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("check", checks.FITTED_CHECKS, ids=lambda check: check.__name__)
def test_fitted(name, check):
    check(name, fitted(name))


@pytest.mark.parametrize("name", TRAINERS)
def test_save_and_load(name, tmp_path):
    checks.check_save_and_load_give_equal_scores(name, fitted(name), tmp_path)


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("check", checks.TRAINER_CHECKS, ids=lambda check: check.__name__)
def test_trainer(name, check):
    check(name)
