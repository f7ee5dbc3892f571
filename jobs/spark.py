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

from pyspark.sql import SparkSession

from feature_extraction import storage
from jobs import progress

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent
CONF_DIR = Path(__file__).with_name("spark_conf")
JAVA_VERSIONS = (17, 21)
LOG = Path(tempfile.gettempdir()) / f"scarce-spark-{os.getpid()}.log"
S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
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
    # Rows on their way to Python are written unchecked: Arrow's checks of every access cost half as much again.
    "spark.driver.extraJavaOptions": "-Darrow.enable_unsafe_memory_access=true -Darrow.enable_null_check_for_get=false",
}


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
    spark = _configured(job, FIXED).getOrCreate() if _is_submitted() else _local(job)
    try:
        _set_portions(spark)
        for url in urls:
            check_s3(spark, url)
        with progress.watched(spark.sparkContext, job):
            yield spark
    except ValueError:
        raise  # a sentence to the user says enough
    except Exception:
        if LOG.exists():
            logger.error("Spark's own messages are in %s", LOG)
            atexit.unregister(_remove_log)
        raise
    finally:
        spark.stop()


def _is_submitted() -> bool:
    return "SPARK_ENV_LOADED" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ


def _local(job: str) -> SparkSession:
    check_java()
    os.environ.setdefault("SPARK_CONF_DIR", str(CONF_DIR))
    # Workers import this application and must find the interpreter and one thread each.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    with _standard_error_to_log():
        return _configured(job, FIXED | LOCAL).getOrCreate()


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


def check_s3(spark: SparkSession, url: str) -> None:
    """Raise `S3Unsupported` where `url` is a bucket and this Spark has no S3A: its wheel comes without."""
    if not storage.is_s3(url):
        return
    try:
        spark._jvm.java.lang.Class.forName(S3A)  # type: ignore[union-attr]
    except Exception as error:  # py4j's own error type differs between Sparks
        raise S3Unsupported(
            f"{url}: Spark itself reads or writes this, and this Spark has no S3A ({S3A}). Submit to a platform that "
            "has it (EMR, an image with hadoop-aws), or add "
            "--packages org.apache.hadoop:hadoop-aws of Spark's Hadoop version"
        ) from error


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
