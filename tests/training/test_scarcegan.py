"""ScarceGAN and its ablations as a user meets them: settings, warnings, records, and going on after a kill."""

import json
import logging

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from feature_extraction.schema import UNLABELED, FeatureSchema
from training.keras import course
from training.keras.scarcegan import MLP, LeewayMLP, NoBadGenerator, NoLeeway, ScarceGAN
from training.reader import ArrayReader, FeatureReader
from training.trainer import TrainingDiverged

SCHEMA = FeatureSchema(("m__active_share", "m__slope", "m__gap"), ("regular", "rare"), "rare")
TINY = {"members": 2, "steps": 60, "evaluate_every": 20, "supervised_rate": 5e-3}


def table(labeled=80, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(size=(300, 3)).astype(np.float32)
    labels = np.full(300, UNLABELED, dtype=np.int8)
    labels[:labeled] = np.arange(labeled) % 4 == 0
    features[labels == 1, 1] += 3
    return ArrayReader(features, labels, SCHEMA)


def test_one_negative_class_at_the_default_leeway_is_warned_of(caplog):
    ScarceGAN(steps=1, members=1, negative_classes=1).fit(table())
    assert "'unknown' is out of reach" in caplog.text


def test_unlabelled_rows_change_the_model():
    reader = table()
    fitted = ScarceGAN(steps=1, members=1).fit(reader)
    other = reader.features.copy()
    other[reader.labels == UNLABELED] += 1
    changed = ScarceGAN(steps=1, members=1).fit(ArrayReader(other, reader.labels, SCHEMA))
    assert not np.array_equal(fitted.members[0].kernels[0], changed.members[0].kernels[0])
    assert fitted.classes[-1] == "unknown"


def test_table_without_unlabelled_rows_is_refused():
    reader = table()
    known = reader.labels != UNLABELED
    with pytest.raises(ValueError, match="unlabelled"):
        ScarceGAN(**TINY).fit(ArrayReader(reader.features[known], reader.labels[known], SCHEMA))


def test_other_seeds_give_other_networks():
    first, second = (ScarceGAN(steps=1, members=1, seed=seed).fit(table()) for seed in (0, 7))
    assert not np.array_equal(first.predict(table().features), second.predict(table().features))


def test_diverging_training_is_stopped_with_words():
    with pytest.raises(TrainingDiverged, match="lower the learning rates"):
        ScarceGAN(**TINY | {"supervised_rate": 1e30}).fit(table())


def test_leeway_of_a_class_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"class_leeway names \['normal'\]"):
        ScarceGAN(**TINY, class_leeway={"normal": 0.1}).fit(table())


def test_progress_is_logged_about_ten_times_with_the_class_names(caplog):
    with caplog.at_level(logging.INFO):
        ScarceGAN(**TINY | {"steps": 40, "evaluate_every": 1, "members": 1}).fit(table())
    said = [record.getMessage() for record in caplog.records]
    lines = [text for text in said if "scarcegan step" in text]
    assert len(lines) == 10
    assert all("regular_low, regular_mid, regular_high, rare" in line for line in lines)
    assert "average precision of 'rare'" in lines[-1]


class Killed(RuntimeError):
    """Stands for the end of the process."""


def killed_after(looks, monkeypatch):
    """Let the next training die after it has written that many checkpoints."""
    written = []

    def save(*args):
        course.__dict__["true_save"](*args)
        written.append(1)
        if len(written) == looks:
            raise Killed

    monkeypatch.setitem(course.__dict__, "true_save", course.save)
    monkeypatch.setattr(course, "save", save)


@pytest.mark.parametrize("resident", [1000, 150], ids=["resident", "streamed"])
def test_killed_run_ends_with_the_same_scores(resident, tmp_path, caplog, monkeypatch):
    reader, settings = table(), TINY | {"checkpoint": str(tmp_path), "resident_rows": resident, "unlabeled_rows": 4}
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            ScarceGAN(**settings).fit(reader)
    with caplog.at_level(logging.INFO):
        resumed = ScarceGAN(**settings).fit(reader)
    assert "goes on from step 40" in caplog.text
    whole = ScarceGAN(**settings | {"checkpoint": ""}).fit(reader)
    np.testing.assert_array_equal(resumed.predict(reader.features), whole.predict(reader.features))
    assert resumed.manifest == whole.manifest
    again = ScarceGAN(**settings).fit(reader)  # nothing is left to do
    np.testing.assert_array_equal(again.predict(reader.features), whole.predict(reader.features))


def test_checkpoint_of_another_run_is_ignored(tmp_path, caplog):
    settings = {"steps": 1, "members": 1, "checkpoint": str(tmp_path)}
    ScarceGAN(**settings).fit(table())
    ScarceGAN(**settings).fit(table())
    assert "belongs to other settings or data" not in caplog.text
    fresh = ScarceGAN(**settings | {"checkpoint": ""}).fit(table(seed=1))
    found = ScarceGAN(**settings).fit(table(seed=1))
    assert caplog.text.count("belongs to other settings or data") == 1
    np.testing.assert_array_equal(found.predict(table().features), fresh.predict(table().features))
    ScarceGAN(**settings, leeway=0.4).fit(table(seed=1))
    assert caplog.text.count("belongs to other settings or data") == 2
    MLP(**settings, leeway=0.4).fit(table(seed=1))
    assert caplog.text.count("belongs to other settings or data") == 3


