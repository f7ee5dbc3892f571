"""Options of a job's own beside those of the run file: one for each field of a dataclass.

    python -m jobs.traverse --config run.toml --label fraud --train.trainer imsic

Takes the command line; gives the settings of the run file, and the dataclass.
"""

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from jobs.settings import RunSettings, load


class _Options(Protocol):
    """A dataclass whose fields all have defaults."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


Options = TypeVar("Options", bound=_Options)


def read(
    options: type[Options], helps: Mapping[str, str], arguments: Sequence[str] | None, *, job: str, description: str
) -> tuple[RunSettings, Options]:
    """Read a job's own options; what is left names the run file and its overrides.

    Args:
        options: a dataclass; each field is an option of the same name, of its default's type.
        helps: what `--help` says of each field.
        arguments: those of the command line if None.
        job: the module's name, for `--help` and for messages.
        description: what the job does, for `--help`.

    Raises:
        SettingsError: the run file or an override does not fit, or an option is not known.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {job} --config FILE",
        description=description,
        epilog="Further options override fields of the run file, as for the other jobs.",
        allow_abbrev=False,
    )
    for field in dataclasses.fields(options):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default, help=helps[field.name])
    own, rest = parser.parse_known_args(list(sys.argv[1:] if arguments is None else arguments))
    return load(rest, job=job), options(**vars(own))
