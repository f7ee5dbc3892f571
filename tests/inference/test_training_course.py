"""The training record: what of a manifest's history is drawn together, how, and what is said of it."""

import dataclasses
import re

import numpy as np
import pytest

from feature_extraction.schema import FeatureSchema
from inference.charts import drawing
from inference.charts.training import training
from inference.report import Alert, Course, Panel, render
from inference.training_course import course_of
from inference.words import record, scores
from tests.inference.report_example import example
from training.artifact import Manifest

CLASSES = ("low", "mid", "high", "rare", "unknown")
HOSTILE = "<script>alert(1)</script>"


HISTORY = {
    "best_step": 20,
    "step": [10, 20, 30],
    "loss_supervised": [1.0, 0.5, 0.25],
    "loss_generator": [1.0, 2.0, 3.0],
    "validation_average_precision": [0.4, 0.5, 0.4],
    "validation_loss": [1.0, 1.0, 1.0],
    "unknown_share": [0.25, 0.25, 0.25],
    "rare_to_unknown": [0.125, 0.125, 0.125],
    "recall_low": [0.5, 0.5, 0.5],
    "recall_mid": [None, None, None],
    "recall_high": [0.75, 0.75, 0.75],
    "recall_rare": [0.375, 0.375, 0.375],
    "activity": "m__a",
    "activity_edges": [0.0, 0.1, 0.2],
}


def manifest(history, classes=CLASSES):
    schema = FeatureSchema(("m__a",), ("regular", "rare"), "rare")
    return Manifest("scarcegan", {}, schema, classes, "rare", {}, {}, 0, history)


def course(classes=CLASSES):
    return course_of(manifest(HISTORY, classes))


def lines(found):
    return {panel.title: dict(panel.lines) for panel in found.panels}


def test_what_the_trainers_note_is_what_is_drawn():
    found = course()
    assert (found.steps, found.kept, found.place) == ([10, 20, 30], 20, 1)
    assert lines(found) == {
        "Losses": {"held-out rows": [1.0] * 3, "supervised": [1.0, 0.5, 0.25], "generator": [1, 2, 3]},
        "Ranking": {"average precision of rare": [0.4, 0.5, 0.4]},
        "Verdict unknown": {"of all rows": [0.25] * 3, "of rare rows": [0.125] * 3},
        "Recall by class": {"rare": [0.375] * 3, "low": [0.5] * 3, "high": [0.75] * 3},
    }


def test_no_look_of_a_keras_trainer_notes_more_than_is_drawn():
    course = pytest.importorskip("training.keras.course", reason="keras is not installed")
    look = course.Look(1, {"x": 1.0}, 0.5, 1.0, 0.25, 0.125, {"rare": 0.5})
    history = {name: [value] for name, value in look.record().items()}
    drawn_lines = [line for panel in course_of(manifest(history)).panels for line in panel.lines.values()]
    assert len(drawn_lines) == len(history) - 1  # all but the step


def test_a_model_without_unknown_has_no_panel_of_it():
    assert "Verdict unknown" not in lines(course(classes=CLASSES[:4]))


def test_nothing_held_out_leaves_the_losses():
    unmeasured = {"validation_average_precision": [None] * 2, "validation_loss": [None] * 2}
    history = {"best_step": 10, "step": [5, 10], "loss_supervised": [0.5, 0.25]} | unmeasured
    assert lines(course_of(manifest(history))) == {"Losses": {"supervised": [0.5, 0.25]}}


@pytest.mark.parametrize("history", [{}, {"best_step": 150}, {"step": []}, {"epochs": 3}])
def test_no_look_is_no_record(history):
    assert course_of(manifest(history)) is None


def test_more_classes_than_kinds_of_lines_are_drawn_apart():
    names = [f"class {number}" for number in range(11)] + ["rare"]
    found = course_of(manifest({"step": [1]} | {f"recall_{name}": [0.5] for name in names}))
    assert [panel.title for panel in found.panels] == [f"Recall by class, {part} of 3" for part in (1, 2, 3)]
    assert [name for panel in found.panels for name in panel.lines] == ["rare", *names[:-1]]
    assert max(len(panel.lines) for panel in found.panels) == len(drawing.LINES)


