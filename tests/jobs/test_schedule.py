"""The same run file day after day with a window that moves along: what is read, used again, and left alone."""

import json
import shutil

import pandas as pd
import pytest

from tests.jobs import small_log
from tests.jobs.conftest import run_job

pytestmark = [pytest.mark.spark, pytest.mark.slow]
DAYS = ("2024-03-07", "2024-03-08", "2024-03-09")
# As a user would write it: the window's end comes from the scheduler.
REPLACED = {
    'format = "csv"': "format = \"csv\"\nwhere = \"dt >= '{start}' and dt < '{end}'\"",
    "start = 2024-01-01\nend = 2024-03-11": "days = 56",
    'trainer = "scarcegan"\ncompare = ["logistic_regression"]': 'trainer = "logistic_regression"\ncompare = []\n'
    "retrain_after_days = 2",
    'run = "small"\n': "",
    "stories = 2": "stories = 1",
}


def write(root):
    """Write the small log in folders by day, and a run file without the window's end."""
    run_file = small_log.write(root)
    frame = pd.concat([pd.read_csv(part, dtype=str) for part in sorted((root / "events").iterdir())])
    shutil.rmtree(root / "events")
    days = frame["ts"].where(frame["ts"].str.match(r"\d{4}-\d\d-\d\d"), "2024-02-01").str[:10]
    for day, rows in frame.groupby(days):
        write_day(root, day, rows)
    text = run_file.read_text()
    for old, new in REPLACED.items():
        assert old in text
        text = text.replace(old, new)
    run_file.write_text(text)
    return run_file


def write_day(root, day, rows):
    folder = root / "events" / f"dt={day}"
    folder.mkdir(parents=True)
    rows.to_csv(folder / "part.csv", index=False)


def poison(root, day):
    """Put in a day's place what nobody can read: another header, and no column of the log."""
    shutil.rmtree(root / "events" / f"dt={day}", ignore_errors=True)
    write_day(root, day, pd.DataFrame({"poison": [1]}))


def published(root, stage):
    return json.loads((root / "out" / stage / "latest.json").read_text())["run"]


def snapshot(root):
    """Return every file of the output with its content and time of change."""
    files = [path for path in sorted((root / "out").rglob("*")) if path.is_file()]
    return {path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory):
    """Three days in a row; folders that have left the window, or are not yet in it, cannot be read."""
    root = tmp_path_factory.mktemp("daily")
    run_file, said = write(root), []
    poison(root, "2024-01-01")
    poison(root, "2024-03-09")
    for day in DAYS:
        done = run_job("run", run_file, "--window.end", day)
        assert done.returncode == 0, done.stderr
        said.append(done.stderr)
        if day == DAYS[0]:
            poison(root, "2024-01-11")  # the first day of this window, which the next one leaves out
    return root, run_file, said


def test_each_day_has_its_run_and_the_last_one_is_followed(scheduled):
    root, _, _ = scheduled
    runs = [sorted(path.name for path in (root / "out" / stage).glob("run=*")) for stage in ("features", "scores")]
    assert runs[0] == runs[1]
    assert [run[4:14] for run in runs[0]] == list(DAYS)
    assert published(root, "scores") == published(root, "features") == runs[0][-1].removeprefix("run=")


def test_only_the_folders_of_the_window_are_read(scheduled):
    root, _, _ = scheduled
    for path in sorted((root / "out/features").glob("run=*")):
        quality = json.loads((path / "quality.json").read_text())
        assert quality["events"]["outside_window"] == 0
        assert quality["events"]["accepted"] > 1000


def test_a_model_is_used_again_until_it_is_too_old(scheduled):
    root, _, said = scheduled
    trained = sorted(path.name[4:14] for path in (root / "out/models/logistic_regression").glob("run=*"))
    assert trained == [DAYS[0], DAYS[2]]
    assert "train: logistic_regression on" not in said[1]
    assert "1 days older than this window, is used again" in said[1]
    scored = {
        path.name[4:14]: json.loads((path / "run.json").read_text()) for path in (root / "out/scores").glob("run=*")
    }
    models = [scored[day]["model"].rpartition("run=")[2][:10] for day in DAYS]
    assert models == [DAYS[0], DAYS[0], DAYS[2]]


def test_drift_is_told_against_the_run_before(scheduled):
    root, _, _ = scheduled
    reports = [json.loads((path / "metrics.json").read_text()) for path in sorted((root / "out/reports").glob("run=*"))]
    assert reports[0]["drift"] is None
    assert [found["drift"]["run"][:10] for found in reports[1:]] == list(DAYS[:2])
    assert [found["drift"]["same_model"] for found in reports[1:]] == [True, False]
    assert all(0 <= found["drift"]["largest_gap"] <= 1 for found in reports[1:])


def test_metrics_tell_of_the_whole_run(scheduled):
    root, _, _ = scheduled
    found = json.loads((root / "out/reports" / f"run={published(root, 'reports')}" / "metrics.json").read_text())
    events = found["events"]
    assert events["read"] == events["accepted"] + events["outside_window"] + events["refused"]
    assert found["scored"] == found["entities"]["total"] == small_log.ENTITIES
    assert found["alerts"] == 10
    assert all(found["seconds"][stage] > 0 for stage in ("extract_features", "train", "score"))


def test_a_day_done_again_changes_nothing_though_later_ones_were_published(scheduled):
    root, run_file, _ = scheduled
    before = snapshot(root)
    again = run_job("run", run_file, "--window.end", DAYS[1])
    assert again.returncode == 3, again.stderr
    assert snapshot(root) == before
