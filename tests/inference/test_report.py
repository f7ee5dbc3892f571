"""The report as text: what it says, what it escapes, what it weighs, and that it loads nothing."""

import dataclasses
import doctest
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from inference import charts, report_numbers, report_words
from inference.report import Curve, Estimate, Evaluation, Method, MetricStory, Reason, Report, render
from tests.inference.report_example import QUALITY, example

TWO_MEGABYTES = 2_000_000
HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Ids, links and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}:
                self.links.append(value)

    def handle_data(self, data):
        if self.tags[-1:] not in (["style"], ["script"]):
            self.words.append(data)


@pytest.fixture(scope="module")
def full() -> str:
    return render(example())


@pytest.fixture(scope="module")
def page(full) -> Page:
    return Page(full)


@pytest.fixture(scope="module")
def small() -> Report:
    return example(alerts=3, stories=1, days=60)


def changed(report: Report, **fields) -> Report:
    return dataclasses.replace(report, **fields)


def test_weighs_under_two_megabytes(full):
    assert len(full.encode()) < TWO_MEGABYTES


def test_same_report_gives_same_bytes(full):
    assert render(example()) == full


def test_loads_nothing(full, page):
    assert not [link for link in page.links if not link.startswith(("#", "data:,"))]
    assert not re.findall(r"url\((?!#)", full)
    assert "http:" not in full
    assert "https:" not in full
    assert "@import" not in full


def test_ids_are_unique_and_every_link_has_a_target(full, page):
    assert len(page.ids) == len(set(page.ids))
    targets = {link[1:] for link in page.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]*)\)", full))
    assert targets <= set(page.ids)


def test_first_sentence_says_what_was_found(page):
    assert "200 of 1,468 unlabelled entities to review, likeliest lapsed first." in page.text
    assert re.search(r"a list of 200 holds \d+ of the 108 that are lapsed \(recall [\d.]+%", page.text)


def test_every_alert_has_a_row_and_every_story_its_charts(full):
    assert full.count('<tr id="rank-') == 200
    assert full.count('<svg class="chart"') == 8 * 5 + 2 + 4


def test_charts_draw_text_as_text(full):
    drawing = full.split('<svg class="chart"', 1)[1].split("</svg>", 1)[0]
    assert "<text" in drawing
    assert "<image" not in full
    assert "<style" not in drawing


def test_counts_are_shown_and_add_up(page):
    for count in ("1,469,307", "1,101,480", "367,411", "416", "404", "2,446", "906", "2,469"):
        assert count in page.text
    assert page.text.count("The parts add up to the total.") == 4
    assert "does not add up" not in page.text


def test_counts_that_do_not_add_up_are_called_out(small):
    events = QUALITY["events"] | {"read": 1_469_310}
    text = Page(render(changed(small, quality=QUALITY | {"events": events}))).text
    assert "This does not add up: 3 unaccounted for." in text


def test_no_held_out_labels_is_said_plainly(small):
    text = Page(render(changed(small, evaluation=None, curves=()))).text
    assert "has not been measured" in text
    assert "This run had no held-out labels" in text
    assert "Precision and recall" not in text


def test_undefined_measures_say_why(small):
    undefined = Estimate(None, None, None, "no row is rare among 40; a ranking needs both")
    names = ("average_precision", "auroc", "recall_at_budget", "precision_at_budget")
    method = Method("scarcegan", dict.fromkeys(names, undefined))
    evaluation = Evaluation([method], rows=40, rare=0, budget=10, intervals="")
    curves = [Curve("scarcegan", [0] * 40, np.linspace(0, 1, 40).tolist())]
    text = Page(render(changed(small, evaluation=evaluation, curves=curves))).text
    assert text.count("no row is rare among 40") >= 3
    assert "nan" not in text.lower().split()