@pytest.mark.parametrize(
    ("preset", "changed"),
    [
        (NoBadGenerator, {"generator": "adversarial"}),
        (NoLeeway, {"leeway": 0.0}),
        (LeewayMLP, {"generator": "none"}),
        (MLP, {"generator": "none", "leeway": 0.0}),
    ],
)
def test_ablations_change_one_thing_and_are_scarcegan_with_that_field(preset, changed):
    assert preset().model_dump() == ScarceGAN().model_dump() | changed
    reader = table()
    one, other = preset(**TINY).fit(reader), ScarceGAN(**TINY | changed).fit(reader)
    np.testing.assert_array_equal(one.predict(reader.features), other.predict(reader.features))


@pytest.mark.parametrize("generator", ["bad", "adversarial", "none"])
def test_as_published_learns_too(generator):
    reader = table()
    fitted = ScarceGAN(**TINY, mode="as_published", generator=generator).fit(reader)
    assert fitted.manifest.metrics["average_precision"]["value"] > 0.5
    assert fitted.classes[-1] == "unknown"


def test_a_leak_is_for_the_published_mode_alone():
    with pytest.raises(ValidationError, match="set mode = 'as_published'"):
        ScarceGAN(trunk_leak=True)


def test_one_fold_is_refused():
    with pytest.raises(ValidationError, match="give 2 or more, or 0"):
        ScarceGAN(folds=1)


def test_without_folds_every_row_is_learned_from_and_the_last_network_kept(caplog):
    reader = table()
    with caplog.at_level(logging.INFO):
        fitted = ScarceGAN(**TINY | {"folds": 0, "members": 1}).fit(reader)
    assert fitted.manifest.history["best_step"] == 60
    assert fitted.manifest.metrics == {"reason": "no row was held out (folds = 0)"}
    assert "no rows are held out" in caplog.text
    longer = ScarceGAN(**TINY | {"folds": 0, "members": 1, "steps": 61}).fit(reader)
    assert not np.array_equal(longer.members[0].kernels[0], fitted.members[0].kernels[0])


class Doubting(ArrayReader):
    """A reader whose labels are trusted by so much."""

    trust = 1.0

    def confidences(self):
        return np.full(len(self.labeled().labels), self.trust, dtype=np.float32)


def test_confidence_in_labels_drives_the_leeway_of_single_rows():
    reader = table()
    plain = ScarceGAN(**TINY).fit(reader)
    sure, unsure = (Doubting(reader.features, reader.labels, SCHEMA) for _ in range(2))
    unsure.trust = 0.2
    np.testing.assert_array_equal(ScarceGAN(**TINY).fit(sure).predict(reader.features), plain.predict(reader.features))
    doubted = ScarceGAN(**TINY).fit(unsure).predict(reader.features)
    assert doubted[:, -1].mean() > plain.predict(reader.features)[:, -1].mean() + 0.2


def test_a_table_is_streamed_from_its_files_with_the_same_result_twice(tmp_path):
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(6000, 3)).astype(np.float32), np.full(6000, UNLABELED, dtype=np.int8)
    labels[:80] = np.arange(80) % 4 == 0
    columns = {"entity_id": [f"entity {row}" for row in range(6000)], "label": labels}
    columns |= {name: features[:, number] for number, name in enumerate(SCHEMA.names)}
    parquet.write_table(pa.table(columns), tmp_path / "part-0.parquet", row_group_size=500)
    (tmp_path / "schema.json").write_text(SCHEMA.to_json())
    one, two = (
        ScarceGAN(**TINY, resident_rows=2000).fit(FeatureReader(str(tmp_path), memory_limit_mb=0)) for _ in range(2)
    )
    np.testing.assert_array_equal(one.predict(features), two.predict(features))
    chunks, chunk = 2000 // (20 * 32), 20 * 32
    assert one.manifest.rows["unlabeled"] == (chunks + 2) * chunk


def test_the_record_of_the_training_is_kept(tmp_path):
    fitted = ScarceGAN(**TINY).fit(table())
    fitted.save(str(tmp_path))
    history = json.loads((tmp_path / "manifest.json").read_text())["history"]
    found = parquet.read_table(tmp_path / "history.parquet").to_pydict()
    assert found["step"] == history["step"] == [20, 40, 60]
    assert history["best_step"] in found["step"]
    losses = {"loss_supervised", "loss_unsupervised", "loss_generator", "validation_loss"}
    measures = {"validation_average_precision", "unknown_share", "rare_to_unknown"}
    recalls = {f"recall_{name}" for name in ("regular_low", "regular_mid", "regular_high", "rare")}
    assert set(found) == {"step"} | losses | measures | recalls
    best = found["step"].index(history["best_step"])
    metrics = fitted.manifest.metrics
    assert found["recall_rare"][best] == pytest.approx(metrics["class_recall"]["rare"], abs=1e-5)
    assert found["rare_to_unknown"][best] == pytest.approx(metrics["rare_to_unknown"], abs=1e-5)
    assert found["unknown_share"][best] == pytest.approx(metrics["unknown_share"], abs=1e-5)
