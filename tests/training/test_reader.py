"""The feature-table reader: nothing lost, nothing doubled, and the same batches for the same seed."""

import itertools
import threading

import numpy as np
import petastorm.reader
import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_extraction.schema import FeatureSchema, SchemaMismatch
from tests.feature_extraction.uploads import upload_folder
from training.reader import ArrayReader, FeatureReader, IncompleteRead

SCHEMA = FeatureSchema(("spend__trend_slope", "spend__level", "visits__level"), ("no", "yes"), "yes")
PART_ROWS = (230, 0, 120)
ROWS = sum(PART_ROWS)
GROUP_ROWS = 50
GROUPS = 8
LABELED = 40


def table_arrays():
    """Row i holds i in its second column, NaN in every seventh row of its first; 40 rows are labelled."""
    features = np.random.default_rng(5).normal(size=(ROWS, 3)).astype(np.float32)
    features[:, 1] = np.arange(ROWS)
    features[::7, 0] = np.nan
    labels = np.full(ROWS, -1, np.int8)
    labels[np.random.default_rng(6).choice(ROWS, LABELED, replace=False)] = np.arange(LABELED) % 8 == 0
    return features, labels


def write_part(path, features, labels, schema=SCHEMA):
    columns = {"entity_id": [f"entity-{row}" for row in range(len(labels))], "label": pa.array(labels)}
    columns |= {name: pa.array(features[:, i]) for i, name in enumerate(schema.names)}
    columns["spend__fit_status"] = pa.array(["fitted"] * len(labels), pa.string())
    parquet.write_table(pa.table(columns), path, row_group_size=GROUP_ROWS)


@pytest.fixture
def arrays():
    return table_arrays()


@pytest.fixture
def folder(tmp_path, arrays):
    run = tmp_path / "run=first try"
    run.mkdir()
    (run / "schema.json").write_text(SCHEMA.to_json())
    at = np.cumsum([0, *PART_ROWS])
    for number, (start, end) in enumerate(itertools.pairwise(at)):
        write_part(run / f"part-{number:05}.parquet", arrays[0][start:end], arrays[1][start:end])
    write_part(run / "holdout.parquet", arrays[0][:9], arrays[1][:9])
    return run


def streamed(folder, **options):
    return FeatureReader(str(folder), memory_limit_mb=0, **options)


def collected(batches):
    features, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return features, labels


def row_numbers(features):
    return features[:, 1].astype(int).tolist()


@pytest.mark.parametrize("options", [{}, {"memory_limit_mb": 0, "workers": 1}], ids=["kept", "streamed"])
def test_scan_gives_the_table_in_its_order(folder, arrays, options):
    features, labels = collected(FeatureReader(str(folder), **options).scan())
    np.testing.assert_array_equal(features, arrays[0])
    np.testing.assert_array_equal(labels, arrays[1])
    assert features.dtype == np.float32
    assert labels.dtype == np.int8


def test_blocks_are_contiguous_and_as_large_as_row_groups(folder):
    batches = list(streamed(folder, workers=1).scan())
    assert [len(batch.labels) for batch in batches] == [50, 50, 50, 50, 30, 50, 50, 20]
    assert all(batch.features.flags.c_contiguous for batch in batches)


@pytest.mark.parametrize("workers", [1, 2, 10])
def test_no_row_is_lost_in_many_passes(folder, workers):
    reader = streamed(folder, workers=workers)
    for _ in range(20):
        assert sorted(row_numbers(collected(reader.scan())[0])) == list(range(ROWS))


@pytest.mark.parametrize("limit", [0, 2048])
def test_shards_are_disjoint_complete_and_as_counted(folder, limit):
    readers = [FeatureReader(str(folder), shard=(index, 3), memory_limit_mb=limit) for index in range(3)]
    shards = [row_numbers(collected(reader.scan())[0]) for reader in readers]
    assert sorted(itertools.chain(*shards)) == list(range(ROWS))
    assert readers[1].rows_per_shard == tuple(map(len, shards)) == (150, 100, 100)
    assert {reader.steps_per_pass(30) for reader in readers} == {3}


def test_batch_larger_than_a_shard_has_no_step_count(folder):
    with pytest.raises(ValueError, match="smallest of 2 shards holds 170 rows.*at least one batch of 171"):
        streamed(folder, shard=(0, 2)).steps_per_pass(171)


