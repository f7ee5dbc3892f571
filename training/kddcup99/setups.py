"""Ways to make a rare-class task of KDD Cup 1999: which groups are classes, what is labelled, what is not.

Takes `KddCup99` and a `Setup`; gives, for each seed, a `Split`: a reader to learn from and the test rows. The
test rows are those of the `corrected` file whose type belongs to a class, and those of the types that training
does not hold, which are kept to see whether a model says that it does not know them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.kddcup99.duplicates import identities
from training.kddcup99.encoding import MinMax, encode, feature_names
from training.kddcup99.files import COLUMNS, GROUPS, NUMBER, TEST, TRAIN, UNSEEN, Connections, KddCup99
from training.reader import ArrayReader
from training.settings import Settings
from training.trainer import Floats, Labels

Rows = NDArray[np.intp]
Number = Annotated[int, Field(ge=1)]

UNSEEN_CODE = -2


class Setup(Settings):
    """One task."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Short name, in the table of results.")
    title: str = Field(description="What it is, for people.")
    classes: dict[str, tuple[str, ...]] = Field(
        min_length=2, description="Class names in order, each with the groups of attack types that it holds."
    )
    rare: str = Field(description="The class to be found.")
    labeled: dict[str, Number] = Field(description="Labelled rows of each class.")
    unlabeled: Number | dict[str, Number] = Field(
        description="Unlabelled rows, of each class or, as one number, of whatever the rest of the file holds."
    )
    columns: tuple[str, ...] = Field((), description="Columns used, of the 41; all if empty.")
    logarithm: Literal["counts"] | tuple[str, ...] = Field(
        (), description="Columns taken as log(1 + x): their names, or 'counts' for all but rates and categories."
    )
    distinct: bool = Field(
        False, description="Draw from distinct training rows, and test on distinct rows that training never holds."
    )
    overlap: bool = Field(
        False,
        description="Draw labelled rows with replacement, and unlabelled ones without regard to them, as the published "
        "scripts do; for comparison with their numbers only.",
    )

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        counts = [self.labeled] + ([self.unlabeled] if isinstance(self.unlabeled, dict) else [])
        groups = [group for held in self.classes.values() for group in held]
        if self.rare not in self.classes:
            raise ValueError(f"rare is {self.rare!r}, expected one of the classes {list(self.classes)}")
        if any(set(count) != set(self.classes) for count in counts):
            raise ValueError(f"labeled and unlabeled must name each of the classes {list(self.classes)} once")
        if set(groups) - set(GROUPS) or len(set(groups)) < len(groups):
            raise ValueError(f"classes hold the groups {groups}, expected each at most once of {list(GROUPS)}")
        if strange := sorted({*self.columns, *self.bent} - set(COLUMNS)):
            raise ValueError(f"found columns {strange}, expected some of {list(COLUMNS)}")
        return self

    @property
    def used(self) -> tuple[str, ...]:
        """Columns used, in order."""
        return self.columns or tuple(COLUMNS)

    @property
    def bent(self) -> tuple[str, ...]:
        """Columns taken as log(1 + x)."""
        counts = tuple(name for name in self.used if COLUMNS.get(name) == NUMBER)
        return counts if self.logarithm == "counts" else tuple(self.logarithm)


class Split(NamedTuple):
    """What one seed gives.

    Attributes:
        reader: labelled and unlabelled training rows.
        test: test rows that differ from each other, (distinct rows, features).
        occurrence: for each test row, its position in `test`, (rows,).
        truth: class code of each test row, or `UNSEEN_CODE`, (rows,).
    """

    reader: ArrayReader
    test: Floats
    occurrence: Rows
    truth: Labels


