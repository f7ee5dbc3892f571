"""What is said of the scores themselves: calibrated probabilities, the verdict unknown, and drift between runs."""

from collections.abc import Iterator, Sequence
from statistics import median

from scipy.stats import binomtest

from feature_extraction.schema import UNKNOWN
from inference.report_alerts import Alert
from inference.report_data import Calibration, Drift, Report
from inference.report_numbers import number, percent, score, shorten
from inference.words.evaluation import beats_chance

MOVED, SHIFTED = (
    0.1,
    0.2,
)  # population stability index from which scores are commonly said to have moved, to have shifted
METHODS = {"isotonic": "isotonic regression", "platt": "Platt scaling"}


def expected_rare(alerts: Sequence[Alert], rare: str) -> str:
    """Say how many of the list are rare by their calibrated probabilities; empty where one has none."""
    stated = [alert.probability for alert in alerts if alert.probability is not None]
    if not stated or len(stated) < len(alerts):
        return ""
    return f"By their calibrated probabilities, about {number(round(sum(stated)))} of those listed are {rare}."


def disagreement(alerts: Sequence[Alert]) -> str:
    """Say how far an ensemble's networks disagree on the list; empty where there is nothing to disagree."""
    stated = [(alert.uncertainty, -alert.rank) for alert in alerts if alert.uncertainty is not None]
    largest, rank = max(stated, default=(0.0, 0))
    if not largest:
        return ""
    middle = median(spread for spread, _ in stated)
    return (
        f"the networks disagree by {score(middle)} on the middle entity of this list and by {score(largest)} on the "
        f"one they disagree on most, rank {number(-rank)}"
    )


def cautions(report: Report) -> Iterator[str]:
    """Say what one should know before working down the list."""
    if report.evaluation is not None and beats_chance(report.evaluation) is False:
        yield "On held-out labels this ranking is not shown to beat a random order."
    if report.drift is not None and report.drift.population_stability > SHIFTED:
        yield f"Scores have shifted since run {shorten(report.drift.run)}: find out why before you act on them."
    if report.calibration is not None and (words := misled(report.calibration)):
        yield words


def chance_range(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share of some entities (Wilson 1927); 0 to 1 where there is none."""
    if not count:
        return 0.0, 1.0
    found = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def kept_word(found: Calibration) -> tuple[float, float]:
    """Return how many rare ones the probabilities of the held-out entities promise, and how many there are."""
    cells = zip(found.predicted, found.observed, found.counts, strict=True)
    sums = [(promised * count, real * count) for promised, real, count in cells]
    return sum(promised for promised, _ in sums), sum(real for _, real in sums)


def misled(found: Calibration) -> str:
    """Say that the probabilities are too high or too low on the whole; empty where chance may explain it."""
    promised, real = kept_word(found)
    total = sum(found.counts)
    low, high = chance_range(real / total, total) if total else (0.0, 1.0)
    if not total or low <= promised / total <= high:
        return ""
    size = "low" if promised < real else "high"
    return (
        f"The calibrated probabilities are too {size}: of {number(total)} held-out entities they promise "
        f"{number(round(promised))} to be rare, {number(round(real))} are. Go by the rank, and by what was measured."
    )


def unchecked(alerts: Sequence[Alert]) -> str:
    """Say what a run without a record of its calibration gives."""
    if any(alert.probability is not None for alert in alerts):
        return "How the probabilities of this run were made was not recorded, and they were not checked."
    return "This run gives no calibrated probabilities: the score ranks, and 0.9 does not mean nine in ten."


def calibrated(found: Calibration, rare: str) -> str:
    """Say how the probabilities were made."""
    return (
        f"The probabilities were made by {METHODS.get(found.method, shorten(found.method))} on {number(found.rows)} "
        f"labelled entities held out from training, {number(found.rare)} of them {rare}, and assume that "
        f"{percent(found.population_share)} of all scored entities are {rare}."
    )


def calibration(found: Calibration, rare: str) -> Iterator[str]:
    """Say how far the probabilities can be taken at their word."""
    total = sum(found.counts)
    if found.error is None or not total:
        yield "No label was left to check them on: take them as an estimate."
        return
    promised, real = kept_word(found)
    yield (
        f"Of {number(total)} entities whose labels neither training nor calibration saw, they promise "
        f"{number(round(promised))} {rare}; {number(round(real))} are."
    )
    yield (
        f"On average a probability is off by {number(round(100 * found.error, 1))} percentage points "
        f"(expected calibration error {score(found.error)})."
    )
    off = sum(not fits(found, place) for place in range(len(found.counts)))
    groups = f"{number(len(found.counts))} groups"
    yield (
        f"In {number(off)} of {groups} the share found is farther off than chance explains (95% intervals)."
        if off
        else f"In none of {groups} is the share found farther off than chance explains (95% intervals)."
    )


def fits(found: Calibration, place: int) -> bool:
    """Tell whether a bin's probability lies inside the interval of the share found."""
    low, high = chance_range(found.observed[place], found.counts[place])
    return low <= found.predicted[place] <= high


def unknown(share: float | None, before: float | None) -> str:
    """Say how many entities fit no class that the model knows."""
    if share is None:
        return f"This model has no class “{UNKNOWN}”: every entity is given one of the classes it was taught."
    then = "" if before is None else f", {percent(before)} in the run before"
    return f"{percent(share)} of all scored entities fit none of the classes the model was taught (“{UNKNOWN}”){then}."


def drift(found: Drift) -> Iterator[str]:
    """Say how the scores moved since the run before, and what may have moved them."""
    index = found.population_stability
    moved = "have shifted" if index > SHIFTED else "have moved a little" if index > MOVED else "lie as they did"
    yield (
        f"The scores {moved}: the population stability index is {number(round(index, 3))} "
        f"(up to {MOVED} is commonly called stable, above {SHIFTED} a shift)."
    )
    yield (
        f"Whatever score one picks, the share of entities above it differs between the runs by at most "
        f"{number(round(100 * found.largest_gap, 1))} percentage points (Kolmogorov-Smirnov distance "
        f"{score(found.largest_gap)})."
    )
    if found.alerts_before:
        yield f"Of {number(found.alerts_before)} entities listed then, {number(found.kept_alerts)} are listed again."
    yield f"{number(found.entities)} entities were scored in both runs."
    yield (
        "One model made both, so what moved is the entities or the data."
        if found.same_model
        else "The model is another one, which alone can move scores."
    )


def bins(edges: Sequence[float]) -> list[str]:
    """Name the bins between inner edges."""
    if not edges:
        return ["all"]
    between = [f"{score(low)} to {score(high)}" for low, high in zip(edges, edges[1:], strict=False)]
    return [f"below {score(edges[0])}", *between, f"{score(edges[-1])} and above"]
