"""Requests that fail: those that pass are tried again, those that stay end in a sentence that says what to do."""

import os

import pytest

from feature_extraction import buckets, storage
from feature_extraction.storage import StorageError
from tests.feature_extraction.faulty_s3 import ALWAYS, FaultyS3

pytestmark = pytest.mark.s3
PASSING = ("internal error", "slow down", "drop", "lost", "cut")
DATA = b"line 1\nline 2\n" * 40


@pytest.fixture(scope="module")
def server():
    running = FaultyS3()
    yield running
    running.stop()


@pytest.fixture
def root(server, monkeypatch):
    """A bucket with one file, on a server that works until it is told to fail."""
    url = server.bucket(monkeypatch)
    storage.write_bytes(f"{url}/a.txt", DATA)
    assert storage.exists(url)
    server.reset()
    return url


def read_part(url):
    with storage.open_file(url) as stream, storage.explained(url, "read"):
        stream.seek(7)
        return stream.read(6)


OPERATIONS = {
    "read": (lambda root: storage.read_bytes(f"{root}/a.txt"), "GET", DATA),
    "read part": (lambda root: read_part(f"{root}/a.txt"), "GET", b"line 2"),
    "first line": (lambda root: storage.first_line(f"{root}/a.txt"), "GET", "line 1\n"),
    "exists": (lambda root: storage.exists(f"{root}/a.txt"), "HEAD", True),
    "list": (lambda root: [file.size for file in storage.list_files(root)], "GET", [len(DATA)]),
    "write": (lambda root: storage.write_bytes(f"{root}/b.txt", DATA), "PUT", None),
    "replace": (lambda root: storage.replace_text(f"{root}/a.txt", "new"), "PUT", None),
    "create": (lambda root: storage.replace_text(f"{root}/new.txt", "new"), "PUT", None),
    "delete": (lambda root: storage.delete_folder(root), "POST", None),
    "delete file": (lambda root: storage.delete_file(f"{root}/a.txt"), "DELETE", None),
}


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("operation", ["read", "list", "write", "replace", "create"])
def test_a_fault_that_passes_is_waited_out(server, root, operation, kind):
    check_waited_out(server, root, operation, kind)


@pytest.mark.parametrize("operation", ["read part", "first line", "exists", "delete", "delete file"])
def test_every_other_operation_waits_too(server, root, operation):
    check_waited_out(server, root, operation, "slow down")


def check_waited_out(server, root, operation, kind):
    act, method, expected = OPERATIONS[operation]
    server.fail(kind, method=method, times=1)
    assert act(root) == expected
    assert server.faults[0].times == 0, "the fault was never met"
    server.reset()
    left = {
        file.url.rsplit("/", 1)[1]: storage.read_bytes(file.url) for file in storage.list_files(os.path.dirname(root))
    }
    assert left == {
        "write": {"a.txt": DATA, "b.txt": DATA},
        "replace": {"a.txt": b"new"},
        "create": {"a.txt": DATA, "new.txt": b"new"},
        "delete": {},
        "delete file": {},
    }.get(operation, {"a.txt": DATA})


LASTING = {
    "internal error": "after several tries; start the job again when it is less busy",
    "slow down": "after several tries; start the job again when it is less busy",
    "forbidden": r"they need s3:ListBucket on the bucket and s3:GetObject",
    "expired": "they are wrong or have expired; renew them",
    "unknown key": "renew them|they need s3:ListBucket",
    "elsewhere": "lies in another region .*set AWS_REGION to its own",
    "drop": "no answer from the server, after several tries .*check that it runs",
    "lost": "no answer from the server, after several tries .*check that it runs",
}


@pytest.mark.parametrize("kind", LASTING)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_that_stays_is_told_in_a_sentence(server, root, monkeypatch, operation, kind):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert storage.exists(root)  # the clients of one try know the bucket, too
    act, method, _ = OPERATIONS[operation]
    server.fail(kind, method=method)
    with pytest.raises(StorageError, match=LASTING[kind]) as caught:
        act(root)
    assert str(caught.value).startswith(root), "the place is named first"


@pytest.mark.parametrize("operation", ["replace", "create"])
def test_what_a_conditional_write_may_meet(server, root, operation):
    act = OPERATIONS[operation][0]
    server.fail("conflict", method="PUT", times=2)
    act(root)
    server.fail("conflict", method="PUT")
    with pytest.raises(StorageError, match="ConditionalRequestConflict"):
        act(root + "/second")
    server.reset()
    server.fail("changed", method="PUT")
    with pytest.raises(StorageError, match="another job has moved it meanwhile"):
        act(root + "/third")
    server.reset()
    server.fail("not implemented", method="PUT")
    with pytest.raises(StorageError, match="publishing needs conditional writes"):
        act(root + "/fourth")


