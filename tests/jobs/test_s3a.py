"""S3A's settings: those of each platform as kept beside this file, and what a job adds to what was asked for."""

import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import pyspark
import pytest

from jobs import s3a
from tests.feature_extraction.faulty_s3 import FaultyS3

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden")
CASES = [
    (platform, version, endpoint)
    for platform in get_args(s3a.Platform)
    for version in ("3.5.6", "4.0.1")
    for endpoint in ("", "http://minio:9000")
]


@pytest.mark.parametrize("platform", get_args(s3a.Platform))
def test_settings_are_those_that_were_looked_through(platform):
    """After a change that is meant: write the file anew by `python -m tests.jobs.test_s3a`, and read it."""
    assert golden(platform) == (GOLDEN / f"s3a_{platform}.txt").read_text()


def golden(platform):
    lines = []
    for _, version, endpoint in (case for case in CASES if case[0] == platform):
        region = "eu-west-3" if endpoint else ""
        packages = "" if platform == "emr" else f": --packages {','.join(s3a.packages(version))}"
        lines.append(f"# Spark {version}, {endpoint or 'Amazon S3'}{packages}")
        lines += [f"{key} {value}" for key, value in s3a.settings(platform, version, endpoint, region).items()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_credentials_are_among_them(case):
    keys = ("access.key", "secret.key", "session.token", "AWS_ACCESS", "AWS_SECRET", "AWS_SESSION")
    assert not [key for key in s3a.settings(*case) if any(part in key for part in keys)]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (("gke", "4.0.1"), "platform is 'gke', expected one of local, standalone, kubernetes, emr"),
        (("local", "4.1.0"), "Spark is 4.1.0, expected one of 3.5, 4.0"),
        (("local", "4.0.1", "minio:9000"), "endpoint is 'minio:9000', expected http://host:port"),
    ],
)
def test_what_is_not_known_is_refused(case, message):
    with pytest.raises(s3a.S3ASettingsError, match=message):
        s3a.settings(*case)


PRINT_SETTINGS = """
import json, sys
from pyspark import SparkConf
from jobs import spark
print(json.dumps([spark._s3_settings(SparkConf(), urls) for urls in (tuple(sys.argv[1:]), ())]))
"""
ASKED = {"spark.hadoop.fs.s3a.retry.limit": "3", "spark.hadoop.fs.s3a.endpoint": "http://asked-for:1"}


@pytest.mark.spark
@pytest.mark.s3
@pytest.mark.parametrize(
    ("master", "classes", "left_out"),
    [
        ("local[1]", [s3a.S3A], {**ASKED, **s3a.COMMITTER}),
        ("local-cluster[1,1,512]", [s3a.S3A, s3a.COMMIT_PROTOCOL], ASKED),
    ],
    ids=["hadoop-aws alone", "with committers"],
)
def test_a_submitted_job_adds_what_was_not_asked_for(tmp_path, monkeypatch, master, classes, left_out):
    server = FaultyS3()
    try:
        url = server.bucket(monkeypatch)
        for_a_bucket, for_none = settings_under_spark_submit(tmp_path, master, classes, url)
    finally:
        server.stop()
    platform = "local" if master == "local[1]" else "standalone"
    wanted = s3a.settings(platform, pyspark.__version__, server.url, "us-east-1")
    assert for_a_bucket == {key: value for key, value in wanted.items() if key not in left_out}
    # The workers' Python writes to buckets even where Spark itself touches none.
    assert for_none == ({} if platform == "local" else {"spark.executorEnv.AWS_ENDPOINT_URL": server.url})


def settings_under_spark_submit(folder, master, classes, url):
    """Submit a script with empty classes of the given names in a jar, as `--packages` would bring the real ones."""
    with zipfile.ZipFile(folder / "s3a.jar", "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for name in classes:
            jar.writestr(name.replace(".", "/") + ".class", empty_class(name))
    (folder / "settings.py").write_text(PRINT_SETTINGS)
    submit = [Path(pyspark.__file__).parent / "bin/spark-submit", "--master", master, "--jars", folder / "s3a.jar"]
    asked = [part for key, value in ASKED.items() for part in ("--conf", f"{key}={value}")]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
    }
    done = subprocess.run(
        [*submit, *asked, folder / "settings.py", url], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def empty_class(name):
    """Return a Java class file without fields or methods (The Java Virtual Machine Specification, chapter 4)."""
    names = [name.replace(".", "/").encode(), b"java/lang/Object"]
    constants = b"".join(struct.pack(">BHBH", 7, 2 * at + 2, 1, len(text)) + text for at, text in enumerate(names))
    return struct.pack(">IHHH", 0xCAFEBABE, 0, 52, 5) + constants + struct.pack(">7H", 0x21, 1, 3, 0, 0, 0, 0)


if __name__ == "__main__":
    for platform in get_args(s3a.Platform):
        (GOLDEN / f"s3a_{platform}.txt").write_text(golden(platform))
