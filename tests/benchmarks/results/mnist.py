"""MNIST and Fashion-MNIST from the IDX files in ../shared."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[4] / "shared/data/images"
SETS = {"mnist": "mnist", "fashion": "fashion_mnist"}
SHAPE = (1, 28, 28)
HEADERS = {"images": 16, "labels": 8}


def read(name: str, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (n, 784) from 0 to 255 and labels (n,) of the part `train` or `t10k`."""
    found = []
    for kind, dimensions in (("images", 3), ("labels", 1)):
        packed = (FOLDER / SETS[name] / f"{part}-{kind}-idx{dimensions}-ubyte.gz").read_bytes()
        found.append(np.frombuffer(gzip.decompress(packed), np.uint8, offset=HEADERS[kind]))
    return found[0].reshape(len(found[1]), -1), found[1]
