"""A fit in a process of its own: what it leaves, and how it is ended at its limits."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from jobs.arena import fit, processes
from jobs.arena.fit import Answer, Request
from jobs.arena.processes import OVER_MEMORY, OVER_TIME, Limits, Stopped
from tests.jobs.arena import small_data


@pytest.fixture
def request_(tmp_path):
    table = small_data.table()
    known = np.flatnonzero(table.labels != -1)
    np.save(tmp_path / "features.npy", table.features)
    training, test = known[60:], known[:60]
    np.savez(tmp_path / "split.npz", training=training, labels=table.labels[training], test=test)
    return Request(
        trainer="logistic_regression",
        settings={"seed": 0, "C": [1.0]},
        features=str(tmp_path / "features.npy"),
        split=str(tmp_path / "split.npz"),
        schema=table.schema.to_json(),
        scores=str(tmp_path / "scores.npy"),
        answer=str(tmp_path / "answer.json"),
    )


def test_a_fit_leaves_scores_and_says_what_it_took(request_):
    answer = processes.run(request_, Limits(), Event())
    assert answer.outcome == "done", answer.error
    assert np.load(request_.scores).shape == (60,)
    assert answer == Answer(**json.loads(Path(request_.answer).read_text()))
    assert 20 < answer.start_mb <= answer.peak_mb < 2000
    assert 0 < answer.cpu_seconds < answer.process_seconds


def test_this_process_gives_the_same_scores(request_, tmp_path):
    processes.run(request_, Limits(), Event())
    fit.answer(replace(request_, scores=str(tmp_path / "here.npy")))
    assert np.array_equal(np.load(request_.scores), np.load(tmp_path / "here.npy"))


@pytest.mark.parametrize(
    ("limits", "outcome", "limit"),
    [(Limits(memory_mb=5), OVER_MEMORY, 5), (Limits(seconds=0.01), OVER_TIME, 0.01)],
    ids=["memory", "time"],
)
def test_a_fit_over_its_limit_is_ended(request_, limits, outcome, limit):
    answer = processes.run(request_, limits, Event())
    assert (answer.outcome, answer.limit) == (outcome, limit)
    assert not os.path.exists(request_.answer)


def test_a_run_that_is_stopped_ends_its_fits(request_):
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        processes.run(request_, Limits(), stop)


def test_a_process_that_dies_says_how(request_):
    answer = processes.run(replace(request_, answer="/nowhere/answer.json"), Limits(), Event())
    assert answer.outcome == "failed"
    assert "the process ended with 1" in answer.error
    assert "/nowhere/answer" in answer.error


def test_a_fit_ends_when_whoever_started_it_is_gone(request_, tmp_path):
    order = tmp_path / "request.json"
    order.write_text(json.dumps(asdict(request_)))
    child = subprocess.Popen([sys.executable, "-m", "jobs.arena.fit", str(order)], stdin=subprocess.PIPE)
    child.stdin.close()
    assert child.wait() == 1
    assert not os.path.exists(request_.answer)


def test_what_is_not_installed_is_told_apart(request_, monkeypatch):
    monkeypatch.setitem(fit.TRAINERS, "mlp", "training.no_such_module:MLP")
    answer = fit.answer(replace(request_, trainer="mlp"))
    assert answer.outcome == "not installed"
    assert "no_such_module" in answer.error


def test_what_a_method_chose_is_kept(request_, monkeypatch):
    monkeypatch.setitem(fit.TRAINERS, "mlp", "tests.jobs.arena.methods:Seen")
    assert fit.answer(replace(request_, trainer="mlp")).chosen == "first + second"
