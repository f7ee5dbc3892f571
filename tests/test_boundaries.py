"""Imports run one way, heavy libraries stay where they belong, and files stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("feature_extraction", "training", "inference", "jobs")
# Which files may import a heavy library; a folder stands for all below it.
ALLOWED = {
    "pyspark": (
        "feature_extraction/event_columns.py",
        "feature_extraction/event_folders.py",
        "feature_extraction/events.py",
        "feature_extraction/extract.py",
        "feature_extraction/series.py",
        "feature_extraction/tally.py",
        "inference/score.py",
        "inference/stories.py",
        "jobs/data_parallel.py",
        "jobs/fan_out.py",
        "jobs/spark.py",
    ),
    "prophet": ("feature_extraction/prophet_library.py", "feature_extraction/prophet_map/convert.py"),
    "numba": ("feature_extraction/prophet_map",),
    "petastorm": ("training/part_files.py",),
    "keras": ("training/keras",),
    "tensorflow": ("training/keras",),
    "torch": ("training/torch",),
    "boto3": ("feature_extraction/buckets.py",),
}
FORBIDDEN_NAMES = {"utils.py", "util.py", "common.py", "base.py", "helpers.py", "misc.py"}
FILES = sorted(path for stage in STAGES for path in (ROOT / stage).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_stage_imports_only_stages_before_it(path):
    own = STAGES.index(relative(path).split("/")[0])
    later = set(STAGES[own + 1 :]) & imports(path)
    assert not later, f"{relative(path)} imports {sorted(later)}, which come after it"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_heavy_libraries_stay_in_their_files(path):
    for library in imports(path) & set(ALLOWED):
        allowed = ALLOWED[library]
        assert any(relative(path) == place or relative(path).startswith(f"{place}/") for place in allowed), (
            f"{relative(path)} imports {library}; only {', '.join(allowed)} may"
        )


def test_the_lists_name_real_files():
    named = {place for places in ALLOWED.values() for place in places}
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []


def test_no_file_of_everything():
    assert [relative(path) for path in FILES if path.name in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=relative)
def test_files_stay_under_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("inference.explain", {"tensorflow", "keras", "torch"}),
        ("inference.score", {"tensorflow", "keras", "torch"}),
        ("training.reader", {"pyspark.sql", "tensorflow", "keras", "torch"}),
        ("training.artifact", {"pyspark", "tensorflow", "keras", "torch", "petastorm"}),
        ("jobs.settings", {"pyspark", "tensorflow", "keras", "torch", "petastorm", "prophet"}),
    ],
)
def test_importing_a_stage_does_not_load(module, heavy):
    code = f"import sys, {module}; print(' '.join(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not heavy & set(loaded.stdout.split())
