"""The only module that knows URL schemes: local paths and `s3://` buckets, read, written and listed alike.

Takes URLs (`/a/b`, `a/b`, `file:///a/b`, `s3://bucket/key`, `s3a://bucket/key`) and gives bytes, listings and the
spelling each consumer wants. Credentials come from the standard AWS chain; `AWS_ENDPOINT_URL` names another server.
A fault that passes is waited out; any other is a `StorageError` that says what to do.
"""

import fcntl
import io
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pyarrow import NativeFile, fs

from feature_extraction import buckets
from feature_extraction.storage_errors import StorageError as StorageError
from feature_extraction.storage_errors import explained as explained

S3_SCHEMES = ("s3", "s3a", "s3n")
LOCK = ".lock"


@dataclass(frozen=True)
class File:
    """One stored file: its URL, its size in bytes and when it changed (seconds since 1970)."""

    url: str
    size: int
    changed: float


class Versioned(NamedTuple):
    """What a small shared file held, and the version that it had then."""

    text: str
    version: str


def is_s3(url: str) -> bool:
    """Whether `url` lies in a bucket; a URL with credentials in it is refused, and they are not repeated."""
    buckets.refuse_credentials(url)
    return urlsplit(url).scheme in S3_SCHEMES


def refuse_credentials(value: object) -> None:
    """Raise `StorageError` if a text, or one anywhere in mappings and lists, is a URL that holds credentials."""
    if isinstance(value, str):
        buckets.refuse_credentials(value)
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            refuse_credentials(part)


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
    """Return the pyarrow filesystem of a URL and the path inside it.

    In a bucket it carries the credentials of this moment: ask for it again rather than keep it for hours.
    """
    if is_s3(url):
        return buckets.filesystem(url), url.split("://", 1)[1]
    return fs.LocalFileSystem(), str(local_path(url).resolve())


def s3_server(*urls: str) -> tuple[str, str]:
    """Return the address and the region of the S3 server that holds `urls`, or that the environment names.

    The address is empty for Amazon's own servers, and so is what nothing names.
    """
    for url in filter(is_s3, urls):
        return buckets.server(url)
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""), ""


def exists(url: str) -> bool:
    """Whether a file or folder lies at `url`."""
    store, path = filesystem(url)
    with explained(url, "read"):
        return bool(store.get_file_info(path).type != fs.FileType.NotFound)


def open_file(url: str) -> NativeFile:
    """Open a file to read parts of it; what goes wrong later is for the reader to put in `explained`."""
    store, path = filesystem(url)
    with explained(url, "read"):
        return store.open_input_file(path)


def read_bytes(url: str) -> bytes:
    """Read a whole file as it is, packed or not; a missing one raises `StorageError` with its URL."""
    store, path = filesystem(url)
    with explained(url, "read"), store.open_input_stream(path, compression=None) as stream:
        return bytes(stream.read())


def read_text(url: str) -> str:
    """Read a whole UTF-8 file."""
    return read_bytes(url).decode()


def first_line(url: str) -> str:
    """Read the first line of a UTF-8 text file, decompressed where its ending names a compression."""
    store, path = filesystem(url)
    with (
        explained(url, "read"),
        store.open_input_stream(path) as stream,
        io.TextIOWrapper(stream, "utf-8-sig") as text,
    ):
        return text.readline()


def write_bytes(url: str, data: bytes) -> None:
    """Write a file whole, never half: a temporary name and a rename on a disk, one put on S3."""
    if is_s3(url):
        buckets.put(url, data)
        return
    target = local_path(url)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with explained(url, "written"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, target)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def list_files(url: str, suffix: str = "") -> list[File]:
    """List the files under a folder (or the one file at `url`), sorted by URL; hidden ones are left out."""
    store, path = filesystem(url)
    with explained(url, "listed"):
        info = store.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise StorageError(f"{url}: nothing lies there; check the run file's URLs and what the stage before left")
        if info.type == fs.FileType.File:
            return [File(url, info.size, info.mtime.timestamp())]
        root = path.rstrip("/")
        items = store.get_file_info(fs.FileSelector(root, recursive=True))
    found = []
    for item in items:
        name = item.path[len(root) + 1 :]
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if item.type == fs.FileType.File and not hidden and name.endswith(suffix):
            found.append(File(join(url, name), item.size, item.mtime.timestamp()))
    return sorted(found, key=lambda file: file.url)


def delete_folder(url: str) -> None:
    """Remove a folder and all below it; nothing happens if there is none."""
    store, path = filesystem(url)
    with explained(url, "removed"):
        if store.get_file_info(path).type == fs.FileType.Directory:
            store.delete_dir(path)


def delete_file(url: str) -> None:
    """Remove a file; nothing happens if there is none."""
    if is_s3(url):
        buckets.delete(url)
        return
    with explained(url, "removed"):
        local_path(url).unlink(missing_ok=True)


def replace_text(url: str, text: str) -> None:
    """Replace a small shared file in one step.

    On S3 the put is conditional on what was there just before (`If-Match`, or `If-None-Match: *` for a first one),
    so two jobs that move one pointer at once cannot both believe they did: the second raises `StorageError`.
    """
    if not is_s3(url):
        write_bytes(url, text.encode())
    elif swap_text(url, text, buckets.version(url)) is None:
        raise StorageError(f"{url}: not replaced, another job has moved it meanwhile; start this job again")


def read_version(url: str) -> Versioned | None:
    """Read a small shared file together with its version; None where there is none."""
    if is_s3(url):
        version = buckets.version(url)  # asked for first: at worst it is older than the text, and a swap then refused
        return Versioned(read_text(url), version) if version else None
    text = _local_text(url)
    return None if text is None else Versioned(text, text)


def swap_text(url: str, text: str, version: str | None) -> str | None:
    """Write a small shared file if it still has a version; None stands for no file.

    Returns:
        The new version, or None where another process was faster and nothing was written.
    """
    if is_s3(url):
        return _swapped_in_bucket(url, text, version)
    with _locked(url):
        if _local_text(url) != version:
            return None
        write_bytes(url, text.encode())
    return text


def remove_version(url: str, version: str) -> None:
    """Remove a small shared file if it still has a version."""
    if is_s3(url):
        if buckets.version(url) == version:
            buckets.delete(url)
        return
    with _locked(url):
        if _local_text(url) == version:
            delete_file(url)


def _swapped_in_bucket(url: str, text: str, version: str | None) -> str | None:
    made = buckets.put_version(url, text.encode(), version)
    if made:
        return made
    # Refused; but a write whose answer was lost is asked for again, and then refused for being there.
    found = read_version(url)
    return found.version if found and found.text == text else None


def _local_text(url: str) -> str | None:
    with explained(url, "read"):
        try:
            return local_path(url).read_text()
        except FileNotFoundError:
            return None


@contextmanager
def _locked(url: str) -> Iterator[None]:
    """Keep other processes from swapping files of the same folder, where the disk knows locks."""
    place = local_path(url).with_name(LOCK)
    with explained(url, "written"):
        place.parent.mkdir(parents=True, exist_ok=True)
        stream = place.open("a")
    with stream:
        with suppress(OSError):  # some network disks know none: two that start in the same instant are then not seen
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
