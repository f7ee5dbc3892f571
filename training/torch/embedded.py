"""Which inputs of a network are one column's levels, and in how many numbers they are embedded; imports no torch."""

from typing import NamedTuple


class Embedded(NamedTuple):
    """Inputs `start` to `stop` that are one column's levels, to be embedded in `size` numbers."""

    start: int
    stop: int
    size: int
