"""Each method fitted and measured on each task at each seed, once: what is finished is kept and not done again.

Takes tasks and methods; gives one row of results for each (setup, method, seed).
"""

import json
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd

from feature_extraction import publishing, storage
from jobs.kddcup99.plan import Method
from training.kddcup99.measures import measure
from training.kddcup99.setups import Split
from training.trainer import Artifact, Reader, Trainer

KEYS = ["setup", "method", "seed"]
CHOSEN, SECONDS = "chosen", "fit_seconds"

logger = logging.getLogger("jobs.kddcup99")


class Task(Protocol):
    """Something to fit and to test on, drawn anew for each seed."""

    @property
    def name(self) -> str:
        """Short name, `setup` in the results."""
        ...

    @property
    def identity(self) -> object:
        """Settings and digests of the data, as JSON takes them."""
        ...

    def draw(self, seed: int, *, scaled: bool = True) -> Split:
        """Return the rows of one seed."""
        ...


def run(tasks: Sequence[Task], methods: Sequence[Method], seeds: int, cache: str) -> pd.DataFrame:
    """Return one row for each task, method and seed, computed or found in the cache.

    Args:
        tasks: what to measure on.
        methods: what to fit.
        seeds: how many seeds, counted from 0; a seed draws the rows and seeds the trainer.
        cache: folder of finished rows, by settings, data and code; kept when a run is killed.
    """
    rows = []
    for task in tasks:
        for method in methods:
            for seed in range(seeds):
                rows.append(_result(task, method, seed, cache))
    return pd.DataFrame(rows)


def _result(task: Task, method: Method, seed: int, cache: str) -> dict[str, Any]:
    own = method.model_dump(mode="json", include={"trainer", "settings", "candidates", "scaled"})
    digits = publishing.fingerprint(task.identity, own, seed)
    place = storage.join(cache, task.name, f"{method.name}-{seed}-{digits}.json")
    if storage.exists(place):
        found: dict[str, Any] = json.loads(storage.read_text(place))
        return found
    row: dict[str, Any] = {"setup": task.name, "method": method.name, "seed": seed} | _measured(task, method, seed)
    storage.write_bytes(place, json.dumps(row).encode())
    shown = {name: round(row[name], 3) for name in ("recall_rare", "average_precision", "auroc")}
    logger.info("%s: %s, seed %d: %s in %.0f s", task.name, method.name, seed, shown, row[SECONDS])
    return row


def _measured(task: Task, method: Method, seed: int) -> dict[str, Any]:
    split = task.draw(seed, scaled=method.scaled)
    started = time.monotonic()
    artifact, number = _best(method.trainers(seed), split.reader)
    seconds = time.monotonic() - started
    chosen = json.dumps(method.candidates[number]) if method.candidates else ""
    return {CHOSEN: chosen, **measure(artifact, split), SECONDS: round(seconds, 2)}


def _best(trainers: Sequence[Trainer], reader: Reader) -> tuple[Artifact, int]:
    """Fit all and keep the one whose held-out training rows are ranked best; the test rows play no part."""
    fitted = [trainer.fit(reader) for trainer in trainers]
    if len(fitted) == 1:
        return fitted[0], 0
    number = max(range(len(fitted)), key=lambda at: _held_out_precision(fitted[at]))
    return fitted[number], number


def _held_out_precision(artifact: Any) -> float:  # noqa: ANN401  (the protocol promises no manifest)
    value = artifact.manifest.metrics.get("average_precision", {}).get("value")
    if value is None:
        raise ValueError(
            f"trainer {artifact.manifest.trainer!r} measured nothing on held-out rows, so there is nothing to choose "
            "candidates by; give settings that hold rows out, or no candidates"
        )
    return float(value)
