"""A published feature table of a few hundred rows and a run file for it: training without an extraction before it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from feature_extraction import storage
from feature_extraction.publishing import Run
from feature_extraction.schema import ENTITY, LABEL, UNLABELED, FeatureSchema

SCHEMA = FeatureSchema(("spend__level", "spend__active_share", "login__gap"), ("regular", "rare"), "rare")
RARE, REGULAR, HIDDEN = 30, 120, 90
RUN_FILE = """
[events]
url = "nowhere"
[events.metrics.spend]
aggregate = "count"
[window]
start = 2024-01-01
end = 2024-03-01
[train]
trainer = "logistic_regression"
compare = []
gpus_per_model = 0
[train.mlp]
members = 2
steps = 1500
evaluate_every = 50
patience = 1000
[train.torch_mlp]
epochs = 200
rows = 32
patience = 0
[output]
root = "{root}/out"
run = "small"
"""


def write(root: Path, *, files: int = 4) -> Path:
    """Publish the table under `root`/out in so many files, a row group each, and return the run file."""
    random = np.random.default_rng(0)
    labels = np.repeat([1, 0, UNLABELED], [RARE, REGULAR, HIDDEN]).astype(np.int8)
    features = np.exp(random.normal(size=(len(labels), 3))).astype(np.float32)
    features[labels == 1, 0] *= 3
    features[random.random(len(labels)) < 0.1, 2] = np.nan
    order = random.permutation(len(labels))
    columns = {ENTITY: [f"entity {number}" for number in order], LABEL: pa.array(labels[order], pa.int8())}
    columns |= {name: features[order, at] for at, name in enumerate(SCHEMA.names)}
    table, run = pa.table(columns), Run(str(root / "out"), "features", "small")
    Path(run.url).mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(len(labels)), files)):
        parquet.write_table(table.take(rows), f"{run.url}/part-{number:05d}.parquet")
    storage.write_bytes(f"{run.url}/schema.json", SCHEMA.to_json().encode())
    run.finish("made by hand", {})
    (root / "run.toml").write_text(RUN_FILE.format(root=root))
    return root / "run.toml"
