"""Which files of a log in folders by `key=value` an `events.where` asks for, told before any of them is opened."""

from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction import storage
from feature_extraction.event_files import EventsError, folder_keys, layout
from feature_extraction.settings import EventsSettings
from feature_extraction.storage import File

# How Spark and Hive name the folder of a value that is missing.
MISSING = "__HIVE_DEFAULT_PARTITION__"


def asked_for(spark: SparkSession, settings: EventsSettings, files: list[File]) -> list[File]:
    """Return the files of the log whose folders meet `events.where`; all of them where folders alone do not decide.

    Raises:
        EventsError: no folder meets it, or some files lie in such folders and others do not.
    """
    options = layout(settings.url, files)
    if not settings.where or not folder_keys(settings.url, files[0]):
        return files
    # With its columns given, Spark lists the folders and opens no file.
    place = storage.spark_url(settings.url)
    keys = T.StructType(spark.read.options(**options).schema("value string").text(place).schema.fields[1:])
    if not is_decided_by(keys, settings.where, spark):
        return files
    values = {file: _values(settings.url, file) for file in files}
    folders = sorted(set(values.values()), key=str)
    met = _met(spark, keys, settings.where, folders)
    chosen = [file for file in files if values[file] in met]
    if not chosen:
        raise EventsError(
            f"{settings.url}: events.where = {settings.where!r} leaves none of its {len(folders):,} folders, of "
            f"{files[0].url} to {files[-1].url}; mend the condition or the window"
        )
    return chosen


def is_decided_by(keys: T.StructType, where: str, spark: SparkSession) -> bool:
    """Whether a condition speaks of no other columns than these."""
    try:
        spark.createDataFrame([], keys).where(where)
    except AnalysisException:
        return False
    return True


def _values(url: str, file: File) -> tuple[str | None, ...]:
    """Return the values of a file's folders, the outermost first, None for a missing one."""
    folders = file.url[len(url.rstrip("/")) + 1 :].split("/")[:-1]
    found = [unquote(part.partition("=")[2]) for part in folders if "=" in part]
    return tuple(None if value == MISSING else value for value in found)


def _met(
    spark: SparkSession, keys: T.StructType, where: str, folders: list[tuple[str | None, ...]]
) -> set[tuple[str | None, ...]]:
    """Return which folders meet the condition."""
    texts = T.StructType([T.StructField(f"_text_{i}", T.StringType()) for i in range(len(keys))])
    typed = [F.col(f"_text_{i}").cast(key.dataType).alias(key.name) for i, key in enumerate(keys)]
    found = spark.createDataFrame(folders, texts).select("*", *typed).where(where)
    return {tuple(row) for row in found.select(*texts.names).collect()}
