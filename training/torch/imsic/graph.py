"""The graph that a person gives IMSIC: which codes show in which factors, and which columns a factor is read from.

Takes what `graph_file` reads, or names of features; gives weights and masks in numpy. No framework is imported.

A code is a number that the generator is given; a factor is the number that the code head reads from a row, to be the
weighted sum of its parents. Codes have the names of their factors.

Shapes: K factors, F features.
"""

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from feature_extraction.schema import FEATURE_SEPARATOR, SchemaMismatch
from training.settings import Settings

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
UNNAMED = 4  # factors where nothing is known of the columns
LARGEST = 8  # factors, beyond which no person tells them apart
LEAST = 1e-6  # weight below which parents have canceled each other


class GraphFault(ValueError):
    """Something in a graph that does not fit; `factor` and `key` say where."""

    def __init__(self, message: str, *, factor: str = "", key: str = "name") -> None:
        super().__init__(message)
        self.factor, self.key = factor, key


def _not_zero(weight: float) -> float:
    if weight == 0:
        raise ValueError("a parent of weight 0 is none; take it out of the parents, or give it another weight")
    return weight


Name = Annotated[str, Field(min_length=1, max_length=60)]
Weight = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_not_zero)]
Bound = Annotated[float, Field(ge=-1, le=1)]


class Factor(Settings):
    """One factor: what it depends on, and what it is read from."""

    name: Name = Field(description="What a person calls it; its code has the same name.")
    parents: tuple[Name, ...] = Field((), description="Codes it depends on, its own among them; empty: its own alone.")
    extracted: tuple[Name, ...] = Field((), description="Other factors, as read from the row, that it depends on.")
    weights: dict[Name, Weight] = Field(
        default_factory=dict,
        description="Relative weights of parents, 1 where none is given; a negative one turns the parent around.",
    )
    forbidden: tuple[Name, ...] | None = Field(
        None, description="Codes that must not show in it; left out: all that it does not depend on."
    )
    columns: tuple[Name, ...] = Field((), description="Metrics or features it is read from; empty: all features.")
    range: tuple[Bound, Bound] = Field((-1.0, 1.0), description="Least and greatest value of its code in sampling.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for key, message in self._faults():
            raise GraphFault(message, factor=self.name, key=key)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        """Give the key and the description of each thing that does not fit."""
        parents = self.codes + self.extracted
        if self.name in self.extracted:
            yield "extracted", f"{self.name!r} is extracted from itself, a cycle; take it out of extracted"
        if twice := _twice(parents):
            yield "parents", f"{_listed(twice)} stands twice among parents and extracted of {self.name!r}; keep one"
        if self.name not in self.codes:
            found = f"the parents of {self.name!r} are {list(self.codes)}, without its own code"
            yield "parents", f"{found}; add {self.name!r} to them"
        if both := [code for code in self.forbidden or () if code in parents]:
            yield "forbidden", f"{_listed(both)} is both a parent of {self.name!r} and forbidden; decide for one"
        if strange := [name for name in self.weights if name not in parents]:
            yield "weights", f"{_listed(strange)} has a weight, but the parents of {self.name!r} are {list(parents)}"
        if self.range[0] >= self.range[1]:
            yield "range", f"the range of {self.name!r} is {list(self.range)}; give the smaller bound first"

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes it depends on."""
        return self.parents or (self.name,)


class Graph(Settings):
    """Which extracted factors depend on which codes and on which other factors, weighed and without cycles."""

    factors: Annotated[tuple[Factor, ...], Field(min_length=1, max_length=LARGEST)] = Field(
        description="The factors; code k belongs to factor k."
    )

    @model_validator(mode="after")
    def _is_a_graph(self) -> Self:
        if twice := _twice(self.names):
            raise GraphFault(f"two factors are named {twice[0]!r}; give each a name of its own", factor=twice[0])
        for factor in self.factors:
            for key in ("parents", "extracted", "forbidden"):
                for name in getattr(factor, key) or ():
                    if name not in self.names:
                        message = f"{key} of {factor.name!r}: no factor is named {name!r}{nearest(name, self.names)}"
                        raise GraphFault(message, factor=factor.name, key=key)
        if cycle := [one.name for at, one in enumerate(self.factors) if at not in self.order]:
            message = f"{_listed(cycle)} are extracted from each other in a cycle; take one edge of it out of extracted"
            raise GraphFault(message, factor=cycle[0], key="extracted")
        self._check_effects()
        return self

    def _check_effects(self) -> None:
        for factor, effects in zip(self.factors, self.effects, strict=True):
            reached = [name for name, effect in zip(self.names, effects, strict=True) if effect]
            if factor.name not in reached:
                message = f"the weights of {factor.name!r} cancel its own code; change one of them"
                raise GraphFault(message, factor=factor.name, key="weights")
            if both := [code for code in factor.forbidden or () if code in reached]:
                through = f"shows in it through {list(factor.extracted)}; take it out of one of the two"
                message = f"{_listed(both)} is forbidden in {factor.name!r}, but {through}"
                raise GraphFault(message, factor=factor.name, key="forbidden")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors, and of their codes."""
        return tuple(factor.name for factor in self.factors)

    @property
    def order(self) -> tuple[int, ...]:
        """Positions of the factors, each after all it is extracted from; those on a cycle are left out."""
        done: list[int] = []
        for _ in self.factors:
            ready = [at for at, one in enumerate(self.factors) if at not in done and self._positions(one) <= set(done)]
            done += ready
        return tuple(done)

    def _positions(self, factor: Factor) -> set[int]:
        return {self.names.index(name) for name in factor.extracted}

    def weights(self) -> Doubles:
        """Return the weight of each code (column) in each factor (row), (K, K).

        Rows have norm 1; those of factors that depend on other extracted ones are such that the codes' weight in all,
        `effects`, has norm 1: the target's variance is then that of a code.
        """
        return self._scaled[0]

    def extracted_weights(self) -> Doubles:
        """Return the weight of each extracted factor (column) in each factor (row), (K, K)."""
        return self._scaled[1]

    @property
    def effects(self) -> Doubles:
        """Weight of each code (column) in each factor (row), by whatever way, (K, K): the correlation to expect."""
        return self._scaled[2]

    @property
    def _scaled(self) -> tuple[Doubles, Doubles, Doubles]:
        size = len(self.factors)
        codes, extracted, effects = (np.zeros((size, size)) for _ in range(3))
        for at in self.order:
            factor = self.factors[at]
            for names, weights in ((factor.codes, codes), (factor.extracted, extracted)):
                for name in names:
                    weights[at, self.names.index(name)] = factor.weights.get(name, 1.0)
            effects[at] = codes[at] + extracted[at] @ effects
            effects[at, np.abs(effects[at]) < LEAST] = 0.0
            norm = float(np.linalg.norm(effects[at])) or 1.0
            for weights in (codes, extracted, effects):
                weights[at] /= norm
        return codes, extracted, effects

    def forbidden(self) -> Flags:
        """Return whether a code (column) must not show in a factor (row), (K, K)."""
        found: Flags = self.effects == 0
        for at, factor in enumerate(self.factors):
            if factor.forbidden is not None:
                found[at] = [name in factor.forbidden for name in self.names]
        return found

    def ranges(self) -> Doubles:
        """Return the least and the greatest value of each code in sampling, (K, 2)."""
        return np.array([factor.range for factor in self.factors])

    def columns(self, features: Sequence[str]) -> Flags:
        """Return which features (column) each factor (row) is read from, (K, F).

        Raises:
            SchemaMismatch: a factor names a column that is neither a metric nor a feature of the table.
        """
        metrics = [name.split(FEATURE_SEPARATOR)[0] for name in features]
        known = list(dict.fromkeys(metrics)) + list(features)
        for factor in self.factors:
            for column in factor.columns:
                if column not in known:
                    found = f"columns of {factor.name!r}: the table has no metric or feature {column!r}"
                    raise SchemaMismatch(f"{found}{nearest(column, known)}")
        return np.array([_mask(factor, metrics, features) for factor in self.factors])

    def digest(self) -> str:
        """Return twelve hex digits over all that the graph says."""
        said = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:12]


