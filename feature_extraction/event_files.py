"""What the files of an event log say of themselves before Spark reads them: folders, headers, keys and footers.

Spark takes the columns of a log from one file and the folders as they come; here the others are held against that one.
"""

import csv
import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from feature_extraction import publishing, storage


class EventsError(ValueError):
    """The event log as a whole cannot be used: nothing there, a missing column, a wrong type."""


def layout(url: str, files: list[storage.File]) -> dict[str, str | bool]:
    """Return the options that make Spark read every file: by itself it passes over subfolders in silence."""
    layouts = {_keys(url, file) for file in files}
    if not any(any(names) for names in layouts):
        return {"recursiveFileLookup": True}
    if len(layouts) > 1:
        raise EventsError(
            f"{url}: some files lie in folders named key=value and others do not; give all files the same keys"
        )
    return {"basePath": storage.spark_url(url)}


def folder_keys(url: str, file: storage.File) -> tuple[str, ...]:
    """Return the keys of the folders named key=value in which a file of a log lies, the outermost first."""
    return tuple(filter(None, _keys(url, file)))


def _keys(url: str, file: storage.File) -> tuple[str, ...]:
    folders = file.url[len(url.rstrip("/")) + 1 :].split("/")[:-1]
    return tuple(part.partition("=")[0] if "=" in part else "" for part in folders)


def by_columns(url: str, files: list[storage.File]) -> list[tuple[pa.Schema, list[str], int]]:
    """Group Parquet files by their columns, with the rows of each group.

    Files without rows are left out, as their columns may be of no type.
    Writers that guess types, as pandas does, give a part without fractions whole numbers, and one without any value
    of a column no type at all.
    """
    footers = publishing.footers(file.url for file in files)
    groups: dict[str, list[tuple[pa.Schema, str, int]]] = {}
    for file, footer in zip(files, footers, strict=True):
        if footer.num_rows:
            columns = footer.schema.to_arrow_schema().remove_metadata()
            groups.setdefault(str(columns), []).append((columns, file.url, footer.num_rows))
    if not groups:
        raise EventsError(f"{url}: {len(files)} files without a row; events.url must hold at least one event")
    return [(group[0][0], [url for _, url, _ in group], sum(rows for *_, rows in group)) for group in groups.values()]


def by_header(files: list[storage.File]) -> dict[tuple[str, ...], list[str]]:
    """Group CSV files by header: the order of the columns may differ, their names may not."""
    with ThreadPoolExecutor(16) as pool:
        lines = list(pool.map(lambda file: storage.first_line(file.url), files))
    groups: dict[tuple[str, ...], list[str]] = {}
    for file, line in zip(files, lines, strict=True):
        groups.setdefault(tuple(next(csv.reader([line]), [])), []).append(file.url)
    expected = next(iter(groups))
    if len({name.lower() for name in expected}) != len(expected):
        raise EventsError(f"{files[0].url}: a column name occurs twice in the header {', '.join(expected)}; rename one")
    for names, urls in groups.items():
        if sorted(names) != sorted(expected):
            missing, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
            raise EventsError(
                f"{urls[0]}: its header differs from that of {files[0].url}: missing {missing}, not there {extra}. "
                "Give all files of the log the same columns"
            )
    return groups


def json_keys(lines: list[str]) -> list[str]:
    """Return the keys of the lines that are JSON objects, in the order in which they first appear."""
    names: dict[str, None] = {}
    for line in lines:
        try:
            parsed = json.loads(line)
        except json.JSONDecodeError:
            continue  # refused later, with its reason, like every other line that is not an object
        if isinstance(parsed, dict):
            names |= dict.fromkeys(parsed)
    return list(names)