def test_more_shards_than_row_groups_are_refused(folder):
    with pytest.raises(ValueError, match="8 row groups.*9 shards; write the table with more"):
        FeatureReader(str(folder), shard=(0, GROUPS + 1))


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_impossible_shard_is_refused(folder, shard):
    with pytest.raises(ValueError, match="0 <= index < count"):
        FeatureReader(str(folder), shard=shard)


def test_labeled_rows_are_those_of_the_whole_table_for_every_reader(folder, arrays):
    known = arrays[1] >= 0
    for options in ({}, {"memory_limit_mb": 0}, {"shard": (1, 3)}, {"shard": (1, 3), "memory_limit_mb": 0}):
        features, labels = FeatureReader(str(folder), **options).labeled()
        np.testing.assert_array_equal(features, arrays[0][known])
        np.testing.assert_array_equal(labels, arrays[1][known])


def change_pass(monkeypatch, change):
    original = petastorm.reader.Reader.__next__
    calls = itertools.count()
    monkeypatch.setattr(petastorm.reader.Reader, "__next__", lambda self: change(original, self, next(calls)))


@pytest.mark.parametrize("limit", [0, 2048])
def test_lost_row_group_is_noticed(folder, monkeypatch, limit):
    def skip_third(original, reader, call):
        if call == 2:
            original(reader)
        return original(reader)

    change_pass(monkeypatch, skip_third)
    reader = FeatureReader(str(folder), memory_limit_mb=limit, workers=1)
    with pytest.raises(IncompleteRead, match="found 300 rows, expected 350.*start this job again"):
        list(reader.scan())


@pytest.mark.parametrize("limit", [0, 2048])
def test_doubled_row_group_is_noticed(folder, monkeypatch, limit):
    seen = []

    def repeat_first(original, reader, call):
        if call != 1:
            seen.append(original(reader))
        return seen[-1]

    change_pass(monkeypatch, repeat_first)
    with pytest.raises(IncompleteRead, match="found 380 rows, expected 350"):
        list(FeatureReader(str(folder), memory_limit_mb=limit, workers=1).scan())


def test_abandoned_pass_and_stream_stop_their_threads(folder):
    before = threading.active_count()
    passing, stream = streamed(folder).scan(), streamed(folder).unlabeled(10, seed=1)
    next(passing), next(stream)
    assert threading.active_count() > before
    del passing, stream
    assert threading.active_count() == before


def test_wrong_features_are_refused_with_a_diff(folder, arrays):
    other = FeatureSchema(("spend__trend_slope", "spend__level", "visits__weekly"))
    write_part(folder / "part-00007.parquet", arrays[0][:5], arrays[1][:5], other)
    with pytest.raises(SchemaMismatch, match=r"(?s)part-00007.*-visits__level\n\+visits__weekly"):
        FeatureReader(str(folder))


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("label", None, "label is missing, not int8"),
        ("label", pa.array([-1, 0]), "label is int64, not int8"),
        ("spend__level", pa.array([1.0, 2.0]), "spend__level is double, not float"),
    ],
)
def test_wrong_columns_are_refused(tmp_path, arrays, column, values, words):
    write_part(tmp_path / "part-0.parquet", arrays[0][:2], arrays[1][:2])
    table = parquet.read_table(tmp_path / "part-0.parquet")
    position = table.column_names.index(column)
    table = table.remove_column(position) if values is None else table.set_column(position, column, values)
    parquet.write_table(table, tmp_path / "part-0.parquet")
    (tmp_path / "schema.json").write_text(SCHEMA.to_json())
    with pytest.raises(SchemaMismatch, match=words):
        FeatureReader(str(tmp_path))


def test_null_label_is_refused(folder):
    table = parquet.read_table(folder / "part-00000.parquet")
    labels = pa.array([None, *table["label"].to_pylist()[1:]], pa.int8())
    parquet.write_table(table.set_column(1, "label", labels), folder / "part-00000.parquet")
    with pytest.raises(ValueError, match="label column holds nulls; write -1"):
        list(FeatureReader(str(folder)).scan())


def test_null_feature_is_missing(folder):
    table = parquet.read_table(folder / "part-00002.parquet")
    values = pa.array([None] * table.num_rows, pa.float32())
    parquet.write_table(table.set_column(3, "spend__level", values), folder / "part-00002.parquet")
    features, _ = collected(streamed(folder, workers=1).scan())
    assert np.isnan(features[:, 1]).sum() == PART_ROWS[2]


