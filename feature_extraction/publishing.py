"""Fresh run folders, a manifest written last, and the pointer that readers follow.

A stage writes to `<root>/<stage>/run=<id>/`, checks what it wrote, writes `run.json` and only then moves
`<root>/<stage>/latest.json`. A folder without a manifest is a run that died: the next one with its id starts it over,
and until then readers follow the last good run. While a run is being made, `<root>/<stage>/_claims/<id>.json` keeps
other processes from making it too.
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

from feature_extraction import claims, storage

logger = logging.getLogger(__name__)
MANIFEST = "run.json"
LATEST = "latest.json"
CLAIMS = "_claims"


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

    def start(self, *, over: bool = False) -> str:
        """Claim the run, clear what one of this id that died left behind, and return the folder to write to.

        Args:
            over: start over what is finished as well, for a run beside one that this process holds: whoever deletes
                that one, to have it made again, may leave this one where it is.

        Raises:
            ClaimError: another process is making it.
            PublishError: another process has finished it meanwhile.
        """
        claims.take(self._claim)
        if self.manifest() is not None:
            if not over and published(self.root, self.stage) == self:
                claims.release(self._claim)
                raise PublishError(f"{self.url}: finished by another process meanwhile; start the job again to go on")
            storage.delete_file(storage.join(self.url, MANIFEST))  # first: half a folder is never to look whole
        if storage.exists(self.url):
            logger.info("%s: found a run that did not finish; starting it over", self.url)
            storage.delete_folder(self.url)
        return self.url

    def finish(self, fingerprint: str, facts: dict[str, Any]) -> None:
        """Make the run whole and move the pointer to it."""
        self.seal(fingerprint, facts)
        self.point()

    def seal(self, fingerprint: str, facts: dict[str, Any]) -> None:
        """Write the manifest, which makes the run whole; one whose claim was lost raises `ClaimError`."""
        claims.confirm(self._claim)
        manifest = {"run": self.id, "stage": self.stage, "fingerprint": fingerprint} | facts
        storage.write_bytes(storage.join(self.url, MANIFEST), json.dumps(manifest, indent=1).encode())

    def point(self) -> None:
        """Make this run, which is whole, the one that readers follow."""
        storage.replace_text(storage.join(self.root, self.stage, LATEST), json.dumps({"run": self.id}))
        claims.release(self._claim)

    def point_again(self) -> None:
        """Point at this run, which is whole, if its job died before it did, and no other run was finished since."""
        current = published(self.root, self.stage)
        if current is None or (current != self and _finished_at(current) <= _finished_at(self)):
            self.point()
        else:
            claims.release(self._claim)

    @property
    def _claim(self) -> str:
        return storage.join(self.root, self.stage, CLAIMS, f"{self.id}.json")


def latest(root: str, stage: str) -> Run:
    """Return the run that `latest.json` names; raises `PublishError` where no run was published."""
    found = published(root, stage)
    if found is None:
        place = storage.join(root, stage, LATEST)
        raise PublishError(f"{place}: no {stage} published under this root; run the job that makes them first")
    return found


def published(root: str, stage: str) -> Run | None:
    """Return the run that `latest.json` names, or None where no run was published."""
    place = storage.join(root, stage, LATEST)
    return Run(root, stage, json.loads(storage.read_text(place))["run"]) if storage.exists(place) else None


def _finished_at(run: Run) -> float:
    """Return when a run's manifest was written, in seconds since 1970; 0 where it has none any more."""
    place = storage.join(run.url, MANIFEST)
    return storage.list_files(place)[0].changed if storage.exists(place) else 0.0


def own_or_latest(root: str, stage: str, run_id: str) -> Run:
    """Return the run of this name where it is finished, else the one published last.

    So a day that is done again finds its own input, though later days were published since.
    """
    mine = Run(root, stage, run_id)
    return mine if mine.manifest() is not None else latest(root, stage)


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
    return identity(storage.list_files(url))


def identity(files: Iterable[storage.File]) -> list[tuple[str, int, float]]:
    """Identity of the files of an input."""
    return [(file.url, file.size, file.changed) for file in files]


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
    with storage.open_file(url) as stream, storage.explained(url, "read"):
        return parquet.read_metadata(stream)
