"""A fit in a process of its own: what it leaves, and how it is ended at its limits."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from jobs.arena import fit, processes
from jobs.arena.fit import Answer, Request
from jobs.arena.processes import OVER_MEMORY, OVER_TIME, Limits, Stopped
from tests.jobs import sessions
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


def run(request, limits=None, stop=None):
    with processes.forked(limits or Limits()) as run_fit:
        return run_fit(request, stop or Event())


def test_a_fit_leaves_scores_and_says_what_it_took(request_):
    answer = run(request_)
    assert answer.outcome == "done", answer.error
    assert np.load(request_.scores).shape == (60,)
    assert answer == Answer(**json.loads(Path(request_.answer).read_text()))
    assert 20 < answer.start_mb <= answer.peak_mb < 2000
    assert 0 < answer.cpu_seconds < answer.process_seconds


def test_this_process_gives_the_same_scores(request_, tmp_path):
    run(request_)
    fit.answer(replace(request_, scores=str(tmp_path / "here.npy")))
    assert np.array_equal(np.load(request_.scores), np.load(tmp_path / "here.npy"))


@pytest.mark.parametrize(
    ("limits", "outcome", "limit"),
    [(Limits(memory_mb=5), OVER_MEMORY, 5), (Limits(seconds=0.01), OVER_TIME, 0.01)],
    ids=["memory", "time"],
)
def test_a_fit_over_its_limit_is_ended(request_, limits, outcome, limit):
    answer = run(request_, limits)
    assert (answer.outcome, answer.limit) == (outcome, limit)
    assert not os.path.exists(request_.answer)


def test_a_run_that_is_stopped_ends_its_fits(request_):
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        run(request_, stop=stop)


def test_a_process_that_dies_says_how(request_):
    answer = run(replace(request_, answer="/nowhere/answer.json"))
    assert answer.outcome == "failed"
    assert "the process ended with 1" in answer.error
    assert "/nowhere/answer" in answer.error


@pytest.fixture
def server(request_, tmp_path):
    """A server, the leader of a session, while the fit that it was told to run goes on."""
    endless = replace(request_, settings={"seed": 0, "C": np.geomspace(1e-3, 1e3, 10**5).tolist()})
    order = tmp_path / "request.json"
    order.write_text(json.dumps(asdict(endless)))
    command = [sys.executable, "-m", "jobs.arena.fork_server"]
    with sessions.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as started:
        started.stdin.write(f"{json.dumps([str(order), str(tmp_path / 'log')])}\n".encode())
        pid = int(started.stdout.readline())
        assert set(sessions.members(started.pid)) == {started.pid, pid}
        yield started
        sessions.kill(started)


def ended(server):
    """Whether nothing of a server's session runs before long."""
    last = time.monotonic() + 30
    while (left := sessions.members(server.pid)) and time.monotonic() < last:
        time.sleep(0.05)
    return not left


def test_a_fit_and_its_server_end_when_whoever_started_them_is_gone(server):
    server.stdin.close()
    assert ended(server)
    assert server.stdout.read() == b"1\n"
    assert server.wait() == 0


def test_a_fit_ends_though_its_server_was_killed(server):
    server.kill()
    server.wait()
    assert len(sessions.members(server.pid)) == 1
    server.stdin.close()
    assert ended(server)


def test_a_server_that_dies_fails_its_fit_and_is_replaced(request_, monkeypatch):
    """As where memory is short and the system ends the larger of the two."""
    started = []
    monkeypatch.setattr(processes, "_taken", lambda pid: started[0]._process.kill() or (0.0, 0.0))
    new = processes._Server.__init__
    monkeypatch.setattr(processes._Server, "__init__", lambda self, limits: started.append(self) or new(self, limits))
    with processes.forked(Limits()) as run_fit:
        answer = run_fit(request_, Event())
        assert answer.outcome == "failed"
        assert "ended with -9 (killed" in answer.error
        monkeypatch.setattr(processes, "_taken", lambda pid: (0.0, 0.0))
        assert run_fit(request_, Event()).outcome == "done"
    assert len(started) == 2


def test_fits_one_after_another_have_one_server_and_nothing_else_in_common(request_):
    """What one fit loads the next does not hold."""
    with processes.forked(Limits()) as run_fit:
        first = run_fit(request_, Event())
        assert run_fit(replace(request_, trainer="torch_mlp", settings={"seed": 0}), Event()).outcome == "done"
        again = run_fit(request_, Event())
    assert abs(again.start_mb - first.start_mb) < 20
    assert again.peak_mb < first.peak_mb + 100


def test_what_is_not_installed_is_told_apart(request_, monkeypatch):
    monkeypatch.setitem(fit.TRAINERS, "mlp", "training.no_such_module:MLP")
    answer = fit.answer(replace(request_, trainer="mlp"))
    assert answer.outcome == "not installed"
    assert "no_such_module" in answer.error


def test_what_a_method_chose_is_kept(request_, monkeypatch):
    monkeypatch.setitem(fit.TRAINERS, "mlp", "tests.jobs.arena.methods:Seen")
    assert fit.answer(replace(request_, trainer="mlp")).chosen == "first + second"