def drawn(found, panel):
    return str(training(found, panel, "k"))


def test_the_kept_step_has_a_line_and_each_curve_a_dot():
    found = course()
    text = drawn(found, found.panels[0])
    assert "kept: step 20" in text
    assert len(re.findall(r"<use ", text)) == 3
    unmarked = dataclasses.replace(found, kept=None)
    assert "kept" not in drawn(unmarked, found.panels[0])
    assert "<use " not in drawn(unmarked, found.panels[0])


def heights(svg, color):
    (path,) = re.findall(rf'<path d="([^"]*)"[^>]*stroke: {re.escape(color)}; stroke-width: 1.9', svg)
    return [float(pair.split()[1]) for pair in re.findall(r"[ML]([\d.]+ [\d.]+)", path)]


def test_a_higher_value_is_drawn_higher_and_a_missing_one_not_at_all():
    panel = Panel("x", "", {"a": [0.2, 0.4, None, 0.1]})
    first, second, last = heights(drawn(Course([1, 2, 3, 4], 2, [panel]), panel), drawing.VARIABLES[drawing.ACCENT])
    assert second < first < last


def test_a_long_training_is_thinned_but_keeps_the_kept_step():
    steps = list(range(1, 5002))
    values = np.ones(len(steps))
    values[3210] = 5
    panel = Panel("x", "", {"a": values.tolist()}, is_share=False)
    found = heights(drawn(Course(steps, 3211, [panel]), panel), drawing.VARIABLES[drawing.ACCENT])
    assert len(found) <= drawing.MAX_SMOOTH_POINTS + 1
    assert min(found) < np.median(found)


@pytest.mark.parametrize("values", [[None], [0.0], [-3.0], [1e12]])
def test_a_single_look_can_be_drawn(values):
    panel = Panel("x", "", {"a": values}, is_share=False)
    assert "<svg" in drawn(Course([1], 1, [panel]), panel)


def test_words_for_those_who_do_not_see_it():
    found = course()
    assert record.panel_words(found, found.panels[2]) == (
        "of all rows 25% at step 10, 25% at step 20, kept, 25% at step 30; "
        "of rare rows 12.5% at step 10, 12.5% at step 20, kept, 12.5% at step 30"
    )
    assert record.course(found) == (
        "30 steps, measured 3 times. The model is made of the networks as they were at step 20."
    )
    assert record.course(Course([1], None, ())) == "1 step, measured once."


def test_lines_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"2 looks, lines of \[3\] values"):
        Course([1, 2], 1, [Panel("x", "", {"a": [1.0, 2.0, 3.0]})])
    with pytest.raises(ValueError, match="0 looks"):
        Course([], None, [])


@pytest.fixture(scope="module")
def small():
    return example(alerts=3, stories=0, days=60)


def test_a_trainer_without_steps_says_so(small):
    run = dataclasses.replace(small.run, trainer="logistic_regression")
    page = render(dataclasses.replace(small, run=run, course=None))
    assert "logistic_regression keeps no record of its training step by step." in page
    assert "training step</text>" not in page


def test_names_of_classes_are_escaped(small):
    panel = Panel("Recall by class", "", {HOSTILE: [0.5]})
    page = render(dataclasses.replace(small, course=Course([1], 1, [panel])))
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") == 2


def test_disagreement_is_that_of_the_middle_and_of_the_most():
    alerts = [Alert(rank, "x", 0.5, "rare", (), spread) for rank, spread in ((1, 0.01), (2, 0.2), (3, 0.03))]
    words = scores.disagreement(alerts)
    assert "by 0.030 on the middle entity" in words
    assert "by 0.200 on the one they disagree on most, rank 2" in words
    assert scores.disagreement([]) == ""
    assert scores.disagreement([Alert(1, "x", 0.5, "rare", (), 0.0)]) == ""
