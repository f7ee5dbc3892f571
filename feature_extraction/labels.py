"""Read the labels of the few entities that have one, refuse the contradictory, and hide a share for evaluation."""

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv, json, parquet

from feature_extraction import storage, table_files
from feature_extraction.schema import CONFIDENCE, ENTITY, LABEL, UNKNOWN
from feature_extraction.settings import LabelsSettings

REASON = "reason"
INCOMPLETE = "entity or label is missing"
CONFLICT = "two labels for one entity"
NO_CONFIDENCE = "confidence is no number from 0 to 1"
TWO_CONFIDENCES = "two confidences for one label"
UNKNOWN_ENTITY = "no accepted event of this entity"


class LabelsError(ValueError):
    """The label file as a whole cannot be used."""


@dataclass(frozen=True)
class Labels:
    """Labels by entity, as class names.

    Attributes:
        shown: those training may see; columns `entity_id`, `label` and `label_confidence`, which is 1 by default.
        hidden: those kept for evaluation; columns `entity_id`, `label`.
        refused: label rows that cannot be used, with `reason`.
        classes: all class names, sorted, the rare class last.
        num_read: label rows read, of both files.
        num_repeated: rows that only repeat an earlier one.
    """

    shown: pd.DataFrame
    hidden: pd.DataFrame
    refused: pd.DataFrame
    classes: tuple[str, ...]
    num_read: int
    num_repeated: int

    def restricted(self, known: "pd.Series[str]") -> "Labels":
        """Refuse the labels of entities that are not among `known`."""
        strangers = [part[~part[ENTITY].isin(known)] for part in (self.shown, self.hidden)]
        refused = pd.concat([self.refused, *(part.assign(reason=UNKNOWN_ENTITY) for part in strangers)])
        return Labels(
            self.shown[self.shown[ENTITY].isin(known)],
            self.hidden[self.hidden[ENTITY].isin(known)],
            refused.reset_index(drop=True),
            self.classes,
            self.num_read,
            self.num_repeated,
        )


def read(settings: LabelsSettings) -> Labels:
    """Read the label files of the settings; without any, return no labels."""
    if not settings.url:
        empty = pd.DataFrame({ENTITY: pd.Series(dtype=str), LABEL: pd.Series(dtype=str)})
        return Labels(empty.assign(**{CONFIDENCE: 1.0}), empty, empty.assign(reason=""), (), 0, 0)
    shown = _table(settings.url, settings, settings.confidence).assign(hidden=False)
    if settings.holdout_url:
        shown = pd.concat([shown, _table(settings.holdout_url, settings).assign(hidden=True)], ignore_index=True)
    usable, refused, repeated = _consistent(shown)
    if settings.holdout_share:
        usable["hidden"] = _choose(usable[LABEL], settings)
    names = sorted(usable[LABEL].unique())
    _check_names(names, settings.url)
    if settings.rare in names:
        names = [name for name in names if name != settings.rare] + [settings.rare]
    columns = [ENTITY, LABEL]
    return Labels(
        usable.loc[~usable.hidden, [*columns, CONFIDENCE]].reset_index(drop=True),
        usable.loc[usable.hidden, columns].reset_index(drop=True),
        refused,
        tuple(names),
        len(shown),
        repeated,
    )


def _check_names(names: list[str], url: str) -> None:
    """Refuse class names that the scores table could not tell apart from one another or from its own `unknown`."""
    folded = [name.lower() for name in names]
    twins = [name for name in names if folded.count(name.lower()) > 1]
    if twins:
        raise LabelsError(f"{url}: the classes {twins} differ in case alone; give them one spelling, or two names")
    if UNKNOWN in folded:
        raise LabelsError(
            f"{url}: a class is named {UNKNOWN!r}, which is the verdict on entities that fit no class; rename it, or "
            "leave the label empty where nothing is known"
        )


