"""The numbers of a whole run, for whoever watches runs from day to day: part of `metrics.json`."""

import json
from collections.abc import Mapping
from typing import Any

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from inference import table


def of_stages(features: Run, scored: Run) -> dict[str, Any]:
    """Return what the stages before the report counted and how long each took, from what they published.

    Stages that were not done anew, as a model that was used again, tell of the time when they were.
    """
    quality, scores = table.quality(features.url), scored.manifest() or {}
    model = _manifest_at(str(scores["model"]))
    return {
        "events": quality["events"],
        "refused": quality["refused"],
        "entities": quality["entities"],
        "scored": scores["rows"],
        "model": {"run": model.get("run"), "window_end": model.get("window_end")},
        "before": scores.get("before"),
        "seconds": {
            "extract_features": (features.manifest() or {}).get("seconds"),
            "train": _training_seconds(model),
            "score": scores.get("seconds"),
        },
    }


def _manifest_at(url: str) -> Mapping[str, Any]:
    place = storage.join(url, publishing.MANIFEST)
    return dict(json.loads(storage.read_text(place))) if storage.exists(place) else {}


def _training_seconds(model: Mapping[str, Any]) -> float | None:
    candidates = model.get("candidates")
    return None if candidates is None else round(sum(float(found["seconds"]) for found in candidates), 3)
