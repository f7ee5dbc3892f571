"""One column of a table to and from what a generator can make: a value within a mode, or one of a few categories.

Takes columns as float64 with NaN for missing; gives blocks of columns in [-1, 1]. Missing values have a place of
their own in the one-hot block of a column that had some when it was fitted.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from training.torch.qast.settings import QASTSettings

Doubles = NDArray[np.float64]
Rounding = Literal["none", "round", "truncate"]

FIT_ROWS = 20_000  # a mixture of one column is known long before that; the published code takes all
RESTARTS, ITERATIONS, TOLERANCE, FLOOR = 3, 100, 1e-3, 1e-6
ROUNDINGS: tuple[Rounding, ...] = ("none", "round", "truncate")


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of a few values, each a category.

    Attributes:
        values: (k,) the categories, ascending; one NaN, last, if missing is one of them.
    """

    values: Doubles

    @classmethod
    def fit(cls, column: Doubles) -> Self:
        """Take each distinct value as a category; missing ones are one."""
        return cls(np.unique(column))

    @property
    def missing(self) -> bool:
        """Whether missing is a category."""
        return bool(np.isnan(self.values[-1]))

    @property
    def sizes(self) -> tuple[int, int]:
        """Columns of the value block and of the one-hot block."""
        return 0, len(self.values)

    def encode(self, column: Doubles) -> Doubles:
        """Return one-hot rows (n, k); a value that is no category becomes the nearest one."""
        known = self.values[: len(self.values) - self.missing]
        codes = np.full(len(column), len(known))
        if len(known):
            borders = (known[1:] + known[:-1]) / 2
            codes = np.where(np.isnan(column), codes, np.searchsorted(borders, column, side="left"))
        return np.asarray(np.eye(len(self.values))[codes])

    def decode(self, encoded: Doubles) -> Doubles:
        """Return the category of the largest entry of each row, (n,)."""
        return np.asarray(self.values[encoded.argmax(axis=1)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        return {"categories": self.values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        return cls(arrays["categories"])


@dataclass(frozen=True, eq=False)
class Mixture:
    """A column of numbers under a Gaussian mixture: which mode a value is of, and where in it (B.1).

    Attributes:
        modes: (components, 4) mean, standard deviation, log weight, and 1 for those in use.
        scale: standard deviations that an encoded value of 1 stands for.
        robust: compare modes by log-probabilities and clip encoded values.
        rounding: what decoding does to values of a column of whole numbers.
        missing: whether missing is a mode of its own, the last one.
    """

    modes: Doubles
    scale: float
    robust: bool
    rounding: Rounding
    missing: bool

    @classmethod
    def fit(cls, column: Doubles, *, settings: QASTSettings, rounding: Rounding, seed: int) -> Self:
        """Fit by expectation maximization to the values that are there, if robust to at most 20,000; some must be."""
        present = column[~np.isnan(column)]
        robust = settings.mixtures == "robust"
        center, spread = (present.mean(), present.std() or 1.0) if robust else (0.0, 1.0)
        if robust and len(present) > FIT_ROWS:
            present = np.random.default_rng(seed).choice(present, FIT_ROWS, replace=False)
        means, deviations, weights = _gaussians((present - center) / spread, settings.modes, seed)
        used = weights > settings.mode_weight
        modes = np.column_stack([means * spread + center, deviations * spread, np.log(weights), used])
        return cls(modes, settings.encoder_scale, robust, rounding, bool(np.isnan(column).any()))

    @property
    def used(self) -> NDArray[np.intp]:
        """Positions of the modes in use."""
        return np.flatnonzero(self.modes[:, 3])

    @property
    def sizes(self) -> tuple[int, int]:
        """Columns of the value block and of the one-hot block."""
        return 1, len(self.used) + self.missing

    def encode(self, column: Doubles) -> Doubles:
        """Return rows (n, 1 + k): the value within its mode, then the mode; a missing value is 0 in its own mode."""
        absent = np.isnan(column)
        values = np.where(absent, 0.0, column)
        mode = self._log_joint(values)[:, self.used].argmax(axis=1)
        mean, deviation = self.modes[self.used[mode], :2].T
        within = np.where(absent, 0.0, (values - mean) / (self.scale * deviation))
        if self.robust:
            within = np.clip(within, -1, 1)
        one_hot = np.eye(self.sizes[1])[np.where(absent, len(self.used), mode)]
        return np.column_stack([within, one_hot])

    def _log_joint(self, values: Doubles) -> Doubles:
        mean, deviation, log_weight = self.modes[:, :3].T
        joint = log_weight - np.log(deviation) - ((values[:, None] - mean) / deviation) ** 2 / 2
        if self.robust:
            return np.asarray(joint)
        shifted = np.exp(joint - joint.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def decode(self, encoded: Doubles) -> Doubles:
        """Return the values (n,), NaN where missing; what lies outside [-1, 1] is clipped."""
        chosen = encoded[:, 1:].argmax(axis=1)
        absent = chosen == len(self.used)
        mean, deviation = self.modes[self.used[np.where(absent, 0, chosen)], :2].T
        values = mean + np.clip(encoded[:, 0], -1, 1) * self.scale * deviation
        if self.rounding != "none":
            values = np.round(values) if self.rounding == "round" else np.trunc(values)
        return np.where(absent, np.nan, values)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads."""
        facts = [self.scale, self.robust, ROUNDINGS.index(self.rounding), self.missing]
        return {"modes": self.modes, "facts": np.array(facts, np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` gave."""
        scale, robust, rounding, missing = arrays["facts"].tolist()
        return cls(arrays["modes"], scale, bool(robust), ROUNDINGS[int(rounding)], bool(missing))


def _gaussians(values: Doubles, modes: int, seed: int) -> tuple[Doubles, Doubles, Doubles]:
    if len(values) == 1:  # scikit-learn wants two rows, and no more components than rows
        values = np.repeat(values, 2)
    components = min(modes, len(values))
    mixture = GaussianMixture(
        components,
        covariance_type="full",
        tol=TOLERANCE,
        reg_covar=FLOOR,
        max_iter=ITERATIONS,
        n_init=RESTARTS,
        random_state=seed,
    )
    with warnings.catch_warnings():  # fewer distinct values than components, or a slow end, is expected
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(values[:, None])
    weights = np.maximum(mixture.weights_, np.finfo(np.float64).tiny)
    return mixture.means_[:, 0], np.sqrt(mixture.covariances_[:, 0, 0]), weights
