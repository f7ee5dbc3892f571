"""The feature table to artifacts: the run's trainer and those it is compared with.

python -m jobs.train --config run.toml --train.trainer scarcegan
"""

import logging
import shutil
import tempfile
from pathlib import Path

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from jobs import console
from jobs.settings import RunSettings, TrainerName, load
from training.reader import FeatureReader
from training.trainer import TRAINERS, Trainer, load_class

logger = logging.getLogger("jobs.train")


def run(settings: RunSettings, features: Run | None = None) -> None:
    """Train and publish every method of the run on `features`, or on the table published last."""
    table = features or publishing.latest(settings.output.root, "features")
    names = dict.fromkeys([settings.train.trainer, *settings.train.compare])
    todo = [name for name in names if not _is_done(settings, name, table)]
    if not todo:
        return
    reader = FeatureReader(table.url, workers=settings.train.workers, memory_limit_mb=settings.train.memory_limit_mb)
    for name in todo:
        _train(settings, name, table, reader)


def model_run(settings: RunSettings, name: str) -> Run:
    """Return the run of one method's model."""
    return Run(settings.output.root, f"models/{name}", settings.run_id)


def _fingerprint(settings: RunSettings, name: TrainerName, table: Run) -> str:
    own = getattr(settings.train, name).model_dump(mode="json")
    return publishing.fingerprint(name, own, table.id, (table.manifest() or {}).get("fingerprint"))


def _is_done(settings: RunSettings, name: TrainerName, table: Run) -> bool:
    model = model_run(settings, name)
    if not model.is_done(_fingerprint(settings, name, table)):
        return False
    logger.info("train: %s is finished, with these settings and features; nothing to do", model.url)
    model.point()
    return True


def _train(settings: RunSettings, name: TrainerName, table: Run, reader: FeatureReader) -> None:
    model, fingerprint = model_run(settings, name), _fingerprint(settings, name, table)
    own = getattr(settings.train, name).model_dump()
    checkpoint = _checkpoint_folder(settings, f"{name}-{fingerprint}")
    if "checkpoint" in own:
        own["checkpoint"] = own["checkpoint"] or str(checkpoint)
    trainer: Trainer = load_class(TRAINERS[name])(**own)
    logger.info("train: %s on %s", name, table.url)
    artifact = trainer.fit(reader)
    artifact.save(model.start())
    model.finish(fingerprint, {"features": table.id})
    shutil.rmtree(checkpoint, ignore_errors=True)
    logger.info("train: %s saved in %s", name, model.url)


def _checkpoint_folder(settings: RunSettings, name: str) -> Path:
    """Return where a killed training is picked up: beside the output on a disk, in the temporary folder otherwise."""
    if storage.is_s3(settings.output.root):
        return Path(tempfile.gettempdir()) / "scarce-checkpoints" / name
    return storage.local_path(settings.output.root) / "checkpoints" / name


if __name__ == "__main__":
    console.main(lambda: run(load(job="jobs.train")))
