"""A bucket as the output's root: what training and the report do there, and what Spark says of it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from tests.jobs.conftest import run_job

pytestmark = [pytest.mark.spark, pytest.mark.s3, pytest.mark.slow]


def upload(finished, stage, root):
    folder = finished.root / "out" / stage
    storage.upload_folder(folder / "run=small", storage.join(root, stage, "run=small"), publishing.MANIFEST)
    Run(root, stage, "small").point()


def test_training_and_report_on_a_bucket_equal_those_on_a_disk(finished, bucket):
    upload(finished, "features", bucket)
    trained = run_job("train", finished.run_file, "--output.root", bucket)
    assert trained.returncode == 0, trained.stderr
    for name in ("scarcegan", "logistic_regression"):
        assert publishing.latest(bucket, f"models/{name}").manifest()["features"] == "small"
    model = publishing.latest(bucket, "models/scarcegan").url
    weights = next(file for file in storage.list_files(model) if "tensors" in file.url)
    local = finished.root / "out/models/scarcegan/run=small" / Path(weights.url).name
    assert storage.read_bytes(weights.url) == local.read_bytes()

    upload(finished, "scores", bucket)
    edit_model_url(bucket, finished)
    explained = run_job("explain", finished.run_file, "--output.root", bucket)
    assert explained.returncode == 0, explained.stderr
    assert f"Report: {bucket}/reports/run=small/report.html" in explained.stdout
    report = publishing.latest(bucket, "reports").url
    found = pd.read_parquet(finished.root / "out/reports/run=small/reasons.parquet")
    with storage.local_copy(report) as folder:
        pd.testing.assert_frame_equal(pd.read_parquet(folder / "reasons.parquet"), found)
        assert (folder / "report.html").stat().st_size > 10_000


def edit_model_url(bucket, finished):
    """Scores made on the disk name the disk's model; name the bucket's instead."""
    place = storage.join(bucket, "scores", "run=small", publishing.MANIFEST)
    text = storage.read_text(place).replace(str(finished.root / "out"), bucket)
    storage.write_bytes(place, text.encode())


@pytest.mark.parametrize("job", ["extract_features", "score"])
def test_spark_without_s3a_says_so_clearly(finished, bucket, job):
    upload(finished, "features", bucket)
    upload_model(finished, bucket)
    refused = run_job(job, finished.run_file, "--output.root", bucket, "--output.run", "other")
    assert refused.returncode == 2
    assert "this Spark has no S3A" in refused.stderr
    assert "hadoop-aws" in refused.stderr
    assert "Traceback" not in refused.stderr


def upload_model(finished, bucket):
    upload(finished, "models/scarcegan", bucket)


def test_a_local_copy_of_a_bucket_goes_away(bucket):
    storage.write_bytes(storage.join(bucket, "x/a.txt"), b"1")
    with storage.local_copy(storage.join(bucket, "x")) as folder:
        assert (folder / "a.txt").read_bytes() == b"1"
    assert not folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
