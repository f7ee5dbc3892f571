"""The platform file: where the jobs run, with what images, sizes and schedule. It says nothing of what they compute.

One TOML file beside the run file, validated as that one is. A target's section may be left out by those who do not use
it. Nothing secret belongs here: credentials come from the service account, the role or a named Kubernetes secret.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from feature_extraction.settings import Section
from jobs.settings import SettingsError, explain, read_toml

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$")]
Role = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-zA-Z0-9-]*:iam::[0-9]{12}:role/.+$")]
Bucket = Annotated[str, StringConstraints(pattern=r"^s3a?://[^/]+(/.*)?$")]
# Spark's spelling: a number and one letter, binary units.
Memory = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[mg]$")]
Cores = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*m?$")]  # whole ones, or thousandths
Quantity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(m|Ki|Mi|Gi|Ti)?$")]
Image = Annotated[str, StringConstraints(pattern=r"^\S+[:@]\S+$")]


class ImageSettings(Section):
    """The images of `docker/`, each with a tag or a digest."""

    spark: Image = Field(description="Image of docker/spark.Dockerfile: extraction, scores, explanations.")
    keras: Image = Field(description="Image of docker/keras.Dockerfile: Keras trainers, and those without a framework.")
    torch: Image = Field(description="Image of docker/torch.Dockerfile: PyTorch trainers.")
    all_stages: Image = Field(
        description="docker/spark.Dockerfile with EXTRAS=spark,keras: all stages in one application."
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field("IfNotPresent", description="When to pull them.")
    pull_secrets: tuple[Name, ...] = Field((), description="Kubernetes secrets with the registry's credentials.")


class StorageSettings(Section):
    """The buckets' server."""

    endpoint: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="S3 server that is not Amazon's; empty: Amazon."
    )
    region: str = Field("", pattern=r"^[a-z0-9-]*$", description="Its region; empty leaves it to the platform.")


class ScheduleSettings(Section):
    """When the run is done again."""

    cron: str = Field(pattern=r"^(\S+ ){4}\S+$", description="Five fields: minute, hour, day of month, month, weekday.")
    time_zone: str = Field("UTC", description="Zone of the schedule, such as Europe/Berlin.")


class SparkSettings(Section):
    """Spark's version and the size of its driver and executors."""

    version: str = Field(
        pattern=r"^\d+\.\d+\.\d+$", description="Version in the image or on the cluster, such as 4.0.5."
    )
    driver_cores: int = Field(2, ge=1, description="Cores of the driver.")
    driver_memory: Memory = Field("4g", description="Memory of the driver's Java process.")
    executor_cores: int = Field(4, ge=1, description="Cores of an executor; each runs one Python worker.")
    executor_memory: Memory = Field("6g", description="Memory of an executor's Java process.")
    memory_overhead: Memory = Field("4g", description="Memory beside it, for Python; the driver's and an executor's.")
    min_executors: int = Field(1, ge=1, description="Executors at least.")
    max_executors: int = Field(10, ge=1, description="Executors at most.")
    conf: dict[str, str] = Field(default_factory=dict, description="Further Spark settings; they go over ours.")


class TrainingSettings(Section):
    """Size of the training worker."""

    gpus: int = Field(1, ge=0, description="GPUs of the worker; 0 trains on its cores.")
    gpu_resource: str = Field("nvidia.com/gpu", description="Name under which Kubernetes counts GPUs.")
    cpu: Cores = Field("4", description="Cores of the worker, and threads of what computes on them.")
    memory: Quantity = Field("16Gi", description="Memory of the worker.")
    retries: int = Field(2, ge=0, description="New starts after a failure; a killed training goes on where it was.")
    deadline_hours: int = Field(12, ge=1, description="Hours after which the job is stopped, new starts included.")
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels of the nodes it may run on.")
    tolerate: tuple[str, ...] = Field(("nvidia.com/gpu",), description="Taints of those nodes that it tolerates.")


class KubernetesSettings(Section):
    """The cluster that the images run on."""

    namespace: Name = Field("scarce", description="Namespace of everything.")
    service_account: Name = Field("spark", description="Account of drivers and executors: creates pods, reads buckets.")
    training_service_account: Name = Field("scarce-training", description="Account of the training job: reads buckets.")
    credentials_secret: str = Field(
        "", description="Secret whose keys are the AWS_* environment of all pods, where accounts carry no role."
    )
    keep_hours: int = Field(24, ge=1, description="Hours that a finished job is kept to be looked at.")
    run_as: int = Field(185, ge=1, description="User of the containers; the images are made for 185.")


class EMRSettings(Section):
    """What the three kinds of EMR share: where the code lies and the logs go."""

    code: Bucket = Field(description="Folder with scarce.zip, environment.tar.gz and jobs/*.py.")
    logs: Bucket = Field(description="Folder for what the jobs log.")
    cluster_id: str = Field("", pattern=r"^(j-[0-9A-Z]+)?$", description="Cluster on EC2 that takes the steps.")
    serverless_application: str = Field("", pattern=r"^[0-9a-z]*$", description="Id of the EMR Serverless application.")
    virtual_cluster: str = Field("", pattern=r"^[0-9a-z]*$", description="Id of the virtual cluster of EMR on EKS.")
    release_label: str = Field("", description="EMR on EKS release, such as emr-7.12.0-latest.")
    execution_role: Role | Literal[""] = Field("", description="Role of the jobs on EMR Serverless and EMR on EKS.")
    timeout_minutes: int = Field(720, ge=5, description="Minutes after which EMR Serverless stops a job.")


class AirflowSettings(Section):
    """The DAGs."""

    dag_id: str = Field("scarce_daily", pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the DAG.")
    start_date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$", description="First day that it may be run for.")
    retries: int = Field(3, ge=0, description="New tries of a failed task.")
    retry_minutes: int = Field(10, ge=1, description="Minutes before the first of them, doubled each time.")
    kubernetes_connection: str = Field("kubernetes_default", description="Airflow connection to the cluster.")
    aws_connection: str = Field("aws_default", description="Airflow connection to AWS.")


class PlatformSettings(Section):
    """The whole platform file."""

    name: Name = Field("scarce", description="Beginning of the names of all jobs.")
    run_file: Bucket = Field(description="Where the jobs read the run file.")
    spark: SparkSettings = Field(description="Spark's version and sizes.")
    storage: StorageSettings = Field(StorageSettings(), description="The buckets' server.")
    images: ImageSettings | None = Field(None, description="The images; for Kubernetes.")
    training: TrainingSettings = Field(TrainingSettings(), description="Size of the training worker.")
    kubernetes: KubernetesSettings | None = Field(None, description="The Kubernetes cluster.")
    emr: EMRSettings | None = Field(None, description="EMR on EC2, EMR Serverless, EMR on EKS.")
    schedule: ScheduleSettings | None = Field(None, description="When the run is done again.")
    airflow: AirflowSettings | None = Field(None, description="The Airflow DAGs.")


def load(url: str) -> PlatformSettings:
    """Read the platform file from a local path or a bucket; raises `SettingsError` with everything that is wrong."""
    try:
        return PlatformSettings(**read_toml(url))
    except ValidationError as error:
        raise SettingsError(explain(error, url, PlatformSettings)) from error
