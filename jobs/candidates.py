"""One method with one seed on one feature table: what it takes to train it, and what came of it.

Takes a `Candidate`; leaves `artifact-*/`, `checkpoint/` and, last, `outcome.json` in its folder, which lies under the
output's root, so that any worker can go on where another one was lost. `python -m jobs.candidates` is the process that
a Spark task starts: it reads a candidate as one JSON line and writes its outcome as another.
"""

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from uuid import uuid4

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from jobs import console
from jobs.settings import RunSettings
from training.part_files import WHOLE, Shard
from training.reader import FeatureReader
from training.trainer import TRAINERS, Reader, Trainer, load_class

logger = logging.getLogger("jobs.train")
OUTCOME = "outcome.json"
GPUS = "CUDA_VISIBLE_DEVICES"
CHECKPOINT_FIELDS = ("checkpoint", "checkpoint_url")


class CandidatesFailed(ValueError):
    """Not one of a method's candidates could be trained, or none can be called the best."""


class Table(NamedTuple):
    """The feature table and how it is read: its URL, the reading threads, and the size from which it is streamed."""

    url: str
    threads: int
    memory_limit_mb: int


@dataclass(frozen=True)
class Candidate:
    """What any worker needs in order to train; no rows.

    Attributes:
        trainer: name in `TRAINERS`.
        settings: of the trainer, its seed and its folder for checkpoints among them.
        table: what it learns from.
        folder: URL of where the work lies; one for each fingerprint.
    """

    trainer: str
    settings: dict[str, Any]
    table: Table
    folder: str

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.settings["seed"])

    def to_json(self) -> str:
        """Return one line of JSON; `from_json` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Candidate":
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"table": Table(*fields["table"])})


@dataclass(frozen=True)
class Outcome:
    """What came of a candidate.

    Attributes:
        trainer: the method.
        seed: its seed.
        artifact: URL of what was learned; empty where training failed.
        average_precision: of the rare class on held-out rows, with its interval; None where nothing was held out.
        seconds: that training took, since the last checkpoint if a worker was lost.
        worker: host that trained it.
        gpu: addresses of its GPUs, empty without any.
        error: why training failed, empty where it did not.
    """

    trainer: str
    seed: int
    artifact: str = ""
    average_precision: dict[str, Any] | None = None
    seconds: float = 0.0
    worker: str = ""
    gpu: str = ""
    error: str = ""

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))

    def facts(self) -> dict[str, Any]:
        """Return what a run's manifest says of it."""
        return {name: value for name, value in asdict(self).items() if name not in ("trainer", "artifact")}


def work_folder(settings: RunSettings, name: str) -> str:
    """Return where the candidates of one method lie until the run is published."""
    return storage.join(absolute(settings.output.root), "candidates", name, f"run={settings.run_id}")


def absolute(url: str) -> str:
    """Return a URL that means the same in any working directory."""
    return url if storage.is_s3(url) else str(storage.local_path(url).resolve())


def of_method(settings: RunSettings, name: str, table: Run) -> list[Candidate]:
    """Return the candidates of one method, one a seed."""
    own: dict[str, Any] = getattr(settings.train, name).model_dump(mode="json")
    return [
        _candidate(settings, name, own | {"seed": seed}, table) for seed in settings.train.seeds or (int(own["seed"]),)
    ]


def _candidate(settings: RunSettings, name: str, own: dict[str, Any], table: Run) -> Candidate:
    digits = publishing.fingerprint(name, own, table.id, (table.manifest() or {}).get("fingerprint"))
    folder = storage.join(work_folder(settings, name), f"seed={own['seed']}-{digits}")
    for field in CHECKPOINT_FIELDS:
        if field in own:
            own[field] = storage.join(own[field] or folder, "checkpoint", f"seed={own['seed']}")
    place = Table(absolute(table.url), settings.train.reader_threads, settings.train.memory_limit_mb)
    return Candidate(name, own, place, folder)


def finished(candidate: Candidate) -> Outcome | None:
    """Return what came of a candidate that was trained before, or None."""
    place = storage.join(candidate.folder, OUTCOME)
    return Outcome(**json.loads(storage.read_text(place))) if storage.exists(place) else None


def reader_of(table: Table, shard: Shard = WHOLE) -> FeatureReader:
    """Open a table, or one share of it."""
    return FeatureReader(table.url, shard=shard, workers=table.threads, memory_limit_mb=table.memory_limit_mb)


class Place(NamedTuple):
    """Where a candidate is trained: hosts, and the addresses of its GPUs on them, by commas."""

    worker: str
    gpu: str

    @classmethod
    def here(cls) -> "Place":
        """Return this process's host and GPUs."""
        return cls(socket.gethostname(), os.environ.get(GPUS, ""))


def train(candidate: Candidate, reader: Reader, place: Place | None = None) -> Outcome:
    """Train a candidate and leave the artifact and its outcome in the candidate's folder.

    Args:
        candidate: what to train.
        reader: its table, or this process's share of it.
        place: where that is, if not in this process alone.
    """
    started = time.monotonic()
    trainer: Trainer = load_class(TRAINERS[candidate.trainer])(**candidate.settings)
    logger.info("train: %s on %s, seed %d", candidate.trainer, candidate.table.url, candidate.seed)
    learned: Any = trainer.fit(reader)
    # Each attempt has a folder of its own: one that was thought lost may still be writing.
    artifact = storage.join(candidate.folder, f"artifact-{uuid4().hex[:8]}")
    learned.save(artifact)
    outcome = Outcome(
        trainer=candidate.trainer,
        seed=candidate.seed,
        artifact=artifact,
        average_precision=learned.manifest.metrics.get("average_precision"),
        seconds=round(time.monotonic() - started, 1),
        **(place or Place.here())._asdict(),
    )
    storage.write_bytes(storage.join(candidate.folder, OUTCOME), outcome.to_json().encode())
    return outcome


def train_or_say_why(candidate: Candidate, reader: Reader, *, alone: bool = False) -> Outcome:
    """Train a candidate; what is wrong with its settings or data is its outcome, or raised where it is `alone`."""
    try:
        return train(candidate, reader)
    except ValueError as error:
        if alone:
            raise
        return failed(candidate, str(error))


def failed(candidate: Candidate, error: str) -> Outcome:
    """Return the outcome of a candidate whose training failed; it is kept nowhere, so that a rerun tries again."""
    return Outcome(candidate.trainer, candidate.seed, error=error, **Place.here()._asdict())


def best(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome with the highest average precision on held-out rows; of equal ones the first.

    Most methods hold out other rows with each seed, so part of what sets the best apart is luck: its
    figure leans to the good side.

    Raises:
        CandidatesFailed: there are several, and one was not measured.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    values = [(outcome.average_precision or {}).get("value") for outcome in outcomes]
    if None in values:
        blind = [outcome.seed for outcome, value in zip(outcomes, values, strict=True) if value is None]
        raise CandidatesFailed(
            f"{outcomes[0].trainer}: with the seeds {blind} nothing was measured on held-out rows, so there is nothing "
            "to choose by; let the method hold rows out, name one seed, or set train.ensemble = true"
        )
    return max(outcomes, key=lambda outcome: float((outcome.average_precision or {})["value"]))


def main() -> None:
    """Train the candidate that standard input names, and end when whoever started this process is gone."""
    # Whatever a library prints goes to the log: standard output is for the outcome alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    console.set_up()
    candidate = Candidate.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    outcome = train_or_say_why(candidate, reader_of(candidate.table))
    answers.write(outcome.to_json())
    answers.close()


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
