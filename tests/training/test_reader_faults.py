"""Training reads its table through faults of a bucket that pass, and says what is wrong where they do not."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction import storage
from feature_extraction.schema import FeatureSchema
from feature_extraction.storage import StorageError
from tests.feature_extraction.faulty_s3 import FaultyS3
from training.reader import FeatureReader

pytestmark = pytest.mark.s3
SCHEMA = FeatureSchema(("spend__level",), ("no", "yes"), "yes")
ROWS = 4_000


@pytest.fixture(scope="module")
def server():
    running = FaultyS3()
    yield running
    running.stop()


@pytest.fixture
def table(server, monkeypatch):
    url = server.bucket(monkeypatch)
    values = np.arange(ROWS, dtype=np.float32)
    for part in range(2):
        half = np.split(values, 2)[part]
        columns = {"label": pa.array(np.zeros(len(half), np.int8)), SCHEMA.names[0]: half}
        buffer = pa.BufferOutputStream()
        parquet.write_table(pa.table(columns), buffer, row_group_size=50)
        storage.write_bytes(f"{url}/part-{part}.parquet", buffer.getvalue().to_pybytes())
    storage.write_bytes(f"{url}/schema.json", SCHEMA.to_json().encode())
    server.reset()
    return url


def read(url):
    reader = FeatureReader(url, memory_limit_mb=0)
    return np.sort(np.concatenate([batch.features[:, 0] for batch in reader.scan()]))


@pytest.mark.parametrize("kind", ["internal error", "slow down", "drop", "cut"])
def test_every_row_is_read_though_requests_fail(server, table, kind):
    for at in (0, 3, 7):
        server.fail(kind, method="GET", skip=at, times=1)
    np.testing.assert_array_equal(read(table), np.arange(ROWS))
    assert not [fault for fault in server.faults if fault.times], "a fault was never met"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("forbidden", "the credentials that were found do not permit it"),
        # The second where the library has the status before the body, which alone says that it is to be slower.
        ("slow down", "the server answers (SLOW_DOWN|SERVICE_UNAVAILABLE), after several tries"),
        ("cut", "no answer from the server"),
    ],
)
def test_a_fault_that_stays_is_told_by_the_reading_thread(server, table, monkeypatch, kind, message):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    batches = FeatureReader(table, memory_limit_mb=0).scan()
    next(batches)  # from here on only the reading threads ask for anything
    server.fail(kind, method="GET", part="part-1")
    with pytest.raises(StorageError, match=rf"part-1.parquet: cannot be read: {message}"):
        list(batches)


def test_a_fault_of_the_footers_is_told_with_the_folder(server, table, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    reader = FeatureReader(table, memory_limit_mb=0)
    server.fail("forbidden", part="part-1")
    with pytest.raises(
        StorageError, match=r"cannot be read: the credentials that were found do not permit it"
    ) as caught:
        list(reader.scan())
    assert str(caught.value).startswith(table)
