"""The training job on Kubernetes: one pod of the image that the run's trainers need, with a GPU where they use one."""

import math

from jobs.render import pods
from jobs.render.pods import HOUR, Object
from jobs.render.stages import ENVIRONMENT, TRAIN, Plan
from jobs.settings import SettingsError

# What computes takes as many threads as the node has cores, whatever was asked for, and then waits for the slowest.
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
# The job's own word that its settings or input are bad: trying again does not help.
BAD_INPUT = 2


def job(plan: Plan) -> Object:
    """Return the Job that trains."""
    training = plan.platform.training
    bad_input = {"containerName": TRAIN.name, "operator": "In", "values": [BAD_INPUT]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": pods.metadata(plan, TRAIN),
        "spec": {
            "backoffLimit": training.retries,
            "activeDeadlineSeconds": training.deadline_hours * HOUR,
            "ttlSecondsAfterFinished": pods.cluster(plan).keep_hours * HOUR,
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onExitCodes": bad_input},
                    # A pod that its node was taken from did not fail.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {
                "metadata": {"labels": pods.labels(plan, TRAIN)},
                "spec": pod(plan, plan.arguments(), environment(plan) | ENVIRONMENT),
            },
        },
    }


def pod(plan: Plan, arguments: list[str], variables: dict[str, str]) -> Object:
    """Return the spec of the pod that trains."""
    if plan.settings.train.workers == "spark":
        raise SettingsError(
            "train.workers = 'spark' trains on the executors of a Spark application, and the training job is one pod; "
            "render with --train.workers local, or submit jobs/train.py to Spark yourself"
        )
    images, cluster, training = pods.images(plan), pods.cluster(plan), plan.platform.training
    container = {
        "name": TRAIN.name,
        "image": images.torch if plan.framework == "torch" else images.keras,
        "imagePullPolicy": images.pull_policy,
        "args": [f"jobs.{TRAIN.job}", *arguments],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": _resources(plan),
        "securityContext": pods.CONTAINER_SECURITY,
        **pods.credentials(cluster),
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": cluster.training_service_account,
        "securityContext": pods.pod_security(cluster),
        **({"imagePullSecrets": [{"name": name} for name in images.pull_secrets]} if images.pull_secrets else {}),
        "nodeSelector": training.node_selector,
        "tolerations": [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in training.tolerate],
        "containers": [container],
    }


def environment(plan: Plan) -> dict[str, str]:
    """Return the environment in which the training pod finds a bucket's server, and its own size."""
    server, cores = plan.platform.storage, plan.platform.training.cpu
    found = {"AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": server.region}
    threads = math.ceil(int(cores[:-1]) / 1000) if cores.endswith("m") else int(cores)
    return {name: value for name, value in found.items() if value} | dict.fromkeys(THREADS, str(threads))


def _resources(plan: Plan) -> Object:
    """What the container asks for; a method without a framework has no use for a GPU."""
    training = plan.platform.training
    limits: Object = {"memory": training.memory}
    if training.gpus and plan.framework != "none":
        limits[training.gpu_resource] = training.gpus
    return {"requests": {"cpu": training.cpu, "memory": training.memory}, "limits": limits}
