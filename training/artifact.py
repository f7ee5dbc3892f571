"""Trained models on storage: a few named files and `manifest.json`, written last, with a digest of each.

Takes an artifact's files as bytes; gives them back only if every one is as it was written. `load` opens any
artifact: the manifest names its trainer, and `ARTIFACTS` the class that reads its files, none of which needs
the framework it was trained in. Nothing here is pickled: files are JSON, safetensors, or skops with a fixed
list of trusted types (`training/model_files.py`).

The digests protect against damage, not against who can write to the bucket: such a one can write other weights and
the digests that fit them. Even then loading runs no code from the files, and what does not fit together is refused.
Who may write there is for the bucket's policy to say.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any, cast

import numpy as np
import pyarrow as pa
import safetensors.numpy
from numpy.typing import NDArray
from pyarrow import parquet
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from feature_extraction import storage
from feature_extraction.schema import FeatureSchema, SchemaMismatch
from training.artifact_classes import ARTIFACTS as ARTIFACTS
from training.held_out import FILE as HELD_OUT
from training.held_out import HeldOut
from training.trainer import Artifact, Floats, load_class

MANIFEST = "manifest.json"
HISTORY = "history.parquet"
FORMAT = 2
FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


class ArtifactError(ValueError):
    """A folder does not hold a whole, untouched artifact that this program can read."""


@checked_dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", revalidate_instances="always"))
class Manifest:
    """What is known of a trained model besides its weights; a field of another type is refused.

    Attributes:
        trainer: the trainer's name in `TRAINERS`.
        settings: its settings, without what does not change the result.
        schema: the feature table it was trained on.
        classes: class names, one per probability.
        rare: the class whose probability is the score.
        rows: labelled rows by class and `unlabeled` rows that were read.
        metrics: measures on rows that were held out.
        history: how the training went: single facts, and under `step` and beside it what each look noted.
        seed: the seed.
        versions: versions of the packages that made it.
        held_out: the held-out rows and their scores; None where there were none. They lie in a file of their own.
    """

    trainer: str
    settings: dict[str, Any]
    schema: FeatureSchema
    classes: tuple[str, ...]
    rare: str
    rows: dict[str, int]
    metrics: dict[str, Any]
    seed: int
    history: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    held_out: HeldOut | None = None

    def to_json(self, files: Mapping[str, bytes]) -> str:
        """Return the manifest as JSON text, with the SHA-256 of each file and of the manifest's own content."""
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        schema = json.loads(self.schema.to_json())
        fields = asdict(self) | {"schema": schema, "files": digests, "format": FORMAT}
        del fields["held_out"]
        return json.dumps(fields | {"digest": content_digest(fields)}, indent=1, allow_nan=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Manifest":
        """Read what `to_json` wrote; a schema that does not fit its fingerprint raises `SchemaMismatch`."""
        own = {name: value for name, value in fields.items() if name not in ("files", "format", "digest")}
        schema = FeatureSchema.from_json(json.dumps(own["schema"]))
        classes = own["classes"]
        return cls(**own | {"schema": schema, "classes": tuple(classes) if isinstance(classes, list) else classes})


@dataclass(frozen=True)
class Described:
    """What every artifact of this program is besides its weights.

    Attributes:
        manifest: what is known of the training.
    """

    manifest: Manifest

    @property
    def schema(self) -> FeatureSchema:
        """Schema of the rows it takes."""
        return self.manifest.schema

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, one per probability."""
        return self.manifest.classes

    @property
    def rare(self) -> str:
        """The class whose probability is the score."""
        return self.manifest.rare


def package_versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package, be it that of another distribution (`xgboost-cpu`)."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        others = _distributions().get(package, [])
        if not others:
            raise
        return version(others[0])


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()  # reads what is said of all that is installed: a second


def check_width(features: Floats, schema: FeatureSchema) -> None:
    """Raise `SchemaMismatch` unless rows have one column for each feature of the schema."""
    if features.ndim != 2 or features.shape[1] != len(schema.names):
        raise SchemaMismatch(
            f"found rows of shape {features.shape}, the model was trained on {len(schema.names)} features "
            f"(schema {schema.fingerprint}); score the table it was trained on, or retrain"
        )


def save_files(url: str, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write files to a folder and, last, the manifest: a folder that has one is whole.

    What was noted at each look at the training goes into `history.parquet` as well, held-out rows into a file that
    `load_files` makes the manifest whole with again.
    """
    files = {**files, **_history_file(manifest.history)}
    if manifest.held_out:
        files[HELD_OUT] = manifest.held_out.to_parquet()
    for name, data in files.items():
        storage.write_bytes(storage.join(url, name), data)
    storage.write_bytes(storage.join(url, MANIFEST), manifest.to_json(files).encode())


def _history_file(history: Mapping[str, Any]) -> dict[str, bytes]:
    looks = {name: values for name, values in history.items() if isinstance(values, list)}
    looks = {name: values for name, values in looks.items() if len(values) == len(history.get("step", ()))}
    if not looks:
        return {}
    buffer = io.BytesIO()
    parquet.write_table(pa.table(looks), buffer)
    return {HISTORY: buffer.getvalue()}


def load(url: str) -> Artifact:
    """Open the artifact in a folder, and try it on rows of its own width.

    Raises:
        ArtifactError: there is no manifest, a file is missing or not as it was written, no class reads it, or its
            files do not fit together.
        SchemaMismatch: the schema does not fit its fingerprint.
    """
    manifest, files = load_files(url)
    if manifest.trainer not in ARTIFACTS:
        raise ArtifactError(f"{url}: made by trainer {manifest.trainer!r}; this program reads {sorted(ARTIFACTS)}")
    with refusing(url):
        artifact = cast(Artifact, load_class(ARTIFACTS[manifest.trainer]).read(manifest, files))
        _try_out(artifact)
    return artifact


@contextmanager
def refusing(place: str) -> Iterator[None]:
    """Turn whatever a parser or a model raises over what lies at `place` into `ArtifactError`.

    Refusals that speak for themselves pass, and so does `ImportError`: a package is missing here, not there.
    """
    try:
        yield
    except (ArtifactError, SchemaMismatch, ImportError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ArtifactError(
            f"{place}: its files do not fit together ({reason}); copy the folder again, or train again"
        ) from error


def _try_out(artifact: Artifact) -> None:
    """Raise unless an artifact scores and explains a row of zeros and one in which everything is missing."""
    rows = np.full((2, len(artifact.schema.names)), np.nan, dtype=np.float32)
    rows[0] = 0
    artifact.classes.index(artifact.rare)
    with np.errstate(all="ignore"):
        chances, shares = artifact.predict(rows), artifact.contributions(rows)
    if chances.shape != (2, len(artifact.classes)) or shares.shape != rows.shape:
        raise ArtifactError(
            f"the model gives {chances.shape[1:]} probabilities and {shares.shape[1:]} contributions a row, its "
            f"manifest names {len(artifact.classes)} classes and {rows.shape[1]} features; train again"
        )
    if not (
        np.isfinite(chances).all() and np.isfinite(shares).all() and np.allclose(chances.sum(axis=1), 1, atol=1e-3)
    ):
        raise ArtifactError("the model gives no probabilities for a row of zeros or of missing values; train again")


def load_files(url: str) -> tuple[Manifest, dict[str, bytes]]:
    """Read a folder's manifest and the files it names, each checked against its digest."""
    place = storage.join(url, MANIFEST)
    if not storage.exists(place):
        raise ArtifactError(
            f"{url}: no {MANIFEST}, so this is not an artifact or its training did not finish; "
            "train again, or give the folder of a finished run"
        )
    try:
        fields = json.loads(storage.read_bytes(place))
        found_format, digests = fields["format"], dict(fields["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{place}: not a manifest ({error}); train again") from error
    if found_format != FORMAT:
        raise ArtifactError(f"{place}: format {found_format!r}, this program reads {FORMAT}; train again")
    if fields.pop("digest", None) != content_digest(fields):
        raise ArtifactError(f"{place}: not as the training wrote it; copy the folder again, or train again")
    files = {name: _checked(storage.join(url, name), name, digest) for name, digest in digests.items()}
    with refusing(url):
        rows = HeldOut.from_parquet(files.pop(HELD_OUT)) if HELD_OUT in files else None
    try:
        return replace(Manifest.of(fields), held_out=rows), files
    except SchemaMismatch:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ArtifactError(
            f"{place}: a field is missing, unknown or of another type ({error}); train again"
        ) from error


def content_digest(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content, however it is spelled as text."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _checked(place: str, name: str, digest: str) -> bytes:
    if not FILE_NAME.fullmatch(name):
        raise ArtifactError(f"{place}: {name!r} is not the name of an artifact's file; the manifest was edited")
    if not storage.exists(place):
        raise ArtifactError(f"{place}: missing, though the manifest names it; copy the whole folder, or train again")
    data = storage.read_bytes(place)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ArtifactError(
            f"{place}: {len(data)} bytes that are not those the training wrote; it was changed or cut short: "
            "copy the folder again, or train again"
        )
    return data


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as safetensors bytes."""
    return bytes(safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()}))


def unpack_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Read what `pack_arrays` made; a shape that no array of this file can have raises `ArtifactError`."""
    arrays = dict(safetensors.numpy.load(data))
    vast = {name: array.shape for name, array in arrays.items() if max(array.shape, default=0) > len(data)}
    if vast:  # of no bytes, as one of its dimensions is 0, and yet whoever walks along another one never ends
        raise ArtifactError(f"{len(data)} bytes of arrays declare the shapes {vast}; train again")
    return arrays
