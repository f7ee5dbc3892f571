"""What `auto` says of its choice: in the manifest as JSON, in the report as a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.artifact import Manifest
from training.auto.choosing import Choice
from training.auto.members import Member
from training.auto.settings import NAME


def facts(choice: Choice, members: Sequence[Member], left_out: Mapping[str, str]) -> dict[str, Any]:
    """Return what the manifest says under `auto` among its metrics.

    Returns:
        `taken` by falling weight and their `weights`; `why`; `compared`, the average precision of each candidate on
        halves that did not decide it; `members`, that of each on all held-out rows; `left_out`, reasons by name.
    """
    weights = dict(zip((member.name for member in members), choice.weights.tolist(), strict=True))
    taken = sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name])
    return {
        "taken": taken,
        "why": choice.why,
        "weights": {name: round(weights[name], 4) for name in taken},
        "compared": {name: round(value, 4) for name, value in choice.compared.items()},
        "members": {member.name: member.manifest.metrics["average_precision"]["value"] for member in members},
        "left_out": dict(left_out),
    }


def chosen_by(manifest: Manifest) -> str:
    """Say what was taken and why, a sentence without its full stop; empty where the trainer does not choose."""
    found = manifest.metrics.get(NAME)
    if not isinstance(found, dict):
        return ""
    shares = ", ".join(f"{name} ({weight:.0%})" for name, weight in found["weights"].items())
    others = [name for name in found["members"] if name not in found["weights"]]
    beside = f" and left {', '.join(others)}" if others else ""
    missing = "; ".join(f"{name} was not tried: {reason}" for name, reason in found["left_out"].items())
    return f"{shares}{beside}, since {found['why']}" + (f"; {missing}" if missing else "")
