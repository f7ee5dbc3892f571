"""Job files for Kubernetes, EMR and Airflow, made from one run file and one platform file.

    python -m jobs.render --config run.toml --platform platform.toml --target kubernetes --output deploy
    python -m jobs.render --config run.toml --platform platform.toml --target all --train.trainer qast

Overrides of the run file go to every job. The target `all` is all those that the platform file has a section for.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from jobs import console
from jobs.render import airflow, emr, kubernetes, platform_file, training_job
from jobs.render.stages import Plan
from jobs.settings import SettingsError, load, read_toml

logger = logging.getLogger("jobs.render")
HEADER = "# Made by python -m jobs.render; change the run file or the platform file and make it again.\n"
WIDTH = 120
Files = dict[str, str]


def render(order: Plan, target: str) -> Files:
    """Return the files of one target, or of `all` that the platform file has a section for, by relative path."""
    if target != "all":
        return TARGETS[target](order)
    found: Files = {}
    for name in _targets_of(order):
        found |= TARGETS[name](order)
    if not found:
        raise SettingsError("the platform file has no section for any target; see docker/platform.example.toml")
    return found


def main(arguments: Sequence[str]) -> None:
    """Write the files that the command line asks for."""
    options, overrides = _parser().parse_known_args(arguments)
    found = render(plan(options.config, options.platform, tuple(overrides)), options.target)
    for name, text in found.items():
        path = Path(options.output) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        logger.info("render: %s", path)


def plan(config: str, platform: str, overrides: tuple[str, ...] = ()) -> Plan:
    """Read both files and say what is to be rendered; raises `SettingsError` for what does not fit."""
    settings = load(["--config", config, *overrides], job="jobs.render")
    moves = "days" in read_toml(config)["window"] or any(token.startswith("--window.days") for token in overrides)
    return Plan(settings, platform_file.load(platform), overrides, moves)


def _kubernetes(plan: Plan) -> Files:
    return _as_yaml("kubernetes/kubeflow", kubernetes.kubeflow(plan)) | _training(plan)


def _kubernetes_apache(plan: Plan) -> Files:
    return _as_yaml("kubernetes/apache", kubernetes.apache(plan)) | _training(plan)


def _training(plan: Plan) -> Files:
    return _as_yaml("kubernetes", {"train.yaml": training_job.job(plan)})


def _emr(plan: Plan) -> Files:
    return _as_json("emr", {"steps.json": emr.steps(plan)})


def _emr_serverless(plan: Plan) -> Files:
    return _as_json("emr/serverless", emr.serverless(plan))


def _emr_eks(plan: Plan) -> Files:
    return _as_json("emr/eks", emr.on_eks(plan))


def _airflow(plan: Plan) -> Files:
    return {f"airflow/{name}": text for name, text in airflow.files(plan).items()}


TARGETS: dict[str, Callable[[Plan], Files]] = {
    "kubernetes": _kubernetes,
    "kubernetes-apache": _kubernetes_apache,
    "emr": _emr,
    "emr-serverless": _emr_serverless,
    "emr-eks": _emr_eks,
    "airflow": _airflow,
}


def _targets_of(plan: Plan) -> list[str]:
    platform = plan.platform
    has = {
        "kubernetes": platform.kubernetes,
        "kubernetes-apache": platform.kubernetes,
        "emr": platform.emr and platform.emr.cluster_id,
        "emr-serverless": platform.emr and platform.emr.serverless_application,
        "emr-eks": platform.emr and platform.emr.virtual_cluster,
        "airflow": platform.airflow,
    }
    return [name for name in TARGETS if has[name]]


def _as_yaml(folder: str, objects: dict[str, dict[str, Any]]) -> Files:
    return {f"{folder}/{name}": HEADER + _yaml(found) for name, found in objects.items()}


def _yaml(found: dict[str, Any]) -> str:
    # Through JSON, so that a value used twice is written twice and not as an anchor.
    return yaml.safe_dump(json.loads(json.dumps(found)), sort_keys=False, width=WIDTH)


def _as_json(folder: str, objects: dict[str, dict[str, Any]]) -> Files:
    return {f"{folder}/{name}": json.dumps(found, indent=2) + "\n" for name, found in objects.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.render",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, help="The run file: a local path or s3://bucket/run.toml.")
    parser.add_argument("--platform", required=True, help="The platform file: images, cluster, sizes, schedule.")
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all", help="What to make files for.")
    parser.add_argument("--output", default="deploy", help="Folder for them.")
    return parser


if __name__ == "__main__":
    console.main(lambda: main(sys.argv[1:]))
