"""The platforms know every field of the rendered job files: operators' schemas, AWS's own models, what a DAG reads."""

import ast
import json

import jsonschema
import pytest
import yaml

from tests.jobs import strict_schemas
from tests.jobs.rendering import CRDS, platform_with, rendered

SPARK = ("extract", "score", "explain")
ALL = ("extract", "train", "score", "explain")


@pytest.fixture(scope="module")
def files():
    return rendered()


KUBEFLOW = "sparkoperator.k8s.io_v1beta2_SparkApplication"
SCHEDULED = "sparkoperator.k8s.io_v1beta2_ScheduledSparkApplication"
APACHE = "spark.apache.org_v1_SparkApplication"


def operators_validator(schema):
    path = CRDS / f"{schema}.schema.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return strict_schemas.validator(path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "schema"),
    [
        *[(f"kubeflow/{stage}", KUBEFLOW) for stage in SPARK],
        ("kubeflow/scheduled", SCHEDULED),
        *[(f"apache/{stage}", APACHE) for stage in SPARK],
    ],
)
def test_the_operators_know_every_field(files, name, schema):
    operators_validator(schema).validate(yaml.safe_load(files[f"kubernetes/{name}.yaml"]))


@pytest.mark.shared
@pytest.mark.parametrize(("operator", "schema"), [("kubeflow", KUBEFLOW), ("apache", APACHE)])
def test_the_operators_know_the_fields_that_few_platforms_need(tmp_path, operator, schema):
    change = {
        'namespace = "scarce"': 'credentials_secret = "s3-keys"',
        "[images]": '[images]\npull_secrets = ["registry"]',
    }
    made = rendered(platform=platform_with(tmp_path, change))[f"kubernetes/{operator}/score.yaml"]
    assert "s3-keys" in made
    operators_validator(schema).validate(yaml.safe_load(made))


@pytest.mark.shared
@pytest.mark.parametrize(("operator", "schema"), [("kubeflow", KUBEFLOW), ("apache", APACHE)])
def test_a_misspelt_field_is_noticed(files, operator, schema):
    found = yaml.safe_load(files[f"kubernetes/{operator}/score.yaml"])
    found["spec"]["sparkConfig"] = found["spec"].pop("sparkConf")
    with pytest.raises(jsonschema.ValidationError, match="sparkConfig"):
        operators_validator(schema).validate(found)


# Kubernetes' own objects, as far as they are used here.
SECURITY = {"allowPrivilegeEscalation": bool, "capabilities": {"drop": [str]}}
CONTAINER = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "args": [str],
    "env": [{"name": str, "value": str}],
    "envFrom": [{"secretRef": {"name": str}}],
    "resources": {"requests": {"cpu": str, "memory": str}, "limits": {"memory": str, "nvidia.com/gpu": int}},
    "securityContext": SECURITY,
}
POD = {
    "restartPolicy": str,
    "serviceAccountName": str,
    "securityContext": {"runAsNonRoot": bool, "runAsUser": int, "fsGroup": int, "seccompProfile": {"type": str}},
    "imagePullSecrets": [{"name": str}],
    "nodeSelector": {"nvidia.com/gpu.present": str},
    "tolerations": [{"key": str, "operator": str, "effect": str}],
    "containers": [CONTAINER],
}
EXIT_CODES = {"containerName": str, "operator": str, "values": [int]}
RULE = {"action": str, "onExitCodes": EXIT_CODES, "onPodConditions": [{"type": str, "status": str}]}
LABELS = {f"app.kubernetes.io/{name}": str for name in ("name", "instance", "component")}
JOB = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "namespace": str, "labels": LABELS},
    "spec": {
        "backoffLimit": int,
        "activeDeadlineSeconds": int,
        "ttlSecondsAfterFinished": int,
        "podFailurePolicy": {"rules": [RULE]},
        "template": {"metadata": {"labels": LABELS}, "spec": POD},
    },
}


def test_kubernetes_knows_every_field_of_the_training_job(files):
    strict_schemas.check_fields(yaml.safe_load(files["kubernetes/train.yaml"]), JOB)


@pytest.mark.parametrize(
    ("service", "operation", "names"),
    [
        ("emr", "AddJobFlowSteps", ["steps"]),
        ("emr-serverless", "StartJobRun", [f"serverless/{stage}" for stage in ALL]),
        ("emr-containers", "StartJobRun", [f"eks/{stage}" for stage in ALL]),
    ],
)
def test_emr_takes_the_requests(files, service, operation, names):
    for name in names:
        strict_schemas.check_request(service, operation, json.loads(files[f"emr/{name}.json"]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"excutionTimeoutMinutes": 5}, "excutionTimeoutMinutes"),
        ({"executionRoleArn": "arn:aws:iam::1:role/scarce-jobs"}, "executionRoleArn"),
        ({"mode": "NIGHTLY"}, "mode"),
        ({"name": "x" * 300}, "name"),
        ({"executionTimeoutMinutes": "5"}, "executionTimeoutMinutes"),
    ],
)
def test_a_request_that_emr_refuses_is_noticed(files, change, says):
    request = json.loads(files["emr/serverless/train.json"]) | change
    with pytest.raises(AssertionError, match=says):
        strict_schemas.check_request("emr-serverless", "StartJobRun", request)


# Airflow is not installed where the tests run: that its DAGs can be read is shown of their source alone.


@pytest.mark.parametrize("kind", ["kubernetes", "emr_serverless"])
def test_a_dag_reads_facts_that_are_there(files, kind):
    source = files[f"airflow/scarce_daily_{kind}.py"]
    facts = json.loads(files[f"airflow/scarce_daily_{kind}.json"])
    read = {
        node.slice.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "FACTS"
    }
    assert read == set(facts), "what the DAG reads and what it is given"
    assert "deferrable" in source
    assert facts["dag_id"] == f"scarce_daily_{kind}"


def test_a_dag_moves_the_window_to_the_end_of_its_interval(files):
    facts = json.loads(files["airflow/scarce_daily_kubernetes.json"])
    end = "{{ params.end or data_interval_end.in_timezone('Europe/Berlin') | ds }}"
    assert facts["training"]["spec"]["containers"][0]["args"][-2:] == ["--window.end", end]
    for application in facts["applications"].values():
        assert application["spec"]["arguments"][-2:] == ["--window.end", end]
        assert application["spec"]["restartPolicy"] == {"type": "Never"}, "Airflow tries again"
