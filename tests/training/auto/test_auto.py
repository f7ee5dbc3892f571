"""`auto` takes members, wraps their artifacts, and says which and why."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from feature_extraction.schema import UNLABELED
from tests.training.tiny_settings import TINY_SETTINGS
from tests.training.trainer_checks import SCHEMA, toy_table
from training.artifact import MANIFEST, ArtifactError, load
from training.auto import members as members_of_auto
from training.auto.artifact import BLEND
from training.auto.facts import chosen_by
from training.auto.settings import AutoSettings
from training.auto.trainer import Auto
from training.baselines.linear import LogisticRegression
from training.reader import ArrayReader

QUICK = {
    "logistic_regression": {"C": (0.1,)},
    "gradient_boosting": TINY_SETTINGS["gradient_boosting"],
    "extra_trees": {"trees": 10, "rows_per_leaf": (2,)},
}


def auto(*members, **settings):
    return Auto(members=members, **{"member_settings": QUICK, "many_label_members": ()} | settings)


def test_one_member_ranks_as_it_does_alone_and_its_contributions_keep_their_shares():
    made = auto("logistic_regression").fit(toy_table())
    alone = LogisticRegression(C=(0.1,)).fit(toy_table())
    rows = toy_table(1).features
    np.testing.assert_array_equal(
        np.argsort(made.predict(rows)[:, 1], kind="stable"), np.argsort(alone.predict(rows)[:, 1], kind="stable")
    )
    ratio = made.contributions(rows) / alone.contributions(rows)
    assert np.nanstd(ratio) < 1e-3 * abs(np.nanmean(ratio))
    assert made.manifest.metrics["average_precision"] == alone.manifest.metrics["average_precision"]


def test_the_manifest_tells_what_was_taken_and_why():
    made = auto("logistic_regression", "extra_trees", take="blend").fit(toy_table())
    found = made.manifest.metrics["auto"]
    assert set(found["taken"]) == {"logistic_regression", "extra_trees"}
    assert found["weights"] == {"logistic_regression": 0.5, "extra_trees": 0.5}
    assert set(found["members"]) == {"logistic_regression", "extra_trees"}
    assert json.loads(json.dumps(found)) == found
    said = chosen_by(made.manifest)
    assert said.startswith("logistic_regression (50%), extra_trees (50%), since ")
    assert chosen_by(LogisticRegression().fit(toy_table()).manifest) == ""


def test_members_that_were_not_taken_are_not_in_the_artifact():
    made = auto("logistic_regression", "extra_trees", take="best").fit(toy_table())
    assert len(made.members) == 1
    assert made.manifest.metrics["auto"]["taken"] == [made.members[0].manifest.trainer]
    assert f"left {({'logistic_regression', 'extra_trees'} - {made.members[0].manifest.trainer}).pop()}" in chosen_by(
        made.manifest
    )


def test_what_is_not_installed_is_left_out_with_its_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "training.baselines.smote", None)
    made = auto("logistic_regression", "smote_boosting").fit(toy_table())
    assert made.manifest.metrics["auto"]["left_out"] == {"smote_boosting": "training.baselines.smote is not installed"}
    assert "smote_boosting was not tried: " in chosen_by(made.manifest)


def test_without_any_member_the_first_reason_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "training.baselines.smote", None)
    with pytest.raises(ValueError, match="no member of auto could be fitted"):
        auto("smote_boosting").fit(toy_table())


def test_members_for_few_labels_are_tried_where_labels_are_few_and_rows_lack_them():
    few = {"few_label_members": ("self_training",), "member_settings": QUICK | {"self_training": {"trees": 5}}}
    tried = auto("logistic_regression", **few).fit(toy_table()).manifest.metrics["auto"]
    assert set(tried["members"]) == {"logistic_regression", "self_training"}
    many = auto("logistic_regression", few=29, **few).fit(toy_table()).manifest.metrics["auto"]
    assert many["left_out"] == {"self_training": "30 labelled rare rows are more than train.auto.few = 29"}
    rows = toy_table().labeled()
    whole = auto("logistic_regression", **few).fit(ArrayReader(rows.features, rows.labels, SCHEMA))
    assert whole.manifest.metrics["auto"]["left_out"] == {"self_training": "no row of the table is without label"}


def test_members_for_many_labels_are_tried_where_labels_are_many():
    more = {"many_label_members": ("gradient_boosting",)}
    many = auto("logistic_regression", few=29, **more).fit(toy_table()).manifest.metrics["auto"]
    assert set(many["members"]) == {"logistic_regression", "gradient_boosting"}
    few = auto("logistic_regression", few=30, **more).fit(toy_table()).manifest.metrics["auto"]
    assert few["left_out"] == {"gradient_boosting": "30 labelled rare rows are no more than train.auto.few = 30"}


def test_slow_members_are_left_out_of_a_large_table():
    made = auto("logistic_regression", "extra_trees", slow_members=("extra_trees",), slow_cells=999).fit(toy_table())
    assert made.manifest.metrics["auto"]["left_out"] == {
        "extra_trees": "1,000 labelled rows x features are more than train.auto.slow_cells = 999"
    }


def test_a_member_that_held_out_some_rows_alone_is_not_compared(monkeypatch):
    real = members_of_auto.artifacts.load_files

    def without_held_out(url):
        manifest, files = real(url)
        return (replace(manifest, held_out=None), files)

    monkeypatch.setattr(members_of_auto.artifacts, "load_files", without_held_out)
    with pytest.raises(ValueError, match="did not hold out every labelled row"):
        auto("logistic_regression").fit(toy_table())


@pytest.mark.parametrize(
    ("members", "words"),
    [(("auto",), "cannot be members"), (("oracle",), "cannot"), (("mlp", "mlp"), "twice"), ((), "1")],
)
def test_impossible_members_are_refused(members, words):
    with pytest.raises(ValueError, match=words):
        AutoSettings(members=members)


def test_a_blend_of_other_members_is_refused(tmp_path):
    one, two = (
        auto(*names, take="blend").fit(toy_table())
        for names in (("logistic_regression",), ("logistic_regression", "gradient_boosting"))
    )
    with pytest.raises(ArtifactError, match="blends 2 members, found 1"):
        type(one).read(one.manifest, {**one.files, BLEND: _blend_file(two, tmp_path)})
    two.save(str(tmp_path / "again"))
    assert (tmp_path / "again" / MANIFEST).exists()
    loaded = load(str(tmp_path / "again"))
    np.testing.assert_array_equal(loaded.predict(toy_table(1).features), two.predict(toy_table(1).features))


def _blend_file(artifact, folder):
    artifact.save(str(folder / "two"))
    return (folder / "two" / BLEND).read_bytes()


def test_unlabeled_rows_reach_the_members():
    few = {"few_label_members": ("self_training",), "take": "blend"}
    quick = QUICK | {"self_training": {"trees": 20, "confidences": (0.6,), "leaves": (4,)}}
    reader = toy_table()
    other = ArrayReader(np.where((reader.labels == UNLABELED)[:, None], 0, reader.features), reader.labels, SCHEMA)
    rows = toy_table(1).features
    one, two = (auto("logistic_regression", member_settings=quick, **few).fit(table) for table in (reader, other))
    assert np.abs(one.predict(rows) - two.predict(rows)).max() > 1e-3
