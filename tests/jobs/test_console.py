"""What a person sees when a job fails."""

import json
import logging
import os
import subprocess
import sys
import warnings
from datetime import datetime, timedelta

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
    kept = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = kept[0], kept[1]


def test_a_users_mistake_ends_with_a_sentence_and_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        console.main(wrong_schema)
    assert caught.value.code == 2
    assert "stopped: feature names occur twice: ['a__b']" in capsys.readouterr().err


def test_a_librarys_error_is_told_in_a_sentence_and_keeps_its_trace(capsys):
    with pytest.raises(SystemExit) as caught:
        console.main(library_mistake)
    assert caught.value.code == 1
    said = capsys.readouterr().err.splitlines()
    assert "failed: an error that Scarce does not expect, ValueError: operands could not be broadcast" in said[0]
    assert said[1] == "Traceback (most recent call last):"
    assert said[-1].startswith("ValueError: operands could not be broadcast")


@pytest.mark.parametrize("result", [None, True])
def test_a_job_says_how_long_it_took(capsys, result):
    console.main(lambda: result)
    assert "done in 0 s" in capsys.readouterr().err


def test_nothing_to_do_is_status_3(capsys):
    with pytest.raises(SystemExit) as caught:
        console.main(lambda: False)
    assert caught.value.code == 3
    assert "nothing to do" in capsys.readouterr().err


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_hold_time_level_job_run_and_counts(capsys, monkeypatch):
    monkeypatch.setenv("SCARCE_LOG", "json")
    monkeypatch.setattr("sys.argv", ["/somewhere/jobs/score.py"])

    def work():
        console.tell(run="2026-11-20")
        logging.getLogger("jobs.score").info("%s entities\nscored", 60, extra={"scored": 60})
        logging.getLogger("somebody.else").info("noise")

    console.main(work)
    told, ended = lines(capsys)
    assert datetime.fromisoformat(told.pop("time")).utcoffset() == timedelta(0)
    assert told == {
        "level": "INFO",
        "logger": "jobs.score",
        "message": "60 entities\nscored",
        "job": "score",
        "run": "2026-11-20",
        "scored": 60,
    }
    assert (ended["exit_status"], ended["seconds"] >= 0, ended["run"]) == (0, True, "2026-11-20")


@pytest.mark.parametrize(("work", "status"), [(library_mistake, 1), (wrong_schema, 2), (lambda: False, 3)])
def test_the_last_json_line_holds_the_exit_status_and_the_trace(capsys, monkeypatch, work, status):
    monkeypatch.setenv("SCARCE_LOG", "json")
    with pytest.raises(SystemExit) as caught:
        console.main(work)
    (told,) = lines(capsys)
    assert caught.value.code == told["exit_status"] == status
    assert ("Traceback" in told.get("exception", "")) == (status == 1)


def test_warnings_are_json_lines_too(capsys, monkeypatch):
    monkeypatch.setenv("SCARCE_LOG", "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        console.main(lambda: warnings.warn("mind the gap", stacklevel=1))
    assert ["mind the gap" in line["message"] for line in lines(capsys)] == [True, False]


def test_another_form_of_log_is_refused(capsys, monkeypatch):
    monkeypatch.setenv("SCARCE_LOG", "xml")
    with pytest.raises(SystemExit) as caught:
        console.main(lambda: None)
    assert caught.value.code == 2
    assert "SCARCE_LOG is 'xml'; set it to json or text" in capsys.readouterr().err


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
