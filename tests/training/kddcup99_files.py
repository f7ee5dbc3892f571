"""Two small files in the form of KDD Cup 1999, for the loader, the setups and the command."""

import gzip
import hashlib

import numpy as np

from training.kddcup99 import files

ROWS = {"normal": 120, "smurf": 60, "neptune": 40, "satan": 40, "warezclient": 40, "rootkit": 8}
TEST_ROWS = {**ROWS, "guess_passwd": 10, "mscan": 25}
SIGNATURES = {"dos": ("icmp", 500), "probe": ("tcp", 5), "r2l": ("tcp", 120), "u2r": ("tcp", 150)}


def line(attack, random, **values):
    """Return one line; each group has a protocol and a count of its own."""
    group = files.GROUP_OF.get(attack, "unseen")
    protocol, count = SIGNATURES.get(group, ("udp", 20))
    row = dict.fromkeys(files.COLUMNS, "0") | {name: "0.00" for name in files.COLUMNS if name.endswith("rate")}
    row |= {
        "protocol_type": protocol,
        "service": "ftp_data" if group == "r2l" else "private",
        "flag": "REJ" if group == "probe" else "SF",
        "count": str(count + random.integers(0, 10)),
        "src_bytes": str(random.integers(100, 900)),
        "same_srv_rate": f"{random.random():.2f}",
        "root_shell": "1" if group == "u2r" else "0",
    }
    return ",".join((row | values).values()) + f",{attack}.\n"


def lines(rows, random):
    return [line(attack, random) for attack, num in rows.items() for _ in range(num)]


def write(folder, monkeypatch, *, train=None, test=None):
    """Write both files to a folder and have the loader expect exactly them."""
    random = np.random.default_rng(0)
    drawn = {"TRAIN": train or lines(ROWS, random), "TEST": test or lines(TEST_ROWS, random)}
    for which, text in drawn.items():
        name = getattr(files, which).name
        packed = gzip.compress("".join(text).encode(), mtime=0)
        (folder / name).write_bytes(packed)
        monkeypatch.setattr(files, which, files.Source(name, hashlib.sha256(packed).hexdigest()))
    return str(folder)
