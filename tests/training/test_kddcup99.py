"""KDD Cup 1999: what the loader accepts, how rows are dealt out, and what verdicts are worth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_extraction.schema import UNLABELED, FeatureSchema
from tests.training import kddcup99_files
from training.kddcup99 import duplicates, files, measures
from training.kddcup99.encoding import MinMax, encode, feature_names
from training.kddcup99.setups import UNSEEN_CODE, Setup, prepare

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "tabular" / "kddcup99"
CLASSES = {"normal": ("normal",), "dos": ("dos",), "probe": ("probe",), "rare": ("r2l", "u2r")}
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")


def setup(**changes):
    labeled = {"normal": 20, "dos": 20, "probe": 20, "rare": 12}
    fields = {"name": "small", "title": "Small", "classes": CLASSES, "rare": "rare", "labeled": labeled}
    return Setup(**fields | {"unlabeled": 150} | changes)


@pytest.fixture
def data(tmp_path, monkeypatch):
    return files.read(kddcup99_files.write(tmp_path, monkeypatch))


@pytest.fixture
def random():
    return np.random.default_rng(1)


def test_columns_have_their_types_and_one_vocabulary(data):
    for part in (data.train, data.test):
        kinds = part.columns.dtypes.astype(str).to_dict()
        assert list(kinds) == list(files.COLUMNS)
        assert {kinds[name] for name in files.CATEGORIES} == {"category"}
        assert (kinds["src_bytes"], kinds["same_srv_rate"]) == ("int64", "float64")
    assert list(data.train.columns["service"].cat.categories) == list(data.test.columns["service"].cat.categories)
    assert data.train.attack[0] == "normal"
    assert pd.Series(data.test.group).value_counts()["unseen"] == kddcup99_files.TEST_ROWS["mscan"]


def test_a_count_is_not_wrapped(tmp_path, monkeypatch, random):
    line = kddcup99_files.line("normal", random, src_bytes="693375640", dst_bytes="5155468", count="511")
    folder = kddcup99_files.write(tmp_path, monkeypatch, train=[line])
    row = files.read(folder).train.columns.iloc[0]
    assert (row["src_bytes"], row["dst_bytes"], row["count"]) == (693_375_640, 5_155_468, 511)


def test_a_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(files.WrongFile, match=r"kddcup\.data_10_percent\.gz: no such file; download .* --data"):
        files.read(str(tmp_path))


def test_another_file_is_refused(tmp_path, monkeypatch):
    folder = kddcup99_files.write(tmp_path, monkeypatch)
    place = tmp_path / files.TEST.name
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(files.WrongFile, match=r"corrected\.gz: its SHA-256 is \w{64}, expected \w{64}"):
        files.read(folder)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (lambda line: line.rsplit(",", 1)[0] + "\n", "expected 41 columns and the attack type"),
        (lambda line: "x" + line, "expected 41 columns"),
        (lambda line: line.replace("smurf.", "mscan."), r"attack types \['mscan'\], expected"),
    ],
    ids=["too few fields", "a word for a number", "a type that training does not hold"],
)
def test_rows_of_another_form_are_refused(tmp_path, monkeypatch, random, changed, says):
    folder = kddcup99_files.write(tmp_path, monkeypatch, train=[changed(kddcup99_files.line("smurf", random))])
    with pytest.raises(files.WrongFile, match=says):
        files.read(folder)


def test_duplicates_are_counted(tmp_path, monkeypatch):
    def rows(*numbers):
        return [kddcup99_files.line("smurf", np.random.default_rng(number)) for number in numbers]

    data = files.read(kddcup99_files.write(tmp_path, monkeypatch, train=rows(1, 1, 2), test=rows(1, 3, 3, 3)))
    counted = duplicates.count(data)
    expected = {"train": 3, "train_distinct": 2, "test": 4, "test_distinct": 2, "test_in_train": 1}
    assert counted.loc["dos"].to_dict() == counted.loc["all"].to_dict() == expected
    assert counted.loc["normal"].sum() == 0
    assert duplicates.count(data, ("protocol_type",)).loc["dos", "test_in_train"] == 4


def test_categories_become_one_column_a_value(data):
    columns = ("src_bytes", "protocol_type")
    names = feature_names(data.train, columns)
    assert names == ("src_bytes", "protocol_type__icmp", "protocol_type__tcp", "protocol_type__udp")
    rows = encode(data.train, columns, logarithm=("src_bytes",))
    np.testing.assert_allclose(rows[:, 0], np.log1p(data.train.columns["src_bytes"]), rtol=1e-6)
    np.testing.assert_array_equal(rows[:, 1:].sum(axis=1), 1)
    np.testing.assert_array_equal(rows[:, 2] == 1, data.train.columns["protocol_type"] == "tcp")


def test_min_max_clips_and_leaves_a_constant_at_zero():
    scaler = MinMax.fit(np.array([[1, 5], [3, 5]], np.float32))
    given = np.array([[0, 5], [2, 7], [9, 0]], np.float32)
    np.testing.assert_allclose(scaler.transform(given), [[0, 0], [0.5, 0], [1, 0]])


def test_rows_are_dealt_out_once(data):
    prepared = prepare(setup(columns=("src_bytes", "count", "same_srv_rate")), data)
    split = prepared.draw(0, scaled=False)
    labels = split.reader.labels
    assert {int(code): int((labels == code).sum()) for code in np.unique(labels)} == {
        -1: 150,
        0: 20,
        1: 20,
        2: 20,
        3: 12,
    }
    everything = encode(prepared.train, ("src_bytes", "count", "same_srv_rate"))
    counts = pd.DataFrame(everything).value_counts()
    drawn = pd.DataFrame(split.reader.features).value_counts()
    assert (drawn <= counts.reindex(drawn.index)).all()


def test_a_seed_gives_one_split(data):
    prepared = prepare(setup(), data)
    one, same, other = (prepared.draw(seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.reader.features, same.reader.features)
    np.testing.assert_array_equal(one.test, same.test)
    assert not np.array_equal(one.reader.features, other.reader.features)


def test_unlabelled_rows_by_class(data):
    wanted = {"rare": 30, "normal": 90, "dos": 70, "probe": 20}
    prepared = prepare(setup(unlabeled=wanted, columns=("protocol_type", "service", "root_shell")), data)
    rows = prepared.draw(0, scaled=False).reader
    unlabeled = rows.features[rows.labels == UNLABELED]
    rare = unlabeled[:, prepared.schema.names.index("service__ftp_data")] + unlabeled[:, -1]
    assert (len(unlabeled), int(rare.sum())) == (210, 30)


def test_every_test_row_keeps_its_features_and_truth(data):
    split = prepare(setup(), data).draw(0, scaled=False)
    np.testing.assert_array_equal(split.test[split.occurrence], encode(data.test, tuple(files.COLUMNS)))
    expected = pd.Series(data.test.group).map({"normal": 0, "dos": 1, "probe": 2, "r2l": 3, "u2r": 3})
    np.testing.assert_array_equal(split.truth, expected.fillna(UNSEEN_CODE))


def test_groups_that_are_no_class_are_left_out(data):
    classes = {"normal": ("normal",), "r2l": ("r2l",)}
    prepared = prepare(setup(classes=classes, rare="r2l", labeled={"normal": 9, "r2l": 9}, unlabeled=20), data)
    assert set(prepared.train.attack) == {"normal", "warezclient"}
    assert prepared.schema.rare_code == 1
    assert int((prepared.truth == UNSEEN_CODE).sum()) == kddcup99_files.TEST_ROWS["mscan"]
    assert len(prepared.truth) == 120 + 40 + 10 + 25


def test_distinct_rows_are_drawn_and_tested_once(tmp_path, monkeypatch, random):
    train = kddcup99_files.lines(kddcup99_files.ROWS, random)
    new = [line for line in kddcup99_files.lines(kddcup99_files.TEST_ROWS, random) if line not in set(train)]
    folder = kddcup99_files.write(tmp_path, monkeypatch, train=train * 3, test=train + new + new)
    prepared = prepare(setup(distinct=True), files.read(folder))
    assert len(prepared.codes) == len(set(train))
    assert len(prepared.truth) == len(prepared.test) == len(set(new))


def test_overlap_draws_with_replacement(data):
    wanted = {"normal": 20, "dos": 20, "probe": 20, "rare": 90}
    labels = prepare(setup(labeled=wanted, overlap=True), data).draw(0).reader.labels
    assert int((labels == 3).sum()) == 90
    with pytest.raises(ValueError, match="class 'rare' has 48 rows left, expected 90 labelled ones"):
        prepare(setup(labeled=wanted), data).draw(0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rare": "r2l"}, "rare is 'r2l', expected one of the classes"),
        ({"labeled": {"normal": 1}}, "must name each of the classes"),
        ({"columns": ("bytes",)}, r"found columns \['bytes'\]"),
        ({"classes": CLASSES | {"dos": ("smurf",)}}, "expected each at most once of"),
        ({"classes": CLASSES | {"dos": ("probe",)}}, "expected each at most once of"),
    ],
)
def test_a_setup_that_does_not_fit_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        setup(**changes)


def test_measures_by_hand():
    classes = ("normal_low", "normal_high", "r2l", "unknown")
    verdicts = [0, 1, 2, 2, 3, 2, 0, 3, 3, 1, 2]
    truth = np.array([0, 0, 0, 1, 1, 1, 1, *[UNSEEN_CODE] * 4], np.int8)
    probabilities = np.full((11, 4), 0.1, np.float32)
    probabilities[np.arange(11), verdicts] = 0.7
    found = measures.of_probabilities(probabilities, classes, FeatureSchema(("x",), ("normal", "r2l"), "r2l"), truth)
    expected = {
        "recall_normal": 2 / 3,
        "recall_rare": 2 / 4,
        "precision_rare": 2 / 3,
        "unknown_known_types": 1 / 7,
        "rare_to_unknown": 1 / 4,
        "unseen_to_unknown": 2 / 4,
        "unseen_to_rare": 1 / 4,
        "unseen_to_normal": 1 / 4,
        "auroc": (2 * (2 + 0.5) + 2 * 1) / (4 * 3),
        "average_precision": (2 / 4) * (2 / 3) + (2 / 4) * (4 / 7),
    }
    assert found == pytest.approx(expected)


def test_a_class_of_the_artifacts_own_is_no_class_of_the_setup():
    schema = FeatureSchema(("x",), ("normal", "r2l"), "r2l")
    probabilities = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)
    found = measures.of_probabilities(probabilities, ("usual", "r2l"), schema, np.array([0, 0, 1], np.int8))
    assert (found["recall_normal"], found["recall_rare"], found["unknown_known_types"]) == (0, 0, 0)
    assert found["auroc"] == 0.5


def test_what_is_undefined_is_not_a_number():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    schema = FeatureSchema(("x",), ("dos", "r2l"), "r2l")
    found = measures.of_probabilities(probabilities, schema.classes, schema, np.zeros(2, np.int8))
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {
        "recall_rare",
        "precision_rare",
        "average_precision",
        "auroc",
        "rare_to_unknown",
        "unseen_to_unknown",
        "unseen_to_rare",
    }


@pytest.fixture(scope="module")
def real():
    return files.read(str(SHARED))


@pytest.mark.shared
@needs_shared
def test_the_real_files_hold_what_is_known_of_them(real):
    counted = duplicates.count(real)
    assert counted["train"].to_dict() == {
        "normal": 97_278, "dos": 391_458, "probe": 4_107, "r2l": 1_126, "u2r": 52, "unseen": 0, "all": 494_021
    }  # fmt: skip
    assert counted["test"].to_dict() == {
        "normal": 60_593, "dos": 223_298, "probe": 2_377, "r2l": 5_993, "u2r": 39, "unseen": 18_729, "all": 311_029
    }  # fmt: skip
    assert len(set(real.test.attack) - set(real.train.attack)) == 17
    assert (counted.loc["all", "train_distinct"], counted.loc["all", "test_distinct"]) == (145_584, 77_216)
    most = [int(part.columns["dst_bytes"].max()) for part in (real.train, real.test)]
    assert most == [5_155_468, 5_203_179]


@pytest.mark.shared
@needs_shared
def test_distinct_rows_with_their_label_are_as_many_as_known(real):
    def distinct(part):
        return len(np.unique(np.rec.fromarrays([duplicates.identities(part), part.attack.astype(str)])))

    assert (distinct(real.train), distinct(real.test)) == (145_586, 77_291)


@pytest.mark.shared
@needs_shared
def test_all_columns_of_the_real_files_give_119_features(real):
    assert len(feature_names(real.train, tuple(files.COLUMNS))) == 119
