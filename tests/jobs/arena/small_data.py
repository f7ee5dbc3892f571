"""Small tables and an arena that runs its fits in this process, which takes none of a process's start."""

from contextlib import nullcontext

import numpy as np

from feature_extraction.schema import FeatureSchema
from jobs.arena import fit
from jobs.arena.data_sets import DataSet, Table
from jobs.arena.runs import Arena

SCHEMA = FeatureSchema(("spend__level", "login__gap", "row__number"), ("regular", "rare"), "rare")
SMALL = DataSet("small", "table", "", "small")
PLACE = "tests.jobs.arena.methods:"


def table(*, rare=40, regular=200, unlabeled=10, groups=None):
    """One feature tells the rare rows, the last one is a row's number."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat([1, 0, -1], [rare, regular, unlabeled])).astype(np.int8)
    features = random.normal(size=(len(labels), 3)).astype(np.float32)
    features[labels == 1, 0] += 1.5
    features[:, 2] = np.arange(len(labels))
    return Table(features, labels, SCHEMA, np.arange(len(labels)).astype(str), groups)


def here(request, stop):
    """Run a fit in this process."""
    return fit.answer(request)


def arena(folder, *, run=here, **changed):
    given = {"load": lambda data, features: table(), "fits": lambda limits: nullcontext(run)} | changed
    return Arena(folder=folder, **given)
