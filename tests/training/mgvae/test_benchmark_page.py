"""The image benchmark's ledger and page, with made-up measurements."""

import gzip

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks import mgvae as benchmark
from tests.benchmarks.mgvae_results import arms, images
from tests.benchmarks.mgvae_results.arms import Job
from tests.benchmarks.results import mnist

ARGUMENTS = ["--quick", "--data", "mnist", "--ratios", "600", "--arms", "erm,mgvae"]


def measured(job):
    value = 0.5 + 0.1 * (job.arm == "mgvae") + 0.01 * job.seed
    return dict.fromkeys(arms.MEASURES, value) | {"cpu_seconds": 1.0}


def test_what_the_ledger_holds_is_not_measured_again(tmp_path):
    given, calls = [*ARGUMENTS, "--out", str(tmp_path), "--seeds", "2"], []

    def counted(job):
        calls.append(job)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measured(job)

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(given, counted)
    assert len(benchmark.LEDGER.read(str(tmp_path))) == 2
    found = benchmark.run(given, counted)
    assert len(calls) == 5
    assert (found["mnist_600_erm"], found["mnist_600_mgvae"]) == (50.5, 60.5)
    benchmark.run(given, counted)
    assert len(calls) == 5


def test_other_settings_are_measured_anew(tmp_path, monkeypatch):
    given = [*ARGUMENTS, "--out", str(tmp_path)]
    benchmark.run(given, measured)
    monkeypatch.setitem(arms.ABLATIONS, "mgvae", {"latent_dim": 3})
    jobs = [Job("mnist", 600, 0, arm, "quick") for arm in ("erm", "mgvae")]
    assert benchmark.LEDGER.missing(jobs, benchmark.LEDGER.read(str(tmp_path)), arms.fingerprint) == jobs[1:]


def test_the_page_holds_the_published_figures_beside_ours(tmp_path):
    benchmark.run([*ARGUMENTS, "--out", str(tmp_path), "--seeds", "2"], measured)
    page = (tmp_path / "mgvae.md").read_text()
    assert "4 of 4 measurements" in page
    assert "| erm | 2 | 50.5 ± 0.7 | 51.4 |" in page
    assert "| mgvae | 2 | 60.5 ± 0.7 | 65.4 |" in page
    assert "200 steps of the classifier" in page


GAINS = {"gaussian_prior": 0.1, "without_pretraining": 0.12, "without_ewc": 0.11, "mgvae": 0.14}


def test_the_page_says_which_bars_hold(tmp_path):
    def found(job):
        return measured(job) | {"b_acc": 0.5 + GAINS.get(job.arm, 0.0), "average_precision": 0.7 - 0.01 * job.seed}

    arms_asked = ",".join((*GAINS, "erm"))
    benchmark.run([*ARGUMENTS[:-1], arms_asked, "--out", str(tmp_path), "--seeds", "2"], found)
    page = (tmp_path / "mgvae.md").read_text()
    assert "or better, 63.4: 64.0 ± 0.0: **holds**" in page
    found_order = "`gaussian_prior` 60.0 < `without_ewc` 61.0 < `without_pretraining` 62.0 < `mgvae` 64.0"
    assert f"`without_ewc` < `mgvae`, **does not hold**: {found_order}." in page
    assert "| `erm` | 2 | 14.0 ± 0.0 | 0.0 ± 0.0 |" in page


def test_a_bar_that_is_missed_says_by_how_much(tmp_path):
    benchmark.run([*ARGUMENTS, "--out", str(tmp_path), "--seeds", "1"], measured)
    page = (tmp_path / "mgvae.md").read_text()
    assert "63.4: 60.0: **is missed by 3.4**" in page
    assert "The order of the" not in page


def test_a_page_is_written_anew_where_nothing_is_left_to_do(tmp_path):
    given = [*ARGUMENTS, "--out", str(tmp_path), "--seeds", "1"]
    benchmark.run(given, measured)
    (tmp_path / "mgvae.md").unlink()
    benchmark.run(given, measured)
    assert "2 of 2 measurements" in (tmp_path / "mgvae.md").read_text()


def test_a_split_has_the_first_rows_of_each_rare_class(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    digits = random.permutation(np.repeat(np.arange(10), 80)).astype(np.uint8)
    pixels = random.integers(0, 256, (800, 784), dtype=np.uint8)
    for part in ("train", "t10k"):
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + digits.tobytes()))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels.tobytes()))
    monkeypatch.setattr(mnist, "FOLDER", tmp_path)
    images.split.cache_clear()
    found = images.split("mnist", 600)
    assert np.bincount(found.labels).tolist() == [400, 50]
    first = np.concatenate([np.flatnonzero(digits == digit)[:10] for digit in range(5, 10)])
    np.testing.assert_array_equal(found.rows[400:], pixels[first])
    np.testing.assert_array_equal(found.test_labels, digits > 4)
    assert len(images.split("mnist", 100, 30).labels) == 330
    images.split.cache_clear()


@pytest.mark.parametrize("arm", arms.ARMS)
def test_every_arm_measures_something(arm, monkeypatch):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 12])
    rows = random.integers(0, 100, (72, 784)) + 150 * labels[:, None] * (np.arange(784) < 400)
    split = images.Split(rows.astype(np.float32), labels, rows.astype(np.float32), labels)
    monkeypatch.setattr(images, "split", lambda *given: split)
    monkeypatch.setitem(arms.PLANS, "quick", arms.Plan(60, 5, 16, 0))
    monkeypatch.setitem(arms.ABLATIONS["without_pretraining"], "finetune_steps", 10)
    monkeypatch.setattr(arms, "settings_of", _small(arms.settings_of))
    arms._known.cache_clear()
    found = arms.measure(Job("mnist", 600, 0, arm, "quick"))
    arms._known.cache_clear()
    assert set(found) == {*arms.MEASURES, "cpu_seconds"}
    assert found["average_precision"] > 0.9


def test_both_ratios_and_the_arm_without_ewc_share_a_pretraining():
    own = arms._origin(Job("mnist", 600, 0, "mgvae", "cpu"))
    assert own == arms._origin(Job("mnist", 100, 0, "without_ewc", "cpu"))
    others = [("mnist", 600, 1, "mgvae"), ("fashion", 600, 0, "mgvae"), ("mnist", 600, 0, "gaussian_prior")]
    assert own not in {arms._origin(Job(*other, "cpu")) for other in others}


def _small(settings_of):
    small = {"units": (16,), "classifier_units": (16,), "fisher_rows": 3, "finetune_steps": 5, "batch_size": 20}
    return lambda job: settings_of(job).model_copy(update=small)


def test_figures_are_those_of_one_plan():
    rows = [dict(zip(Job._fields, ("mnist", 100, 0, "erm", plan), strict=True)) for plan in ("quick", "cpu")]
    table = pd.DataFrame([row | {"b_acc": value} for row, value in zip(rows, (0.25, 0.75), strict=True)])
    assert benchmark.figures(table, "cpu") == {"mnist_100_erm": 75.0}
