"""What a stranger reads of a failure of Spark: the cause nearest to the root, taken from Spark's own long messages."""

import pytest
from py4j.protocol import Py4JNetworkError

from jobs import failures

STAGE = (
    "An error occurred while calling o77.collectToPython.\n: org.apache.spark.SparkException: Job aborted due to stage "
    "failure: Task 0 in stage 4.0 failed 4 times, most recent failure: Lost task 0.3 in stage 4.0 (TID 9) (10.0.0.7 "
    "executor 2): "
)
WORKER = STAGE + (
    "org.apache.spark.api.python.PythonException: Traceback (most recent call last):\n"
    '  File "worker.py", line 1, in main\n    process()\n'
    "OSError: [Errno 28] No space left on device: '/mnt/part-0.parquet'\n\n"
    "\tat org.apache.spark.api.python.BasePythonRunner.handlePythonException(PythonRunner.scala:512)\n"
    "Driver stacktrace:\n\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:2844)\n"
)
LOST = STAGE + (
    "ExecutorLostFailure (executor 2 exited caused by one of the running tasks) Reason: Container killed by YARN for "
    "exceeding physical memory limits.\nDriver stacktrace:\n\tat java.lang.Thread.run(Thread.java:840)\n"
)
JAVA = STAGE + (
    "java.io.IOException: No space left on device\n\tat java.io.FileOutputStream.writeBytes(Native Method)\n"
    "Driver stacktrace:\nCaused by: java.io.IOException: No space left on device\n"
)


class SparkError(Exception):
    """As pyspark's own, whose constructors differ between its versions."""

    __module__ = "pyspark.errors.exceptions.captured"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WORKER, "OSError: [Errno 28] No space left on device: '/mnt/part-0.parquet'"),
        (
            LOST,
            "ExecutorLostFailure (executor 2 exited caused by one of the running tasks) Reason: Container killed by",
        ),
        (JAVA, "java.io.IOException: No space left on device"),
        ("Something short", "Something short"),
        ("", "no message"),
    ],
)
def test_the_cause_nearest_to_the_root_is_named(text, says):
    found = failures.sentence(SparkError(text))
    assert found.startswith("Spark gave up")
    assert says in found
    assert "\n" not in found
    assert "the same command goes on from there" in found


def test_a_long_cause_is_cut():
    assert len(failures.sentence(SparkError("x" * 10_000))) < 700


def test_a_java_process_that_is_gone_is_told():
    assert "Java process ended" in failures.sentence(Py4JNetworkError("Answer from Java side is empty"))


def test_memory_and_what_nobody_expects():
    assert failures.sentence(MemoryError("Unable to allocate 3 GiB")).startswith("not enough memory")
    assert "KeyError: 'x'" in failures.sentence(KeyError("x"))
