"""EMR on EC2, EMR Serverless and EMR on EKS: the requests that start the jobs, as their APIs take them.

The code is the zip of `make zip` and the files of `jobs/`, Python and its packages an archive (docker/emr.Dockerfile);
all of them lie in the folder `emr.code`.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from jobs.render.platform_file import EMRSettings
from jobs.render.stages import ENVIRONMENT, STAGES, Plan, Stage
from jobs.settings import SettingsError

Request = dict[str, Any]
# Where an archive `X#environment` is unpacked, in the working folder of driver and executors.
PYTHON = "./environment/bin/python3.11"
# The same on the primary node of a cluster on EC2, where drivers run.
HOME = "/home/hadoop/scarce"


def steps(plan: Plan) -> Request:
    """Return the request AddJobFlowSteps: the environment on the primary node, then a step for each stage.

    Drivers run on the primary node (deploy mode client): a stage that finds its work finished, or trains, starts no
    Spark, which YARN takes for a failure of a driver of its own.
    """
    emr = _emr(plan, "cluster_id")
    archive = f"{emr.code}/environment.tar.gz"
    unpack = f"set -eo pipefail; rm -rf {HOME}; mkdir -p {HOME}; aws s3 cp {shlex.quote(archive)} - | tar -xz -C {HOME}"
    commands = {"environment": unpack} | {stage.name: _submit(plan, stage) for stage in STAGES}
    return {
        "JobFlowId": emr.cluster_id,
        "Steps": [
            {
                "Name": f"{plan.platform.name}-{name}",
                # What follows would work on what an earlier run left.
                "ActionOnFailure": "CANCEL_AND_WAIT",
                "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["bash", "-c", command]},
            }
            for name, command in commands.items()
        ],
    }


def serverless(plan: Plan) -> dict[str, Request]:
    """Return file names and StartJobRun requests of EMR Serverless."""
    return {f"{stage.name}.json": serverless_job(plan, stage, plan.arguments()) for stage in STAGES}


def serverless_job(plan: Plan, stage: Stage, arguments: list[str]) -> Request:
    """Return one StartJobRun request of EMR Serverless."""
    emr = _emr(plan, "serverless_application", "execution_role")
    variables = {"PYSPARK_DRIVER_PYTHON": PYTHON, "PYSPARK_PYTHON": PYTHON} | ENVIRONMENT
    submit = _shipped(emr) | {f"spark.emr-serverless.driverEnv.{name}": value for name, value in variables.items()}
    return {
        "name": plan.name(stage),
        "applicationId": emr.serverless_application,
        "executionRoleArn": emr.execution_role,
        "executionTimeoutMinutes": emr.timeout_minutes,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": _entry(emr, stage),
                "entryPointArguments": arguments,
                "sparkSubmitParameters": _confs(submit),
            }
        },
        "configurationOverrides": _overrides(plan, emr),
    }


def on_eks(plan: Plan) -> dict[str, Request]:
    """Return file names and StartJobRun requests of EMR on EKS."""
    emr = _emr(plan, "virtual_cluster", "execution_role", "release_label")
    return {
        f"{stage.name}.json": {
            "name": plan.name(stage),
            "virtualClusterId": emr.virtual_cluster,
            "executionRoleArn": emr.execution_role,
            "releaseLabel": emr.release_label,
            "jobDriver": {
                "sparkSubmitJobDriver": {
                    "entryPoint": _entry(emr, stage),
                    "entryPointArguments": plan.arguments(),
                    "sparkSubmitParameters": _confs(
                        _shipped(emr)
                        | {f"spark.kubernetes.driverEnv.{name}": text for name, text in ENVIRONMENT.items()}
                    ),
                }
            },
            "configurationOverrides": _overrides(plan, emr),
        }
        for stage in STAGES
    }


def _emr(plan: Plan, *needed: str) -> EMRSettings:
    emr = plan.platform.emr
    if emr is None:
        raise SettingsError("the platform file has no [emr]; see docker/platform.example.toml")
    missing = [f"emr.{name}" for name in needed if not getattr(emr, name)]
    if missing:
        raise SettingsError(f"the platform file has no {', '.join(missing)}, which this target needs")
    return emr


def _entry(emr: EMRSettings, stage: Stage) -> str:
    return f"{emr.code}/jobs/{stage.job}.py"


def _shipped(emr: EMRSettings) -> dict[str, str]:
    """Settings that bring code and Python to driver and executors."""
    return {
        "spark.submit.pyFiles": f"{emr.code}/scarce.zip",
        "spark.archives": f"{emr.code}/environment.tar.gz#environment",
        "spark.pyspark.python": PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.OMP_NUM_THREADS": "1",
    }


def _overrides(plan: Plan, emr: EMRSettings) -> Request:
    """Settings as a mapping, in which spaces need no quotes, and where the logs go."""
    properties = plan.spark_sizes() | plan.spark_conf("emr")
    return {
        "applicationConfiguration": [{"classification": "spark-defaults", "properties": properties}],
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": emr.logs}},
    }


def _confs(settings: Mapping[str, str]) -> str:
    """Settings without spaces as one string; whoever splits it may know no quotes."""
    return " ".join(f"--conf {key}={value}" for key, value in settings.items())


def _submit(plan: Plan, stage: Stage) -> str:
    """The command line of one stage on the primary node."""
    emr = _emr(plan)
    conf = _shipped(emr) | {"spark.pyspark.driver.python": f"{HOME}/bin/python3.11"}
    conf |= plan.spark_sizes() | plan.spark_conf("emr")
    call = ["spark-submit", "--name", plan.name(stage), "--master", "yarn", "--deploy-mode", "client"]
    call += [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    return shlex.join([*environment, *call, _entry(emr, stage), *plan.arguments()])