def test_everything_a_user_chose_is_escaped(small):
    hostile = Reason(f"{HOSTILE}__{HOSTILE}", 1.0, 1.0, HOSTILE, HOSTILE, HOSTILE, 2.0)
    alert = dataclasses.replace(small.alerts[0], entity_id=HOSTILE, verdict=HOSTILE, reasons=[hostile])
    story = dataclasses.replace(small.stories[0], entity_id=HOSTILE, sentence=HOSTILE)
    metric = dataclasses.replace(story.metrics[0], metric=HOSTILE, unit=HOSTILE)
    method = Method(HOSTILE, {HOSTILE: Estimate(0.5)})
    run = dataclasses.replace(
        small.run, id=HOSTILE, title=HOSTILE, created=HOSTILE, trainer=HOSTILE, rare=HOSTILE,
        labeled={HOSTILE: 3}, settings={HOSTILE: {HOSTILE: HOSTILE}}, versions={HOSTILE: HOSTILE},
    )  # fmt: skip
    quality = QUALITY | {"refused": {HOSTILE: 416}, "fit_status": {HOSTILE: {HOSTILE: 1}}, "missing": {HOSTILE: 0.5}}
    report = Report(
        run=run,
        quality=quality,
        evaluation=Evaluation([method], rows=4, rare=1, budget=2, intervals=HOSTILE),
        curves=[Curve(HOSTILE, [1, 0], [0.5, 0.2])],
        alerts=[alert],
        stories=[dataclasses.replace(story, metrics=[metric])],
        glossary={HOSTILE: (HOSTILE, HOSTILE)},
    )
    text = render(report)
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert Page(text).tags.count("script") == 1


@pytest.mark.parametrize(
    ("entity_id", "shown"),
    [
        ("x" * 10_000, "x" * 60 + "… (10,000 characters)"),
        ("a\x00b\u202ec", "a\ufffdb\ufffdc"),
        ("half \ud83d pair", "half"),
        ("", ""),
    ],
    ids=["long", "control", "surrogate", "empty"],
)
def test_odd_entity_ids_are_shown_as_text(small, entity_id, shown):
    alert = dataclasses.replace(small.alerts[0], entity_id=entity_id)
    text = render(changed(small, alerts=[alert], stories=()))
    assert f"<bdi>{shown}" in text
    assert "x" * 61 not in text
    assert text.encode()


def test_a_missing_value_is_called_missing():
    reason = Reason("spend__recency", float("nan"), 0.5, "spend", "", "steps", 4.0)
    assert report_words.reason_words(reason, 86_400) == "missing, typically 4 days"
    assert report_words.reason_words(dataclasses.replace(reason, value=None, typical=None), 60) == "missing"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (63.0, "steps", "63 days, above the typical 4"),
        (1.0, "steps", "1 day, below the typical 4"),
        (0.12, "share", "12%, below the typical 400%"),
        (-1.9, "metric per step", "−1.9 per day, below the typical 4"),
        (4.0001, "metric", "4, as is typical"),
        (4_321.4, "", "4,321, above the typical 4"),
    ],
)
def test_reasons_hold_a_value_against_the_typical_one(value, unit, words):
    reason = Reason("spend__x", value, 0.5, "spend", "", unit, 4.0)
    assert report_words.reason_words(reason, 86_400) == words


@pytest.mark.parametrize(
    ("own", "theirs", "verdict"),
    [
        ((0.5, 0.4, 0.6), (0.45, 0.35, 0.55), "is above rival, 0.450 (0.350 to 0.550), but the intervals overlap"),
        ((0.4, 0.35, 0.5), (0.45, 0.35, 0.55), "is below rival"),
        ((0.5, 0.4, 0.6), (0.2, 0.1, 0.3), "ranks better than rival"),
        ((0.2, 0.1, 0.3), (0.5, 0.4, 0.6), "ranks worse than rival"),
        ((0.5, 0.4, 0.6), (None, None, None), "rival has no average precision"),
    ],
)
def test_readings_follow_from_the_intervals(own, theirs, verdict):
    methods = [
        Method("main", {"average_precision": Estimate(*own)}),
        Method("rival", {"average_precision": Estimate(*theirs)}),
    ]
    chance, against, noise = report_words.readings(Evaluation(methods, 1000, 50, 10, ""))
    assert chance.startswith("main ranks better than a random order")
    assert verdict in against
    assert "moves recall by 2%" in noise


