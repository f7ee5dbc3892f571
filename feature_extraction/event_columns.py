"""Hold the columns and conditions that the settings name against those of the log, before any work."""

import difflib
import re

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_extraction.event_files import EventsError
from feature_extraction.settings import EventsSettings

CORRUPT, RAW = "_corrupt", "_raw"
NUMBERS = (T.NumericType, T.StringType, T.BooleanType)
# How Spark's plan shows the cast that a comparison such as "amount > 10" makes where amount is text.
TEXT_TO_WHOLE_NUMBER = re.compile(r"cast\((\w+)#\d+ as (?:tinyint|smallint|int|bigint)\)")


def check_columns(frame: DataFrame, settings: EventsSettings) -> None:
    """Raise `EventsError` unless every column the settings name is there and of a usable type."""
    needed = {"entity": settings.entity, "time": settings.time} | {f"key[{i}]": c for i, c in enumerate(settings.key)}
    if settings.type:
        needed |= {"type": settings.type, "value": settings.value}
    needed |= {f"metrics.{name}.column": metric.column for name, metric in settings.metrics.items() if metric.column}
    found = [name for name in frame.columns if name not in (CORRUPT, RAW)]
    for field, column in needed.items():
        if column not in found:
            near = difflib.get_close_matches(column, found, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise EventsError(
                f"{settings.url}: events.{field} names the column {column!r}, which is not there{hint} "
                f"Found: {', '.join(found)}"
            )
    for name, metric in settings.metrics.items():
        check_condition(frame, f"events.metrics.{name}.where", metric.where, settings.url)
        source = settings.value if settings.type else metric.column
        if metric.aggregate in ("count", "nunique") or not source:
            continue
        kind = frame.schema[source].dataType
        if not isinstance(kind, NUMBERS):
            raise EventsError(
                f"{settings.url}: metric {name!r} takes the {metric.aggregate} of column {source!r}, which is "
                f"{kind.simpleString()}; expected a number, or text that holds one"
            )


def check_condition(frame: DataFrame, field: str, where: str, url: str) -> None:
    """Raise `EventsError` unless `where` is a condition on the columns of `frame` that means what it says."""
    if not where:
        return
    place = f"{url}: {field} = {where!r}"
    try:
        condition = frame.select(F.expr(where))
        kind = condition.schema[0].dataType
    except AnalysisException as error:
        first = str(error).strip().splitlines()[0]
        raise EventsError(f"{place} cannot be used: {first} Mend the condition, or the names in it") from error
    if not isinstance(kind, T.BooleanType):
        raise EventsError(f"{place} is {kind.simpleString()}; expected a condition, such as amount > 0")
    cut = TEXT_TO_WHOLE_NUMBER.search(condition._jdf.queryExecution().analyzed().toString())
    if cut and isinstance(frame.schema[cut[1]].dataType, T.StringType):
        raise EventsError(
            f"{place} makes whole numbers of the text column {cut[1]!r}, and Spark would cut '10.5' to 10; write the "
            f"number with a point, as in {cut[1]} > 10.0"
        )
