"""Airflow: a DAG for each platform that the platform file names, as a fixed Python file and the facts it reads."""

import json
from importlib import resources
from typing import Any

from jobs.render import emr, kubernetes, pods, training_job
from jobs.render.platform_file import AirflowSettings, ScheduleSettings
from jobs.render.stages import SPARK_STAGES, STAGES, Plan
from jobs.settings import SettingsError

START_SECONDS = 1800


def files(plan: Plan) -> dict[str, str]:
    """Return the DAG files by name, for Kubernetes and for EMR Serverless, as far as the platform file has them."""
    found: dict[str, str] = {}
    if plan.platform.kubernetes:
        found |= _dag(plan, "kubernetes", _kubernetes_facts(plan))
    if plan.platform.emr and plan.platform.emr.serverless_application:
        found |= _dag(plan, "emr_serverless", _emr_facts(plan))
    if not found:
        raise SettingsError("airflow: the platform file has neither [kubernetes] nor emr.serverless_application")
    return found


def _dag(plan: Plan, kind: str, facts: dict[str, Any]) -> dict[str, str]:
    airflow, schedule = _sections(plan)
    name = f"{airflow.dag_id}_{kind}"
    common = {
        "dag_id": name,
        "schedule": schedule.cron,
        "time_zone": schedule.time_zone,
        "start_date": airflow.start_date,
        "retries": airflow.retries,
        "retry_minutes": airflow.retry_minutes,
    }
    source = resources.files("jobs.render").joinpath("dags", f"{kind}.py.txt").read_text()
    return {f"{name}.py": source, f"{name}.json": json.dumps(common | facts, indent=2) + "\n"}


def _kubernetes_facts(plan: Plan) -> dict[str, Any]:
    arguments, image = plan.arguments(_end(plan)), pods.images(plan).spark
    applications = {
        stage.name: {
            "apiVersion": kubernetes.KUBEFLOW,
            "kind": "SparkApplication",
            # Airflow tries again; were the operator to do so too, the one would not know of the other.
            "spec": kubernetes.kubeflow_spec(plan, stage, arguments, image=image, retries=0),
        }
        for stage in SPARK_STAGES
    }
    # Without what says that status 3 is to be 0: the operator of this task knows how to skip.
    pod = training_job.pod(plan, arguments, training_job.environment(plan) | {"SCARCE_LOG": "json"})
    return {
        "name": plan.platform.name,
        "connection": _sections(plan)[0].kubernetes_connection,
        "namespace": pods.cluster(plan).namespace,
        "deadline_hours": plan.platform.training.deadline_hours,
        "startup_seconds": START_SECONDS,
        "applications": applications,
        "training": {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": pod},
    }


def _emr_facts(plan: Plan) -> dict[str, Any]:
    arguments = plan.arguments(_end(plan))
    return {
        "connection": _sections(plan)[0].aws_connection,
        "requests": {stage.name: emr.serverless_job(plan, stage, arguments) for stage in STAGES},
    }


def _end(plan: Plan) -> str:
    """The window's end as Airflow fills it in: what a person gave, or the day on which the interval ends."""
    plan.check_moves("airflow")
    _, schedule = _sections(plan)
    return f"{{{{ params.end or data_interval_end.in_timezone('{schedule.time_zone}') | ds }}}}"


def _sections(plan: Plan) -> tuple[AirflowSettings, ScheduleSettings]:
    airflow, schedule = plan.platform.airflow, plan.platform.schedule
    if airflow is None or schedule is None:
        raise SettingsError("the platform file has no [airflow] or no [schedule]; see docker/platform.example.toml")
    return airflow, schedule
