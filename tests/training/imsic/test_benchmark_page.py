"""The image benchmark of IMSIC: its split, arms, ledger and page, over small stand-ins for the image sets."""

import numpy as np
import pytest

from tests.benchmarks import imsic as benchmark
from tests.benchmarks.imsic_results import arms, convnet, images
from tests.benchmarks.imsic_results.arms import Job
from tests.benchmarks.results import mnist

ARGUMENTS = ["--data", "mnist"]
FIGURES = dict(zip(arms.ARMS, (0.5, 0.6, 0.7, 0.65, 0.55, 0.48, 0.492, 0.51), strict=True))


def measured(job):
    found = dict.fromkeys((*arms.MEASURES, *arms.RECALLS), FIGURES[job.arm] + job.seed / 100)
    own = {"class_accuracy": 0.9, "shortfall": 12, "least_own": 0.96, "most_forbidden": 0.04, "edges_that_hold": 1.0}
    return found | (own if job.arm in arms.STRUCTURE else {}) | {"cpu_seconds": 1.0}


def run(out, *more, measure=measured):
    return benchmark.run([*ARGUMENTS, "--out", str(out), *more], measure)


@pytest.fixture
def digits(monkeypatch):
    """Ten classes of 90 pictures, 20 in the test set, each with a bright block of its own."""

    def read(name, part):
        random = np.random.default_rng(len(part))
        labels = np.repeat(np.arange(10), 90 if part == "train" else 20)
        pictures = random.integers(0, 60, (len(labels), 28, 28))
        for row, digit in enumerate(labels):
            pictures[row, 2 * digit : 2 * digit + 6, 4:24] += 180
        return pictures.reshape(-1, 784).astype(np.uint8), labels

    monkeypatch.setattr(mnist, "read", read)
    images.split.cache_clear()
    yield
    images.split.cache_clear()


def test_what_the_ledger_holds_is_not_measured_again(tmp_path):
    calls = []

    def counted(job):
        calls.append(job)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measured(job)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, measure=counted)
    assert len(benchmark.LEDGER.read(str(tmp_path))) == 3
    found = run(tmp_path, measure=counted)
    assert len(calls) == 4 + 3 * 8 - 3
    assert (found["mnist_erm"], found["mnist_imsic"]) == (51.0, 49.0)


def test_only_what_other_settings_gave_is_measured_anew(tmp_path, monkeypatch):
    run(tmp_path, "--seeds", "1")
    monkeypatch.setitem(arms.STRUCTURE, arms.IMSIC, 0.3)
    jobs = [Job("mnist", 0, arm, "cpu") for arm in arms.ARMS]
    again = benchmark.LEDGER.missing(jobs, benchmark.LEDGER.read(str(tmp_path)), arms.fingerprint)
    assert [job.arm for job in again] == [arms.IMSIC]


def test_the_page_says_whether_imsic_is_below_erm(tmp_path):
    run(tmp_path)
    page = (tmp_path / "imsic.md").read_text()
    assert "24 of 24 measurements" in page
    assert "| `imsic` | 3 | 49.0 ± 1.0 |" in page
    assert "- `imsic`: -2.0 ± 0.0 (3): **is missed by 1.0**" in page
    assert "- `imsic_as_many`: -0.8 ± 0.0 (3): **holds**" in page
    assert "| `imsic` | -2.0 ± 0.0 (3) | -12.0 ± 0.0 (3) | -22.0 ± 0.0 (3) | -17.0 ± 0.0 (3) | -7.0 ± 0.0 (3) |" in page
    assert "| `conditional_gan` | 90 % | 100 % | 0.96 | 0.04 | 12 |" in page
    assert "9 (40)" in page


def test_a_result_of_copies_is_said_to_be_one(tmp_path):
    run(tmp_path, "--seeds", "1", measure=lambda job: measured(job) | {"shortfall": 15_500})
    page = (tmp_path / "imsic.md").read_text()
    assert "- `imsic`: -2.0 (1): **is missed by 1.0**, but says little: copies stand for 50 % of the rows" in page


