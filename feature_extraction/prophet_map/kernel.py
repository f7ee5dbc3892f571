"""How the numerical kernels are compiled: with numba, without the GIL, and cached where there is a place to write.

Only entry points are cached; what they call is compiled into them. Numba renews a cached function when its own file
changes, not when a file of a function it calls does, so entry points close over `source_stamp()`, which is then part
of the cache's key.
"""

import zlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
# Sums may be reordered and fused; NaN and infinity keep their meaning. The order is fixed when a kernel is compiled,
# so a series gives the same bits in any batch.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


def kernel(function: F) -> F:
    """Compile a function that other kernels call."""
    compiled: Any = njit(fastmath=FASTMATH, nogil=True)(function)
    return cast(F, compiled)


def inlined(function: F) -> F:
    """Compile a short function into its callers: a call would count references to every array it passes."""
    compiled: Any = njit(fastmath=FASTMATH, nogil=True, forceinline=True)(function)
    return cast(F, compiled)


def entry(function: F) -> F:
    """Compile a function that Python calls, and keep the machine code for the next process."""
    return _kept(function, FASTMATH)


def exact_entry(function: F) -> F:
    """Compile the same without the freedom to reorder sums."""
    return _kept(function, set())


def _kept(function: F, fastmath: set[str]) -> F:
    try:
        compiled: Any = njit(fastmath=fastmath, nogil=True, cache=True)(function)
    except RuntimeError:  # neither the checkout nor the home directory can be written to
        compiled = njit(fastmath=fastmath, nogil=True)(function)
    return cast(F, compiled)


@cache
def source_stamp() -> int:
    """Return a checksum over the sources of this package."""
    sources = sorted(resources.files(__package__).iterdir(), key=lambda file: file.name)
    return zlib.crc32(b"".join(file.read_bytes() for file in sources if file.name.endswith(".py")))
