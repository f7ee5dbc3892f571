"""What the files of a trained generator are called, and how the classes share them."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

CODEC, NETWORKS, STORED = "codec.safetensors", "networks.safetensors", "majority.safetensors"


def of_class(arrays: Mapping[str, NDArray[Any]], code: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of one class by their own names."""
    prefix = f"{code}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
