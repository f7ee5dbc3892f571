"""What is done to saved artifacts: damage that keeps the digests, and forgery that writes digests to fit."""

import hashlib
import io
import json
import math
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import skops.io
from hypothesis import strategies as st
from pyarrow import parquet
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from feature_extraction.schema import FeatureSchema
from tests.training.trainer_checks import SCHEMA
from training.artifact import MANIFEST, content_digest

DEEP = 200_000


class Bomb:
    """Pickled, it writes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def read(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(files, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def forged(files, /, **fields):
    """Return files with a manifest that fits them, some of its fields replaced: what an attacker would leave."""
    manifest = json.loads(files[MANIFEST])
    del manifest["digest"]
    manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in manifest["files"]}
    manifest |= fields
    return files | {MANIFEST: json.dumps(manifest | {"digest": content_digest(manifest)}).encode()}


def zipped(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def header(fields, length=None, data=b""):
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def array(shape, end, dtype="F32"):
    return {"reference": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


def table(**columns):
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


HOSTILE_ARRAYS = {
    "nothing": b"",
    "a header longer than the file": header(b"{}", length=2**40),
    "a header of negative length": header(b"{}", length=2**64 - 1),
    "a header that is no JSON": header(b"\xff" * 64),
    "a deep header": header(b"[" * DEEP),
    "a huge shape": header(array([2**20, 2**20], 4), data=b"1234"),
    "a shape that overflows": header(array([2**62, 8], 4), data=b"1234"),
    "a negative shape": header(array([-1], 4), data=b"1234"),
    "a long shape of no bytes": header(array([2**40, 0], 0)),
    "offsets beyond the end": header(array([2**28], 2**30), data=b"1234"),
    "an unknown type": header(array([1], 4, "F99"), data=b"1234"),
    "a type that numpy lacks": header(array([4], 4, "F8_E4M3"), data=b"1234"),
    "no arrays": header({}),
}
HOSTILE_TEXT = {
    "nothing": b"",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "not a number": b'{"median": [NaN], "unit": [NaN], "mean": [NaN], "spread": [NaN], "indicators": []}',
    "deep lists": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "no UTF-8": b"\xff\xfe\x00",
    "a number of 10,000 digits": b'{"indicators": [' + b"9" * 10_000 + b"]}",
    "a position beyond any": b'{"median": [], "unit": [], "mean": [], "spread": [], "indicators": [1e9]}',
}


HOSTILE_TABLES = {
    "nothing": b"",
    "no table": b"PAR1" + b"\0" * 40 + b"PAR1",
    "other columns": table(is_rare=[True], chance=[0.5]),
    "no truth": table(is_rare=[None], score=[0.5]),
    "a score of no probability": table(is_rare=[True], score=[1.5]),
    "a score that is no number": table(is_rare=[True], score=[math.nan]),
    "a footer beyond the file": b"PAR1" + struct.pack("<I", 2**31) + b"PAR1",
}


def schema(names=SCHEMA.names, classes=("regular", "rare"), **fields):
    return {"schema": json.loads(FeatureSchema(tuple(names), tuple(classes), "rare").to_json()) | fields}


NAMES = SCHEMA.names
# What an attacker may write into a manifest that fits its own digest.
FORGERIES = {
    "fewer features": schema(NAMES[:-1]),
    "more features": schema([*NAMES, "spend__gap"]),
    "no features": schema([]),
    "one class": {"classes": ["rare"]},
    "more classes": {"classes": ["regular", "rare", "heavy", "odd", "unknown", "other"]},
    "classes as text": {"classes": "ab"},
    "classes of numbers": {"classes": [0, 1]},
    "a rare class that is none": {"rare": "gone"},
    "a schema that is a list": {"schema": []},
    "a schema without names": {"schema": {"classes": []}},
    "names of numbers": {"schema": {"names": [1, 2, 3, 4, 5], "classes": ["regular", "rare"], "rare": "rare"}},
    "an unknown field of the schema": schema(color="blue"),
    "a step of text": schema(step_seconds="day"),
    "a wrong fingerprint": schema(fingerprint="00000000"),
    "settings as a list": {"settings": []},
    "rows as text": {"rows": "many"},
    "a seed of text": {"seed": "0"},
    "history as a number": {"history": 3},
    "versions as nothing": {"versions": None},
    "a trainer of no name": {"trainer": ["mlp"]},
    "an unknown trainer": {"trainer": "oracle"},
    "an unknown field": {"color": "blue"},
    "another format": {"format": 99},
    "a format of text": {"format": "2"},
    "files as a list": {"files": ["weights.safetensors"]},
    "files as text": {"files": "weights.safetensors"},
    "no files": {"files": {}},
    "a file elsewhere": {"files": {"../secret": "0"}},
    "a file without a name": {"files": {"": "0"}},
    "a file of a strange name": {"files": {"a\0b": "0"}},
    "a digest that is none": {"files": {MANIFEST: None}},
}


def npy(shape):
    """Return the bytes of a small array that claims to be of another shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + b"12345678"


def hostile_models(good):
    """Return files that stand for a model and must not be taken for one."""
    members = unzipped(good)
    arrays = [name for name in members if name.endswith(".npy")]
    schema = members["schema.json"]
    return {
        "nothing": b"",
        "no archive": b"PK\x03\x04" + b"\0" * 60,
        "an empty archive": zipped({}),
        "a system call": skops.io.dumps(FunctionTransformer(__import__("os").system)),
        "a file's opening": skops.io.dumps(FunctionTransformer(open)),
        "a class that imports": skops.io.dumps(
            make_pipeline(FunctionTransformer(__import__("importlib").import_module))
        ),
        "another estimator": skops.io.dumps(StandardScaler()),
        "a wrapped one": skops.io.dumps(make_pipeline(StandardScaler(), LogisticRegression())),
        "a regressor": skops.io.dumps(TransformedTargetRegressor()),
        "one that was not fitted": skops.io.dumps(LogisticRegression()),
        "a deep schema": zipped(members | {"schema.json": b'{"a":' * DEEP}),
        "a schema of no object": zipped(members | {"schema.json": b"[]"}),
        "without arrays": zipped({"schema.json": schema}),
        "huge arrays": zipped(members | dict.fromkeys(arrays, npy((2**30, 2**5)))),
        "long arrays": zipped(members | dict.fromkeys(arrays, npy((2**31,)))),
        "pickled arrays": zipped(members | dict.fromkeys(arrays, pickle.dumps([1.0]))),
        "a bomb of zeros": zipped(members | {"zeros.npy": b"\0" * (1 << 26)}, zipfile.ZIP_DEFLATED),
        "another module": zipped(members | {"schema.json": schema.replace(b"sklearn", b"subprocess")}),
    }


@st.composite
def damaged(draw, files):
    """Harm a folder by one accident; its manifest is not written anew, or not by its trainer."""
    name, other = draw(st.sampled_from(sorted(files))), draw(st.sampled_from(sorted(files)))
    data, at = files[name], draw(st.integers(0, len(files[name]) - 1))
    flipped = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    rest = {key: value for key, value in files.items() if key != name}
    harms = {
        "flip": files | {name: flipped},
        "truncate": files | {name: data[:at]},
        "cut out": files | {name: data[:at] + data[at + 1 :]},
        "insert": files | {name: data[:at] + draw(st.binary(min_size=1, max_size=9)) + data[at:]},
        "append": files | {name: data + draw(st.binary(min_size=1, max_size=9))},
        "swap": files | {name: files[other], other: data},
        "delete": rest,
        "rename": rest | {f"{name}.bak": data},
    }
    return harms[draw(st.sampled_from(sorted(harms)))]
