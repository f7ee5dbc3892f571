"""The members of `auto`: which are tried, which are left out and why, and what each is worth on held-out rows.

Takes a reader; gives each member's artifact as files. Every trainer leaves the held-out scores of its labelled rows in
its manifest, so members are compared without being fitted again.
"""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feature_extraction.schema import UNLABELED
from training import artifact as artifacts
from training.artifact import Manifest
from training.auto.blend import Doubles, Truth
from training.auto.settings import AutoSettings
from training.trainer import TRAINERS, Reader, load_class

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """A method that was fitted.

    Attributes:
        name: in `TRAINERS`.
        manifest: of its artifact, with the held-out rows.
        files: of its artifact.
        scores: of the labelled rows by models that did not learn from them, (n,).
    """

    name: str
    manifest: Manifest
    files: Mapping[str, bytes]
    scores: Doubles


class _LeftOut(ValueError):
    """Why a member is not among those that are compared."""


def fit_all(settings: AutoSettings, reader: Reader, truth: Truth) -> tuple[list[Member], dict[str, str]]:
    """Fit the members that suit a table; return them, and the reasons of those that were left out by name.

    Args:
        settings: of `auto`.
        reader: the table.
        truth: whether each labelled row is rare, (n,).

    Raises:
        ValueError: none could be fitted; the reason is that of the first.
    """
    fitted: list[Member] = []
    left_out: dict[str, str] = {}
    reasons: list[ValueError] = []
    for name in settings.all_members:
        try:
            _check_suits(name, settings, reader, truth)
            fitted.append(_fitted(name, settings, reader, truth))
        except ImportError as error:
            left_out[name] = f"{error.name or error} is not installed"
        except ValueError as error:
            left_out[name] = str(error)
            reasons.append(error)
        if name in left_out:
            logger.info("auto: %s is left out: %s", name, left_out[name])
    if not fitted:
        raise reasons[0] if reasons else ValueError(f"no member of auto could be fitted: {left_out}")
    return fitted, left_out


def _check_suits(name: str, settings: AutoSettings, reader: Reader, truth: Truth) -> None:
    cells = len(truth) * len(reader.schema.names)
    if name in settings.slow_members and cells > settings.slow_cells:
        raise _LeftOut(
            f"{cells:,} labelled rows x features are more than train.auto.slow_cells = {settings.slow_cells:,}"
        )
    rare = int(truth.sum())
    if name in settings.members or (name in settings.many_label_members and rare > settings.few):
        return
    if name not in settings.few_label_members:
        raise _LeftOut(f"{rare} labelled rare rows are no more than train.auto.few = {settings.few}")
    if rare > settings.few:
        raise _LeftOut(f"{rare} labelled rare rows are more than train.auto.few = {settings.few}")
    if not any((batch.labels == UNLABELED).any() for batch in reader.scan()):
        raise _LeftOut("no row of the table is without label")


def _fitted(name: str, settings: AutoSettings, reader: Reader, truth: Truth) -> Member:
    own = {"seed": settings.seed} | settings.member_settings.get(name, {})
    learned = load_class(TRAINERS[name])(**own).fit(reader)
    with tempfile.TemporaryDirectory() as folder:
        learned.save(folder)
        manifest, files = artifacts.load_files(folder)
    rows = manifest.held_out
    if rows is None or rows.is_rare != tuple(truth.tolist()):
        raise _LeftOut("it did not hold out every labelled row, so it cannot be compared")
    logger.info("auto: %s has average precision %.3f", name, manifest.metrics["average_precision"]["value"])
    return Member(name, manifest, files, np.array(rows.scores))
