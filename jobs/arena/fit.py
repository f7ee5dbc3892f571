"""One fit in a process of its own: learns, scores the rows it is tested on, and says what that took.

It reads a `Request` as JSON; it leaves the scores, and beside them an `Answer`, which is written last. None of the
files that it opens holds the label of a row that it is tested on, and the features of those rows are read when there
is nothing left to learn.
"""

import json
import logging
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feature_extraction.schema import FeatureSchema
from training.reader import ArrayReader
from training.trainer import TRAINERS, Floats, load_class

DONE, FAILED, NOT_INSTALLED = "done", "failed", "not installed"
STATUS = Path("/proc/self/status")
LONGEST = 300  # characters of an error

logger = logging.getLogger("jobs.benchmark")


@dataclass(frozen=True)
class Request:
    """What is to be fitted on what, by paths.

    Attributes:
        trainer: name in `TRAINERS`.
        settings: of the trainer, its seed among them.
        features: `.npy` with the features of all rows of the table.
        split: `.npz` with `training` and `test`, row positions, and `labels`, those of the training rows.
        schema: of the table, as JSON.
        scores: where the scores of the test rows go, `.npy`.
        answer: where the answer goes.
    """

    trainer: str
    settings: dict[str, Any]
    features: str
    split: str
    schema: str
    scores: str
    answer: str


@dataclass(frozen=True)
class Answer:
    """What came of a fit.

    Attributes:
        outcome: `done`, `failed` or `not installed`; whoever started the process knows more.
        error: why it is not done.
        seconds: that `fit` took by the clock.
        cpu_seconds: that it took of the processors.
        process_seconds: that the whole process took of them, from loading the method's own libraries to scoring.
        peak_mb: the most memory that the process held at any time, libraries and table among it, in MiB.
        start_mb: what it held before `fit`, in MiB.
        chosen: what the method says it chose among others, empty where it says nothing.
        limit: of time (s) or memory (MiB) that it hit.
    """

    outcome: str
    error: str = ""
    seconds: float | None = None
    cpu_seconds: float | None = None
    process_seconds: float | None = None
    peak_mb: float | None = None
    start_mb: float | None = None
    chosen: str = ""
    limit: float | None = None


def answer(request: Request) -> Answer:
    """Fit and score; what goes wrong is part of the answer."""
    try:
        return _fitted(request)
    except ImportError as error:
        return Answer(NOT_INSTALLED, _short(error))
    except MemoryError as error:
        return Answer(FAILED, f"not enough memory: {_short(error)}")
    except Exception as error:  # whatever a method raises is a result of the comparison
        logger.info("%s failed", request.trainer, exc_info=error)
        return Answer(FAILED, _short(error))


def _fitted(request: Request) -> Answer:
    trainer = load_class(TRAINERS[request.trainer])(**request.settings)
    features = np.load(request.features, mmap_mode="r")
    with np.load(request.split) as rows:
        training, labels, test = rows["training"], rows["labels"], rows["test"]
    reader = ArrayReader(features[training], labels, FeatureSchema.from_json(request.schema))
    start_mb, started, cpu_started = _memory("VmRSS"), time.monotonic(), time.process_time()
    artifact = trainer.fit(reader)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    scores = _scores(artifact, features[test])
    np.save(request.scores, scores)
    return Answer(
        outcome=DONE,
        seconds=round(seconds, 2),
        cpu_seconds=round(cpu_seconds, 2),
        process_seconds=round(time.process_time(), 2),
        peak_mb=_memory("VmHWM"),
        start_mb=start_mb,
        chosen=_chosen(artifact),
    )


def _scores(artifact: Any, features: Floats) -> Floats:  # noqa: ANN401  (any trainer's artifact)
    found = np.asarray(artifact.predict(features)[:, artifact.classes.index(artifact.rare)], np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"{int((~np.isfinite(found)).sum())} of {len(found)} scores are not finite")
    return found


def _chosen(artifact: Any) -> str:  # noqa: ANN401
    manifest = getattr(artifact, "manifest", None)
    found = manifest.metrics.get("auto", {}) if manifest is not None else {}
    return " + ".join(str(name) for name in found.get("taken", ()))


def _memory(field: str) -> float:
    """Return what the kernel says this process holds (VmRSS) or held at most (VmHWM), in MiB."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
        return round(int(line.split()[1]) / 1024, 1)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, the one other system with Python's
    return round(most / 2**20, 1)


def _short(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def serve(place: Path) -> None:
    """Fit what a request asks for, in a process that does nothing else."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    request = Request(**json.loads(place.read_text()))
    found = answer(request)
    left = Path(request.answer)
    left.with_suffix(".part").write_text(json.dumps(asdict(found)))
    left.with_suffix(".part").rename(left)
