"""Spark's own access to buckets, S3A: the settings each platform needs, in this one place.

Takes the platform, Spark's version and the address of an S3 server that is not Amazon's; gives Spark settings. No
credentials are among them: S3A asks the standard chain, as everything else here does.
"""

from typing import Literal, get_args

Platform = Literal["local", "standalone", "kubernetes", "emr"]

S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
COMMIT_PROTOCOL = "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol"
# Spark's release line -> its Hadoop, its Scala, and the standard credentials chain of that Hadoop's AWS SDK.
SPARKS = {
    "3.5": ("3.3.4", "2.12", "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"),
    "4.0": ("3.4.1", "2.13", "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"),
}
# Spark hands executors the keys that the driver's environment holds as fs.s3a.* settings; these two read them.
HANDED_OVER = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider,org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
)
# Files appear when the whole write is committed, by completing uploads: S3 has no rename, and a copy of everything
# is what the default committer makes of one. Needs spark-hadoop-cloud beside hadoop-aws.
COMMITTER = {
    "spark.hadoop.fs.s3a.committer.name": "magic",
    "spark.hadoop.fs.s3a.committer.magic.enabled": "true",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
    "spark.sql.sources.commitProtocolClass": COMMIT_PROTOCOL,
    "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
}
# The same under either Hadoop, whose defaults differ: 3.3.4 has 96 connections and 20 attempts, 3.4.1 500 and 5.
TRANSFER = {
    "spark.hadoop.fs.s3a.fast.upload.buffer": "disk",
    "spark.hadoop.fs.s3a.connection.maximum": "500",
    "spark.hadoop.fs.s3a.threads.max": "96",
    "spark.hadoop.fs.s3a.attempts.maximum": "10",
    "spark.hadoop.fs.s3a.retry.limit": "7",
    "spark.hadoop.fs.s3a.retry.throttle.limit": "20",
}
# Where, on each platform, the environment of the processes that run this application's Python is set.
ENVIRONMENTS = {
    "local": (),
    "standalone": ("spark.executorEnv.",),
    "kubernetes": ("spark.executorEnv.", "spark.kubernetes.driverEnv."),
    "emr": ("spark.executorEnv.", "spark.yarn.appMasterEnv."),
}


class S3ASettingsError(ValueError):
    """No settings are known for this platform or this Spark."""


def settings(platform: Platform, spark_version: str, endpoint: str = "", region: str = "") -> dict[str, str]:
    """Return the Spark settings with which S3A works on a platform, sorted by key.

    Args:
        platform: `emr` has S3A set up by Amazon, and needs nothing but another server's address.
        spark_version: such as `4.0.1`.
        endpoint: address of an S3 server that is not Amazon's, such as `http://minio:9000`; empty for Amazon.
        region: its region or the bucket's; empty leaves it to the platform.

    Raises:
        S3ASettingsError: the platform, the Spark or the spelling of the endpoint is unknown.
    """
    if platform not in get_args(Platform):
        raise S3ASettingsError(f"platform is {platform!r}, expected one of {', '.join(get_args(Platform))}")
    found: dict[str, str] = {}
    if platform != "emr":
        _, _, chain = _release(spark_version)
        found |= COMMITTER | TRANSFER
        found["spark.hadoop.fs.s3a.aws.credentials.provider"] = f"{HANDED_OVER},{chain}"
    if platform == "kubernetes":
        # A pod's own disk may be small or read-only; Spark mounts a volume for what it spills.
        found["spark.hadoop.fs.s3a.buffer.dir"] = "${env.SPARK_LOCAL_DIRS:-${hadoop.tmp.dir}}/s3a"
    found |= _server(endpoint, region) | environment(platform, endpoint, region)
    return dict(sorted(found.items()))


def environment(platform: Platform, endpoint: str = "", region: str = "") -> dict[str, str]:
    """Return the settings that tell this application's Python, on every machine, which S3 server to ask."""
    variables = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region}
    return {f"{prefix}{name}": value for prefix in ENVIRONMENTS[platform] for name, value in variables.items() if value}


def packages(spark_version: str) -> tuple[str, ...]:
    """Return the Maven coordinates that give this Spark S3A and its committers, for `--packages` or an image."""
    hadoop, scala, _ = _release(spark_version)
    return (
        f"org.apache.hadoop:hadoop-aws:{hadoop}",
        f"org.apache.spark:spark-hadoop-cloud_{scala}:{spark_version}",
    )


def _server(endpoint: str, region: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if endpoint:
        if not endpoint.startswith(("http://", "https://")):
            raise S3ASettingsError(f"endpoint is {endpoint!r}, expected http://host:port or https://host")
        # Such servers seldom have a name for each bucket, `bucket.host`.
        found |= {"spark.hadoop.fs.s3a.endpoint": endpoint, "spark.hadoop.fs.s3a.path.style.access": "true"}
    if region:
        found["spark.hadoop.fs.s3a.endpoint.region"] = region
    return found


def _release(spark_version: str) -> tuple[str, str, str]:
    line = ".".join(spark_version.split(".")[:2])
    if line not in SPARKS:
        raise S3ASettingsError(f"Spark is {spark_version}, expected one of {', '.join(SPARKS)}; add it to jobs/s3a.py")
    return SPARKS[line]
