"""The whole pipeline as a user types it: what it leaves, what it says, twice, and killed in between."""

import json
import re
import subprocess

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from feature_extraction import publishing
from tests.jobs import small_log
from tests.jobs.conftest import ROOT, command, run_job

pytestmark = [pytest.mark.spark, pytest.mark.slow]
STAGES = ("features", "quarantine", "models/scarcegan", "models/logistic_regression", "scores", "reports")
# In the middle of training, from whose checkpoint it goes on; tests/jobs/test_kills.py kills each job many times.
KILLED_AT = ("train: scarcegan on", "scarcegan step")


def table(root, stage):
    files = publishing.part_files(str(root / "out" / stage / "run=small"))
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def scores(root):
    return table(root, "scores").sort_values("rank", ignore_index=True)


def quality(root):
    return json.loads((root / "out/features/run=small/quality.json").read_text())


def test_every_stage_is_published(finished):
    for stage in STAGES:
        assert json.loads((finished.root / "out" / stage / "latest.json").read_text()) == {"run": "small"}
        assert (finished.root / "out" / stage / "run=small" / "run.json").exists()


def test_every_event_is_accounted_for(finished):
    events, refused = quality(finished.root)["events"], quality(finished.root)["refused"]
    assert events["read"] == events["accepted"] + events["outside_window"] + events["refused"]
    assert refused == {
        "amount: not a number": 1,
        "duplicate of an event with the same event_id": 4,
        "entity is missing": 1,
        "time cannot be read": 1,
    }
    kept = table(finished.root, "quarantine")
    assert kept["reason"].value_counts().to_dict() == refused
    assert any("not a time" in event for event in kept["event"])


def test_every_entity_is_scored_once(finished):
    found = scores(finished.root)
    assert sorted(found["entity_id"]) == sorted(f"entity {i}" for i in range(small_log.ENTITIES))
    assert found["rank"].tolist() == list(range(1, small_log.ENTITIES + 1))
    assert found["alert"].sum() == 10
    assert set(found["verdict"]) <= {"steady_low", "steady_mid", "steady_high", "fading", "unknown"}


def test_the_log_is_plain_lines_without_library_noise(finished):
    for line in finished.log.splitlines():
        assert re.match(r"\d\d:\d\d:\d\d \w", line), f"not one of our lines: {line!r}"


def test_the_last_lines_name_what_a_user_looks_for(finished):
    lines = finished.output.strip().splitlines()
    assert lines[-1] == f"Report: {finished.root}/out/reports/run=small/report.html"
    assert re.search(r"scarcegan +average precision \d\.\d+ \[\d\.\d+, \d\.\d+\]", finished.output)
    assert len(re.findall(r"^ +\d+\. entity \d+ +score \d\.\d+ +\w+__\w+ = ", finished.output, re.M)) == 5


def test_the_rare_come_first(finished):
    measured = json.loads((finished.root / "out/reports/run=small/metrics.json").read_text())["evaluation"]
    assert measured["methods"]["scarcegan"]["average_precision"]["value"] > 2 * measured["base_rate"]


def test_a_finished_run_is_not_done_again(finished):
    again = run_job("run", finished.run_file)
    assert again.returncode == 3
    assert again.stderr.count("nothing to do") == len(STAGES)  # quarantine goes with the features; the last line
    assert again.stdout == finished.output


def test_other_settings_under_the_same_id_are_refused(finished):
    refused = run_job("extract_features", finished.run_file, "--features.recent_steps", "7")
    assert refused.returncode == 2
    assert "finished run of other settings" in refused.stderr
    assert "give another --output.run" in refused.stderr


def test_a_second_run_gives_identical_features_and_scores(finished, tmp_path):
    run_file = small_log.write(tmp_path)
    done = run_job("run", run_file)
    assert done.returncode == 0, done.stderr
    assert_frame_equal(table(tmp_path, "features"), table(finished.root, "features"), check_exact=True)
    assert_frame_equal(scores(tmp_path), scores(finished.root), check_exact=True)


def kill_at(run_file, text):
    """Start the run, kill it without warning when it says `text`, and return all it said."""
    process = subprocess.Popen(command("run", run_file), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            process.kill()
            break
    process.wait()
    process.stderr.close()
    assert process.returncode == -9, "".join(said)
    return "".join(said)


def test_killed_in_training_and_started_again_it_ends_with_the_same_scores(finished, tmp_path):
    run_file = small_log.write(tmp_path)
    for text in KILLED_AT:
        kill_at(run_file, text)
        for stage in STAGES:  # what is published is whole
            pointer = tmp_path / "out" / stage / "latest.json"
            assert not pointer.exists() or (tmp_path / "out" / stage / "run=small" / "run.json").exists()
    done = run_job("run", run_file)
    assert done.returncode == 0, done.stderr
    assert_frame_equal(scores(tmp_path), scores(finished.root), check_exact=True)
