"""One whole run of the jobs on a small log, made once and looked at by several tests."""

import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.jobs import small_log

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finished:
    """A run that ended: its folder, its run file, and what it said."""

    root: Path
    run_file: Path
    output: str
    log: str


def command(job, run_file, *overrides):
    return [sys.executable, "-m", f"jobs.{job}", "--config", str(run_file), *overrides]


def run_job(job, run_file, *overrides, **environment):
    return subprocess.run(
        command(job, run_file, *overrides),
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    run_file = small_log.write(root)
    done = run_job("run", run_file)
    assert done.returncode == 0, done.stderr
    return Finished(root, run_file, done.stdout, done.stderr)


@pytest.fixture
def bucket(monkeypatch):
    """An S3 server on loopback with one bucket; its environment is set for this process and its children."""
    import boto3

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"scarce-{uuid.uuid4().hex[:8]}"  # moto keeps what lies in a bucket for as long as the process lives
    boto3.client("s3").create_bucket(Bucket=name)
    yield f"s3://{name}/daily"
    server.stop()
