"""Kernels imported from a zip, as executors do: compiled once a machine where that can be, never a reason to fail."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from feature_extraction.prophet_map.kernel import ZippedKernels

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = Path("/dev/null/home")  # not to be made by anyone, root among them
CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from feature_extraction.prophet_map.design import fourier_rows
rows = fourier_rows(np.arange(9), np.array([7.0]), np.array([3]))
stats = fourier_rows.stats
print(json.dumps([rows.shape, stats.cache_path, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


def zipped(folder, more=""):
    """Zip what `make zip` does of this package, `more` at the end of another file than that of the kernel."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "scarce.zip", "w") as archive:
        for path in sorted((ROOT / "feature_extraction").rglob("*.py")):
            added = more if path.name == "gram.py" else ""
            archive.writestr(path.relative_to(ROOT).as_posix(), path.read_text() + added)
    return folder / "scarce.zip"


def call(archive, home):
    """Call a kernel in a process of its own; return the folder of its machine code, its hits and its misses."""
    # Spark may name the zip from the working directory.
    found = subprocess.run(
        [sys.executable, "-c", CHILD, f"./{archive.name}"],
        cwd=archive.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    shape, folder, hits, misses = json.loads(found.stdout)
    assert shape == [9, 6]
    return folder, hits, misses


def test_another_application_with_the_same_sources_compiles_nothing(tmp_path):
    one, other = zipped(tmp_path / "one"), zipped(tmp_path / "other")
    folder, hits, misses = call(one, tmp_path)
    assert (Path(folder).parent, hits, misses) == (tmp_path / "cache/numba", 0, 1)
    assert call(other, tmp_path) == (folder, 1, 0)


def test_other_sources_are_compiled_again(tmp_path):
    folder, *_ = call(zipped(tmp_path / "one"), tmp_path)
    other, hits, misses = call(zipped(tmp_path / "other", more="\nMORE = 1\n"), tmp_path)
    assert (other != folder, hits, misses) == (True, 0, 1)


def test_without_a_home_directory_it_is_kept_beside_the_zip(tmp_path):
    archive = zipped(tmp_path / "one")
    assert call(archive, NOWHERE) == (str(archive.parent / "__pycache__"), 0, 1)
    assert call(archive, NOWHERE) == (str(archive.parent / "__pycache__"), 1, 0)


def test_where_nothing_can_be_written_it_is_compiled_all_the_same(tmp_path):
    archive = zipped(tmp_path / "one")
    (archive.parent / "__pycache__").write_text("a file where a folder should be")
    assert call(archive, NOWHERE) == (None, 0, 1)


@pytest.mark.parametrize("name", ["a.zip", "a.zip.d", "a"])
def test_an_unpacked_archive_is_no_zip(tmp_path, name):
    (tmp_path / name).mkdir()
    assert ZippedKernels.from_function(call, str(tmp_path / name / "design.py")) is None