def test_table_without_rows_is_refused(tmp_path, arrays):
    (tmp_path / "schema.json").write_text(SCHEMA.to_json())
    write_part(tmp_path / "part-0.parquet", arrays[0][:0], arrays[1][:0])
    with pytest.raises(ValueError, match=r"found no rows in 1 files part-\*.parquet; re-run"):
        FeatureReader(str(tmp_path))


@pytest.mark.parametrize("limit", [0, 2048])
def test_unlabeled_stream_is_endless_seeded_and_resumes(folder, arrays, limit):
    def first(number, **options):
        stream = FeatureReader(str(folder), memory_limit_mb=limit).unlabeled(32, **options)
        return np.stack(list(itertools.islice(stream, number)))

    batches = first(60, seed=3)
    np.testing.assert_array_equal(batches, first(60, seed=3))
    np.testing.assert_array_equal(batches[40:], first(20, seed=3, start=40))
    assert not np.array_equal(batches, first(60, seed=4), equal_nan=True)
    assert set(row_numbers(batches.reshape(-1, 3))) == set(np.flatnonzero(arrays[1] == -1).tolist())
    with_nan = np.isnan(batches[:, :, 0])
    np.testing.assert_array_equal(with_nan, batches[:, :, 1] % 7 == 0)


def test_streamed_unlabeled_rows_are_mixed_across_row_groups(folder):
    batch = next(streamed(folder).unlabeled(32, seed=0))
    assert len({number // GROUP_ROWS for number in row_numbers(batch)}) >= 4


@pytest.mark.parametrize("rows", [1, 400, 1000])
def test_unlabeled_batches_may_be_of_any_size(folder, rows):
    for limit in (0, 2048):
        batches = FeatureReader(str(folder), memory_limit_mb=limit).unlabeled(rows, seed=0)
        assert [next(batches).shape for _ in range(3)] == [(rows, 3)] * 3


@pytest.mark.parametrize("limit", [0, 2048])
def test_table_without_unlabeled_rows_has_no_stream(tmp_path, arrays, limit):
    (tmp_path / "schema.json").write_text(SCHEMA.to_json())
    write_part(tmp_path / "part-0.parquet", arrays[0], np.zeros(ROWS, np.int8))
    with pytest.raises(ValueError, match="found no unlabelled row .* among 350; .*supervised trainer"):
        next(FeatureReader(str(tmp_path), memory_limit_mb=limit).unlabeled(8, seed=0))


def test_labeled_batches_are_balanced_and_resume(folder):
    reader = streamed(folder)
    batches = list(itertools.islice(reader.labeled_batches(6, seed=2), 8))
    assert all(batch.labels.tolist() == [0] * 6 + [1] * 6 for batch in batches)
    np.testing.assert_array_equal(batches[5].features, next(reader.labeled_batches(6, seed=2, start=5)).features)
    assert len(set(row_numbers(batches[0].features[:6]))) == 6


def test_array_reader_gives_what_the_kept_table_gives(folder, arrays):
    kept, held = FeatureReader(str(folder)), ArrayReader(*arrays, SCHEMA)
    np.testing.assert_array_equal(next(kept.unlabeled(9, seed=4)), next(held.unlabeled(9, seed=4)))
    np.testing.assert_array_equal(kept.labeled().features, held.labeled().features)
    np.testing.assert_array_equal(collected(kept.scan())[0], collected(held.scan())[0])


@pytest.mark.s3
def test_bucket_gives_what_the_folder_gives(folder, arrays, s3_bucket):
    url = f"{s3_bucket}/features/run=1"
    upload_folder(folder, url, last="schema.json")
    np.testing.assert_array_equal(collected(FeatureReader(url).scan())[0], arrays[0])
    shards = [collected(FeatureReader(url, shard=(i, 2), memory_limit_mb=0).scan())[0] for i in range(2)]
    assert sorted(itertools.chain(*map(row_numbers, shards))) == list(range(ROWS))
    local, remote = (reader.unlabeled(9, seed=1) for reader in (streamed(folder), streamed(url)))
    np.testing.assert_array_equal(next(local), next(remote))


@pytest.fixture
def s3_bucket(monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="features")
    yield "s3://features"
    server.stop()
