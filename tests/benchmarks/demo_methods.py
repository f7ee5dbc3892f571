"""How stable the demo's figures are: `make demo`, then `python tests/benchmarks/demo_methods.py`.

The demo shows training one choice of 40 % of the labels. Here the choice, and with it every method's seed, is made anew
several times over the same feature table, and the average precision on the hidden households is reported as mean and
standard deviation, with the paired differences to ScarceGAN. Last line of stdout: one JSON object.
"""

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from feature_extraction import demo, publishing
from feature_extraction.schema import ENTITY, LABEL, UNLABELED
from inference import table
from jobs import console
from training.reader import ArrayReader
from training.trainer import TRAINERS, load_class

SEEDS = range(8)


def all_labels(url: str, code: dict[str, int]) -> pd.DataFrame:
    """Every household's label: those shown to training, in the table, and those hidden beside it."""
    shown = table.rows(url, [LABEL]).reset_index()
    names = {number: name for name, number in code.items()}
    shown = shown[shown[LABEL] != UNLABELED].assign(**{LABEL: lambda frame: frame[LABEL].map(names)})
    return pd.concat([shown, table.holdout(url)]).sort_values(ENTITY, ignore_index=True)


def measure(url: str, seed: int) -> dict[str, float]:
    schema = table.schema(url)
    code = {name: number for number, name in enumerate(schema.classes)}
    labels = all_labels(url, code)
    shown = demo.show(labels, seed).to_numpy()
    features = table.features(url, schema.names, labels[ENTITY].tolist())
    codes = np.where(shown, labels[LABEL].map(code), UNLABELED).astype(np.int8)
    reader = ArrayReader(features, codes, schema)
    rare = (labels[LABEL] == schema.rare).to_numpy()[~shown]
    found = {}
    for name, place in TRAINERS.items():
        try:
            model = load_class(place)(seed=seed).fit(reader)
        except ModuleNotFoundError as missing:
            print(f"{name} is left out: {missing}", flush=True)
            continue
        score = model.predict(features[~shown])[:, model.classes.index(model.rare)]
        found[name] = float(average_precision_score(rare, score))
    print(seed, {name: round(value, 3) for name, value in found.items()}, flush=True)
    return found


def main() -> None:
    console.set_up()
    url = publishing.latest("out/demo", "features").url
    runs = [measure(url, seed) for seed in SEEDS]
    result: dict[str, float] = {"seeds": len(runs)}
    for name in runs[0]:
        values = [run[name] for run in runs]
        result |= {f"{name}_ap": round(statistics.mean(values), 3), f"{name}_sd": round(statistics.stdev(values), 3)}
        if name != "scarcegan":
            gains = [run["scarcegan"] - run[name] for run in runs]
            error = statistics.stdev(gains) / len(gains) ** 0.5
            result |= {f"gain_over_{name}": round(statistics.mean(gains), 3), f"gain_se_{name}": round(error, 3)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