@dataclass(frozen=True)
class Prepared:
    """A setup on the two files: all that does not depend on the seed.

    Attributes:
        setup: the task.
        train: training rows of its classes.
        codes: their class codes, (rows,).
        schema: the features and classes.
        test: test rows that differ from each other, not yet scaled, (distinct rows, features).
        occurrence: for each test row, its position in `test`, (rows,).
        truth: class code of each test row, or `UNSEEN_CODE`, (rows,).
    """

    setup: Setup
    train: Connections
    codes: Labels
    schema: FeatureSchema
    test: Floats
    occurrence: Rows
    truth: Labels

    @property
    def name(self) -> str:
        """Name of the setup."""
        return self.setup.name

    @property
    def identity(self) -> object:
        """The setup, and digests of the files, as JSON takes them."""
        return [self.setup.model_dump(mode="json"), TRAIN.sha256, TEST.sha256]

    def draw(self, seed: int, *, scaled: bool = True) -> Split:
        """Draw labelled and unlabelled rows; no row is both unless the setup says `overlap`.

        Args:
            seed: one seed gives one split.
            scaled: draw features to [0, 1] by their range over the labelled rows, and clip; else as they are.
        """
        random = np.random.default_rng(seed)
        labeled = self._draw_labeled(random)
        unlabeled = self._draw_unlabeled(labeled, random)
        rows = self._encode(np.concatenate([labeled, unlabeled]))
        labels = np.concatenate([self.codes[labeled], np.full(len(unlabeled), UNLABELED, np.int8)])
        test = self.test
        if scaled:
            scaler = MinMax.fit(rows[: len(labeled)])
            rows, test = scaler.transform(rows), scaler.transform(test)
        return Split(ArrayReader(rows, labels, self.schema), test, self.occurrence, self.truth)

    def _draw_labeled(self, random: np.random.Generator) -> Rows:
        wanted = {name: self.setup.labeled[name] for name in self.setup.classes}
        return _draw(self.codes, wanted, random, what="labelled", replace=self.setup.overlap)

    def _draw_unlabeled(self, labeled: Rows, random: np.random.Generator) -> Rows:
        wanted, everything = self.setup.unlabeled, np.arange(len(self.codes))
        pool = everything if self.setup.overlap else np.setdiff1d(everything, labeled)
        if isinstance(wanted, dict):
            by_class = {name: wanted[name] for name in self.setup.classes}
            return np.asarray(pool[_draw(self.codes[pool], by_class, random, what="unlabelled")])
        if wanted > len(pool):
            raise ValueError(f"found {len(pool)} rows that are not labelled, expected {wanted}; lower `unlabeled`")
        return random.choice(pool, wanted, replace=False)

    def _encode(self, rows: Rows) -> Floats:
        return encode(self.train.take(rows), self.setup.used, logarithm=self.setup.bent)


def prepare(setup: Setup, data: KddCup99) -> Prepared:
    """Choose and encode what the setup asks for of both files."""
    columns = setup.used
    train, codes = _of_classes(setup, data.train)
    test, truth = _of_classes(setup, data.test, unseen=True)
    if setup.distinct:
        seen = identities(data.train, columns)
        train, codes = _first_occurrences(train, codes, identities(train, columns))
        new = np.flatnonzero(~np.isin(identities(test, columns), seen))
        test, truth = test.take(new), truth[new]
        test, truth = _first_occurrences(test, truth, identities(test, columns))
    _, first, occurrence = np.unique(identities(test, columns), return_index=True, return_inverse=True)
    schema = FeatureSchema(feature_names(data.train, columns), tuple(setup.classes), setup.rare)
    features = encode(test.take(first), columns, logarithm=setup.bent)
    return Prepared(setup, train, codes, schema, features, occurrence, truth)


def _draw(
    codes: Labels, wanted: Mapping[str, int], random: np.random.Generator, *, what: str, replace: bool = False
) -> Rows:
    drawn = []
    for code, (name, num) in enumerate(wanted.items()):
        members = np.flatnonzero(codes == code)
        if num > len(members) and not replace:
            raise ValueError(
                f"class {name!r} has {len(members)} rows left, expected {num} {what} ones; ask for fewer, or set "
                "`overlap` to draw with replacement"
            )
        drawn.append(random.choice(members, num, replace=replace))
    return np.concatenate(drawn)


def _of_classes(setup: Setup, connections: Connections, *, unseen: bool = False) -> tuple[Connections, Labels]:
    """Keep the rows of the setup's classes, and those of unseen types where asked; gives their codes too."""
    code_of = {group: code for code, held in enumerate(setup.classes.values()) for group in held}
    if unseen:
        code_of[UNSEEN] = UNSEEN_CODE
    groups = connections.group
    rows = np.flatnonzero(np.isin(groups, list(code_of)))
    codes = np.array([code_of[group] for group in groups[rows]], dtype=np.int8)
    return connections.take(rows), codes


def _first_occurrences(connections: Connections, codes: Labels, ids: NDArray[np.uint64]) -> tuple[Connections, Labels]:
    """Keep the first of the rows that are equal in columns and class, in the file's order."""
    key = np.rec.fromarrays([ids, codes])
    _, first = np.unique(key, return_index=True)
    rows = np.sort(first)
    return connections.take(rows), codes[rows]
