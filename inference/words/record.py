"""What is said of the run itself: what went in, how training went, its limits and its settings."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from inference.report_data import Course, Panel, Report
from inference.report_numbers import number, percent, shorten


class Balance(NamedTuple):
    """A whole, its parts by name, and what the parts leave unexplained."""

    total: int
    parts: dict[str, int]
    difference: int


def course(record: Course) -> str:
    """Say in a sentence or two how long a training was, and which of its networks were kept."""
    looks, last = len(record.steps), record.steps[-1]
    length = f"{number(last)} {'step' if last == 1 else 'steps'}, measured {_times(looks)}."
    if record.kept is None:
        return length
    return f"{length} The model is made of the networks as they were at step {number(record.kept)}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{number(count)} times"


def looked(panel: Panel, value: float | None) -> str:
    """Write what a look found: a share as a percentage, anything else with three digits."""
    return percent(value) if panel.is_share else number(value)


def panel_words(record: Course, panel: Panel) -> str:
    """Say in words what a panel of a training shows, for those who do not see it."""
    places = {0: f"at step {number(record.steps[0])}", len(record.steps) - 1: f"at step {number(record.steps[-1])}"}
    if record.place is not None:
        places[record.place] = f"at step {number(record.steps[record.place])}, kept"
    return "; ".join(
        f"{shorten(name)} " + ", ".join(f"{looked(panel, values[at])} {words}" for at, words in sorted(places.items()))
        for name, values in panel.lines.items()
    )


def balance(total: int, parts: Mapping[str, int]) -> Balance:
    """Hold a whole against its parts."""
    return Balance(total, dict(parts), total - sum(parts.values()))


def event_fates(events: Mapping[str, int]) -> dict[str, int]:
    """Return what became of the events of a quality record."""
    return {
        "accepted": events["accepted"],
        "outside the window": events["outside_window"],
        "refused": events["refused"],
    }


def entity_classes(entities: Mapping[str, Any]) -> dict[str, int]:
    """Return the parts that the entities of a quality record fall into."""
    labeled = {f"labelled {name}": count for name, count in entities.get("labelled", {}).items()}
    return labeled | {"unlabelled": entities["unlabelled"]}


def label_fates(labels: Mapping[str, Any], held_out: int) -> dict[str, int]:
    """Return what became of the labels of a quality record."""
    hidden = {"held out": held_out} if held_out else {}
    repeated = {"repeated": labels["repeated"]} if labels.get("repeated") else {}
    refused = {f"refused: {reason}": count for reason, count in labels.get("refused", {}).items()}
    return {"shown to training": labels["used"] - held_out} | hidden | repeated | refused


def statuses(fit_status: Mapping[str, Mapping[str, int]]) -> list[str]:
    """List the outcomes that fits had, in the order in which they first appear."""
    return list(dict.fromkeys(status for counts in fit_status.values() for status in counts))


def gaps(missing: Mapping[str, float]) -> list[tuple[str, float]]:
    """List the features that some entities lack, most lacking first."""
    return sorted(((name, share) for name, share in missing.items() if share > 0), key=lambda item: (-item[1], item[0]))


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give nested settings as dotted keys and text, the way the command line overrides them."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "not set" if value is None else shorten(value, 200)


def limits(report: Report) -> Iterator[str]:
    """Say what the list cannot tell, whatever the model, for a run without a model card."""
    if report.calibration is None:
        yield "Scores rank entities; they are not calibrated probabilities, and 0.9 does not mean nine in ten."
    yield "Reasons say what moved the score of this model, not what caused the behavior."
    yield (
        "Nothing was held out, so nothing is known about how good the ranking is."
        if report.evaluation is None
        else "What was measured holds for entities like the held-out ones, over a window like this one, and ages as "
        "behavior changes."
    )
    yield "An entity that is not listed has not been cleared."
