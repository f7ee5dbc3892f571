"""The file in which a person writes the graph: TOML, whose faults are told by line.

    [[factors]]
    name = "spend"                   # a code and the factor it shows in
    columns = ["spend"]              # metrics or features that the factor is read from; left out: all
    parents = ["spend", "baskets"]   # codes it depends on; left out: its own alone

Takes a URL; gives a `Graph`. The whole example: `jobs/configs/imsic_graph.toml`.
"""

import json
import re
import tomllib
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from feature_extraction import storage
from training.torch.imsic.graph import Factor, Graph, GraphFault, nearest

HEADER = re.compile(r"\s*\[\[\s*factors\s*\]\]")
KEY = re.compile(r"""\s*["']?(\w+)["']?\s*[=.]""")


class GraphError(ValueError):
    """A graph's file does not hold a graph."""


def read(url: str) -> Graph:
    """Read the graph in a file, on a disk or in a bucket.

    Raises:
        StorageError: there is no such file.
        GraphError: it is no TOML, or its factors do not make a graph; says by line what was found and what to do.
    """
    data = storage.read_bytes(url)
    try:
        written = data.decode()
        found = tomllib.loads(written)
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or a nesting beyond any use
        raise GraphError(
            f"{url}: not readable as TOML: {error}; write it as in jobs/configs/imsic_graph.toml"
        ) from error
    try:
        return Graph(**found)
    except ValidationError as error:
        raise GraphError("\n".join(f"{url}: {line}" for line in _told(error, written))) from error


def text(graph: Graph) -> str:
    """Return a graph as the text of a file, with what differs from the defaults; `read` reads it back."""
    parts = []
    for factor in graph.factors:
        fields = factor.model_dump(mode="json", exclude_defaults=True)
        parts.append("\n".join(["[[factors]]", *(f"{key} = {_toml(value)}" for key, value in fields.items())]))
    return "\n\n".join(parts) + "\n"


def _toml(value: Any) -> str:  # noqa: ANN401  (text, number, list or table)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)  # TOML spells texts, numbers and lists of them in the same way


def _read_where_named(given: object) -> object:
    return read(given) if isinstance(given, str) and given else given or None


# A field of settings: where a URL is given the graph itself is kept, so that a file that was edited trains anew.
GivenGraph = Annotated[Graph | None, BeforeValidator(_read_where_named)]


def _told(error: ValidationError, written: str) -> list[str]:
    """Say everything that is wrong, each with its line."""
    told, problems = [], error.errors()
    for problem in problems:
        if problem["type"] == "too_short" and len(problems) > 1:  # what follows from factors that are refused
            continue
        place, message = _place(problem, written), str(problem["msg"]).removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            own = Factor if len(place) > 1 else Graph
            message = f"unknown key {place[-1]!r}{nearest(str(place[-1]), list(own.model_fields))}"
        elif problem["type"] == "missing":
            message = f"{place[-1]} is needed and not given; write one [[factors]] with a name for each factor"
        elif not isinstance(problem.get("ctx", {}).get("error"), GraphFault):
            message = f"{'.'.join(map(str, place[2:] or place))}: {message}; found {problem['input']!r}"
        told.append(f"line {_line(place, written)}: {message}")
    return told


def _place(problem: Any, written: str) -> tuple[int | str, ...]:  # noqa: ANN401  (pydantic's own type is not public)
    fault = problem.get("ctx", {}).get("error")
    place: tuple[int | str, ...] = problem["loc"]
    if not isinstance(fault, GraphFault):
        return place
    if len(place) > 1:
        return (*place[:2], fault.key)
    names = [factor.get("name") for factor in tomllib.loads(written)["factors"]]
    last = len(names) - 1 - names[::-1].index(fault.factor)  # of two of one name the second is one too many
    return ("factors", last, fault.key)


def _line(place: tuple[int | str, ...], written: str) -> int:
    """Return the line, from 1, of a key of a factor; of the factor if it has no such key."""
    number, found = -1, 1
    for at, line in enumerate(written.splitlines(), start=1):
        if HEADER.match(line):
            number += 1
            found = at if place[1:2] == (number,) else found
        key = KEY.match(line)
        own = number == place[1] if len(place) > 1 else number < 0
        if key and own and key[1] == place[min(2, len(place) - 1)]:
            return at
    return found
