"""The model card: what the model learned from, what it cannot tell, and what the list is and is not for.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. What is said of data and limits is computed from
the run; its use is what the run file says.
"""

from collections.abc import Iterator

from feature_extraction.components import FAILED, TOO_SHORT
from feature_extraction.schema import FeatureSchema
from inference.report_data import Estimate, Evaluation, Method, ModelCard, Report
from inference.report_numbers import day, number, percent, score, shorten, step_length
from inference.settings import CardSettings

FEW_RARE = 100  # labelled rare entities below which it is said that they are few
WIDE = 0.1  # an interval of average precision wider than this is said to be wide
SHIFTED = 0.2  # population stability index above which a shift is commonly spoken of
MANY_UNKNOWN = 0.1
MANY_UNFITTED = 0.05


def card_of(report: Report, schema: FeatureSchema, settings: CardSettings, *, adds_up: bool) -> ModelCard:
    """Return the card of a report that is whole but for it.

    Args:
        report: what was found.
        schema: schema of the feature table.
        settings: what the run file says of the list's use.
        adds_up: whether the model's contributions add up to its score, as those by gradients do.
    """
    return ModelCard(
        data=list(_data(report, schema)),
        limits=list(_limits(report, adds_up)),
        intended_use=[settings.intended_use],
        sensitive_use=[settings.sensitive_use],
    )


def _data(report: Report, schema: FeatureSchema) -> Iterator[str]:
    run, events, entities = report.run, report.quality["events"], report.quality["entities"]
    metrics = ", ".join(shorten(metric) for metric in schema.metrics)
    yield (
        f"{number(entities['total'])} entities, each described by {number(len(schema.names))} features of {metrics} "
        f"in steps of {step_length(run.step_seconds)}, from {day(run.window_start)} to before {day(run.window_end)} "
        f"({schema.time_zone})."
    )
    yield (
        f"{number(events['read'])} events were read: {number(events['accepted'])} used, "
        f"{number(events['outside_window'])} outside that time, {number(events['refused'])} refused."
    )
    known = ", ".join(f"{number(count)} {shorten(name)}" for name, count in entities.get("labelled", {}).items())
    hidden = entities.get("held_out", 0)
    apart = f", of whom the labels of {number(hidden)} were kept back to measure with" if hidden else ""
    yield (
        f"{shorten(run.trainer)} learned to find {shorten(run.rare)}. Labelled entities that training saw: "
        f"{known or 'none of this table'}; {number(entities['unlabelled'])} had no label for it{apart}."
    )
    if run.chosen:
        yield f"{shorten(run.trainer)} took {run.chosen}."


def _limits(report: Report, adds_up: bool) -> Iterator[str]:
    yield from _of_labels(report)
    yield from _of_measures(report.evaluation) if report.evaluation else ("What the list is worth was not measured.",)
    yield from _of_scores(report)
    yield from _of_explanations(report, adds_up)


def _of_labels(report: Report) -> Iterator[str]:
    labeled = report.quality["entities"].get("labelled", {})
    rare = labeled.get(report.run.rare, 0)
    if rare < FEW_RARE:
        yield (
            f"Only {number(rare)} of the labelled entities are {shorten(report.run.rare)}: a kind that is not among "
            "them may be missed."
        )
    unfitted = {
        metric: sum(counts.get(status, 0) for status in (TOO_SHORT, FAILED)) / sum(counts.values())
        for metric, counts in report.quality.get("fit_status", {}).items()
    }
    metric, share = max(unfitted.items(), key=lambda item: item[1], default=("", 0.0))
    if share > MANY_UNFITTED:
        yield (
            f"{percent(share)} of the entities have no fitted trend of {shorten(metric)}, mostly for want of history: "
            "less is known of them."
        )


def _of_measures(evaluation: Evaluation) -> Iterator[str]:
    main, *others = evaluation.methods
    precision, own = main.measures.get("precision_at_budget"), _bounds(main)
    if precision is not None and precision.value is not None:
        yield (
            f"Among entities whose labels were kept back, {percent(1 - precision.value)} of a list of "
            f"{number(min(evaluation.budget, evaluation.rows))} were listed wrongly."
        )
    if own is None:
        yield "Its average precision could not be measured."
        return
    if own[1] - own[0] > WIDE:
        yield (
            f"Its average precision lies anywhere from {score(own[0])} to {score(own[1])}: "
            f"{number(evaluation.rare)} rare entities tell no more."
        )
    rivals = [shorten(other.name) for other in others if (_bounds(other) or (1.0, 1.0))[1] >= own[0]]
    if rivals:
        yield f"It is not shown to rank better than {' or '.join(rivals)}: the intervals overlap."


def _bounds(method: Method) -> tuple[float, float] | None:
    found: Estimate | None = method.measures.get("average_precision")
    if found is None or found.low is None or found.high is None:
        return None
    return found.low, found.high


def _of_scores(report: Report) -> Iterator[str]:
    if all(alert.probability is None for alert in report.alerts):
        yield "Its scores rank entities; they are not calibrated probabilities."
    elif report.calibration is None or not report.calibration.counts:
        yield "Its probabilities were calibrated, but no labels were kept back to check them with."
    if report.drift is not None and report.drift.population_stability > SHIFTED:
        yield (
            f"Its scores have moved since the run before (population stability index "
            f"{number(report.drift.population_stability)}): what was measured earlier may no longer hold."
        )
    if report.unknown is not None and report.unknown > MANY_UNKNOWN:
        yield f"{percent(report.unknown)} of all entities fit none of the classes it knows."


def _of_explanations(report: Report, adds_up: bool) -> Iterator[str]:
    if not adds_up:
        yield (
            "Contributions are found by setting one feature at a time to its usual value, as this model has no "
            "gradient: they do not add up to the score, and features that say the same share their due."
        )
    if any(alert.counterfactual for alert in report.alerts):
        yield (
            "Contributions, and what would bring an entity under the line, tell what the score hangs on: not what "
            "caused it, nor what would change the entity."
        )
    if any(alert.translation for alert in report.alerts):
        yield (
            "What the model would change to make a rare entity of a regular one shows its generator's idea of the rare "
            "class: the entity that comes of it was made up, and its score was not made by that generator."
        )
