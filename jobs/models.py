"""Which trained model a run uses: its own, one of an earlier day that is young enough, or the one published last."""

import hashlib
import json
import logging
from datetime import datetime, timedelta
from typing import Any

from feature_extraction import publishing, storage
from feature_extraction.publishing import MANIFEST, Run
from jobs.settings import RunSettings

logger = logging.getLogger(__name__)
RECIPE, WINDOW_END = "recipe", "window_end"
# Where things lie, and what moves with the day, may differ between the run that trained and the one that scores.
MOVING = {
    "events": {"url", "format", "max_refused"},
    "labels": {"url", "holdout_url"},
    "window": {"start", "end"},
}


def facts(settings: RunSettings, name: str) -> dict[str, str]:
    """Return what a model's manifest must say for later runs to use it again."""
    return {RECIPE: recipe(settings, name), WINDOW_END: settings.window.end.isoformat()}


def recipe(settings: RunSettings, name: str) -> str:
    """Digits over all that a run must share with another one to use its model.

    These are the method and its settings, what the features mean (metrics, steps, the length of the window, Prophet's
    settings), the labels' classes, and the code; not where the log lies or which days the window holds. Where labels
    are hidden by draw (`labels.holdout_share`), the label file belongs to it: of another file others would be drawn,
    and the model would be measured on labels that it has seen.
    """
    sections: dict[str, Any] = {
        section: getattr(settings, section).model_dump(mode="json", exclude=fields)
        for section, fields in MOVING.items()
    }
    sections["features"] = settings.features.model_dump(mode="json")
    train = settings.train.model_dump(mode="json", include={name, "seeds", "ensemble"})
    train[name] = {key: value for key, value in train[name].items() if not key.startswith("checkpoint")}
    return publishing.fingerprint(sections, settings.window.num_steps, train, _drawn_labels(settings))


def _drawn_labels(settings: RunSettings) -> list[str]:
    if not settings.labels.holdout_share:
        return []
    files = storage.list_files(settings.labels.url)
    return [hashlib.sha256(storage.read_bytes(file.url)).hexdigest() for file in files]


def own(settings: RunSettings, name: str) -> Run:
    """Return the run of a method's model under this run's own name, trained or not."""
    return Run(settings.output.root, f"models/{name}", settings.run_id)


def of(settings: RunSettings, name: str) -> Run:
    """Return the model that this run scores with.

    Raises:
        PublishError: there is none: neither its own nor one that may be used again, and none was published.
    """
    mine = own(settings, name)
    if mine.manifest() is not None:
        return mine
    return reusable(settings, name) or publishing.latest(mine.root, mine.stage)


def reusable(settings: RunSettings, name: str) -> Run | None:
    """Return the youngest model of the same recipe that is not too old for this run's window, if there is one.

    Age goes by the ends of the windows and not by the clock, so that a day that is done again finds the same model; one
    of a later window is never used, for it has seen what came after.
    """
    most = timedelta(days=settings.train.retrain_after_days)
    end = settings.window.end
    found = [
        (trained, manifest["run"])
        for manifest in _manifests(settings, name)
        if manifest.get(RECIPE) == recipe(settings, name)
        and timedelta(0) <= end - (trained := datetime.fromisoformat(manifest[WINDOW_END])) < most
    ]
    if not found:
        return None
    trained, run_id = max(found)
    model = Run(settings.output.root, f"models/{name}", run_id)
    age = (end - trained) / timedelta(days=1)
    logger.info(
        "%s: the model of run %s, %g days older than this window, is used again; one of %g days or more would not be",
        *(name, run_id, age, settings.train.retrain_after_days),
    )
    return model


def _manifests(settings: RunSettings, name: str) -> list[dict[str, Any]]:
    """Return the manifests of all finished models of a method."""
    stage = storage.join(settings.output.root, f"models/{name}")
    if not settings.train.retrain_after_days or not storage.exists(stage):
        return []
    files = [file.url for file in storage.list_files(stage, f"/{MANIFEST}")]
    return [json.loads(storage.read_text(url)) for url in files]
