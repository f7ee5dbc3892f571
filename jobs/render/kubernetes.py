"""Kubernetes: SparkApplications for either operator, a schedule, and the training job; all of them as plain dicts.

The code is in the images. The Kubeflow operator knows `sparkoperator.k8s.io/v1beta2`, Apache's `spark.apache.org/v1`.
"""

from jobs import s3a
from jobs.render import pods
from jobs.render.pods import HOUR, Object
from jobs.render.stages import ENVIRONMENT, SPARK_STAGES, WHOLE_RUN, Plan, Stage
from jobs.settings import SettingsError

KUBEFLOW = "sparkoperator.k8s.io/v1beta2"
APACHE = "spark.apache.org/v1"
# Where docker/spark.Dockerfile puts the application.
CODE = "local:///opt/scarce/jobs"
RETRIES = 2


def kubeflow(plan: Plan) -> dict[str, Object]:
    """Return file names and objects for the Kubeflow operator; a schedule where the platform file has one."""
    found = {f"{stage.name}.yaml": _kubeflow_application(plan, stage) for stage in SPARK_STAGES}
    if plan.platform.schedule:
        found["scheduled.yaml"] = _scheduled(plan)
    return found


def apache(plan: Plan) -> dict[str, Object]:
    """Return file names and objects for Apache's operator, which knows no schedules."""
    return {f"{stage.name}.yaml": _apache_application(plan, stage) for stage in SPARK_STAGES}


def kubeflow_spec(plan: Plan, stage: Stage, arguments: list[str], *, image: str, retries: int = RETRIES) -> Object:
    """Return the spec of one SparkApplication of the Kubeflow operator."""
    images, cluster, spark = pods.images(plan), pods.cluster(plan), plan.platform.spark
    return {
        "type": "Python",
        "pythonVersion": "3",
        "mode": "cluster",
        "sparkVersion": spark.version,
        "image": image,
        "imagePullPolicy": images.pull_policy,
        **({"imagePullSecrets": list(images.pull_secrets)} if images.pull_secrets else {}),
        "mainApplicationFile": f"{CODE}/{stage.job}.py",
        "arguments": arguments,
        "sparkConf": plan.spark_conf("kubernetes") | _driver_environment(),
        "dynamicAllocation": {
            "enabled": True,
            "initialExecutors": spark.min_executors,
            "minExecutors": spark.min_executors,
            "maxExecutors": spark.max_executors,
            "shuffleTrackingEnabled": True,
        },
        "restartPolicy": _restarts(retries),
        "timeToLiveSeconds": cluster.keep_hours * HOUR,
        "driver": {
            "cores": spark.driver_cores,
            "memory": spark.driver_memory,
            "serviceAccount": cluster.service_account,
            **_kubeflow_pod(plan, stage),
        },
        "executor": {
            "cores": spark.executor_cores,
            "memory": spark.executor_memory,
            "serviceAccount": cluster.service_account,
            **_kubeflow_pod(plan, stage),
        },
    }


def _kubeflow_application(plan: Plan, stage: Stage) -> Object:
    return {
        "apiVersion": KUBEFLOW,
        "kind": "SparkApplication",
        "metadata": pods.metadata(plan, stage),
        "spec": kubeflow_spec(plan, stage, plan.arguments(), image=pods.images(plan).spark),
    }


def _scheduled(plan: Plan) -> Object:
    """All stages in one application, its window ending on the day it is started."""
    schedule = plan.platform.schedule
    if schedule is None:
        raise SettingsError("the platform file has no [schedule]")
    plan.check_moves("kubernetes, [schedule]")
    return {
        "apiVersion": KUBEFLOW,
        "kind": "ScheduledSparkApplication",
        "metadata": pods.metadata(plan, WHOLE_RUN),
        "spec": {
            "schedule": schedule.cron,
            "timeZone": schedule.time_zone,
            # Two runs at once would do the same work twice.
            "concurrencyPolicy": "Forbid",
            "successfulRunHistoryLimit": 3,
            "failedRunHistoryLimit": 3,
            "template": kubeflow_spec(plan, WHOLE_RUN, plan.arguments("today"), image=pods.images(plan).all_stages),
        },
    }


def _apache_application(plan: Plan, stage: Stage) -> Object:
    images, cluster, spark = pods.images(plan), pods.cluster(plan), plan.platform.spark
    conf = {
        "spark.kubernetes.authenticate.driver.serviceAccountName": cluster.service_account,
        "spark.kubernetes.authenticate.executor.serviceAccountName": cluster.service_account,
        "spark.kubernetes.container.image": images.spark,
        "spark.kubernetes.container.image.pullPolicy": images.pull_policy,
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        **plan.spark_sizes(),
    }
    if images.pull_secrets:
        conf["spark.kubernetes.container.image.pullSecrets"] = ",".join(images.pull_secrets)
    return {
        "apiVersion": APACHE,
        "kind": "SparkApplication",
        "metadata": pods.metadata(plan, stage),
        "spec": {
            "deploymentMode": "ClusterMode",
            "pyFiles": f"{CODE}/{stage.job}.py",
            "driverArgs": plan.arguments(),
            "sparkConf": conf | plan.spark_conf("kubernetes") | _driver_environment(),
            "runtimeVersions": {"sparkVersion": spark.version, "scalaVersion": _scala(spark.version)},
            "applicationTolerations": {
                "restartConfig": {"restartPolicy": "OnFailure", "maxRestartAttempts": RETRIES},
                "resourceRetainPolicy": "OnFailure",
                "ttlAfterStopMillis": cluster.keep_hours * HOUR * 1000,
            },
            "driverSpec": _apache_pod(plan, stage, "spark-kubernetes-driver"),
            "executorSpec": _apache_pod(plan, stage, "spark-kubernetes-executor"),
        },
    }


def _kubeflow_pod(plan: Plan, stage: Stage) -> Object:
    cluster = pods.cluster(plan)
    return {
        "memoryOverhead": plan.platform.spark.memory_overhead,
        "labels": pods.labels(plan, stage),
        "podSecurityContext": pods.pod_security(cluster),
        "securityContext": pods.CONTAINER_SECURITY,
        **pods.credentials(cluster),
    }


def _apache_pod(plan: Plan, stage: Stage, container: str) -> Object:
    """A template that Spark fills: it knows its container by name."""
    cluster = pods.cluster(plan)
    own = {"name": container, "securityContext": pods.CONTAINER_SECURITY, **pods.credentials(cluster)}
    return {
        "podTemplateSpec": {
            "metadata": {"labels": pods.labels(plan, stage)},
            "spec": {"securityContext": pods.pod_security(cluster), "containers": [own]},
        }
    }


def _scala(spark_version: str) -> str:
    release = ".".join(spark_version.split(".")[:2])
    return s3a.SPARKS[release][1]


def _driver_environment() -> dict[str, str]:
    return {f"spark.kubernetes.driverEnv.{name}": value for name, value in ENVIRONMENT.items()}


def _restarts(retries: int) -> Object:
    if not retries:
        return {"type": "Never"}
    return {
        "type": "OnFailure",
        "onFailureRetries": retries,
        "onFailureRetryInterval": 60,
        "onSubmissionFailureRetries": retries,
        "onSubmissionFailureRetryInterval": 60,
    }