def _table(url: str, settings: LabelsSettings, confidence: str = "") -> pd.DataFrame:
    tables = [_read_file(file.url) for file in storage.list_files(url)]
    if not tables:
        raise LabelsError(f"{url}: a folder without files; labels need at least one")
    frame: pd.DataFrame = pd.concat([table.to_pandas() for table in tables], ignore_index=True)
    for field, name in (("entity", settings.entity), ("column", settings.column), ("confidence", confidence)):
        if name and name not in frame.columns:
            near = difflib.get_close_matches(name, map(str, frame.columns), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise LabelsError(f"{url}: labels.{field} names {name!r}, not there{hint} Found: {list(frame.columns)}")
    columns = frame[[settings.entity, settings.column]].set_axis([ENTITY, LABEL], axis=1)
    return columns.assign(**{CONFIDENCE: _confidences(frame[confidence]) if confidence else 1.0})


def _confidences(text: "pd.Series[str]") -> "pd.Series[float]":
    """Return numbers from 0 to 1; 1 where the field is empty, NaN for anything else."""
    empty = text.isna() | (text.str.strip() == "")
    numbers = pd.to_numeric(text.mask(empty, "1"), errors="coerce")
    return numbers.where(numbers.between(0, 1))


def _read_file(url: str) -> pa.Table:
    data = storage.read_bytes(url)
    if not data:
        raise LabelsError(f"{url}: an empty file; labels need at least one row")
    kind = PurePosixPath(url).suffix
    readers = {
        ".parquet": parquet.read_table,
        ".csv": _read_csv,
        ".json": json.read_json,
        ".jsonl": json.read_json,
    }
    if kind not in readers:
        raise LabelsError(f"{url}: labels are read from {', '.join(readers)} files; found {kind or 'no ending'!r}")
    try:
        table = readers[kind](table_files.reader(data))
    except pa.ArrowInvalid as error:
        raise LabelsError(f"{url}: not a readable {kind} file: {error}") from error
    # Text before pandas sees it: pandas would turn the class 1 into 1.0 wherever another row has none.
    return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]), safe=False)


def _read_csv(source: pa.BufferReader) -> pa.Table:
    """Read every column as text: the entity 007 is not the number 7."""
    names = csv.open_csv(source).schema.names
    source.seek(0)
    return csv.read_csv(
        source,
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )


def _consistent(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Split off incomplete rows and entities with contradictory labels; drop repetitions, shown before hidden."""
    incomplete = frame[[ENTITY, LABEL]].apply(lambda text: text.isna() | (text.str.strip() == "")).any(axis=1)
    unrated = frame[CONFIDENCE].isna() & ~incomplete
    whole = frame[~incomplete & ~unrated]
    unique = whole.drop_duplicates([ENTITY, LABEL])
    conflict = unique.duplicated(ENTITY, keep=False)
    rated = whole[~whole.hidden].drop_duplicates([ENTITY, LABEL, CONFIDENCE])
    torn = unique[ENTITY].isin(rated.loc[rated.duplicated([ENTITY, LABEL]), ENTITY]) & ~conflict
    refused = [
        frame[incomplete].assign(reason=INCOMPLETE),
        frame[unrated].assign(reason=NO_CONFIDENCE),
        unique[conflict].assign(reason=CONFLICT),
        unique[torn].assign(reason=TWO_CONFIDENCES),
    ]
    usable = unique[~conflict & ~torn].sort_values(ENTITY, ignore_index=True)
    repeated = len(whole) - len(unique)
    return usable, pd.concat(refused, ignore_index=True)[[ENTITY, LABEL, REASON]], repeated


def _choose(labels: "pd.Series[str]", settings: LabelsSettings) -> "pd.Series[bool]":
    """Hide a share of every class, by seed; the same entities whatever the order of the file."""
    hidden = pd.Series(False, index=labels.index)
    for number, (_, rows) in enumerate(sorted(labels.groupby(labels).groups.items())):
        generator = np.random.default_rng([settings.seed, number])
        count = round(len(rows) * settings.holdout_share)
        hidden.loc[generator.permutation(rows)[:count]] = True
    return hidden
