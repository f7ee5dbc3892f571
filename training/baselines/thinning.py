"""A labelled table of many rows thinned out, for the baselines whose time grows with rows and whose merit hardly does.

Classes weigh alike in them, so that fewer rows of a large class change no balance. Held-out rows are never thinned out:
what is measured stays comparable with what is measured of other methods.
"""

from dataclasses import replace

from training.artifact import Manifest
from training.rows_by_class import bounded
from training.trainer import Batch


def thinned(manifest: Manifest, rows: Batch, most: int) -> tuple[Manifest, Batch]:
    """Return at most about `most` of the rows, all of small classes, and a manifest that says so under its history."""
    if len(rows.labels) <= most:
        return manifest, rows
    chosen = bounded(rows.labels.astype("int64"), most, seed=manifest.seed)
    known = replace(manifest, history=manifest.history | {"learned_from": len(chosen)})
    return known, Batch(rows.features[chosen], rows.labels[chosen])
