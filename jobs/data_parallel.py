"""One model trained by several Spark tasks together, through pyspark's TorchDistributor.

Takes candidates of methods that can be trained so; gives their outcomes. Every task reads its share of the table's row
groups. They start all at once (a barrier stage), and Spark gives the stage up when one of them is lost: then all are
started again from here, and go on from the last checkpoint.
"""

import glob
import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # py4j publishes no types
from pyspark import SparkConf
from pyspark.errors import PySparkException
from pyspark.ml.torch.distributor import TorchDistributor

from jobs import candidates, failures, fan_out, spark
from jobs.candidates import Candidate, Outcome, Place
from jobs.train_settings import TrainSettings
from training.trainer import TRAINERS, Trainer, load_class

logger = logging.getLogger("jobs.train")
TASK_AMOUNT = "spark.task.resource.gpu.amount"


class TogetherRefused(ValueError):
    """Spark, as it was submitted, cannot run the tasks of one model all at once."""


def train(todo: Sequence[Candidate], settings: TrainSettings) -> dict[str, Outcome]:
    """Train candidates one after the other, each by `settings.processes` tasks; return their outcomes by folder.

    Raises:
        TogetherRefused: Spark runs with dynamic allocation, or has too few cores or no GPUs for the tasks.
        StorageNotShared: the output's root is a folder that only the worker sees.
    """
    with spark.session("train") as session:
        conf = session.sparkContext.getConf()
        check(conf, settings, session.sparkContext.defaultParallelism)
        distributor = TorchDistributor(settings.processes, local_mode=False, use_gpu=settings.gpus_per_model > 0)
        attempts = fan_out.attempts(conf)
        found = {candidate.folder: _trained(candidate, distributor, attempts) for candidate in todo}
    fan_out.check_visible(found.values())
    return found


def _trained(candidate: Candidate, distributor: TorchDistributor, attempts: int) -> Outcome:
    """Train one candidate, again and again where tasks are lost; what fails every time is its outcome."""
    said = ""
    for attempt in range(attempts):
        if attempt:
            logger.warning("train: %s starts again, from its last checkpoint: %s", candidate.trainer, said)
        try:
            with redirect_stdout(sys.stderr):  # where the distributor repeats what its tasks say
                return Outcome(**json.loads(str(distributor.run(_shipped(), candidate.to_json()))))
        except (PySparkException, Py4JJavaError) as error:
            said = failures.sentence(error)
    return candidates.failed(candidate, said)


def check(conf: SparkConf, settings: TrainSettings, cores: int) -> None:
    """Raise `TogetherRefused` where Spark would wait for ever, or train elsewhere than it is asked to.

    Args:
        conf: what Spark was submitted with.
        settings: how many tasks, and whether they have GPUs.
        cores: tasks that a local Spark runs at once.
    """
    master = conf.get("spark.master", "") or ""
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise TogetherRefused(
            "train.processes is above 1, and Spark cannot start all tasks at once where executors come and go: submit "
            f"with --conf spark.dynamicAllocation.enabled=false and executors for {settings.processes} tasks"
        )
    if master.startswith("local[") and cores < settings.processes:
        raise TogetherRefused(
            f"train.processes is {settings.processes}, but Spark runs as {master} with {cores} cores; give fewer "
            "processes, or submit to a cluster"
        )
    given = conf.get(TASK_AMOUNT, "0") or "0"
    if settings.gpus_per_model and given != "1":
        raise TogetherRefused(
            f"each of the {settings.processes} processes is to have one GPU, but {TASK_AMOUNT} is {given}: submit with "
            f"--conf {TASK_AMOUNT}=1, --conf {fan_out.AMOUNT}=1 and --conf {fan_out.SCRIPT}=PATH, or set "
            "train.gpus_per_model = 0 to train without GPUs"
        )


def _shipped() -> Callable[[str], str]:
    """Return what each task runs, in a form that is pickled as a whole.

    The process that torchrun starts knows nothing of `--py-files`: Spark lays them into its working directory.
    """

    def share(line: str) -> str:
        sys.path[:0] = glob.glob("*.zip")
        from jobs.data_parallel import train_share

        return train_share(line)

    return share


def train_share(line: str) -> str:
    """Train a candidate on this process's share of the rows, together with the others; return the outcome as JSON."""
    from jobs import console
    from training.torch import distributed  # here alone: the driver needs no torch

    console.set_up()
    candidate = Candidate.from_json(line)
    with distributed.joined() as group:
        places = group.gather(Place.here())
        try:
            reader = candidates.reader_of(candidate.table, (group.rank, group.size))
            if group.rank:
                logging.getLogger("training").setLevel(logging.WARNING)  # process 0 says it for all
                trainer: Trainer = load_class(TRAINERS[candidate.trainer])(**candidate.settings)
                trainer.fit(reader)
                return ""
            place = Place(*(",".join(found) for found in zip(*places, strict=True)))
            outcome = candidates.train(candidate, reader, place)
        except ValueError as error:  # the same in every process
            outcome = candidates.failed(candidate, str(error))
    return json.dumps(asdict(outcome))
