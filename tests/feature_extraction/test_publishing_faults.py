"""Whatever request or write of a publication fails: readers see the old run whole or the new one, never a part."""

import errno
import os
import subprocess
import sys

import pytest

from feature_extraction import claims, publishing, storage
from feature_extraction.publishing import Run
from feature_extraction.storage import StorageError
from tests.feature_extraction.faulty_s3 import FaultyS3

STAGE = "features"
OLD = {"part-0.bin": b"old 0", "part-1.bin": b"old 1"}
NEW = {"part-0.bin": b"new 0", "part-1.bin": b"new 1", "schema.json": b"{}"}


@pytest.fixture(scope="module")
def server():
    running = FaultyS3()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def forget_claims():
    yield
    die()


def die():
    """Leave claims as a killed process does: written, and nobody there to renew them or to give them up."""
    for claim in claims._held.values():
        claim._stopped.set()
    claims._held.clear()


def publish(root, run_id, files):
    """Do what every job does, rerun included; a half-made run of that id may lie there."""
    run = Run(root, STAGE, run_id)
    if not run.is_done("f1"):
        run.start()
        for name, data in files.items():
            storage.write_bytes(storage.join(run.url, name), data)
        run.seal("f1", {"files": sorted(files)})
    run.point_again()


def contents(root, run_id):
    url = Run(root, STAGE, run_id).url
    if not storage.exists(url):
        return {}
    return {file.url.removeprefix(url + "/"): storage.read_bytes(file.url) for file in storage.list_files(url)}


def check_readers(root):
    """What `latest.json` names is whole; return which one it is."""
    seen = publishing.latest(root, STAGE)
    found = contents(root, seen.id)
    assert found.pop(publishing.MANIFEST), f"{seen.id} has no manifest"
    assert found == (OLD if seen.id == "old" else NEW)
    return seen.id


def leftovers(root):
    folder = storage.join(root, STAGE, publishing.CLAIMS)
    return storage.list_files(folder) if storage.exists(folder) else []


@pytest.fixture(scope="module")
def requests(server):
    """What a publication asks of the server, the clearing of a half-made run included."""
    with pytest.MonkeyPatch.context() as patch:
        root = server.bucket(patch, attempts=1)
        publish(root, "old", OLD)
        leave_a_half_made_run(root)
        server.reset()
        publish(root, "new", NEW)
        return list(server.requests)


def leave_a_half_made_run(root, run_id="new"):
    half = Run(root, STAGE, run_id)
    half.start()
    storage.write_bytes(storage.join(half.url, "part-7.bin"), b"of a run that died")
    die()


@pytest.mark.s3
@pytest.mark.parametrize(
    ("kind", "method", "step"), [("forbidden", "", 1), ("lost", "PUT", 1), ("internal error", "", 5), ("drop", "", 5)]
)
def test_no_half_published_run_is_seen_whichever_request_fails(server, monkeypatch, requests, kind, method, step):
    """What is carried out although its answer is lost differs for writes alone."""
    number = sum(request.startswith(method) for request in requests)
    assert number >= (7 if method else 20)
    root = server.bucket(monkeypatch, attempts=1)
    publish(root, "old", OLD)
    before = "old"
    for at in range(0, number, step):
        leave_a_half_made_run(root, f"new-{at}")
        server.reset()
        server.fail(kind, method=method, skip=at)  # this request and all after it
        with pytest.raises(StorageError):
            publish(root, f"new-{at}", NEW)
        server.reset()
        assert check_readers(root) in (before, f"new-{at}")
        die()
        publish(root, f"new-{at}", NEW)
        assert check_readers(root) == f"new-{at}", f"after request {at}"
        before = f"new-{at}"
    assert contents(root, "old").keys() - {publishing.MANIFEST} == OLD.keys()


