"""Says in one sentence why a job failed, for whoever reads its last lines without knowing Spark or Python."""

import re
import traceback

AGAIN = "What is finished is kept: the same command goes on from there"
# `ValueError: text` of a worker's Python trace, and `java.io.IOException: text` of Java's.
RAISED = re.compile(r"(?:Caused by: )?((?:[\w$]+\.)*[\w$]*(?:Error|Exception|Failure|Interrupt)\b: \S.*)")
LOST = re.compile(r"(ExecutorLostFailure \(.*)")
WRAPPERS = ("SparkException", "PythonException", "Py4JJavaError", "Py4JNetworkError")
LONGEST = 400


def sentence(error: BaseException) -> str:
    """Return what failed, the cause nearest to its root, and what to do."""
    if _is_gone(error):
        return (
            "Spark's Java process ended in the middle of the work, most likely for want of memory: give the driver "
            f"more (--driver-memory; spark.driver.memory). {AGAIN}"
        )
    if type(error).__module__.split(".")[0] in ("py4j", "pyspark"):
        return f"Spark gave up, as a part of the work failed again and again: {_cause(str(error))}. {AGAIN}"
    if isinstance(error, MemoryError):
        return f"not enough memory on the machine that runs the job: {error or 'no size told'}. {AGAIN}"
    text = f"{type(error).__name__}: {error}"
    return f"an error that Scarce does not expect, {_short(text)}. {AGAIN}; should it fail again, report this trace"


def _is_gone(error: BaseException) -> bool:
    """Whether the connection to Java broke: py4j's network error, or the operating system's in its place."""
    if type(error).__name__ == "Py4JNetworkError":
        return True
    frames = traceback.walk_tb(error.__traceback__)
    return isinstance(error, ConnectionError) and any("py4j" in frame.f_code.co_filename for frame, _ in frames)


def _cause(text: str) -> str:
    """Return the cause nearest to the root that Spark's long message names, else its first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = [found[1] for line in lines if (found := RAISED.match(line)) and not _is_wrapper(found[1])]
    lost = [found[1] for line in lines if (found := LOST.search(line))]
    return _short([*lines[:1], *lost, *raised][-1] if lines else "no message")


def _is_wrapper(text: str) -> bool:
    return text.split(":")[0].rsplit(".", 1)[-1] in WRAPPERS


def _short(text: str) -> str:
    one_line = " ".join(text.split()).rstrip(".")
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 3] + "..."
