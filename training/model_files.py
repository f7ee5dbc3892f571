"""scikit-learn models as skops files, read back without running or trusting anything in them.

Takes a fitted model and gives bytes; gives it back only if the file holds nothing but trusted types, unpacks to no more
than it holds, and is a model of the class that was asked for.
"""

import io
import sys
import threading
import zipfile
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import Any, TypeVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier

from training.artifact import ArtifactError

M = TypeVar("M", bound=ClassifierMixin)

# All that skops meets in the two model families beyond its own safe types, seen with scikit-learn 1.9.
TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


def pack_model(model: ClassifierMixin) -> bytes:
    """Return a scikit-learn model as skops bytes."""
    return bytes(_skops().dumps(model))


def unpack_model(data: bytes, kind: type[M]) -> M:
    """Read what `pack_model` made of a model of class `kind`.

    Raises:
        ArtifactError: it holds a type outside `TRUSTED_TYPES`, which is not read, or something else than a model of
            this class, or trees that lead out of their own arrays.
    """
    _check_size(data)
    skops = _skops()
    strange = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    if strange:
        raise ArtifactError(
            f"the model file holds types that are not trusted: {strange}; "
            f"expected none but {list(TRUSTED_TYPES)}. "
            "Load only artifacts that this program wrote"
        )
    model: M = skops.loads(data, trusted=list(TRUSTED_TYPES))
    if type(model) is not kind:
        raise ArtifactError(f"the model file holds a {type(model).__name__}, expected a {kind.__name__}; train again")
    if isinstance(model, HistGradientBoostingClassifier):
        _check_trees(model)
    return model


def _skops() -> Any:  # noqa: ANN401  (a module)
    """Import `skops.io` here alone: it imports all of scikit-learn.

    Its list of estimators comes from a walk through scikit-learn's packages. One of them is for those who give it
    torch's arrays: where torch is installed, that alone would take seconds and 170 MB in every process
    that scores.
    """
    without_torch = _WithoutTorch(threading.get_ident())
    sys.meta_path.insert(0, without_torch)
    try:
        import skops.io
    finally:
        sys.meta_path.remove(without_torch)
    return skops.io


@dataclass(frozen=True, eq=False)
class _WithoutTorch(MetaPathFinder):
    """Finds no torch for one thread, unless it is loaded already."""

    thread: int

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torch" and threading.get_ident() == self.thread:
            raise ModuleNotFoundError("torch is not for skops", name=name)


def _check_size(data: bytes) -> None:
    """Refuse a file whose members add up to more than it holds: skops packs nothing, so something else wrote it."""
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        size = sum(member.file_size for member in members.infolist())
    if size > len(data):
        raise ArtifactError(f"the model file of {len(data):,} bytes would unpack to {size:,}; train again")


def _check_trees(model: HistGradientBoostingClassifier) -> None:
    """Raise unless every node leads on to a later one of its tree: scikit-learn walks them without looking."""
    for trees in model._predictors:
        if len(trees) != model.n_trees_per_iteration_:
            raise ArtifactError(f"{len(trees)} trees where the model has {model.n_trees_per_iteration_}; train again")
        for tree in trees:
            nodes, own = tree.nodes, np.arange(len(tree.nodes))
            inner = nodes["is_leaf"] == 0
            forward = np.minimum(nodes["left"], nodes["right"]) > own
            inside = np.maximum(nodes["left"], nodes["right"]) < len(nodes)
            known = (nodes["feature_idx"] >= 0) & (nodes["feature_idx"] < model.n_features_in_)
            if not len(nodes) or nodes["is_categorical"].any() or not (forward & inside & known)[inner].all():
                raise ArtifactError("a tree of the model leads out of its own nodes or features; train again")
