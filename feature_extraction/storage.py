"""The only module that knows URL schemes: local paths and `s3://` buckets, read, written and listed alike.

Takes URLs (`/a/b`, `a/b`, `file:///a/b`, `s3://bucket/key`, `s3a://bucket/key`) and gives bytes, listings and the
spelling each consumer wants. Credentials come from the standard AWS chain; `AWS_ENDPOINT_URL` names another server.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyarrow import fs

S3_SCHEMES = ("s3", "s3a", "s3n")


class StorageError(ValueError):
    """A location cannot be read or written, or is spelled in a way nothing here understands."""


@dataclass(frozen=True)
class File:
    """One stored file: its URL, its size in bytes and when it changed (seconds since 1970)."""

    url: str
    size: int
    changed: float


def is_s3(url: str) -> bool:
    """Whether `url` lies in a bucket."""
    return urlsplit(url).scheme in S3_SCHEMES


def join(url: str, *parts: str) -> str:
    """Append path parts to a URL."""
    return "/".join([url.rstrip("/"), *(part.strip("/") for part in parts)])


def local_path(url: str) -> Path:
    """Return the path of a local URL; a bucket or a foreign scheme raises `StorageError`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(parts.path)
    if parts.scheme and "://" in url:
        raise StorageError(f"{url}: scheme {parts.scheme!r} is not supported; use a local path, file:// or s3://")
    return Path(url)


def spark_url(url: str) -> str:
    """Spell a URL for Spark, which knows buckets as `s3a://` and resolves bare paths by its own default."""
    if is_s3(url):
        return "s3a://" + url.split("://", 1)[1]
    return f"file://{local_path(url).resolve()}"  # Hadoop takes it as it stands: as_uri() would write run%3D


def filesystem(url: str) -> tuple[fs.FileSystem, str]:
    """Return the pyarrow filesystem of a URL and the path inside it."""
    if is_s3(url):
        return _s3_filesystem(os.environ.get("AWS_ENDPOINT_URL", "")), url.split("://", 1)[1]
    return fs.LocalFileSystem(), str(local_path(url).resolve())


@cache
def _s3_filesystem(endpoint: str) -> fs.S3FileSystem:
    options: dict[str, Any] = {"region": os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION"))}
    if endpoint:
        scheme, host = endpoint.split("://", 1)
        options |= {"endpoint_override": host, "scheme": scheme}
    return fs.S3FileSystem(**{key: value for key, value in options.items() if value})


def exists(url: str) -> bool:
    """Whether a file or folder lies at `url`."""
    store, path = filesystem(url)
    return bool(store.get_file_info(path).type != fs.FileType.NotFound)


def read_bytes(url: str) -> bytes:
    """Read a whole file as it is, packed or not; a missing one raises `StorageError` with its URL."""
    store, path = filesystem(url)
    try:
        with store.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())
    except FileNotFoundError as error:
        raise StorageError(f"{url}: no such file; check the run file's URLs and what the stage before left") from error


def read_text(url: str) -> str:
    """Read a whole UTF-8 file."""
    return read_bytes(url).decode()


def first_line(url: str) -> str:
    """Read the first line of a UTF-8 text file, decompressed where its ending names a compression."""
    store, path = filesystem(url)
    with store.open_input_stream(path) as stream, io.TextIOWrapper(stream, "utf-8-sig") as text:
        return text.readline()


def write_bytes(url: str, data: bytes) -> None:
    """Write a file whole, never half: a temporary name and a rename on a disk, one put on S3."""
    if is_s3(url):
        store, path = filesystem(url)
        with store.open_output_stream(path) as stream:
            stream.write(data)
        return
    target = local_path(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with partial.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, target)


def list_files(url: str, suffix: str = "") -> list[File]:
    """List the files under a folder (or the one file at `url`), sorted by URL; hidden ones are left out."""
    store, path = filesystem(url)
    info = store.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise StorageError(f"{url}: nothing lies there; check the run file's URLs and what the stage before left")
    if info.type == fs.FileType.File:
        return [File(url, info.size, info.mtime.timestamp())]
    root = path.rstrip("/")
    found = []
    for item in store.get_file_info(fs.FileSelector(root, recursive=True)):
        name = item.path[len(root) + 1 :]
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if item.type == fs.FileType.File and not hidden and name.endswith(suffix):
            found.append(File(join(url, name), item.size, item.mtime.timestamp()))
    return sorted(found, key=lambda file: file.url)


def delete_folder(url: str) -> None:
    """Remove a folder and all below it; nothing happens if there is none."""
    store, path = filesystem(url)
    if store.get_file_info(path).type == fs.FileType.Directory:
        store.delete_dir(path)


def upload_folder(folder: Path, url: str, last: str) -> None:
    """Copy every file of a local folder to `url`; the file named `last` goes last, so its presence means whole."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in [p for p in files if p.name != last] + [p for p in files if p.name == last]:
        write_bytes(join(url, path.relative_to(folder).as_posix()), path.read_bytes())


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """Give a folder as local files: itself when it lies on this disk, else a temporary download."""
    if not is_s3(url):
        yield local_path(url)
        return
    folder = Path(tempfile.mkdtemp(prefix="scarce-"))
    try:
        for file in list_files(url):
            target = folder / file.url[len(url.rstrip("/")) + 1 :]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_bytes(file.url))
        yield folder
    finally:
        shutil.rmtree(folder)


def replace_text(url: str, text: str) -> None:
    """Replace a small shared file in one step.

    On S3 the put is conditional on what was read just before (`If-Match`, or `If-None-Match: *` for a first one),
    so two jobs that move one pointer at once cannot both believe they did: the second raises `StorageError`.
    """
    if not is_s3(url):
        write_bytes(url, text.encode())
        return
    import boto3
    from botocore.exceptions import ClientError

    bucket, key = url.split("://", 1)[1].split("/", 1)
    client = boto3.client("s3")
    try:
        condition = {"IfMatch": client.head_object(Bucket=bucket, Key=key)["ETag"]}
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise StorageError(f"{url}: cannot be read: {error}") from error
        condition = {"IfNoneMatch": "*"}
    try:
        client.put_object(Bucket=bucket, Key=key, Body=text.encode(), **condition)
    except ClientError as error:
        raise StorageError(f"{url}: not replaced, another job may have moved it meanwhile: {error}") from error
