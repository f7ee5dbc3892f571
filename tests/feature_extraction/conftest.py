"""One local Spark for all tests here, with the settings the jobs fix, and an S3 server on loopback."""

import itertools

import boto3
import pytest
from moto.server import ThreadedMotoServer

from feature_extraction import claims
from jobs.spark import session

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def running_spark():
    with session("tests") as running:
        yield running


@pytest.fixture
def spark(running_spark):
    running_spark.conf.set("spark.sql.shuffle.partitions", "4")
    running_spark.conf.set("spark.sql.session.timeZone", "UTC")
    return running_spark


@pytest.fixture(scope="module")
def s3_server():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """A fresh bucket's URL; the environment names the server for the time of the test.

    Claims that a test leaves are given up while there is a server to tell, as they are when a job's process ends.
    """
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"test-{next(NUMBERS)}"
    boto3.client("s3").create_bucket(Bucket=name)
    yield f"s3://{name}/root"
    for url in [url for url in claims._held if url.startswith(f"s3://{name}/")]:
        claims.release(url)


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.s3)])
def root(request, tmp_path):
    """A place to publish under, on a disk and in a bucket."""
    return str(tmp_path / "root") if request.param == "disk" else request.getfixturevalue("bucket")
