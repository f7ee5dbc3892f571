"""A small event log with a known rare class, and a run file for it: what the job tests run on."""

from pathlib import Path

import numpy as np
import pandas as pd

ENTITIES, DAYS = 60, 70
RUN_FILE = """
[events]
url = "{root}/events"
format = "csv"
key = ["event_id"]

[events.metrics.amount]
column = "amount"
minimum = 0

[events.metrics.visits]
aggregate = "count"

[window]
start = 2024-01-01
end = 2024-03-11

[labels]
url = "{root}/labels.csv"
rare = "fading"
holdout_share = 0.4

[features]
recent_steps = 14
last_residuals = 2

[train]
trainer = "scarcegan"
compare = ["logistic_regression"]

[train.scarcegan]
members = 2
steps = 150
evaluate_every = 25

[score]
alerts = 10
stories = 2

[output]
root = "{root}/out"
run = "small"
"""


def write(root: Path, seed: int = 0) -> Path:
    """Write events (some of them bad), labels and run.toml under `root`; return the run file."""
    generator = np.random.default_rng(seed)
    fading = np.arange(ENTITIES) % 5 == 0
    rows = []
    for entity in range(ENTITIES):
        chance = 0.5 * np.where(fading[entity] & (np.arange(DAYS) > 40), 0.15, 1.0)
        for day in np.flatnonzero(generator.random(DAYS) < chance):
            time = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(day), minutes=int(generator.integers(1440)))
            rows.append((f"entity {entity}", time.isoformat(), f"{generator.gamma(2, 10):.2f}"))
    rows += [("entity 1", "not a time", "1"), ("entity 1", "2024-01-05", "abc"), ("", "2024-01-05", "1")]
    frame = pd.DataFrame(rows, columns=["entity_id", "ts", "amount"])
    frame["event_id"] = np.arange(len(frame))
    frame = pd.concat([frame, frame.head(4)])  # delivered twice
    (root / "events").mkdir(parents=True)
    for number, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[part].to_csv(root / "events" / f"part-{number}.csv", index=False)
    label = np.where(fading, "fading", "steady")
    labels = pd.DataFrame({"entity_id": [f"entity {i}" for i in range(ENTITIES)], "label": label})
    labels.iloc[:50].to_csv(root / "labels.csv", index=False)
    (root / "run.toml").write_text(RUN_FILE.format(root=root))
    return root / "run.toml"
