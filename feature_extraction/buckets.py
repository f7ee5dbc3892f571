"""How boto3 and pyarrow reach a bucket: the same server, region and credentials, and writes that depend on a version.

Both take what boto3 finds in its standard chain (environment, profile, web identity, container, machine); it is handed
to pyarrow in memory, and found anew when it expires. `AWS_MAX_ATTEMPTS` sets how often a request is tried.
"""

import os
import re
import time
from functools import lru_cache
from typing import Any, NamedTuple

from pyarrow import fs

from feature_extraction.storage_errors import StorageError, explained

ATTEMPTS = 8
CONNECT_SECONDS, READ_SECONDS = 10, 60
# S3 answers 409 while another write of the same key is under way: the condition is worth asking about again.
CONFLICTS, CONFLICT_SECONDS = 5, 0.2
# A secret may hold slashes, so that what follows it looks like a path; the name of a bucket holds no colon.
WITH_CREDENTIALS = re.compile(r"(s3[an]?(?=://[^/]*[:@])|\w+(?=://[^/]*@))://")


class Bucket(NamedTuple):
    """A bucket and the clients that reach it."""

    name: str
    region: str
    session: Any
    client: Any


def split(url: str) -> tuple[str, str]:
    """Return the bucket and the key of a URL; the key may be empty."""
    bucket, _, key = url.split("://", 1)[1].partition("/")
    return bucket, key


def refuse_credentials(url: str) -> None:
    """Raise `StorageError`, without repeating them, if a URL holds credentials as `s3://key:secret@bucket` does."""
    found = WITH_CREDENTIALS.match(url)
    if found:
        raise StorageError(
            f"{found[1]}://...: holds credentials; leave them out: they come from the environment, a profile or the "
            "machine's role"
        )


def server(url: str) -> tuple[str, str]:
    """Return the address of the server on which a bucket lies, empty for Amazon's, and the region."""
    bucket = _bucket(url)
    endpoint = bucket.client.meta.endpoint_url
    return "" if _is_amazon(endpoint) else endpoint, bucket.region


def filesystem(url: str) -> fs.S3FileSystem:
    """Return pyarrow's view of the server on which a URL lies."""
    bucket = _bucket(url)
    with _explained(url, "reached"):
        found = bucket.session.get_credentials()
        keys = found and found.get_frozen_credentials()
    if not keys:
        raise StorageError(
            f"{url}: no credentials found; give them in the environment, a profile or the machine's role"
        )
    endpoint, region = server(url)
    return _filesystem(region, endpoint, tuple(keys), _attempts())


def put(url: str, data: bytes) -> None:
    """Write a file in one request."""
    _, key = split(url)
    bucket = _bucket(url)
    with _explained(url, "written"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)


def version(url: str) -> str | None:
    """Return the version of a file, None where there is none."""
    bucket, key = _bucket(url), split(url)[1]
    from botocore.exceptions import ClientError

    with _explained(url, "read"):
        try:
            return str(bucket.client.head_object(Bucket=bucket.name, Key=key)["ETag"])
        except ClientError as error:
            if _status(error) != 404:
                raise
            return None


def put_version(url: str, data: bytes, before: str | None) -> str | None:
    """Write a file if its version is still `before` (None: there is no such file); return the new one, None if not.

    A lost answer makes the client ask again, and the server then refuses a write that it has done: the caller, who
    knows what it wrote, is to read the file back.
    """
    bucket, key = _bucket(url), split(url)[1]
    from botocore.exceptions import ClientError

    condition = {"IfMatch": before} if before else {"IfNoneMatch": "*"}
    for left in reversed(range(CONFLICTS)):
        with _explained(url, "written"):
            try:
                answer = bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data, **condition)
                return str(answer["ETag"])
            except ClientError as error:
                if _status(error) not in (404, 409, 412) or error.response["Error"]["Code"] == "NoSuchBucket":
                    raise
                if _status(error) != 409:
                    return None
                if not left:
                    raise
        time.sleep(CONFLICT_SECONDS)
    return None


def delete(url: str) -> None:
    """Remove a file; nothing happens if there is none."""
    bucket = _bucket(url)
    with _explained(url, "removed"):
        bucket.client.delete_object(Bucket=bucket.name, Key=split(url)[1])


def _explained(url: str, action: str) -> Any:  # noqa: ANN401  (a context manager)
    from botocore.exceptions import BotoCoreError, ClientError

    return explained(url, action, BotoCoreError, ClientError)


def _status(error: Any) -> int:  # noqa: ANN401  (botocore publishes no types)
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _bucket(url: str) -> Bucket:
    """Return the clients for a URL's bucket, once it is known to be there."""
    refuse_credentials(url)
    environment = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _known_bucket(split(url)[0], environment)


@lru_cache(maxsize=16)
def _known_bucket(name: str, environment: tuple[tuple[str, str], ...]) -> Bucket:
    from botocore.exceptions import ClientError

    with _explained(f"s3://{name}", "reached"):
        session, client = _clients(environment)
        try:
            headers = client.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"]
        except ClientError as error:
            if _status(error) == 404:
                raise StorageError(f"s3://{name}: there is no such bucket; create it, or correct the URL") from error
            if _status(error) != 403:
                raise
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]  # who may not list may still read
    own = client.meta.region_name
    region = headers.get("x-amz-bucket-region", own) if _is_amazon(client.meta.endpoint_url) else own
    return Bucket(name, region, session, client)


@lru_cache(maxsize=4)
def _clients(environment: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    import boto3
    from botocore.config import Config

    settings = Config(
        retries={"mode": "standard", "total_max_attempts": _attempts()},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )
    session = boto3.session.Session(region_name=dict(environment).get("AWS_REGION"))
    try:
        return session, session.client("s3", config=settings)
    except ValueError as error:
        raise StorageError(f"{error}; expected AWS_ENDPOINT_URL to be such as http://host:9000") from error


@lru_cache(maxsize=8)
def _filesystem(region: str, endpoint: str, keys: tuple[str | None, ...], attempts: int) -> fs.S3FileSystem:
    scheme, _, host = endpoint.rpartition("://")
    access_key, secret_key, token = keys[:3]
    return fs.S3FileSystem(
        access_key=access_key,
        secret_key=secret_key,
        session_token=token,
        region=region,
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme or None,
        connect_timeout=CONNECT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )


def _is_amazon(endpoint: str) -> bool:
    host = endpoint.rpartition("://")[2].split("/")[0].split(":")[0]
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _attempts() -> int:
    text = os.environ.get("AWS_MAX_ATTEMPTS", str(ATTEMPTS))
    if not text.isdigit() or text == "0":
        raise StorageError(f"AWS_MAX_ATTEMPTS is {text!r}, expected how often a request is tried, 1 or more")
    return int(text)
