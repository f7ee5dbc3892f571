"""Scarce once a scheduled interval on Kubernetes: extract, train, score, explain.

Made by `python -m jobs.render`; what differs from one platform to another stands in the JSON file beside this one.
Needs Airflow 3 with the provider cncf.kubernetes, and the Kubeflow Spark operator in the cluster.
"""

import json
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator
from airflow.sdk import DAG

FACTS = json.loads(Path(__file__).with_suffix(".json").read_text())
NOTHING_TO_DO = 3


class SparkStage(SparkKubernetesOperator):
    """One Spark application; a text in it that ends in `json` or `yaml` is a text, and no file to be read."""

    template_ext = ()


with DAG(
    dag_id=FACTS["dag_id"],
    description="Find the few entities to review",
    schedule=FACTS["schedule"],
    start_date=pendulum.parse(FACTS["start_date"], tz=FACTS["time_zone"]),
    catchup=False,
    max_active_runs=1,
    params={"end": ""},
    default_args={
        "retries": FACTS["retries"],
        "retry_delay": timedelta(minutes=FACTS["retry_minutes"]),
        "retry_exponential_backoff": True,
        "deferrable": True,
        "namespace": FACTS["namespace"],
        "kubernetes_conn_id": FACTS["connection"],
        # A training that had nothing to do is skipped, and what follows goes on.
        "trigger_rule": "none_failed",
    },
) as dag:
    spark = {
        stage: SparkStage(task_id=stage, name=f"{FACTS['name']}-{stage}", template_spec=application)
        for stage, application in FACTS["applications"].items()
    }
    train = KubernetesPodOperator(
        task_id="train",
        name=f"{FACTS['name']}-train",
        pod_template_dict=FACTS["training"],
        base_container_name="train",
        execution_timeout=timedelta(hours=FACTS["deadline_hours"]),
        startup_timeout_seconds=FACTS["startup_seconds"],
        skip_on_exit_code=NOTHING_TO_DO,
    )
    spark["extract"] >> train >> spark["score"] >> spark["explain"]
