"""Settings and a training that the tests of IMSIC share; tables are those of MGVAE's tests."""

from functools import cache

from tests.training.mgvae import mgvae_tables as tables
from training.torch.imsic.graph import Factor, Graph
from training.torch.imsic.settings import IMSICSettings
from training.torch.imsic.trainer import IMSIC

TINY = {
    "units": (24,),
    "noise_dim": 6,
    "batch_size": 30,
    "steps": 60,
    "folds": 2,
    "ratios": (0.5, 2.0),
    "least_confidence": 0.0,  # so few steps make no class certain
    "greatest_distance": 1.0,
    "classifier_units": (16,),
    "classifier_members": 2,
    "classifier_lengths": (1.0,),
    "classifier_steps": 80,
    "classifier_batch": 40,
    "classifier_rate": 1e-2,
    "checkpoint_every": 20,
}
# Of the columns size, kind, whole and gaps.
GRAPH = Graph(
    factors=(
        Factor(name="scale", columns=("size", "whole")),
        Factor(name="make", columns=("kind",)),
        Factor(name="mood", parents=("scale", "mood"), weights={"scale": -1.0}, range=(-0.5, 0.5)),
    )
)


def tiny(**changes):
    return IMSICSettings(**TINY | {"graph": GRAPH} | changes)


@cache
def fitted(**changes):
    return IMSIC(**TINY | {"graph": GRAPH} | changes).fit(tables.reader())
