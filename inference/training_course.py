"""How a training went, for the report: what its looks noted, sorted into what is drawn together.

Takes a model's manifest; gives a `Course`, or None where the trainer notes no steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from feature_extraction.schema import UNKNOWN
from inference.charts.drawing import LINES
from inference.report_data import Course, Panel
from training.artifact import Manifest

Values = Sequence[float | None]

HELD_OUT = "on labelled rows held out from each network"


def course_of(manifest: Manifest) -> Course | None:
    """Return what was noted at each look; None where nothing was."""
    history = manifest.history
    steps = history.get("step")
    if not isinstance(steps, list) or not steps:
        return None
    looks = {
        name: values
        for name, values in history.items()
        if isinstance(values, list) and len(values) == len(steps) and any(value is not None for value in values)
    }
    return Course(steps, history.get("best_step"), _panels(looks, manifest))


def _panels(looks: Mapping[str, Any], manifest: Manifest) -> list[Panel]:
    losses: dict[str, Values] = {"held-out rows": looks["validation_loss"]} if "validation_loss" in looks else {}
    losses |= _after("loss_", looks)
    precision = _renamed(looks, {"validation_average_precision": f"average precision of {manifest.rare}"})
    unknown = _renamed(looks, {"unknown_share": "of all rows", "rare_to_unknown": f"of {manifest.rare} rows"})
    recalls = _after("recall_", looks)
    recalls = {name: recalls[name] for name in sorted(recalls, key=lambda name: name != manifest.rare)}
    panels = _in_parts("Losses", "averages of the steps between; on held-out rows, at the step", losses, is_share=False)
    panels += _in_parts("Ranking", HELD_OUT, precision, is_share=False)
    panels += _in_parts("Verdict unknown", HELD_OUT, unknown if UNKNOWN in manifest.classes else {})
    return panels + _in_parts("Recall by class", HELD_OUT, recalls)


def _after(prefix: str, looks: Mapping[str, Any]) -> dict[str, Values]:
    return {name.removeprefix(prefix): values for name, values in looks.items() if name.startswith(prefix)}


def _renamed(looks: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Values]:
    return {shown: looks[name] for name, shown in names.items() if name in looks}


def _in_parts(title: str, note: str, lines: Mapping[str, Values], *, is_share: bool = True) -> list[Panel]:
    """Draw no more lines together than there are ways to draw one."""
    names = list(lines)
    parts = [names[first : first + len(LINES)] for first in range(0, len(names), len(LINES))]
    numbered = [f"{title}, {part} of {len(parts)}" if len(parts) > 1 else title for part in range(1, len(parts) + 1)]
    return [
        Panel(heading, note, {name: lines[name] for name in part}, is_share)
        for heading, part in zip(numbered, parts, strict=True)
    ]
