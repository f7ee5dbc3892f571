"""Progress: a bar on a terminal, about ten log lines elsewhere."""

import logging
import sys

from training.progress import StepProgress

logger = logging.getLogger("a job")


def test_about_ten_lines_are_logged_off_a_terminal(caplog):
    with caplog.at_level(logging.INFO), StepProgress("fitting", 200, logger) as progress:
        for step in range(1, 201):
            progress.reach(step, f"loss {step}")
    assert len(caplog.records) == 10
    assert caplog.messages[0] == "fitting step 20/200: loss 20"
    assert caplog.messages[-1] == "fitting step 200/200: loss 200"


def test_long_strides_are_logged_once_each(caplog):
    with caplog.at_level(logging.INFO), StepProgress("fitting", 100, logger) as progress:
        for step in (50, 100):
            progress.reach(step, "")
    assert len(caplog.records) == 2


def test_bar_is_drawn_on_a_terminal_and_nothing_is_logged(caplog, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with caplog.at_level(logging.INFO), StepProgress("fitting", 4, logger) as progress:
        progress.reach(4, "loss 0.5")
    shown = capsys.readouterr()
    assert "fitting" in shown.err
    assert "4/4" in shown.err
    assert "loss 0.5" in shown.err
    assert shown.out == ""
    assert not caplog.records


def test_lines_for_programs_are_logged_on_a_terminal_too(caplog, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("SCARCE_LOG", "json")
    with caplog.at_level(logging.INFO), StepProgress("fitting", 4, logger) as progress:
        progress.reach(4, "loss 0.5")
    assert caplog.messages == ["fitting step 4/4: loss 0.5"]
    assert "4/4" not in capsys.readouterr().err
