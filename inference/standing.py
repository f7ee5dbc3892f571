"""How usual a value is: the share of regular entities that have one at least as extreme.

Counted over the labelled entities that are not rare; where they are fewer than `ENOUGH`, over all entities of the
table, which is then read once, in batches, whatever its size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference import table
from inference.labeled import LabeledRows
from inference.report_numbers import number, percent
from training.trainer import Floats

ENOUGH = 50
Side = Literal["high", "low", "missing"]
Measure = tuple[str, ...]  # a feature column, or two of which the first is divided by the second


@dataclass(frozen=True)
class Question:
    """How many entities have a value as extreme as this one?

    Attributes:
        measure: what is compared: a feature column, or the ratio of two.
        value: the value; it is not read where the side is "missing".
        side: values as "high", as "low", or as "missing".
    """

    measure: Measure
    value: float
    side: Side


@dataclass(frozen=True)
class Standing:
    """How many do, of how many.

    Attributes:
        count: entities with a value at least as extreme.
        total: entities that were asked, with a value or without.
        among: who they are, as text.
    """

    count: int
    total: int
    among: str

    @property
    def share(self) -> float:
        """Their share."""
        return self.count / self.total

    @property
    def words(self) -> str:
        """The share in words, the beginning of a sentence: "2.1% of regular entities", or "none of the 901 ..."."""
        if not self.count:
            return f"none of the {number(self.total)} {self.among}"
        return f"{percent(self.share)} of {self.among}"


def standings(url: str, labeled: LabeledRows, questions: Sequence[Question]) -> list[Standing]:
    """Answer the questions, in their order, from the feature table at `url` and its labelled rows."""
    counts, total, among = np.zeros(len(questions), np.int64), 0, "labelled regular entities"
    for values in _blocks(url, labeled, questions):
        total += len(next(iter(values.values())))
        counts += [_count(values[question.measure], question) for question in questions]
    if len(labeled.regular) < ENOUGH:
        among = "entities"
    return [Standing(int(count), total, among) for count in counts]


def measured(measure: Measure, columns: Mapping[str, Floats]) -> Floats:
    """Return the values of a measure, given its columns; NaN where it is not defined."""
    values = columns[measure[0]]
    if len(measure) == 1:
        return values
    below = columns[measure[1]]
    return np.divide(values, below, out=np.full(len(values), np.nan, np.float32), where=below != 0)


def _blocks(url: str, labeled: LabeledRows, questions: Sequence[Question]) -> Iterator[dict[Measure, Floats]]:
    measures = dict.fromkeys(question.measure for question in questions)
    if not measures:
        return
    needed = list(dict.fromkeys(name for measure in measures for name in measure))
    if len(labeled.regular) >= ENOUGH:
        places = {name: place for place, name in enumerate(labeled.names)}
        columns = {name: labeled.regular[:, places[name]] for name in needed}
        yield {measure: measured(measure, columns) for measure in measures}
        return
    for batch in table.batches(url, needed):
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in needed}
        yield {measure: measured(measure, columns) for measure in measures}


def _count(values: NDArray[np.float32], question: Question) -> int:
    if question.side == "missing":
        return int(np.isnan(values).sum())
    bound = np.float32(question.value)
    return int((values >= bound).sum() if question.side == "high" else (values <= bound).sum())
