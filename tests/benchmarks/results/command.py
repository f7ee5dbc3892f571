"""Options of the benchmarks' command lines."""

import argparse
from collections.abc import Callable, Iterable


def some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return the reader of an option that takes some of the known names, by commas, and gives them in their order."""

    def read(text: str) -> list[str]:
        asked = text.split(",")
        if strange := sorted(set(asked) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(strange)}; known: {', '.join(known)}")
        return [name for name in known if name in asked]

    return read
