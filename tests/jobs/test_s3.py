"""A bucket as the output's root: what the jobs do there, what Spark says of it, and what is said when it fails."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import BufferReader, parquet

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from tests.feature_extraction.uploads import upload_folder
from tests.jobs import small_log
from tests.jobs.conftest import ROOT, command, run_job

pytestmark = [pytest.mark.spark, pytest.mark.s3, pytest.mark.slow]
SECRET = "wJalrXUtnFEMIexampleSECRET"


def upload(finished, stage, root):
    folder = finished.root / "out" / stage
    upload_folder(folder / "run=small", storage.join(root, stage, "run=small"), publishing.MANIFEST)
    Run(root, stage, "small").point()


def test_training_and_report_on_a_bucket_equal_those_on_a_disk(finished, bucket):
    upload(finished, "features", bucket)
    trained = run_job("train", finished.run_file, "--output.root", bucket, AWS_SECRET_ACCESS_KEY=SECRET)
    assert trained.returncode == 0, trained.stderr
    for name in ("scarcegan", "logistic_regression"):
        assert publishing.latest(bucket, f"models/{name}").manifest()["features"] == "small"
    model = publishing.latest(bucket, "models/scarcegan").url
    weights = next(file for file in storage.list_files(model) if "tensors" in file.url)
    local = finished.root / "out/models/scarcegan/run=small" / Path(weights.url).name
    assert storage.read_bytes(weights.url) == local.read_bytes()

    upload(finished, "scores", bucket)
    edit_model_url(bucket, finished)
    explained = run_job("explain", finished.run_file, "--output.root", bucket, AWS_SECRET_ACCESS_KEY=SECRET)
    assert explained.returncode == 0, explained.stderr
    assert f"Report: {bucket}/reports/run=small/report.html" in explained.stdout
    report = publishing.latest(bucket, "reports").url
    found = pd.read_parquet(finished.root / "out/reports/run=small/reasons.parquet")
    made = parquet.read_table(BufferReader(storage.read_bytes(f"{report}/reasons.parquet"))).to_pandas()
    pd.testing.assert_frame_equal(made, found)
    assert len(storage.read_bytes(f"{report}/report.html")) > 10_000
    check_no_secret(bucket, trained.stdout, trained.stderr, explained.stdout, explained.stderr)


def check_no_secret(root, *texts):
    assert not any(SECRET in text for text in texts)
    files = storage.list_files(root)
    assert len(files) > 15
    assert not [file.url for file in files if SECRET.encode() in storage.read_bytes(file.url)]


def edit_model_url(bucket, finished):
    """Scores made on the disk name the disk's model; name the bucket's instead."""
    place = storage.join(bucket, "scores", "run=small", publishing.MANIFEST)
    text = storage.read_text(place).replace(str(finished.root / "out"), bucket)
    storage.write_bytes(place, text.encode())


def test_scoring_on_a_bucket_needs_no_s3a(finished, bucket):
    root = f"{bucket}-to-score"  # moto keeps a bucket for as long as the process
    upload(finished, "features", root)
    upload(finished, "models/scarcegan", root)
    scored = run_job("score", finished.run_file, "--output.root", root)
    assert scored.returncode == 0, scored.stderr
    made, known = publishing.latest(root, "scores").url, str(finished.root / "out/scores/run=small")
    pd.testing.assert_frame_equal(ranking(made), ranking(known))


def ranking(url):
    parts = [parquet.read_table(BufferReader(storage.read_bytes(file))) for file in publishing.part_files(url)]
    frame = pd.concat([part.select(["entity_id", "rank", "score"]).to_pandas() for part in parts])
    return frame.sort_values("rank", ignore_index=True)


def test_spark_without_s3a_says_so_clearly(finished, bucket):
    refused = run_job("extract_features", finished.run_file, "--output.root", bucket, "--output.run", "other")
    assert refused.returncode == 2
    assert "this Spark has no S3A" in refused.stderr
    assert "--packages org.apache.hadoop:hadoop-aws:3." in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("s3://absent/x", "s3://absent: there is no such bucket; create it, or correct the URL"),
        (f"s3://AKIAKEY:{SECRET}@scarce/x", "s3://...: holds credentials; leave them out"),
    ],
)
def test_a_root_that_cannot_be_is_told_in_a_sentence(bucket, tmp_path, root, message):
    refused = run_job("train", small_log.write(tmp_path / "log"), "--output.root", root)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr


def test_an_extraction_onto_a_full_disk_ends_with_2_and_publishes_nothing(tmp_path):
    run_file, root = small_log.write(tmp_path / "log"), tmp_path / "full"
    root.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", root], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        stopped = run_job("extract_features", run_file, "--output.root", str(root))
        assert stopped.returncode == 2, stopped.stderr
        assert "the disk is full; free some space or give another output.root" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert not list(root.rglob("run.json")) + list(root.rglob("latest.json"))
    finally:
        subprocess.run(["umount", root], check=True)


def test_two_extractions_of_one_run_at_once_make_one_run(tmp_path):
    run_file = small_log.write(tmp_path / "log")
    jobs = [
        subprocess.Popen(command("extract_features", run_file), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [job.communicate()[1] for job in jobs]
    states = sorted(job.returncode for job in jobs)
    assert states in ([0, 2], [0, 3]), said
    if states == [0, 2]:
        loser = said[[job.returncode for job in jobs].index(2)]
        assert "this run is being made by process" in loser or "finished by another process meanwhile" in loser
    made = publishing.latest(str(tmp_path / "log/out"), "features")
    assert made.manifest()["rows"] == publishing.footer_rows(made.url) == small_log.ENTITIES
