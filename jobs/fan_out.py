"""Candidates as Spark tasks: each gets its GPUs and a process of its own, and only measures come back.

Takes candidates, which name the feature table by its URL; gives their outcomes. A task that is lost is started again
elsewhere and goes on from its checkpoint. GPUs come by Spark's stage-level scheduling: how many an executor has, and
the script that finds them, is for whoever submits the job.
"""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import IO

from pyspark import SparkConf, TaskContext
from pyspark.resource import ExecutorResourceRequests, ResourceProfile, ResourceProfileBuilder, TaskResourceRequests

from feature_extraction import storage
from jobs import candidates, spark
from jobs.candidates import GPUS, Candidate, Outcome
from jobs.frameworks import gpus_per_model
from jobs.train_settings import TrainSettings
from training.artifact import MANIFEST

AMOUNT = "spark.executor.resource.gpu.amount"
SCRIPT = "spark.executor.resource.gpu.discoveryScript"
VENDOR = "spark.executor.resource.gpu.vendor"
LINES_OF_A_CRASH = 15
# Libraries that would each take every core of the machine; Spark says in OMP_NUM_THREADS what the task may have.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class GpusMissing(ValueError):
    """Spark has no GPUs for the models, or not as many as they need."""


class StorageNotShared(ValueError):
    """A worker wrote where the driver cannot read."""


def train(todo: Sequence[Candidate], settings: TrainSettings) -> dict[str, Outcome]:
    """Train candidates on Spark, as many at once as there is room for; return their outcomes by folder.

    Raises:
        GpusMissing: models are to have GPUs, and Spark has none for them.
        StorageNotShared: the output's root is a folder that only the worker sees.
    """
    with spark.session("train") as session:
        context = session.sparkContext
        conf = context.getConf()
        lines = context.parallelize([candidate.to_json() for candidate in todo], len(todo))
        gpus = gpus_per_model((candidate.trainer for candidate in todo), settings)
        if gpus:
            lines = lines.withResources(profile(conf, gpus))
        work = partial(train_lines, gpus=gpus, most=attempts(conf))
        outcomes = [Outcome(**json.loads(line)) for line in lines.mapPartitions(work).collect()]
    check_visible(outcomes)
    return dict(zip((candidate.folder for candidate in todo), outcomes, strict=True))


def check_visible(outcomes: Iterable[Outcome]) -> None:
    """Raise `StorageNotShared` unless what the workers wrote can be read here."""
    for outcome in outcomes:
        if outcome.artifact and not storage.exists(storage.join(outcome.artifact, MANIFEST)):
            raise StorageNotShared(
                f"{outcome.artifact}: written on {outcome.worker}, and not to be seen here; set output.root to a "
                "bucket or to a folder that the driver and all workers share"
            )


def profile(conf: SparkConf, gpus: int) -> ResourceProfile:
    """Return what each task is to have: `gpus` GPUs, and its share of the executor's cores.

    Where Spark asks for executors as it needs them (dynamic allocation), it is told what these are to have as well.

    Raises:
        GpusMissing: this Spark has no GPUs for its executors, or not as many.
    """
    master = conf.get("spark.master", "") or ""
    found = int(conf.get(AMOUNT, "0") or 0)
    _check_gpus(master, found, gpus, conf.get(SCRIPT))
    cores = int(conf.get("spark.executor.cores", "1") or 1)
    builder = ResourceProfileBuilder()
    builder.require(TaskResourceRequests().cpus(max(1, cores * gpus // found)).resource("gpu", gpus))
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        executor = ExecutorResourceRequests().cores(cores)
        builder.require(executor.resource("gpu", found, conf.get(SCRIPT, "") or "", conf.get(VENDOR, "") or ""))
    return builder.build


def _check_gpus(master: str, found: int, wanted: int, script: str | None) -> None:
    without = "or set train.gpus_per_model = 0 to train without GPUs"
    if master.startswith("local") and not master.startswith("local-cluster"):
        raise GpusMissing(
            f"train.gpus_per_model is {wanted}, but Spark runs as {master}, which hands out no GPUs: submit the job to "
            f"a cluster, {without}"
        )
    if found < wanted:
        raise GpusMissing(
            f"train.gpus_per_model is {wanted}, the executors of this Spark have {found}: submit with "
            f"--conf {AMOUNT}={wanted} and, but for standalone clusters, --conf {SCRIPT}=PATH of the script that finds "
            f"them (Spark brings one: examples/src/main/scripts/getGpusResources.sh), {without}"
        )
    if not script and not master.startswith("spark://"):
        raise GpusMissing(
            f"{AMOUNT} is {found}, but no script is named that finds the GPUs of an executor: submit with --conf "
            f"{SCRIPT}=PATH (Spark brings one: examples/src/main/scripts/getGpusResources.sh), {without}"
        )


def attempts(conf: SparkConf) -> int:
    """Return how often Spark starts a task before it gives the whole job up."""
    local = (conf.get("spark.master", "") or "").startswith("local[")
    return 1 if local else int(conf.get("spark.task.maxFailures", "4") or 4)


def train_lines(lines: Iterable[str], *, gpus: int, most: int) -> Iterator[str]:
    """Train the candidates of a partition, each named by a line of JSON; give their outcomes as such lines."""
    context = TaskContext.get()
    if context is None:
        raise RuntimeError("not inside a Spark task")
    for line in lines:
        code, answer, said = _run_child(line, _environment(context, gpus))
        if code == 0:
            yield answer
        elif context.attemptNumber() + 1 < most:
            raise RuntimeError(f"the process that trained ended with {code}: {said}")
        else:  # the others are not to be lost with it
            outcome = candidates.failed(
                Candidate.from_json(line), f"the process that trained ended with {code}: {said}"
            )
            yield outcome.to_json()


def _environment(context: TaskContext, gpus: int) -> dict[str, str]:
    """Return the variables of the child: its GPUs, its threads, and where this application's code lies."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    own = {GPUS: ",".join(gpus_of(context, gpus, os.environ)), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return {**os.environ, **dict.fromkeys(THREADS, threads), **own}


def gpus_of(context: TaskContext, wanted: int, environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs of a task as CUDA names them: of those that a container shows, where it shows only some."""
    if not wanted:
        return []
    given = context.resources().get("gpu")
    if given is None or len(given.addresses) < wanted:
        raise GpusMissing(
            f"train.gpus_per_model is {wanted}, this task was given {given.addresses if given else 'none'}; check the "
            f"script that {SCRIPT} names"
        )
    shown = [name for name in environment.get(GPUS, "").split(",") if name]
    return [shown[int(address)] for address in given.addresses] if shown else list(given.addresses)


def _run_child(line: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a process that trains; return its status, its answer, and the last it said.

    A framework holds on to its GPUs for as long as its process lives, and Spark's Python workers outlive their tasks.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "jobs.candidates"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise RuntimeError("a process without pipes")
    with child:
        child.stdin.write(line + "\n")
        child.stdin.flush()  # left open: the child ends when it is closed, however this process ends
        said = _passed_on(child.stderr)
        answer = child.stdout.read()
        code = child.wait()
    return code, answer, said


def _passed_on(lines: IO[str]) -> str:
    """Write a child's log to this process's own and return its last lines."""
    last: deque[str] = deque(maxlen=LINES_OF_A_CRASH)
    for text in lines:
        sys.stderr.write(text)
        last.append(text)
    return "".join(last).strip()
