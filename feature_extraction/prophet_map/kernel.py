"""How the numerical kernels are compiled: with numba, without the GIL, and cached where there is a place to write.

Only entry points are cached; what they call is compiled into them. Numba renews a cached function when its own file
changes, not when a file of a function it calls does, so entry points close over `source_stamp()`, which is then part
of the cache's key.
"""

import zlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from numba import config, njit
from numba.core.caching import ZipCacheLocator

F = TypeVar("F", bound=Callable[..., Any])
NUMBA: Any = config  # whose names come from the environment as it is imported
_Zipped: Any = ZipCacheLocator
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


class ZippedKernels(_Zipped):  # type: ignore[misc]
    """Where machine code of zipped sources is kept: by their content in the user's cache, or else beside the zip.

    Numba's own locator names the folder after the zip's path, which is another one in each Spark application, so that
    each compiles again; and it raises where no home directory can be written to, as in the containers of YARN.
    """

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(self.folder)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Self | None:
        """Return the locator of a function; None where it is not zipped, or nothing can be written."""
        zips = [parent for parent in Path(py_file).absolute().parents if parent.name.endswith(".zip")]
        if not zips or not zips[-1].is_file():  # an unpacked archive may have kept its name
            return None
        locator = cls(py_func, py_file)
        shared = NUMBA.CACHE_DIR or Path(_Zipped.get_cache_path(locator)).parent
        for folder in (Path(shared, f"scarce_{source_stamp():08x}"), zips[-1].parent / "__pycache__"):
            locator.folder = folder
            try:
                locator.ensure_cache_path()
            except OSError:  # of any kind: read-only, full, or a file where the folder should be
                continue
            return locator
        return None


LOCATORS = ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator", f"{__name__}.ZippedKernels")


def _kept(function: F, fastmath: set[str]) -> F:
    given = NUMBA.CACHE_LOCATOR_CLASSES
    NUMBA.CACHE_LOCATOR_CLASSES = given or ",".join(LOCATORS)
    try:
        compiled: Any = njit(fastmath=fastmath, nogil=True, cache=True)(function)
    except RuntimeError:  # neither where the sources are nor in the home directory can anything be written
        compiled = njit(fastmath=fastmath, nogil=True)(function)
    finally:
        NUMBA.CACHE_LOCATOR_CLASSES = given
    return cast(F, compiled)


@cache
def source_stamp() -> int:
    """Return a checksum over the sources of this package."""
    sources = sorted(resources.files(__package__).iterdir(), key=lambda file: file.name)
    return zlib.crc32(b"".join(file.read_bytes() for file in sources if file.name.endswith(".py")))
