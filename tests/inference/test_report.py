"""The report as text: what it holds, what it escapes, what it weighs, and that it loads nothing."""

import dataclasses
import re
from importlib import resources

import numpy as np
import pytest

from inference.report import (
    Break,
    Calibration,
    Change,
    Counterfactual,
    Course,
    Curve,
    Drift,
    Estimate,
    Evaluation,
    Method,
    MetricStory,
    ModelCard,
    Move,
    Neighbor,
    Panel,
    Reason,
    Report,
    Share,
    Translation,
    render,
)
from inference.words import series
from tests.inference.report_example import QUALITY, bare, example
from tests.inference.report_page import Page

TWO_MEGABYTES = 2_000_000
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def full() -> str:
    return render(example(stories=12))


@pytest.fixture(scope="module")
def page(full) -> Page:
    return Page(full)


@pytest.fixture(scope="module")
def small() -> Report:
    return example(alerts=3, stories=1, days=60)


def changed(report: Report, **fields) -> Report:
    return dataclasses.replace(report, **fields)


def test_two_hundred_alerts_with_everything_weigh_under_two_megabytes(full):
    assert full.count('<dl class="why">') == 200
    assert len(full.encode()) < TWO_MEGABYTES


def test_same_report_gives_same_bytes(small):
    assert render(small) == render(example(alerts=3, stories=1, days=60))


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


def test_headings_skip_no_level_and_pictures_have_words(page):
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert max(np.diff(page.headings)) == 1
    assert page.unlabeled_pictures == 0