def test_arms_that_were_not_measured_are_left_out(tmp_path):
    run(tmp_path, "--arms", "erm,smote", "--seeds", "1")
    page = (tmp_path / "imsic.md").read_text()
    assert "**not measured**" in page
    assert "least own code" not in page


def test_a_split_has_the_tail_and_the_same_rows_for_every_arm(digits):
    tail = (40, 30, 20, 10, 9, 8, 7, 6, 5, 4)
    found = images.split("mnist", 3, tail)
    assert np.bincount(found.labels).tolist() == list(tail)
    assert len(np.unique(found.rows, axis=0)) == sum(tail)
    other = images.split("mnist", 4, tail)
    assert not np.array_equal(found.rows, other.rows)
    assert len(found.test_labels) == 200


def test_an_epoch_of_the_papers_rows_is_141_batches(digits):
    job = Job("mnist", 0, arms.IMSIC, "cpu")
    many = np.zeros((60_000, 1), np.float32)
    split = images.Split(many[:9000], many[:9000], many, many)
    arms._check_epoch(split, job)
    with pytest.raises(ValueError, match="60,000 rows, expected the tail alone"):
        arms._check_epoch(split._replace(rows=many), job)


def test_scores_are_those_of_the_definitions():
    truth = np.repeat(np.arange(10), 4)
    chances = np.eye(10)[truth]
    chances[-4:-2] = np.eye(10)[0]
    found = arms.scores(truth, chances)
    assert found["acsa"] == pytest.approx(0.95)
    assert found["gmean"] == pytest.approx(0.5**0.1)
    assert found["rarest_recall"] == pytest.approx(0.9)
    assert (found["recall_9"], found["recall_0"]) == (0.5, 1)
    # Of class 0 four of the first six are right; of class 9 two are first, and two among the 38 others that are tied.
    zero, nine = 4 / 6, 0.5 + 0.5 * 4 / 40
    assert found["average_precision"] == pytest.approx((8 + zero + nine) / 10)
    assert found["rarest_precision"] == pytest.approx((4 + nine) / 5)


@pytest.mark.parametrize("arm", arms.ARMS)
def test_every_arm_learns_and_is_scored(digits, arm, monkeypatch):
    tail = (30, 20, 16, 12, 10, 9, 8, 7, 6, 5)
    small = arms.Plan(8 / arms.BATCHES, CHANNELS, SIZE, 30, tail, {})
    monkeypatch.setitem(arms.PLANS, "quick", small)
    arms._known.cache_clear()
    found = arms.measure(Job("mnist", 0, arm, "quick"))
    assert found["acsa"] > 0.3
    assert ("shortfall" in found) == (arm in arms.STRUCTURE)


SIZE, CHANNELS = convnet.Size(8, 8, 32, 100), {"generator_channels": (4, 4), "trunk_channels": (4, 8)}


def test_amounts_are_what_a_class_lacks_as_many_as_it_has_or_a_hundred():
    found = [[arms.amount(arm, rows, 4000) for rows in (40, 3500)] for arm in (arms.IMSIC, arms.AS_MANY, arms.HUNDRED)]
    assert found == [[3960, 500], [40, 500], [100, 100]]


def test_each_arm_gives_every_class_the_same_number_of_rows(digits, monkeypatch):
    tail = (30, 20, 16, 12, 10, 9, 8, 7, 6, 5)
    monkeypatch.setitem(arms.PLANS, "quick", arms.Plan(1, arms.SMALL, SIZE, 30, tail, {}))
    split = images.split("mnist", 0, tail)
    for arm in (arms.ROS, arms.SMOTE):
        rows, labels, _ = arms._table(Job("mnist", 0, arm, "quick"), split)
        assert np.bincount(labels).tolist() == [30] * 10
        assert len(rows) == 300
    copies = arms._table(Job("mnist", 0, arms.ROS, "quick"), split)[0]
    assert len(np.unique(copies, axis=0)) == sum(tail)