@pytest.mark.s3
@pytest.mark.parametrize("kind", ["slow down", "lost"])
def test_one_failing_request_anywhere_is_not_even_noticed(server, monkeypatch, requests, kind):
    root = server.bucket(monkeypatch, attempts=4)
    publish(root, "old", OLD)
    leave_a_half_made_run(root)
    server.reset()
    for at in range(0, len(requests), 4):
        server.fail(kind, skip=at, times=1)
    publish(root, "new", NEW)
    assert check_readers(root) == "new"
    assert not leftovers(root)


def test_a_disk_that_fails_anywhere_leaves_the_old_run_or_the_new_one(tmp_path, monkeypatch):
    writes, failing_from = [], [None]
    replace = os.replace

    def count_or_fail(*names):
        writes.append(names)
        if failing_from[0] is not None and len(writes) > failing_from[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(*names)

    monkeypatch.setattr(storage.os, "replace", count_or_fail)
    publish(str(tmp_path / "count"), "old", NEW)
    number = len(writes)
    assert number >= len(NEW) + 3
    for at in range(number):
        root = str(tmp_path / str(at))
        failing_from[0] = None
        publish(root, "old", OLD)
        writes.clear()
        failing_from[0] = at
        with pytest.raises(StorageError, match="Input/output error"):
            publish(root, "new", NEW)
        assert check_readers(root) == "old"
        failing_from[0] = None
        die()
        publish(root, "new", NEW)
        assert check_readers(root) == "new"


@pytest.fixture
def full_disk(tmp_path):
    """A disk of 64 KiB; mounting one takes root."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_and_nothing_is_published(full_disk):
    root = str(full_disk / "out")
    publish(root, "old", OLD)
    with pytest.raises(StorageError, match="part-1.bin: cannot be written: the disk is full; free some space"):
        publish(root, "new", {"part-0.bin": b"1", "part-1.bin": bytes(200_000)})
    assert check_readers(root) == "old"
    assert contents(root, "new") == {"part-0.bin": b"1"}
    die()
    publish(root, "new", NEW)
    assert check_readers(root) == "new"


def test_a_disk_that_is_read_only_is_told(tmp_path):
    root = tmp_path / "out"
    root.mkdir()
    if subprocess.run(["mount", "--bind", "-o", "ro", root, root], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a read-only disk here")
    try:
        with pytest.raises(StorageError, match="Read-only file system; let this user write there"):
            publish(str(root), "new", NEW)
    finally:
        subprocess.run(["umount", root], check=True)


def test_a_process_that_dies_between_manifest_and_pointer_is_finished_by_the_next(root):
    publish(root, "old", OLD)
    died = Run(root, STAGE, "new")
    died.start()
    for name, data in NEW.items():
        storage.write_bytes(storage.join(died.url, name), data)
    died.seal("f1", {})
    die()
    assert check_readers(root) == "old"
    publish(root, "new", NEW)
    assert check_readers(root) == "new"


def test_a_run_that_another_process_finished_meanwhile_is_left_alone(root):
    publish(root, "new", NEW)
    with pytest.raises(publishing.PublishError, match="finished by another process meanwhile"):
        Run(root, STAGE, "new").start()
    assert check_readers(root) == "new"
    assert not leftovers(root)


def test_what_is_whole_but_not_followed_is_started_over_manifest_first(root, monkeypatch):
    """A folder of which only the manifest is left would pass for a finished run."""
    publish(root, "new", NEW)
    publish(root, "old", OLD)

    def die_there(url):
        raise StorageError(f"{url}: cannot be removed")

    monkeypatch.setattr(storage, "delete_folder", die_there)
    with pytest.raises(StorageError, match="cannot be removed"):
        Run(root, STAGE, "new").start()
    assert Run(root, STAGE, "new").manifest() is None
    assert check_readers(root) == "old"


def test_a_job_that_ends_in_an_error_leaves_no_claim(tmp_path):
    code = f"from feature_extraction.publishing import Run; Run({str(tmp_path)!r}, 'features', 'one').start(); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ZeroDivisionError" in done.stderr
    assert not leftovers(str(tmp_path))
