"""The README says what is true: its commands, jobs, methods, run file and table of features."""

import re
import tomllib
from pathlib import Path

import pytest

from feature_extraction import definitions
from jobs.settings import load
from training.trainer import TRAINERS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
STAGES = ("extract_features", "train", "score", "explain", "run")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make (\w+)", README))))
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("job", STAGES)
def test_every_job_is_shown_and_exists(job):
    assert f"jobs.{job} " in README
    assert (ROOT / "jobs" / f"{job}.py").exists()


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_every_method_is_described(name):
    assert f"| `{name}` |" in README


def test_the_feature_table_is_the_one_in_the_code():
    assert definitions.markdown_table() in README


def test_the_run_file_is_valid(tmp_path):
    text = re.search(r"```toml\n(.*?)```", README, re.S).group(1)
    assert tomllib.loads(text)
    (tmp_path / "run.toml").write_text(text)
    assert load(["--config", str(tmp_path / "run.toml")]).score.alerts == 200


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
