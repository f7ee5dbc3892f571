"""The two files of KDD Cup 1999 as typed columns, checked to be the very files that results are compared on.

Takes a folder that holds `kddcup.data_10_percent.gz` and `corrected.gz`, both from
https://kdd.ics.uci.edu/databases/kddcup99/kddcup99.html; gives `KddCup99`. Each row is one network connection.
"""

import gzip
import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from feature_extraction import storage, table_files

Names = NDArray[np.object_]

WHERE = "https://kdd.ics.uci.edu/databases/kddcup99/"
ATTACK = "attack"
UNSEEN = "unseen"
# In the order of the files. A count never passes through a type that it could overflow: int64, not 8 bits.
NUMBER, RATE, CATEGORY = pa.int64(), pa.float64(), pa.dictionary(pa.int32(), pa.string())
COLUMNS: dict[str, pa.DataType] = {
    "duration": NUMBER,
    "protocol_type": CATEGORY,
    "service": CATEGORY,
    "flag": CATEGORY,
    "src_bytes": NUMBER,
    "dst_bytes": NUMBER,
    "land": NUMBER,
    "wrong_fragment": NUMBER,
    "urgent": NUMBER,
    "hot": NUMBER,
    "num_failed_logins": NUMBER,
    "logged_in": NUMBER,
    "num_compromised": NUMBER,
    "root_shell": NUMBER,
    "su_attempted": NUMBER,
    "num_root": NUMBER,
    "num_file_creations": NUMBER,
    "num_shells": NUMBER,
    "num_access_files": NUMBER,
    "num_outbound_cmds": NUMBER,
    "is_host_login": NUMBER,
    "is_guest_login": NUMBER,
    "count": NUMBER,
    "srv_count": NUMBER,
    "serror_rate": RATE,
    "srv_serror_rate": RATE,
    "rerror_rate": RATE,
    "srv_rerror_rate": RATE,
    "same_srv_rate": RATE,
    "diff_srv_rate": RATE,
    "srv_diff_host_rate": RATE,
    "dst_host_count": NUMBER,
    "dst_host_srv_count": NUMBER,
    "dst_host_same_srv_rate": RATE,
    "dst_host_diff_srv_rate": RATE,
    "dst_host_same_src_port_rate": RATE,
    "dst_host_srv_diff_host_rate": RATE,
    "dst_host_serror_rate": RATE,
    "dst_host_srv_serror_rate": RATE,
    "dst_host_rerror_rate": RATE,
    "dst_host_srv_rerror_rate": RATE,
}
CATEGORIES = tuple(name for name, kind in COLUMNS.items() if kind == CATEGORY)
GROUPS: dict[str, tuple[str, ...]] = {
    "normal": ("normal",),
    "dos": ("back", "land", "neptune", "pod", "smurf", "teardrop"),
    "probe": ("ipsweep", "nmap", "portsweep", "satan"),
    "r2l": ("ftp_write", "guess_passwd", "imap", "multihop", "phf", "spy", "warezclient", "warezmaster"),
    "u2r": ("buffer_overflow", "loadmodule", "perl", "rootkit"),
}
GROUP_OF = {attack: group for group, attacks in GROUPS.items() for attack in attacks}


class WrongFile(ValueError):
    """A file of KDD Cup 1999 is missing, or is not the one that results are compared on."""


class Source(NamedTuple):
    """A file's name and the SHA-256 of its bytes."""

    name: str
    sha256: str


# The first digest is the one that scikit-learn's fetch_kddcup99 pins; the second was computed from the UCI file.
TRAIN = Source(
    "kddcup.data_10_percent.gz",
    "8045aca0d84e70e622d1148d7df782496f6333bf6eb979a1b0837c42a9fd9561",
)
TEST = Source("corrected.gz", "74f0daef49b242badc09f2adbd457dea6a45b4f77177efbd11216d333651044b")


@dataclass(frozen=True)
class Connections:
    """Network connections, one a row.

    Attributes:
        columns: the 41 columns, int64, float64 or category.
        attack: name of each row's attack type, or `normal`, (rows,).
    """

    columns: pd.DataFrame
    attack: Names

    @property
    def group(self) -> Names:
        """Group of each row's attack type, `unseen` for a type that the training file does not hold, (rows,)."""
        return np.asarray(pd.Series(self.attack).map(GROUP_OF).fillna(UNSEEN), dtype=object)

    def take(self, rows: NDArray[np.intp]) -> "Connections":
        """Return the rows at these positions."""
        return Connections(self.columns.iloc[rows], self.attack[rows])


@dataclass(frozen=True)
class KddCup99:
    """The 10 % training file and the `corrected` test file; a category's vocabulary is that of both.

    Attributes:
        train: 494,021 rows of 23 types.
        test: 311,029 rows, 18,729 of them of 17 types that training does not hold.
    """

    train: Connections
    test: Connections


def read(folder: str) -> KddCup99:
    """Read both files from a local folder or s3://bucket/prefix.

    Raises:
        WrongFile: a file is missing, its checksum differs, its rows do not hold 42 fields of the expected types,
            or the training file names an attack type that it is not known to hold.
    """
    train, test = _read_file(folder, TRAIN), _read_file(folder, TEST)
    strange = sorted(set(train.attack) - set(GROUP_OF))
    if strange:
        raise WrongFile(f"{storage.join(folder, TRAIN.name)}: found attack types {strange}, expected {list(GROUP_OF)}")
    for name in CATEGORIES:
        both = sorted({*train.columns[name].cat.categories, *test.columns[name].cat.categories})
        for part in (train, test):
            part.columns[name] = part.columns[name].cat.set_categories(both)
    return KddCup99(train, test)


def _read_file(folder: str, source: Source) -> Connections:
    place = storage.join(folder, source.name)
    if not storage.exists(place):
        raise WrongFile(f"{place}: no such file; download {source.name} from {WHERE} and name its folder by --data")
    packed = storage.read_bytes(place)
    found = hashlib.sha256(packed).hexdigest()
    if found != source.sha256:
        raise WrongFile(
            f"{place}: its SHA-256 is {found}, expected {source.sha256}; it is another file or was cut short: "
            f"download it again from {WHERE}"
        )
    return _parse(gzip.decompress(packed), place)


def _parse(text: bytes, place: str) -> Connections:
    try:
        table = csv.read_csv(
            table_files.reader(text),
            read_options=csv.ReadOptions(column_names=[*COLUMNS, ATTACK]),
            convert_options=csv.ConvertOptions(column_types={**COLUMNS, ATTACK: pa.string()}, null_values=[]),
        )
    except pa.ArrowInvalid as error:
        raise WrongFile(
            f"{place}: {error}; expected {len(COLUMNS)} columns and the attack type in each row, the columns being "
            f"{', '.join(COLUMNS)}"
        ) from error
    frame = table.to_pandas()
    attack = frame.pop(ATTACK).str.rstrip(".")
    return Connections(frame, attack.to_numpy(dtype=object))