def luminance(color: str) -> float:
    channels = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colors_can_be_read_by_day_and_by_night():
    style = resources.files("inference").joinpath("templates/report.css").read_text()
    palettes = [
        dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(palettes) == 2
    for colors in palettes:
        for ground in ("page", "paper", "soft"):
            assert min(contrast(colors[name], colors[ground]) for name in ("ink", "muted", "accent")) >= 4.5
        assert min(contrast(colors[name], colors["page"]) for name in ("bars", "fourth", "fifth")) >= 3


def test_first_sentence_says_what_was_found(page):
    assert "200 of 1,468 unlabelled entities to review, likeliest lapsed first." in page.text
    assert re.search(r"a list of 200 holds \d+ of the 108 that are lapsed \(recall [\d.]+%", page.text)


def test_every_alert_has_a_row_and_every_story_its_charts(full):
    assert full.count('<tr id="rank-') == 200
    assert full.count('<svg class="chart"') == 12 * 5 + 2 + 2 + 4
    assert full.count('<svg class="week"') == 12 * 5


def test_too_many_metrics_are_drawn_by_weight(small, monkeypatch):
    monkeypatch.setattr(series, "MOST_CHARTS", 2)
    heavy = dataclasses.replace(small.alerts[0], shares=[Share("products", "trend", 1.0), Share("units", "level", 0.5)])
    text = render(changed(small, alerts=[heavy]))
    assert "The 2 metrics that weigh most are drawn, of 5." in text
    assert re.findall(r"<figcaption><b>(\w+)</b>", text)[:2] == ["products", "units"]


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


ABSENT = (
    "has not been measured",
    "This run had no held-out labels",
    "This run gives no calibrated probabilities",
    "This model has no class “unknown”",
    "There is no run before this one to compare with.",
    "This run draws no series.",
    "Its settings were not recorded.",
    "The versions of its libraries were not recorded.",
    "keeps no record of its training step by step.",
    "This run has no model card.",
    "This run does not give what stands out in words, a calibrated probability, weights by metric and component, "
    "the nearest labelled entities or what would take an entity off the list.",
)


def test_what_is_absent_is_said_where_one_would_look_for_it(small):
    text = Page(render(bare(small))).text
    assert [sentence for sentence in ABSENT if sentence not in text] == []
    assert "Precision and recall" not in text
    assert "None" not in text.split()
    here = Page(render(small)).text
    assert [sentence for sentence in ABSENT if sentence in here] == []


def test_a_part_that_one_alert_lacks_is_said_in_its_row(small):
    lacking = dataclasses.replace(small.alerts[1], shares=(), neighbors=(), counterfactual=None, probability=None)
    lacking = dataclasses.replace(lacking, translation=None)
    text = render(changed(small, alerts=[small.alerts[0], lacking, small.alerts[2]]))
    row = Page(text.split('<tr id="rank-2"')[1].split('<tr id="rank-3"')[0]).text
    assert "Weight in the score not given" in row
    assert "and how far none given" in row
    assert "off the list not sought" in row
    assert "From regular to lapsed none given" in row
    assert "Calibrated probability" not in row
    assert "not given" not in Page(text.split('<tr id="rank-1"')[1].split('<tr id="rank-2"')[0]).text


def test_a_translation_stands_in_the_evidence(small):
    moves = [Move("spend__recency", "spend", 4.0, 63.0, 58.0, 2.5, "steps")]
    own = dataclasses.replace(small.alerts[0], translation=Translation("841", "regular", moves, 0.021, 0.874))
    text = Page(render(changed(small, alerts=[own]))).text
    assert "From 841 , the regular one most like it, to one that is lapsed, the model would change this" in text
    assert "spend · recency 4 days to 63 days; here 58 days" in text
    without = [dataclasses.replace(alert, translation=None) for alert in small.alerts]
    assert "From regular" not in Page(render(changed(small, alerts=without))).text  # most models make no rows


def test_the_verdict_unknown_is_explained_where_the_model_can_give_it(small):
    explained = "“unknown” fits none of them"
    assert explained in Page(render(small)).text
    assert explained not in Page(render(changed(small, unknown=None))).text


def test_undefined_measures_say_why(small):
    undefined = Estimate(None, None, None, "no row is rare among 40; a ranking needs both")
    names = ("average_precision", "auroc", "recall_at_budget", "precision_at_budget")
    method = Method("scarcegan", dict.fromkeys(names, undefined))
    evaluation = Evaluation([method], rows=40, rare=0, budget=10, intervals="")
    curves = [Curve("scarcegan", [0] * 40, np.linspace(0, 1, 40).tolist())]
    text = Page(render(changed(small, evaluation=evaluation, curves=curves))).text
    assert text.count("no row is rare among 40") >= 3
    assert "nan" not in text.lower().split()


def hostile_report(small: Report) -> Report:
    reason = Reason(f"{HOSTILE}__{HOSTILE}", 1.0, 1.0, HOSTILE, HOSTILE, HOSTILE, 2.0)
    move = Move(f"{HOSTILE}__{HOSTILE}", HOSTILE, None, 2.0, 1.0, 1.0, HOSTILE, HOSTILE)
    change = Change(f"{HOSTILE}__{HOSTILE}", HOSTILE, None, 1.0, HOSTILE, HOSTILE)
    alert = dataclasses.replace(
        small.alerts[0], entity_id=HOSTILE, verdict=HOSTILE, reasons=[reason] * 5, remarks=[HOSTILE] * 4,
        shares=[Share(HOSTILE, HOSTILE, 1.0)] * 9, neighbors=[Neighbor(HOSTILE, HOSTILE, 1.0)],
        counterfactual=Counterfactual([change], 0.1, 0.2, True),
        translation=Translation(HOSTILE, HOSTILE, [move], 0.1, 0.2),
    )  # fmt: skip
    story = dataclasses.replace(small.stories[0], entity_id=HOSTILE, sentence=HOSTILE)
    breaks = [Break("2017-01-09", 0.0, 1.0)]
    metric = dataclasses.replace(story.metrics[0], metric=HOSTILE, unit=HOSTILE, breaks=breaks, outlier=3)
    run = dataclasses.replace(
        small.run, id=HOSTILE, title=HOSTILE, created=HOSTILE, trainer=HOSTILE, rare=HOSTILE,
        labeled={HOSTILE: 3}, settings={HOSTILE: {HOSTILE: HOSTILE}}, versions={HOSTILE: HOSTILE},
    )  # fmt: skip
    quality = QUALITY | {"refused": {HOSTILE: 416}, "fit_status": {HOSTILE: {HOSTILE: 1}}, "missing": {HOSTILE: 0.5}}
    return Report(
        run=run,
        quality=quality,
        evaluation=Evaluation([Method(HOSTILE, {HOSTILE: Estimate(0.5)})], 4, 1, 2, HOSTILE),
        curves=[Curve(HOSTILE, [1, 0], [0.5, 0.2])],
        alerts=[alert],
        stories=[dataclasses.replace(story, metrics=[metric])],
        glossary={HOSTILE: (HOSTILE, HOSTILE)},
        course=Course([1], 1, [Panel(HOSTILE, HOSTILE, {HOSTILE: [0.5]})]),
        calibration=Calibration(HOSTILE, 10, 1, 0.1, (0.5,), (0.4,), (10,), 0.1),
        drift=Drift(HOSTILE, 0.3, 0.1, 10, 1, 2, 0.1, False, (), (1.0,), (1.0,)),
        unknown=0.1,
        card=ModelCard([HOSTILE], [HOSTILE], [HOSTILE], [HOSTILE]),
    )


def test_everything_a_user_chose_is_escaped(small):
    text = render(hostile_report(small))
    assert HOSTILE not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 50
    assert Page(text).tags.count("script") == 1


@pytest.mark.parametrize(
    ("entity_id", "shown"),
    [
        ("x" * 10_000, "x" * 60 + "… (10,000 characters)"),
        ("a\x00b\u202ec\u200fd", "a\ufffdb\ufffdc\ufffdd"),
        ("\"'><b onclick=x>", "&#34;&#39;&gt;&lt;b onclick=x&gt;"),
        ("half \ud83d pair", "half"),
        ("", ""),
    ],
    ids=["long", "control", "quotes", "surrogate", "empty"],
)
def test_odd_entity_ids_are_shown_as_text(small, entity_id, shown):
    alert = dataclasses.replace(small.alerts[0], entity_id=entity_id, neighbors=[Neighbor(entity_id, "lapsed", 0.5)])
    text = render(changed(small, alerts=[alert], stories=()))
    assert text.count(f"<bdi>{shown}") >= 2
    assert "x" * 61 not in text
    assert text.encode()


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
