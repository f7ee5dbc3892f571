"""The Spark session of a job: what the platform set stands, and only what the results depend on is fixed here."""

import atexit
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from feature_extraction import storage
from feature_extraction.storage import StorageError
from jobs import progress, s3a
from jobs.java_options import ARROW

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent
LOG4J = Path(__file__).with_name("log4j2.properties")  # in a worker this is a relative path, inside an archive
# Where a local Spark looks for its settings unless told: nowhere. A folder that is there would keep Java from sharing
# classes between processes.
NO_CONF = Path(__file__).with_name("no_spark_conf")
JAVA_VERSIONS = (17, 21)
LOG = Path(tempfile.gettempdir()) / f"scarce-spark-{os.getpid()}.log"
# ANSI off, as Spark 3.5 has it: a text that is no number is refused by our own rules, not by an exception.
FIXED = {"spark.sql.ansi.enabled": "false", "spark.sql.execution.arrow.pyspark.enabled": "true"}
# Rows go to Python and back in fewer and larger portions than by default, which takes a third less time; what was
# asked of Spark for this job goes before.
PORTIONS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.sql.execution.pandas.udf.buffer.size": str(1 << 20),
}
LOCAL = {
    "spark.sql.shuffle.partitions": "16",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "4g",
}
# What a submitted job shows Prometheus in its web page: /metrics/prometheus and /metrics/executors/prometheus.
WATCHED = {
    "spark.ui.prometheus.enabled": "true",
    "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
}
# How a task's failure to read or write stands in Spark's message: as ours, or as Java's.
TOLD_BY_PYTHON = re.compile(r"StorageError: (.+)")
TOLD_BY_JAVA = re.compile(
    r"(No space left on device|Disk quota exceeded|Read-only file system|Permission denied"
    r"|(?:AccessDenied|UnknownStore)Exception: .+)"
)


class JavaMissing(ValueError):
    """No Java that Spark runs on."""


class S3Unsupported(ValueError):
    """This Spark cannot read or write buckets."""


@contextmanager
def session(job: str, *urls: str) -> Iterator[SparkSession]:
    """Give a Spark session and stop it; under spark-submit it is the platform's, else a local one.

    Args:
        job: name shown by Spark.
        urls: what Spark itself will read or write; a bucket among them needs S3A in this Spark.
    """
    spark = _submitted(job, urls) if _is_submitted() else _local(job, urls)
    try:
        _set_portions(spark)
        with progress.watched(spark.sparkContext, job):
            yield spark
    except ValueError:
        raise  # a sentence to the user says enough
    except Exception as error:
        said = _storage_failure(str(error))
        if said:
            raise StorageError(said) from error
        if LOG.exists():
            logger.error("Spark's own messages are in %s", LOG)
            atexit.unregister(_remove_log)
        raise
    finally:
        spark.stop()


def _storage_failure(text: str) -> str:
    """Return what Spark's message says of a place that cannot be read or written, if it speaks of one."""
    found = TOLD_BY_PYTHON.search(text)
    if found:
        return found[1].strip()
    found = TOLD_BY_JAVA.search(text)
    if found is None:
        return ""
    return (
        f"Spark cannot read or write: {found[1].strip()}; look at output.root and spark.local.dir, then start it again"
    )


def _is_submitted() -> bool:
    return "SPARK_ENV_LOADED" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ


def _submitted(job: str, urls: tuple[str, ...]) -> SparkSession:
    asked = SparkConf()
    watched = {key: value for key, value in WATCHED.items() if not asked.contains(key)}
    return _configured(job, FIXED | watched | _s3_settings(asked, urls)).getOrCreate()


def _local(job: str, urls: tuple[str, ...]) -> SparkSession:
    check_java()
    os.environ.setdefault("SPARK_CONF_DIR", str(NO_CONF))
    # Workers import this application and must find the interpreter and one thread each.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    settings = FIXED | LOCAL | {"spark.driver.extraJavaOptions": _java_options()}
    with _standard_error_to_log():
        asked = SparkConf().setAll(list(settings.items()))
        return _configured(job, settings | _s3_settings(asked, urls)).getOrCreate()


