"""Runs are published whole or not at all: the manifest comes last, and the pointer after it."""

import pandas as pd
import pytest

from feature_extraction import publishing, storage
from feature_extraction.publishing import PublishError, Run, latest


def files(run):
    return [file.url.removeprefix(run.url + "/") for file in storage.list_files(run.url)]


@pytest.fixture
def run(root):
    return Run(root, "features", "one")


def started(run):
    run.start()
    storage.write_bytes(storage.join(run.url, "part-0.bin"), b"1")
    return run


def test_a_fresh_run_is_not_done_until_it_is_finished(run):
    assert run.url.endswith("features/run=one")
    assert not run.is_done("f1")
    started(run)
    assert not run.is_done("f1")
    assert run.manifest() is None
    with pytest.raises(PublishError, match="no features published under this root"):
        latest(run.root, "features")
    run.finish("f1", {"rows": 3})
    assert run.is_done("f1")
    assert run.manifest() == {"run": "one", "stage": "features", "fingerprint": "f1", "rows": 3}
    assert latest(run.root, "features") == run


def test_the_manifest_is_written_before_the_pointer_moves(run, monkeypatch):
    started(run)
    seen = []

    def replace(url, text):
        seen.append((url, text, storage.exists(storage.join(run.url, publishing.MANIFEST))))

    monkeypatch.setattr(storage, "replace_text", replace)
    run.finish("f1", {})
    assert seen == [(storage.join(run.root, "features", "latest.json"), '{"run": "one"}', True)]


def test_work_of_other_settings_under_the_same_id_is_an_error(run):
    started(run).finish("f1", {})
    with pytest.raises(PublishError, match=r"fingerprint f1, this one is f2\); give another --output.run"):
        run.is_done("f2")


def test_a_run_that_died_is_started_over_and_the_last_good_one_stays_in_force(run):
    started(run).finish("f1", {})
    died = started(Run(run.root, "features", "two"))
    assert latest(run.root, "features") == run
    assert files(died) == ["part-0.bin"]
    died.start()
    assert not storage.exists(storage.join(died.url, "part-0.bin"))
    assert files(run) == ["part-0.bin", "run.json"]
    started(died).finish("f1", {})
    assert latest(run.root, "features") == died


def test_a_finished_run_beside_one_that_was_deleted_is_started_over(run):
    started(run).finish("f1", {})
    with pytest.raises(PublishError, match="finished by another process meanwhile"):
        run.start()
    run.start(over=True)
    assert run.manifest() is None
    assert not storage.exists(storage.join(run.url, "part-0.bin"))
    started(run).finish("f1", {})
    assert latest(run.root, "features") == run


def test_the_pointer_can_be_moved_back(run):
    started(run).finish("f1", {})
    started(Run(run.root, "features", "two")).finish("f1", {})
    run.point()
    assert latest(run.root, "features") == run


def test_only_part_files_count_as_the_table(run):
    run.start()
    frame = pd.DataFrame({"a": range(7)})
    for number, name in enumerate(["part-1.parquet", "part-0.parquet", "holdout.parquet", "sub/part-2.parquet"]):
        buffer = frame.head(number + 2).to_parquet(index=False)
        storage.write_bytes(storage.join(run.url, name), buffer)
    storage.write_bytes(storage.join(run.url, "part-9.json"), b"{}")
    names = ["part-0.parquet", "part-1.parquet", "sub/part-2.parquet"]
    assert publishing.part_files(run.url) == [storage.join(run.url, name) for name in names]
    assert publishing.footer_rows(run.url) == 2 + 3 + 5


def test_the_identity_of_an_input_changes_with_its_files(root):
    place = storage.join(root, "log/a.csv")
    storage.write_bytes(place, b"1")
    before = publishing.input_identity(storage.join(root, "log"))
    assert publishing.input_identity(storage.join(root, "log")) == before
    storage.write_bytes(place, b"12")
    assert publishing.input_identity(storage.join(root, "log")) != before
    assert publishing.input_identity(place)[0][:2] == (place, 2)


def test_a_fingerprint_depends_on_settings_and_code(monkeypatch):
    first = publishing.fingerprint({"a": 1, "b": [2]}, "x")
    assert publishing.fingerprint({"b": [2], "a": 1}, "x") == first
    assert publishing.fingerprint({"a": 1, "b": [3]}, "x") != first
    monkeypatch.setattr(publishing, "_code_digest", lambda: "other code")
    assert publishing.fingerprint({"a": 1, "b": [2]}, "x") != first
    assert len(first) == 16
