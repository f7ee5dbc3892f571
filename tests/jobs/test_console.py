"""What a person sees when a job fails."""

import os
import subprocess
import sys

import numpy as np
import pytest

from feature_extraction.schema import FeatureSchema
from jobs import console, spark
from tests.jobs import small_log
from tests.jobs.conftest import ROOT, run_job


def wrong_schema():
    FeatureSchema(("a__b", "a__b"))


def library_mistake():
    np.zeros(2) + np.zeros(3)


@pytest.fixture(autouse=True)
def quiet_afterwards():
    import logging

    kept = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = kept[0], kept[1]


def test_a_users_mistake_ends_with_a_sentence_and_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        console.main(wrong_schema)
    assert caught.value.code == 2
    assert "stopped: feature names occur twice: ['a__b']" in capsys.readouterr().err


def test_a_librarys_error_keeps_its_trace():
    with pytest.raises(ValueError, match="could not be broadcast"):
        console.main(library_mistake)


def test_a_job_says_how_long_it_took(capsys):
    console.main(lambda: None)
    assert "done in 0 s" in capsys.readouterr().err


def test_a_missing_input_is_one_line(tmp_path):
    run_file = small_log.write(tmp_path)
    stopped = run_job("extract_features", run_file, "--events.url", str(tmp_path / "nowhere"))
    assert stopped.returncode == 2
    assert len(stopped.stderr.strip().splitlines()) == 1
    assert "nowhere: nothing lies there" in stopped.stderr


def test_training_without_features_says_which_job_comes_first(tmp_path):
    stopped = run_job("train", small_log.write(tmp_path))
    assert stopped.returncode == 2
    assert "no features published under this root" in stopped.stderr


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A java that prints the version it is told."""

    def pretend(version):
        home = tmp_path / "java"
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        (home / "bin" / "java").chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(home))

    return pretend


def test_another_java_is_refused_in_one_line(java):
    java("1.8.0_392")
    with pytest.raises(spark.JavaMissing, match=r'needs Java 17; found openjdk version "1.8.0_392".*apt-get install'):
        spark.check_java()


@pytest.mark.parametrize("version", ["17.0.15", "21.0.1"])
def test_java_17_and_21_will_do(java, version):
    java(version)
    spark.check_java()


def test_no_java_is_refused_in_one_line(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(spark.JavaMissing, match="found no Java"):
        spark.check_java()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_says_how_to_get_java(tmp_path, target):
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    stopped = subprocess.run(
        ["make", target, "VENV=" + str(tmp_path / "venv"), f"PYTHON={sys.executable}"],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode != 0
    assert 'Spark needs Java 17 and found: openjdk version "11.0.2"' in stopped.stdout
    assert "openjdk-17-jre-headless" in stopped.stdout
    assert not (tmp_path / "venv").exists()