def _java_options() -> str:
    return f"{ARROW} -Dlog4j2.configurationFile={LOG4J.resolve().as_uri()}" if LOG4J.is_file() else ARROW


def _s3_settings(asked: SparkConf, urls: tuple[str, ...]) -> dict[str, str]:
    """Return what S3 needs here and was not set for this job; a bucket to be read without S3A is an error.

    Args:
        asked: the settings that a Java process, if none runs yet, is to be started with.
        urls: what Spark itself reads or writes.
    """
    endpoint, region = storage.s3_server(*urls)
    inside = [url for url in urls if storage.is_s3(url)]
    if not inside and not endpoint:
        return {}
    SparkContext._ensure_initialized(conf=asked)
    given = SparkConf()
    platform, version = _platform(given.get("spark.master", "local") or "local"), pyspark.__version__
    wanted = s3a.environment(platform, endpoint, region)
    if inside:
        check_s3(inside[0])
        wanted |= s3a.settings(platform, version, endpoint, region if endpoint else "")
    if not _has_class(s3a.COMMIT_PROTOCOL):  # what is written is slower to commit, and checked all the same
        wanted = {key: value for key, value in wanted.items() if key not in s3a.COMMITTER}
    return {key: value for key, value in wanted.items() if not given.contains(key)}


def _platform(master: str) -> s3a.Platform:
    if "amzn" in str(SparkContext._jvm.org.apache.spark.package.SPARK_VERSION()):  # type: ignore[union-attr]
        return "emr"
    if master.startswith("k8s"):
        return "kubernetes"
    return "local" if master.startswith("local") and not master.startswith("local-cluster") else "standalone"


def _configured(job: str, settings: dict[str, str]) -> SparkSession.Builder:
    builder = SparkSession.builder.appName(f"scarce {job}")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder


def _set_portions(spark: SparkSession) -> None:
    given = spark.sparkContext.getConf()
    for key, value in PORTIONS.items():
        if not given.contains(key):
            spark.conf.set(key, value)


def check_java() -> None:
    """Raise `JavaMissing`, with the way to get it, unless Java 17 or 21 is found."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    found = "no Java"
    if java and Path(java).exists():
        text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', text)
        if version and int(version[1]) in JAVA_VERSIONS:
            return
        found = text.splitlines()[0] if text else f"{java}, which does not answer"
    raise JavaMissing(
        f"Spark needs Java 17; found {found}. On Debian or Ubuntu: apt-get install openjdk-17-jre-headless"
    )


def check_s3(url: str) -> None:
    """Raise `S3Unsupported` where this Spark, whose Java runs, has no S3A: pip's comes without."""
    if not _has_class(s3a.S3A):
        raise S3Unsupported(
            f"{url}: Spark itself reads or writes this, and this Spark has no S3A ({s3a.S3A}). Submit to a platform "
            "that has it (EMR, an image with hadoop-aws), or add --packages "
            + ",".join(s3a.packages(pyspark.__version__))
        )


def _has_class(name: str) -> bool:
    """Whether Java finds a class, among what `--packages` and `--jars` brought too."""
    java = SparkContext._jvm.java.lang  # type: ignore[union-attr]
    try:
        java.Class.forName(name, False, java.Thread.currentThread().getContextClassLoader())
    except Exception:  # noqa: BLE001  (py4j's own error type differs between Sparks)
        return False
    return True


@contextmanager
def _standard_error_to_log() -> Iterator[None]:
    """Let the Java process, which outlives its sessions, write to a file what it says: noise, unless it breaks."""
    atexit.register(_remove_log)
    kept = os.dup(2)
    with LOG.open("ab") as stream:
        os.dup2(stream.fileno(), 2)
    try:
        yield
    except BaseException:
        os.write(kept, LOG.read_bytes()[-4_000:])
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _remove_log() -> None:
    LOG.unlink(missing_ok=True)