def default(features: Sequence[str]) -> Graph:
    """Return the graph of those who give none: each factor depends on its own code alone.

    There is a factor for each metric, or each of eight groups of neighboring metrics, read from their columns. Where
    names have no metrics, as those of pixels, there are four that are read from all columns.
    """
    metrics = list(dict.fromkeys(name.split(FEATURE_SEPARATOR)[0] for name in features if FEATURE_SEPARATOR in name))
    if not metrics:
        return Graph(factors=tuple(Factor(name=f"code_{number}") for number in range(1, UNNAMED + 1)))
    groups = np.array_split(np.array(metrics, dtype=object), min(LARGEST, len(metrics)))
    return Graph(factors=tuple(Factor(name=_title(list(group)), columns=tuple(group)) for group in groups))


def nearest(name: str, known: Sequence[str]) -> str:
    """Return what to do about an unknown name, as the end of a message."""
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    some = ", ".join(known[: 2 * LARGEST]) + (", ..." if len(known) > 2 * LARGEST else "")
    return f"; did you mean {near[0]!r}?" if near else f"; known: {some}"


def _mask(factor: Factor, metrics: Sequence[str], features: Sequence[str]) -> Flags:
    chosen = set(factor.columns)
    return np.array([not chosen or bool(chosen & {*pair}) for pair in zip(metrics, features, strict=True)], bool)


def _title(group: Sequence[str]) -> str:
    return (group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}")[:60]


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names))
