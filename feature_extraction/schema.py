"""Names that stages agree on: columns of the feature table, label codes, and the schema saved beside it.

Takes nothing but values; gives `FeatureSchema`, which every reader of a feature table checks itself against.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

ENTITY = "entity_id"
LABEL = "label"
CONFIDENCE = "label_confidence"
UNLABELED = -1
UNKNOWN = "unknown"
FEATURE_SEPARATOR = "__"
FIT_STATUS = "fit_status"


class SchemaMismatch(ValueError):
    """A table and a model, or a table and its schema, do not hold the same features."""


@dataclass(frozen=True)
class FeatureSchema:
    """What one feature table holds.

    Attributes:
        names: feature columns in order, each `<metric>__<feature>`, float32.
        classes: class names; a label code is the position in this tuple. Empty when nothing is labelled.
        rare: the class to be found, one of `classes`; empty when nothing is labelled.
        window_start: first instant of the window, ISO 8601, inclusive.
        window_end: end of the window, ISO 8601, exclusive.
        step_seconds: length of one step of the series, seconds.
        time_zone: the zone in which days begin.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    rare: str = ""
    window_start: str = ""
    window_end: str = ""
    step_seconds: int = 86_400
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise SchemaMismatch(f"feature names occur twice: {twice}")
        if self.rare and self.rare not in self.classes:
            raise SchemaMismatch(f"the rare class {self.rare!r} is not among the classes {list(self.classes)}")

    @property
    def fingerprint(self) -> str:
        """Eight hex digits over what a model depends on: feature names in order and the step."""
        identity = json.dumps([self.names, self.step_seconds])
        return hashlib.sha256(identity.encode()).hexdigest()[:8]

    @property
    def rare_code(self) -> int:
        """Label code of the rare class."""
        return self.classes.index(self.rare)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metric names, in the order in which they first appear."""
        return tuple(dict.fromkeys(name.split(FEATURE_SEPARATOR)[0] for name in self.names))

    def check(self, found: Sequence[str], where: str) -> None:
        """Raise `SchemaMismatch` with a line diff unless `found` holds this schema's features in this order."""
        if tuple(found) == self.names:
            return
        diff = difflib.unified_diff(self.names, list(found), "expected", "found", lineterm="", n=0)
        raise SchemaMismatch(
            f"{where} does not hold schema {self.fingerprint}:\n"
            + "\n".join(diff)
            + "\nRe-run jobs/extract_features.py with this feature set, or retrain on the new one."
        )

    def to_json(self) -> str:
        """Return the schema as JSON text; `from_json` reads it back."""
        return json.dumps(asdict(self) | {"fingerprint": self.fingerprint}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "FeatureSchema":
        """Read what `to_json` wrote; a fingerprint that does not fit the names is refused."""
        fields = json.loads(text)
        claimed = fields.pop("fingerprint", None)
        schema = cls(**fields | {"names": tuple(fields["names"]), "classes": tuple(fields["classes"])})
        if claimed not in (None, schema.fingerprint):
            raise SchemaMismatch(
                f"schema file claims fingerprint {claimed}, its names give {schema.fingerprint}: "
                "it was edited or damaged; extract the features again"
            )
        return schema
