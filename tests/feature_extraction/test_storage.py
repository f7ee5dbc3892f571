"""Files on a disk and in a bucket behave alike: written whole, listed without the hidden, replaced in one step."""

import pytest

from feature_extraction import buckets, storage
from feature_extraction.storage import StorageError


def test_what_is_written_is_read(root):
    place = storage.join(root, "run=a b", "é.txt")
    assert not storage.exists(place)
    storage.write_bytes(place, "naïve".encode())
    assert storage.read_text(place) == "naïve"
    storage.write_bytes(place, b"2")
    assert storage.read_bytes(place) == b"2"
    assert storage.exists(place)
    assert storage.exists(root)


def test_a_missing_file_or_folder_is_named(root):
    with pytest.raises(StorageError, match="absent.txt: no such file"):
        storage.read_bytes(storage.join(root, "absent.txt"))
    with pytest.raises(StorageError, match="absent: nothing lies there"):
        storage.list_files(storage.join(root, "absent"))


def test_hidden_files_are_not_listed(root):
    names = ["a.csv", "b/c.csv", "b/_temporary/d.csv", ".e.csv", "_SUCCESS", "b/.f.csv.crc", ".git/g.csv", "h.txt"]
    for name in names:
        storage.write_bytes(storage.join(root, name), name.encode())
    found = storage.list_files(root)
    assert [file.url for file in found] == [storage.join(root, name) for name in ("a.csv", "b/c.csv", "h.txt")]
    assert [file.size for file in found] == [5, 7, 5]
    assert all(file.changed > 1.6e9 for file in found)
    assert [file.url for file in storage.list_files(root, ".txt")] == [storage.join(root, "h.txt")]
    assert [file.url for file in storage.list_files(root + "/")] == [file.url for file in found]


def test_one_file_lists_itself(root):
    place = storage.join(root, "a.csv")
    storage.write_bytes(place, b"12345")
    assert [(file.url, file.size) for file in storage.list_files(place)] == [(place, 5)]


def test_a_deleted_folder_is_gone_and_a_missing_one_is_no_error(root):
    storage.write_bytes(storage.join(root, "a/b.txt"), b"1")
    storage.write_bytes(storage.join(root, "ab/c.txt"), b"1")
    storage.delete_folder(storage.join(root, "a"))
    storage.delete_folder(storage.join(root, "absent"))
    assert [file.url for file in storage.list_files(root)] == [storage.join(root, "ab/c.txt")]


def test_a_file_is_never_half_written_on_a_disk(tmp_path, monkeypatch):
    place = tmp_path / "a.txt"
    storage.write_bytes(str(place), b"old")

    def die(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(storage.os, "replace", die)
    with pytest.raises(StorageError, match=r"a.txt: cannot be written: the disk is gone"):
        storage.write_bytes(str(place), b"new")
    assert place.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_pointer_is_replaced(root):
    place = storage.join(root, "latest.json")
    for text in ("first", "second"):
        storage.replace_text(place, text)
        assert storage.read_text(place) == text


@pytest.mark.s3
@pytest.mark.parametrize("before", [None, "old"], ids=["first", "later"])
def test_of_two_writers_of_one_pointer_the_second_is_told(bucket, monkeypatch, before):
    place = storage.join(bucket, "latest.json")
    if before:
        storage.replace_text(place, before)
    put = buckets.put_version

    def put_after_another(*request):
        storage.write_bytes(place, b"the other job's")
        return put(*request)

    monkeypatch.setattr(buckets, "put_version", put_after_another)
    with pytest.raises(StorageError, match="latest.json: not replaced, another job has moved it"):
        storage.replace_text(place, "mine")
    assert storage.read_text(place) == "the other job's"


def test_a_shared_file_is_swapped_only_by_who_knows_its_version(root):
    place = storage.join(root, "claims/a.json")
    assert storage.read_version(place) is None
    first = storage.swap_text(place, "1", None)
    assert storage.swap_text(place, "other", None) is None
    assert storage.read_version(place) == ("1", first)
    second = storage.swap_text(place, "2", first)
    assert storage.swap_text(place, "other", first) is None
    storage.remove_version(place, first)
    assert storage.read_text(place) == "2"
    storage.remove_version(place, second)
    assert storage.read_version(place) is None
    assert storage.swap_text(place, "3", second) is None
    assert not storage.exists(place)


def test_each_consumer_gets_its_own_spelling(tmp_path):
    for scheme in ("s3", "s3a", "s3n"):
        assert storage.spark_url(f"{scheme}://b/run=1/k") == "s3a://b/run=1/k"
        assert storage.is_s3(f"{scheme}://b/k")
    assert storage.spark_url(f"{tmp_path}/run=1") == f"file://{tmp_path}/run=1"
    assert storage.join("s3://b/", "/a/", "c") == "s3://b/a/c"


@pytest.mark.parametrize("url", ["gs://bucket/key", "hdfs://host/key", "https://host/key"])
def test_a_foreign_scheme_is_refused(url):
    with pytest.raises(StorageError, match="is not supported; use a local path, file:// or s3://"):
        storage.read_bytes(url)


def test_the_first_line_is_read_without_its_mark(root):
    place = storage.join(root, "a.csv")
    storage.write_bytes(place, "a,é\n1,2\n".encode("utf-8-sig"))
    assert storage.first_line(place) == "a,é\n"
    storage.write_bytes(place, b"")
    assert storage.first_line(place) == ""
