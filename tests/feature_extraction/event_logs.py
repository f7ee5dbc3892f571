"""Write small event logs in every format, and extract them with the books checked."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from feature_extraction import events, publishing
from feature_extraction.event_columns import RAW
from feature_extraction.extract import extract
from feature_extraction.feature_rows import Extraction
from feature_extraction.publishing import Run
from feature_extraction.schema import FeatureSchema
from feature_extraction.settings import EventsSettings, FeaturesSettings, LabelsSettings, WindowSettings

WINDOW = WindowSettings(start="2024-01-01", end="2024-03-01")
AMOUNT = {"amount": {"column": "amount", "minimum": 0}}
HEADER = "entity_id,ts,amount"
NO_LABELS = LabelsSettings()
FEW_RESIDUALS = FeaturesSettings(last_residuals=2)


@dataclass(frozen=True)
class Extracted:
    """What one extraction left behind; `rows` is the table by entity."""

    rows: pd.DataFrame
    quarantine: pd.DataFrame
    refused_labels: pd.DataFrame
    quality: dict
    schema: FeatureSchema
    features: Run


def text_file(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def write(frame: pd.DataFrame, folder: Path, kind: str, parts: int = 1) -> Path:
    """Write a frame as `parts` files, row i to file i modulo `parts`."""
    folder.mkdir(parents=True)
    for number in range(parts):
        part = frame.iloc[number::parts]
        place = folder / f"part-{number}.{kind}"
        if kind == "parquet":
            part.to_parquet(place, index=False)
        elif kind == "csv":
            part.to_csv(place, index=False)
        else:
            part.to_json(place, orient="records", lines=True, date_format="iso")
    return folder


def settings(url: Path, kind: str = "csv", **fields) -> EventsSettings:
    return EventsSettings(url=str(url), format=kind, **{"metrics": AMOUNT, "max_refused": 1} | fields)


def fates(spark, chosen: EventsSettings, window: WindowSettings = WINDOW) -> pd.DataFrame:
    """Return every event's entity, time, reason ("" if accepted) and raw text, sorted by raw text."""
    spark.conf.set("spark.sql.session.timeZone", chosen.time_zone)
    validated = events.validate(events.read(spark, chosen), chosen, window)
    columns = [
        f"`{events.ENTITY}` AS entity",
        f"string({events.TIME}) AS time",
        f"coalesce({events.REASON}, '') AS reason",
    ]
    rows = validated.selectExpr(*columns, f"{RAW} AS raw").collect()
    frame = pd.DataFrame([row.asDict() for row in rows], columns=["entity", "time", "reason", "raw"])
    assert frame["raw"].notna().all()
    return frame.sort_values("raw", ignore_index=True)


def reasons(spark, chosen: EventsSettings, window: WindowSettings = WINDOW) -> list[str]:
    """Return every event's reason, "" if accepted, sorted."""
    return sorted(fates(spark, chosen, window)["reason"])


def extracted(spark, root: Path, chosen: EventsSettings, *, window=WINDOW, labels=NO_LABELS, features=FEW_RESIDUALS):
    """Extract to `root` and check that nothing was lost on the way."""
    job = Extraction(chosen, window, labels, features)
    run, refused = Run(str(root), "features", "test"), Run(str(root), "quarantine", "test")
    quality = extract(spark, job, run, refused)
    rows = table(run.url).set_index("entity_id")
    quarantine = table(refused.url) if quality["refused"] else pd.DataFrame({"event": [], "reason": []})
    counts = quality["events"]
    assert counts["read"] == counts["accepted"] + counts["outside_window"] + counts["refused"]
    assert quarantine["reason"].value_counts().to_dict() == quality["refused"]
    assert len(quarantine) == counts["refused"]
    assert rows["num_events"].sum() == counts["accepted"]
    assert json.loads(Path(run.url, "quality.json").read_text()) == quality
    schema = FeatureSchema.from_json(Path(run.url, "schema.json").read_text())
    labels_file = Path(refused.url, "labels.parquet")
    refused_labels = pd.read_parquet(labels_file) if labels_file.exists() else pd.DataFrame()
    return Extracted(rows, quarantine, refused_labels, quality, schema, run)


def table(url: str) -> pd.DataFrame:
    """Read a published folder of part files whole."""
    parts = [pd.read_parquet(file) for file in publishing.part_files(url)]
    return pd.concat(parts, ignore_index=True)
