"""The report's drawings: what they draw, what they leave out, and what they weigh."""

import dataclasses
import re

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from inference.charts import drawing, evaluation, scores, series
from inference.report import Break, Calibration, Drift, MetricStory
from tests.inference.report_example import example


@pytest.fixture(scope="module")
def small():
    return example(alerts=1, stories=1, days=60)


def test_drawn_precision_and_recall_sum_to_average_precision():
    random = np.random.default_rng(3)
    truth = (random.random(120) < 0.2).astype(int)
    score = np.round(random.random(120) + 0.4 * truth, 1)  # many ties
    listed, found = evaluation.ranking(truth.tolist(), score.tolist())
    summed = (np.diff(found, prepend=0) / truth.sum() * found / listed).sum()
    assert summed == pytest.approx(average_precision_score(truth, score))


def test_the_budget_is_marked(small):
    assert "list of 200" in evaluation.recall_by_budget(small.curves, 200)


def test_block_means_leave_missing_steps_out():
    values = [1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0]
    np.testing.assert_array_equal(series.block_means(values, 2), [2.0, 5.0, np.nan, 7.0])


def story_of(values, trend, **marks) -> MetricStory:
    times = [f"2024-01-{day + 1:02d}" for day in range(len(values))]
    return MetricStory("spend", times, values, trend, trend, trend, trend, **marks)


def bars(values):
    drawn = series.story(story_of(values, [1.0] * len(values)), "k")
    path = drawn.split(f"stroke: {drawing.VARIABLES[drawing.BARS]}")[0].rsplit("<path", 1)[1]
    return path.count("M")


def test_a_zero_is_drawn_and_a_missing_step_is_not():
    assert bars([2.0, 0.0, 3.0, 0.0, 1.0, 4.0]) == 6
    assert bars([2.0, np.nan, 3.0, np.nan, 1.0, 4.0]) == 4


def test_the_first_and_the_last_bar_stand_inside_the_drawing():
    drawn = series.story(story_of([5.0] * 20, [5.0] * 20), "k")
    path = drawn.split(f"stroke: {drawing.VARIABLES[drawing.BARS]}")[0].rsplit("<path", 1)[1]
    across = [float(x) for x in re.findall(r"M([\d.]+) ", path)]
    assert drawing.LEFT + 2 < min(across) < max(across) < drawing.WIDTH - drawing.RIGHT - 2


def test_one_break_is_marked_by_its_date_and_several_by_their_numbers():
    values, trend = [5.0] * 20, [5.0] * 20
    one = series.story(story_of(values, trend, breaks=[Break("2024-01-08T00:00:00", 0.0, -1.0)]), "k")
    assert ">8 Jan 2024</text>" in one
    both = [Break("2024-01-08", 0.0, -1.0), Break("2024-01-15", -1.0, 0.0)]
    two = series.story(story_of(values, trend, breaks=both), "k")
    assert ">1</text>" in two
    assert ">2</text>" in two
    assert "8 Jan" not in two
    assert "Jan 2024</text>" not in series.story(story_of(values, trend), "k")


def test_the_outlier_has_a_ring_at_its_value():
    values = [1.0] * 10 + [9.0] + [1.0] * 9
    plain, ringed = (series.story(story_of(values, [1.0] * 20, outlier=place), "k") for place in (None, 10))
    assert len(re.findall("<use ", plain)) + 1 == len(re.findall("<use ", ringed))
    missing = story_of([np.nan] * 20, [1.0] * 20, outlier=3)
    assert "<svg" in series.story(missing, "k")


def test_a_weekly_pattern_has_a_bar_a_day_up_or_down():
    drawn = series.weekly([1.0, -1.0, 0.0, 0.5, 0.0, 0.0, 0.0])
    tops = [float(top) for top in re.findall(r"V([\d.]+)", drawn)]
    middle = series.WEEK_HEIGHT / 2
    assert len(tops) == 7
    assert tops[0] < tops[3] < tops[2] == middle < tops[1]
    assert re.findall(">([MTWFS])<", drawn) == list("MTWTFSS")


def test_one_step_all_missing_and_long_series_can_be_drawn():
    gap = [float("nan")] * 3
    assert "<svg" in series.story(story_of(gap, gap), "k")
    assert "<svg" in series.story(story_of([1.0], [1.0]), "k")
    hours = np.datetime64("2024-01-01T00:00:00") + np.arange(20_000).astype("timedelta64[h]")
    level = np.ones(len(hours)).tolist()
    drawn = series.story(MetricStory("x", hours.astype(str).tolist(), level, level, level, level, level), "k")
    assert len(drawn) < 40_000


def test_colors_are_the_pages_variables(small):
    for drawn in (evaluation.precision_recall(small.curves, 0.1), scores.drift(small.drift)):
        assert "var(--accent)" in drawn
        assert not re.findall(r"#[0-9a-f]{6}", drawn)
    assert "var(--accent)" in drawing.legend_line(0)


def dots(drawn):
    return [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', drawn)]


def test_reliability_has_a_dot_a_bin_and_kept_word_on_the_diagonal():
    kept = Calibration("platt", 100, 20, 0.1, (0.1, 0.3, 0.6), (0.1, 0.3, 0.6), (50, 50, 50), 0.0)
    (x1, y1), (x2, y2), (x3, y3) = dots(scores.reliability(kept))
    assert (y1 - y2) / (x2 - x1) == pytest.approx((y2 - y3) / (x3 - x2), rel=0.02)
    low = dataclasses.replace(kept, observed=(0.1, 0.3, 0.2))
    assert dots(scores.reliability(low))[2][1] > dots(scores.reliability(low))[1][1]


@pytest.mark.parametrize("bins", [0, 1, 9])
def test_drift_draws_two_bars_a_bin(bins):
    edges = tuple(np.linspace(0.1, 0.9, bins)) if bins else ()
    shares = (1 / (bins + 1),) * (bins + 1)
    drawn = scores.drift(Drift("a", 0.0, 0.0, 10, 1, 2, None, True, edges, shares, shares))
    for color in (drawing.BARS, drawing.ACCENT):
        assert drawn.count(f"fill: {drawing.VARIABLES[color]}") == bins + 1
