"""One of several processes that train together: run by tests/training/test_distributed.py, never by pytest itself."""

import json
import logging
import sys

from training.reader import FeatureReader
from training.torch import distributed
from training.torch.classifier import TorchMLP


def main(table: str, target: str, settings: str) -> None:
    logging.basicConfig(level=logging.INFO)
    with distributed.joined() as group:
        artifact = TorchMLP(**json.loads(settings)).fit(FeatureReader(table, shard=(group.rank, group.size)))
        if group.rank == 0:
            artifact.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
