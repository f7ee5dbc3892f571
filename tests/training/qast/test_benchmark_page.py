"""The benchmark's ledger, arms and page, over a small stand-in for the published tables."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks import qast
from tests.benchmarks.qast_results import arms, compare, ledger, page, tables
from tests.benchmarks.qast_results.arms import Job
from tests.benchmarks.qast_results.ledger import LEDGER
from tests.benchmarks.qast_results.tables import Table
from tests.benchmarks.results import markdown
from tests.training.qast import qast_tables
from tests.training.qast.test_quota import PUBLISHED

TINY = {name: qast_tables.TINY[name] for name in ("epochs", "rounds", "boosting_trees", "fallback_folds")}
NAMES = ("glass", "CWRU_1_20")


@pytest.fixture
def small(monkeypatch):
    """Every table is the small one of the other tests, its two smaller classes declared small."""
    features, labels = qast_tables.features_and_labels()
    frame = pd.DataFrame(features).assign(label=labels, split=np.where(np.arange(len(labels)) % 2, "test", "train"))
    known = tables.Known((1, 2), (3, 2))
    found = {name: Table(name, known, frame) for name in tables.TABLES}
    monkeypatch.setattr(tables, "read", found.get)
    monkeypatch.setattr(tables, "budget", lambda name, epochs: TINY | ({} if epochs is None else {"epochs": epochs}))
    return found["glass"]


class StandIn:
    """Measures nothing: every arm has its own figures; it can be told to stop."""

    FIGURES = dict(zip(arms.ARMS, (0.5, 0.6, 0.7, 0.65, 0.55, 0.72), strict=True))

    def __init__(self, stop_after=1000):
        self.done, self.stop_after = [], stop_after

    def __call__(self, job):
        if len(self.done) == self.stop_after:
            raise KeyboardInterrupt
        self.done.append(job)
        value = self.FIGURES[job.arm] + job.seed / 100
        found = dict.fromkeys(arms.MEASURES, value) | {"synthetic_rows": 3, "cpu_seconds": 100.0}
        own = {"shortfall": 1, "sources": "generator 2", "epochs": 6} if job.arm in arms.QAST_ARMS else {}
        return found | own


def run(out, measure, *more, names=NAMES, seeds=2):
    return qast.run(["--out", str(out), "--tables", ",".join(names), "--seeds", str(seeds), *more], measure)


def test_finished_measurements_are_not_done_again(small, tmp_path):
    first, second = StandIn(), StandIn()
    run(tmp_path, first)
    # Two splits of two tables and the BLSTM's one, which has no weights, at two seeds.
    assert len(first.done) == 2 * (4 * 6 + 5)
    run(tmp_path, second)
    assert second.done == []


def test_changed_settings_are_measured_again_and_replace_the_old_rows(small, tmp_path):
    run(tmp_path, StandIn())
    before, changed = LEDGER.read(str(tmp_path)), StandIn()
    run(tmp_path, changed, "--epochs", "3")
    assert {job.arm for job in changed.done} == set(arms.QAST_ARMS)
    after = LEDGER.read(str(tmp_path))
    pd.testing.assert_frame_equal(before[list(LEDGER.keys)], after[list(LEDGER.keys)])
    assert (before["fingerprint"] != after["fingerprint"]).equals(before["arm"].isin(arms.QAST_ARMS))


@pytest.mark.parametrize(("columns", "is_read"), [(4, False), (40, False), (41, True)])
def test_what_nothing_reads_of_the_settings_makes_no_other_measurement(small, columns, is_read):
    numbers = np.random.default_rng(0).normal(size=(81, columns))
    frame = pd.DataFrame(numbers).assign(label=small.labels, split=np.where(small.learned, "train", "test"))
    table = Table("glass", small.known, frame)
    found = arms.settings_of(Job("glass", tables.SUPPLIED, 0, arms.BOOSTING, arms.REPAIRED), table)
    assert ("features_at_most" in found) == is_read
    assert "fallback_errors" in found
    found = arms.settings_of(Job("glass", tables.SUPPLIED, 0, arms.BOOSTING, arms.PUBLISHED), table)
    assert not {"features_at_most", "fallback_errors"} & set(found)


def test_other_code_is_measured_again_only_when_asked(small, tmp_path, monkeypatch):
    run(tmp_path, StandIn())
    monkeypatch.setattr(arms, "code_digest", lambda: "00000000")
    quiet, anew = StandIn(), StandIn()
    run(tmp_path, quiet)
    run(tmp_path, anew, "--anew")
    assert (len(quiet.done), len(anew.done)) == (0, 58)
    assert set(LEDGER.read(str(tmp_path))["code"]) == {"00000000"}  # a digest of digits stays text


def test_a_stopped_run_leaves_a_page_and_goes_on(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, StandIn(stop_after=8))
    text = (tmp_path / "qast.md").read_text()
    assert len(LEDGER.read(str(tmp_path))) == 8
    missing = text.split("## What was asked")[0]
    assert "8 of 1,375 measurements" in missing
    assert (
        "- `plain`, `weights`, gradient boosting, supplied split: 4 seeds of glass; 5 seeds of balance, CWRU_1_20"
        in missing
    )
    assert "`repaired`, blstm, supplied split: 5 seeds of CWRU_1_20." in missing
    rest = StandIn()
    run(tmp_path, rest)
    assert len(rest.done) == 58 - 8


def test_cheap_tables_come_first_and_seed_by_seed():
    jobs = ledger.plan(["glass", "yeast", "log2", "CWRU_1_20"], 2, ["plain"], arms.LEARNERS)
    order = [job[:4] for job in jobs]
    assert order.index(("yeast", "supplied", 0, "gradient_boosting")) < order.index(
        ("glass", "resplit", 1, "gradient_boosting")
    )
    assert [name for name, _, _, learner in order if learner == "blstm"] == ["CWRU_1_20"] * 2
    assert order[-2:] == [("log2", "supplied", seed, "gradient_boosting") for seed in (0, 1)]


def test_the_page_says_what_was_measured_and_which_bars_hold(small, tmp_path):
    found = run(tmp_path, StandIn())
    text = (tmp_path / "qast.md").read_text()
    assert (
        "macro-F1 of `repaired`, mean of 2 of 5 seeds, at least 0.87: 0.725 ± 0.005: **is missed by 0.145 so far**"
        in text
    )
    assert "G-mean of `repaired` less that of `plain`, mean of 4 of 25 splits, at least 0: 0.220" in text
    assert "one core's seconds for a training, mean of 2 of 5 seeds, at most 240: 100: **holds so far**" in text
    assert "| glass | `repaired` | 2 | 0.725 ± 0.007 |" in text
    assert "| glass | `repaired` | +0.220 ± 0.000 (2) |" in text
    assert "better than `plain` on 2 of 2 tables and worse on 0" in text
    assert "| CWRU_1_20 | blstm | `published` | 2 | 6 | 3 | 1 | generator 2 (2) | 100 |" in text
    assert found == {
        "cwru_1_20_macro_f1": 0.725,
        "mean_gmean_gain_over_plain": 0.22,
        "mean_macro_f1_gain_over_plain": 0.22,
        "mean_gmean_gain_over_smote": 0.02,
        "mean_macro_f1_gain_over_smote": 0.02,
        "tables": 2,
        "seconds": found["seconds"],
    }


def test_a_whole_plan_leaves_nothing_missing_and_nothing_so_far(tmp_path):
    jobs, stand_in = ledger.plan(list(tables.TABLES), 5, arms.ARMS, arms.LEARNERS), StandIn(stop_after=2000)
    rows = pd.DataFrame([job._asdict() | stand_in(job) | {"code": "-", "failure": ""} for job in jobs])
    page.write(str(tmp_path), rows, jobs)
    text = (tmp_path / "qast.md").read_text()
    assert "1,375 of 1,375 measurements of the plan are done." in text
    assert "seeds of" not in text.split("## What was asked")[0]
    assert "so far" not in text
    assert "**is missed by 0.130**" in text


def test_nothing_measured_is_said_to_be(small, tmp_path):
    found = run(tmp_path, StandIn(stop_after=0), "--arms", "plain", names=["balance"], seeds=0)
    assert found["cwru_1_20_macro_f1"] is found["mean_gmean_gain_over_smote"] is None
    assert (tmp_path / "qast.md").read_text().count("**not measured**") == 6
    json.dumps(found, allow_nan=False)


def test_an_arm_that_fails_is_said_to_have_failed_and_the_others_go_on(small, tmp_path, monkeypatch):
    def refuses(*_):
        raise ValueError("the losses became\n nan")

    monkeypatch.setattr(arms, "_qast", refuses)
    again = StandIn()
    run(tmp_path, arms.measure, "--learners", "gradient_boosting", names=["balance"], seeds=1)
    run(tmp_path, again, "--learners", "gradient_boosting", names=["balance"], seeds=1)
    assert again.done == []
    text = (tmp_path / "qast.md").read_text()
    assert "- balance, supplied 0, gradient_boosting, `repaired`: the losses became nan" in text
    assert text.count("| – | – |") >= 4


def test_several_processes_are_served(small, tmp_path, caplog):
    jobs = ledger.plan(["glass"], 1, ["plain"], [arms.BOOSTING])
    with caplog.at_level(logging.INFO, "tests.benchmarks.qast"):
        ledger.work_off(jobs, str(tmp_path), processes=2, measure=constant, after_block=lambda: None)
    assert len(LEDGER.read(str(tmp_path))) == 2
    assert "2 of 2" in caplog.text


def constant(job):
    return dict.fromkeys(arms.MEASURES, 0.5) | {"cpu_seconds": 1.0}


def test_differences_are_paired():
    rows = pd.DataFrame(
        [
            {"table": table, "seed": seed, "arm": arm, "gmean": value}
            for table, seed, arm, value in [
                ("a", 0, "plain", 0.1), ("a", 0, "repaired", 0.3), ("a", 1, "plain", 0.5), ("a", 1, "repaired", 0.6),
                ("b", 0, "plain", 0.4), ("b", 0, "repaired", 0.3), ("b", 1, "plain", 0.9),
            ]
        ]
    )  # fmt: skip
    paired = compare.differences(rows, "repaired", "plain", "gmean")
    assert str(compare.by_table(paired)["a"]) == "+0.150 ± 0.050 (2)"
    assert str(compare.by_table(paired)["b"]) == "-0.100 (1)"
    assert str(compare.over_tables(paired)) == "+0.025 ± 0.125 (2)"
    assert str(compare.over_these_tables(paired.drop(("b", 0)))) == "+0.150 ± 0.050 (1)"
    assert str(compare.of_values([])) == "–"


def test_scores_are_those_of_the_definitions():
    truth, given = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 2])
    found = arms.scores(truth, given, (1, 2), 3)
    assert found["macro_f1"] == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert found["gmean"] == pytest.approx((0.75 * 0.5 * 1) ** (1 / 3))
    assert found["minority_recall"] == pytest.approx(0.75)
    assert found["accuracy"] == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("arm", "made"), [("plain", 0), ("weights", 0), ("smote", 50), ("jitter", 50), ("published", 50), ("repaired", 50)]
)
def test_each_arm_learns_and_is_scored(small, arm, made):
    # Of 30, 7 and 4 rows: both small classes are to have the 30 that the large one has, so 23 and 26 are made at most.
    found = arms.measure(Job("glass", tables.SUPPLIED, 0, arms.BOOSTING, arm))
    assert found["macro_f1"] > 0.4
    if arm in arms.QAST_ARMS:
        assert found["synthetic_rows"] + found["shortfall"] <= made
        assert found["epochs"] == TINY["epochs"]
    else:
        assert found["synthetic_rows"] == min(made, 49)


def test_no_arm_sees_a_test_row_before_it_is_scored(small, monkeypatch):
    job = Job("glass", tables.RESPLIT, 1, arms.BOOSTING, "smote")
    halves = small.halves(*job[1:3])
    other = halves._replace(tested=np.full_like(halves.tested, 1e6), truth=halves.truth[::-1])
    fitted = [arms._simple(job, small, half) for half in (halves, other)]
    np.testing.assert_array_equal(fitted[0].predict(halves.tested), fitted[1].predict(halves.tested))


def test_resplits_are_stratified_disjoint_and_drawn_by_the_seed(small):
    first, again, other = (small.halves(tables.RESPLIT, seed) for seed in (3, 3, 4))
    assert len(first.labels) + len(first.truth) == len(small.labels)
    assert np.abs(np.bincount(first.labels) - np.bincount(first.truth)).max() <= 1
    np.testing.assert_array_equal(first.features, again.features)
    assert not np.array_equal(first.features, other.features)


def test_the_declared_classes_are_those_that_give_the_published_quotas():
    declared = [known.minority for known in tables.TABLES.values()]
    assert sorted(declared) == sorted(minority for minority, _ in PUBLISHED.values())
    assert len(tables.TABLES) == len(PUBLISHED)


@pytest.mark.shared
@pytest.mark.parametrize("name", tables.TABLES)
def test_every_table_is_found_under_its_short_name(name):
    if not tables.FOLDER.exists():
        pytest.skip(f"{tables.FOLDER} is absent")
    table = tables.read(name)
    assert len(table.classes) == len(np.unique(table.labels))
    assert table.learned.any()
    assert set(table.known.minority) < set(range(len(table.classes)))
    assert markdown.table(["table"], [[table.name]]).endswith(f"| {name} |")
