"""Event types and columns of any data as names of metrics: plain, short and told apart."""

import re
from collections.abc import Sequence
from itertools import count

LONGEST = 32


def slugs(texts: Sequence[str]) -> tuple[str, ...]:
    """Spell each text in small letters, digits and single underscores; a number follows one that came before."""
    found: dict[str, None] = {}
    for text in texts:
        plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:LONGEST].strip("_")
        plain = plain if plain[:1].isalpha() else f"x{plain}"
        spellings = (plain if number == 1 else f"{plain}_{number}" for number in count(1))
        found[next(spelling for spelling in spellings if spelling not in found)] = None
    return tuple(found)
