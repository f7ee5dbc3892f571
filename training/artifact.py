"""Trained models on storage: a few named files and `manifest.json`, written last, with a digest of each.

Takes an artifact's files as bytes; gives them back only if every one is as it was written. `load` opens any
artifact: the manifest names its trainer, and `ARTIFACTS` the class that reads its files, none of which needs
the framework it was trained in. Nothing here is pickled: files are JSON, safetensors, or skops with a fixed
list of trusted types.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, cast

import numpy as np
import pyarrow as pa
import safetensors.numpy
from numpy.typing import NDArray
from pyarrow import parquet

from feature_extraction import storage
from feature_extraction.schema import FeatureSchema, SchemaMismatch
from training.trainer import Artifact, Floats, load_class

MANIFEST = "manifest.json"
HISTORY = "history.parquet"
FORMAT = 1
ARTIFACTS = {
    **dict.fromkeys(
        (
            "scarcegan",
            "scarcegan_no_bad_generator",
            "scarcegan_no_leeway",
            "leeway_mlp",
            "mlp",
            "ssgan",
        ),
        "training.dense_network:DenseNetworkArtifact",
    ),
    "aae": "training.keras.aae_artifact:AAEArtifact",
    "qast": "training.torch.qast.artifact:QASTArtifact",
    "importance_vector": "training.torch.importance.artifact:ImportanceVectorArtifact",
    "logistic_regression": "training.baselines:LogisticRegressionArtifact",
    "gradient_boosting": "training.baselines:GradientBoostingArtifact",
}
# All that skops meets in the two model families beyond its own safe types, seen with scikit-learn 1.9.
TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


class ArtifactError(ValueError):
    """A folder does not hold a whole, untouched artifact that this program can read."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a trained model besides its weights.

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

    def to_json(self, files: Mapping[str, bytes]) -> str:
        """Return the manifest as JSON text, with the SHA-256 of each file."""
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        schema = json.loads(self.schema.to_json())
        fields = asdict(self) | {"schema": schema, "files": digests, "format": FORMAT}
        return json.dumps(fields, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read what `to_json` wrote; a schema that does not fit its fingerprint raises `SchemaMismatch`."""
        fields = {name: value for name, value in json.loads(text).items() if name not in ("files", "format")}
        schema = FeatureSchema.from_json(json.dumps(fields["schema"]))
        return cls(**fields | {"schema": schema, "classes": tuple(fields["classes"])})


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
    """Return the installed version of each package."""
    return {package: version(package) for package in packages}


def check_width(features: Floats, schema: FeatureSchema) -> None:
    """Raise `SchemaMismatch` unless rows have one column for each feature of the schema."""
    if features.ndim != 2 or features.shape[1] != len(schema.names):
        raise SchemaMismatch(
            f"found rows of shape {features.shape}, the model was trained on {len(schema.names)} features "
            f"(schema {schema.fingerprint}); score the table it was trained on, or retrain"
        )


def save_files(url: str, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write files to a folder and, last, the manifest: a folder that has one is whole.

    What was noted at each look at the training goes into `history.parquet` as well.
    """
    files = {**files, **_history_file(manifest.history)}
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
    """Open the artifact in a folder.

    Raises:
        ArtifactError: there is no manifest, a file is missing or not as it was written, or no class reads it.
        SchemaMismatch: the schema does not fit its fingerprint.
    """
    manifest, files = load_files(url)
    if manifest.trainer not in ARTIFACTS:
        raise ArtifactError(f"{url}: made by trainer {manifest.trainer!r}; this program reads {sorted(ARTIFACTS)}")
    return cast(Artifact, load_class(ARTIFACTS[manifest.trainer]).read(manifest, files))


def load_files(url: str) -> tuple[Manifest, dict[str, bytes]]:
    """Read a folder's manifest and the files it names, each checked against its digest."""
    place = storage.join(url, MANIFEST)
    if not storage.exists(place):
        raise ArtifactError(
            f"{url}: no {MANIFEST}, so this is not an artifact or its training did not finish; "
            "train again, or give the folder of a finished run"
        )
    try:
        fields = json.loads(storage.read_text(place))
        digests, found_format = fields["files"], fields["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{place}: not a manifest ({error}); train again") from error
    if found_format != FORMAT:
        raise ArtifactError(f"{place}: format {found_format}, this program reads {FORMAT}; train again")
    files = {name: _checked(storage.join(url, name), name, digest) for name, digest in digests.items()}
    try:
        return Manifest.from_json(json.dumps(fields)), files
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{place}: a field is missing or unknown ({error}); train again") from error


def _checked(place: str, name: str, digest: str) -> bytes:
    if "/" in name or name.startswith("."):
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
    """Read what `pack_arrays` made."""
    return dict(safetensors.numpy.load(data))


def pack_model(model: Any) -> bytes:  # noqa: ANN401  (any scikit-learn estimator)
    """Return a scikit-learn model as skops bytes."""
    import skops.io  # here alone: it imports all of scikit-learn, and torch with it where that is installed

    return bytes(skops.io.dumps(model))


def unpack_model(data: bytes) -> Any:  # noqa: ANN401  (any scikit-learn estimator)
    """Read what `pack_model` made; a type outside `TRUSTED_TYPES` raises `ArtifactError`, unread."""
    import skops.io  # here alone, as above

    strange = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    if strange:
        raise ArtifactError(
            f"the model file holds types that are not trusted: {strange}; "
            f"expected none but {list(TRUSTED_TYPES)}. "
            "Load only artifacts that this program wrote"
        )
    return skops.io.loads(data, trusted=list(TRUSTED_TYPES))
