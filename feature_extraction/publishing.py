"""Fresh run folders, a manifest written last, and the pointer that readers follow.

A stage writes to `<root>/<stage>/run=<id>/`, checks what it wrote, writes `run.json` and only then moves
`<root>/<stage>/latest.json`. A folder without a manifest is a run that died: the next one with its id starts it over,
and until then readers follow the last good run.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pyarrow import parquet

from feature_extraction import storage

logger = logging.getLogger(__name__)
MANIFEST = "run.json"
LATEST = "latest.json"


class PublishError(ValueError):
    """A run cannot be published or found."""


@dataclass(frozen=True)
class Run:
    """One run of one stage.

    Attributes:
        root: `[output] root`.
        stage: folder under the root, e.g. `features` or `models/scarcegan`.
        id: name of the run.
    """

    root: str
    stage: str
    id: str

    @property
    def url(self) -> str:
        """Folder of the run."""
        return storage.join(self.root, self.stage, f"run={self.id}")

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest, or None while there is none."""
        place = storage.join(self.url, MANIFEST)
        return json.loads(storage.read_text(place)) if storage.exists(place) else None

    def is_done(self, fingerprint: str) -> bool:
        """Tell whether this very work is finished; finished work of other settings under this id is an error."""
        manifest = self.manifest()
        if manifest is None:
            return False
        if manifest["fingerprint"] != fingerprint:
            raise PublishError(
                f"{self.url} holds a finished run of other settings, input or code (fingerprint "
                f"{manifest['fingerprint']}, this one is {fingerprint}); give another --output.run"
            )
        return True

    def start(self) -> str:
        """Clear what a run of this id that died left behind, and return the folder to write to."""
        if storage.exists(self.url):
            logger.info("%s: found a run that did not finish; starting it over", self.url)
            storage.delete_folder(self.url)
        return self.url

    def finish(self, fingerprint: str, facts: dict[str, Any]) -> None:
        """Write the manifest, which makes the run whole, and move the pointer to it."""
        manifest = {"run": self.id, "stage": self.stage, "fingerprint": fingerprint} | facts
        storage.write_bytes(storage.join(self.url, MANIFEST), json.dumps(manifest, indent=1).encode())
        self.point()

    def point(self) -> None:
        """Make this run the one that readers follow."""
        storage.replace_text(storage.join(self.root, self.stage, LATEST), json.dumps({"run": self.id}))


def latest(root: str, stage: str) -> Run:
    """Return the run that `latest.json` names; raises `PublishError` where no run was published."""
    place = storage.join(root, stage, LATEST)
    if not storage.exists(place):
        raise PublishError(f"{place}: no {stage} published under this root; run the job that makes them first")
    return Run(root, stage, json.loads(storage.read_text(place))["run"])


def fingerprint(*parts: object) -> str:
    """Sixteen hex digits over settings (as JSON) and the source code that acts on them."""
    text = json.dumps([_code_digest(), *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _code_digest() -> str:
    """Digest of this application's source, so that changed code never passes for work already done."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in ("feature_extraction", "training", "inference"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def input_identity(url: str) -> list[tuple[str, int, float]]:
    """Identity of an input: URL, size and time of change of each of its files."""
    return [(file.url, file.size, file.changed) for file in storage.list_files(url)]


def part_files(url: str) -> list[str]:
    """Return the `part-*` Parquet files of a folder, sorted."""
    files = [file.url for file in storage.list_files(url, ".parquet")]
    return [file for file in files if file.rsplit("/", 1)[1].startswith("part-")]


def footer_rows(url: str) -> int:
    """Rows of the `part-*` Parquet files of a folder, by their footers."""
    return sum(found.num_rows for found in footers(part_files(url)))


def null_counts(found: Iterable[parquet.FileMetaData], columns: Iterable[str]) -> dict[str, int]:
    """Nulls of the columns named, all of them numbers, by the footers of the files."""
    nulls = dict.fromkeys(columns, 0)
    for file in found:
        for group in range(file.num_row_groups):
            for number in range(file.num_columns):
                column = file.row_group(group).column(number)
                if column.path_in_schema in nulls:
                    nulls[column.path_in_schema] += column.statistics.null_count
    return nulls


def footers(urls: Iterable[str]) -> list[parquet.FileMetaData]:
    """Return the footers of Parquet files, several read at a time."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(_footer, urls))


def _footer(url: str) -> parquet.FileMetaData:
    """Return the footer of one Parquet file."""
    store, path = storage.filesystem(url)
    with store.open_input_file(path) as stream:
        return parquet.read_metadata(stream)
