"""Scarce once a scheduled interval on EMR Serverless: extract, train, score, explain.

Made by `python -m jobs.render`; what differs from one platform to another stands in the JSON file beside this one.
Needs Airflow 3 with the provider amazon.
"""

import json
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.amazon.aws.operators.emr import EmrServerlessStartJobOperator
from airflow.sdk import DAG, chain

FACTS = json.loads(Path(__file__).with_suffix(".json").read_text())
POLL_SECONDS = 60

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
        "aws_conn_id": FACTS["connection"],
    },
) as dag:
    chain(
        *(
            EmrServerlessStartJobOperator(
                task_id=stage,
                name=request["name"],
                application_id=request["applicationId"],
                execution_role_arn=request["executionRoleArn"],
                job_driver=request["jobDriver"],
                configuration_overrides=request["configurationOverrides"],
                config={"executionTimeoutMinutes": request["executionTimeoutMinutes"]},
                waiter_delay=POLL_SECONDS,
                waiter_max_attempts=request["executionTimeoutMinutes"] * 60 // POLL_SECONDS,
            )
            for stage, request in FACTS["requests"].items()
        )
    )
