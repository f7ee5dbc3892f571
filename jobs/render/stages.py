"""What is rendered: the stages of a run, the arguments each job is given, and the image that training needs."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from feature_extraction import storage
from jobs import s3a
from jobs.frameworks import FRAMEWORKS, methods_of
from jobs.java_options import ARROW
from jobs.render.platform_file import PlatformSettings
from jobs.settings import RunSettings, SettingsError

Framework = Literal["keras", "torch", "none"]
# A job that finds its work finished is no failure, and not every scheduler can be told that of status 3.
ENVIRONMENT = {"SCARCE_LOG": "json", "SCARCE_EXIT_NOTHING_TO_DO": "0"}
# An executor that is told to go, as on a node that is taken away, hands over what it has; EMR sees to that itself.
DECOMMISSION = {"spark.decommission.enabled": "true", "spark.storage.decommission.enabled": "true"}


class Stage(NamedTuple):
    """One job: its name in job names, and the file in `jobs/`."""

    name: str
    job: str


EXTRACT, TRAIN = Stage("extract", "extract_features"), Stage("train", "train")
SCORE, EXPLAIN = Stage("score", "score"), Stage("explain", "explain")
STAGES = (EXTRACT, TRAIN, SCORE, EXPLAIN)
SPARK_STAGES = (EXTRACT, SCORE, EXPLAIN)
WHOLE_RUN = Stage("run", "run")


@dataclass(frozen=True)
class Plan:
    """A run and the platform it goes to.

    Attributes:
        settings: the run file with its overrides.
        platform: the platform file.
        overrides: those overrides as written, for the command line of every job.
        moves: whether the window is given by its length, so that it can move with its end.
    """

    settings: RunSettings
    platform: PlatformSettings
    overrides: tuple[str, ...] = ()
    moves: bool = False

    def __post_init__(self) -> None:
        """Refuse a run that no cluster could read or write."""
        labels, events = self.settings.labels, self.settings.events
        urls = {
            "events.url": events.url,
            "labels.url": labels.url,
            "labels.holdout_url": labels.holdout_url,
            "output.root": self.settings.output.root,
        }
        local = [f"{field} = {url!r}" for field, url in urls.items() if url and not storage.is_s3(url)]
        if local:
            raise SettingsError(
                f"{', '.join(local)}: a local path is another folder on every machine of a cluster; "
                "give a bucket, s3://bucket/prefix"
            )

    def name(self, stage: Stage) -> str:
        """Return the name of one job."""
        return f"{self.platform.name}-{stage.name}"

    def arguments(self, end: str = "") -> list[str]:
        """Return the arguments of every job; `end` is the window's end where the run is scheduled."""
        return ["--config", self.platform.run_file, *self.overrides, *(["--window.end", end] if end else [])]

    def check_moves(self, target: str) -> None:
        """Raise `SettingsError` unless the window can move: a scheduled run must not be the same one every day."""
        if not self.moves:
            raise SettingsError(
                f"{target}: a scheduled run moves its window by its end, and window.start stands still; "
                "give window.days, the window's length, instead of window.start, or leave [schedule] out"
            )

    @property
    def framework(self) -> Framework:
        """The framework that the run's trainers need.

        Raises:
            SettingsError: they need both, and no training image holds both.
        """
        train = self.settings.train
        needed = {one: methods_of(one, (train.trainer, *train.compare), train) for one in FRAMEWORKS}
        if all(needed.values()):
            raise SettingsError(
                f"train.trainer and train.compare name methods of Keras ({', '.join(needed['keras'])}) and of PyTorch "
                f"({', '.join(needed['torch'])}), and no training image holds both; make two run files of it"
            )
        return "keras" if needed["keras"] else "torch" if needed["torch"] else "none"

    def spark_sizes(self) -> dict[str, str]:
        """Return the Spark settings of how large driver and executors are, and how many."""
        spark = self.platform.spark
        return {
            "spark.driver.cores": str(spark.driver_cores),
            "spark.driver.memory": spark.driver_memory,
            "spark.driver.memoryOverhead": spark.memory_overhead,
            "spark.executor.cores": str(spark.executor_cores),
            "spark.executor.memory": spark.executor_memory,
            "spark.executor.memoryOverhead": spark.memory_overhead,
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.minExecutors": str(spark.min_executors),
            "spark.dynamicAllocation.maxExecutors": str(spark.max_executors),
        }

    def spark_conf(self, on: s3a.Platform) -> dict[str, str]:
        """Return the Spark settings of every Spark job, the platform file's own over ours."""
        spark, server = self.platform.spark, self.platform.storage
        ours = {"spark.executor.extraJavaOptions": ARROW}
        if on == "kubernetes":
            ours |= DECOMMISSION | s3a.settings(on, spark.version, server.endpoint, server.region)
        else:
            ours |= s3a.settings(on, spark.version)
        return dict(sorted((ours | spark.conf).items()))