def test_a_write_that_is_lost_and_then_overtaken_is_not_taken_for_done(server, root, monkeypatch):
    """The answer of our put is lost; before it is asked again another job writes: it is theirs, and we say so."""
    put = buckets.put_version

    def overtaken(url, data, before):
        put(url, data, before)
        storage.write_bytes(url, b"the other job's")
        return put(url, data, before)

    monkeypatch.setattr(buckets, "put_version", overtaken)
    with pytest.raises(StorageError, match="another job has moved it"):
        storage.replace_text(f"{root}/a.txt", "mine")
    assert storage.read_text(f"{root}/a.txt") == "the other job's"


def test_a_bucket_that_is_not_there_is_named_before_any_work(server, root):
    for act in (storage.exists, storage.read_bytes, storage.list_files, lambda url: storage.write_bytes(url, b"1")):
        with pytest.raises(StorageError, match="s3://no-such-bucket: there is no such bucket; create it"):
            act("s3://no-such-bucket/x")


def test_a_bucket_that_one_may_not_list_can_be_read(server, monkeypatch):
    url = server.bucket(monkeypatch)
    server.fail("forbidden", method="HEAD", part=url.split("/")[2] + "", times=1)
    storage.write_bytes(f"{url}/a.txt", DATA)
    assert storage.read_bytes(f"{url}/a.txt") == DATA
    assert server.faults[0].times == 0


def test_a_server_that_is_down(root, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match=r"no answer from the server.*EndpointConnectionError"):
        storage.read_bytes(f"{root}/a.txt")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "minio:9000", "Invalid endpoint: minio:9000; expected AWS_ENDPOINT_URL to be such as"),
        ("AWS_MAX_ATTEMPTS", "many", "AWS_MAX_ATTEMPTS is 'many', expected how often"),
        ("AWS_PROFILE", "absent", r"no usable credentials were found \(ProfileNotFound\)"),
    ],
)
def test_settings_that_cannot_be_are_named(root, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=message):
        storage.read_bytes(f"{root}/a.txt")


def test_without_credentials_it_says_where_they_may_stand(root, monkeypatch, tmp_path):
    without_credentials(monkeypatch, tmp_path)
    with pytest.raises(StorageError, match="give them in the environment, a profile"):
        storage.read_bytes(f"{root}/a.txt")


def without_credentials(monkeypatch, folder):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))


@pytest.mark.parametrize("source", ["keys in a file", "a program"])
def test_both_libraries_take_a_profile_s_server_and_credentials(server, root, monkeypatch, tmp_path, source):
    without_credentials(monkeypatch, tmp_path)
    keys = "aws_access_key_id = FROMFILE\naws_secret_access_key = s\n"
    program = """credential_process = echo '{"Version": 1, "AccessKeyId": "FROMPROGRAM", "SecretAccessKey": "s"}'\n"""
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion = eu-west-3\nendpoint_url = {server.url}\n"
        + (program if source == "a program" else keys)
    )
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "lab")
    storage.write_bytes(f"{root}/b.txt", b"boto3")
    assert storage.read_bytes(f"{root}/b.txt") == b"boto3"  # by pyarrow
    assert server.keys == {"FROMPROGRAM" if source == "a program" else "FROMFILE"}
    assert storage.s3_server(root) == (server.url, "eu-west-3")


def test_the_address_for_s3_alone_goes_before_the_general_one(server, root, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert storage.read_bytes(f"{root}/a.txt") == DATA
    assert storage.s3_server() == storage.s3_server(root)[:1] + ("",) == (server.url, "")


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n"])
def test_credentials_in_a_url_are_refused_and_not_repeated(scheme):
    url = f"{scheme}://AKIAKEY:very-secret@bucket/key"
    for act in (storage.is_s3, storage.exists, storage.spark_url, storage.read_bytes, storage.list_files):
        with pytest.raises(StorageError, match="holds credentials; leave them out") as caught:
            act(url)
        assert "very-secret" not in str(caught.value)
        assert "AKIAKEY" not in str(caught.value)


def test_a_lasting_fault_was_tried_as_often_as_asked(server, root, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert storage.exists(root)
    server.reset()
    server.fail("slow down", times=ALWAYS)
    for act in (OPERATIONS["write"][0], OPERATIONS["exists"][0]):
        server.requests.clear()
        with pytest.raises(StorageError):
            act(root)
        assert len(server.requests) == 2