def test_a_ranking_no_better_than_chance_is_not_praised():
    method = Method("main", {"average_precision": Estimate(0.07, 0.04, 0.1)})
    sentence = next(iter(report_words.readings(Evaluation([method], 1000, 50, 10, ""))))
    assert "is not shown to beat a random order" in sentence


def test_number_examples_hold():
    assert doctest.testmod(report_numbers).failed == 0
    assert doctest.testmod(report_numbers).attempted >= 4


def test_drawn_precision_and_recall_sum_to_average_precision():
    random = np.random.default_rng(3)
    truth = (random.random(120) < 0.2).astype(int)
    score = np.round(random.random(120) + 0.4 * truth, 1)  # many ties
    listed, found = charts.ranking(truth.tolist(), score.tolist())
    summed = (np.diff(found, prepend=0) / truth.sum() * found / listed).sum()
    assert summed == pytest.approx(average_precision_score(truth, score))


def test_block_means_leave_missing_steps_out():
    values = [1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0]
    np.testing.assert_array_equal(charts.block_means(values, 2), [2.0, 5.0, np.nan, 7.0])


def story_of(values, trend) -> MetricStory:
    times = [f"2024-01-{day + 1:02d}" for day in range(len(values))]
    return MetricStory("spend", times, values, trend, trend, trend, trend)


def test_a_zero_is_drawn_and_a_missing_step_is_not():
    flat = [1.0] * 6
    bars = [
        charts.story(story_of(values, flat), "k").split(f"stroke: {charts.BARS}")[0].rsplit("<path", 1)[1].count("M")
        for values in ([2.0, 0.0, 3.0, 0.0, 1.0, 4.0], [2.0, np.nan, 3.0, np.nan, 1.0, 4.0])
    ]
    assert bars == [6, 4]


def test_the_strongest_change_is_where_the_slope_breaks():
    trend = np.concatenate([np.full(10, 5.0), 5.0 - np.arange(1, 11) * 0.5]).tolist()
    assert charts.strongest_change(story_of(list(range(20)), trend)) == 9
    assert charts.strongest_change(story_of(list(range(20)), [5.0] * 20)) is None
    assert charts.strongest_change(story_of(list(range(20)), [np.nan] * 20)) is None


def test_one_step_all_missing_and_long_series_can_be_drawn():
    gap = [float("nan")] * 3
    assert "<svg" in charts.story(story_of(gap, gap), "k")
    assert "<svg" in charts.story(story_of([1.0], [1.0]), "k")
    hours = np.datetime64("2024-01-01T00:00:00") + np.arange(20_000).astype("timedelta64[h]")
    level = np.ones(len(hours)).tolist()
    drawn = charts.story(MetricStory("x", hours.astype(str).tolist(), level, level, level, level, level), "k")
    assert len(drawn) < 60_000


def test_an_empty_list_is_a_page_too(small):
    text = Page(render(changed(small, alerts=(), stories=(), glossary={}))).text
    assert "None of 1,468 unlabelled entities is listed for review." in text


def test_a_quality_record_without_its_parts_is_refused(small):
    with pytest.raises(ValueError, match=r"lacks \['labels'\].*pass features/quality.json"):
        render(changed(small, quality={"events": {}, "entities": {}}))


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="lengths"):
        MetricStory("spend", ["2024-01-01"], [1.0, 2.0], [1.0], [1.0], [1.0], [1.0])
    with pytest.raises(ValueError, match="2 labels, 1 scores"):
        Curve("scarcegan", [0, 1], [0.5])
