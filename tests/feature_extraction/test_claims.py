"""Of two processes that make one run, one wins; what a dead one left behind stops nobody."""

import json
import logging
import subprocess
import sys
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from feature_extraction import claims, storage
from feature_extraction.claims import ClaimError, Owner

HOLD = """
import sys, time
from feature_extraction import claims
claims.take(sys.argv[1])
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def place(root):
    yield storage.join(root, "features/_claims/one.json")
    for claim in claims._held.values():
        claim._stopped.set()
    claims._held.clear()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(claims, "SILENCE_SECONDS", 0.4)
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(claims, "RENEWAL_SECONDS", 0.05)


def holder(place):
    """Start a process that holds the claim, and wait until it does."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, place], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "taken\n"
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def claimed_by(place, owner):
    storage.write_bytes(place, json.dumps(asdict(owner) | {"token": "t", "renewed": 0}).encode())


def test_a_living_process_keeps_its_claim_and_a_killed_one_loses_it_at_once(place, caplog):
    process = holder(place)
    try:
        with pytest.raises(ClaimError, match=rf"being made by process {process.pid} of .*give another --output.run"):
            claims.take(place)
    finally:
        end(process)
    with caplog.at_level(logging.INFO):
        claims.take(place)
    assert "its owner is gone; taken over" in caplog.text
    claims.confirm(place)
    claims.release(place)
    assert not storage.exists(place)


def test_a_number_that_another_process_has_now_is_not_its_owner(place):
    claimed_by(place, replace(Owner.this(), pid=1, started="77"))
    claims.take(place)
    claims.confirm(place)


def pause_by(sleep, monkeypatch):
    """Let claims pause by `sleep`, and nobody else: other threads of the process, such as Spark's, pause too."""
    monkeypatch.setattr(claims, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))


@pytest.mark.usefixtures("quick")
def test_of_another_machine_silence_is_waited_for(place, caplog):
    claimed_by(place, replace(Owner.this(), host="elsewhere"))
    started = time.monotonic()
    with caplog.at_level(logging.INFO):
        claims.take(place)
    assert time.monotonic() - started >= 0.4
    assert "waiting up to 0 s for a sign of its life" in caplog.text


@pytest.mark.usefixtures("quick")
def test_a_sign_of_life_from_another_machine_is_seen(place, monkeypatch):
    claimed_by(place, replace(Owner.this(), host="elsewhere"))
    look = time.sleep

    def renew_elsewhere(seconds):
        look(seconds)
        storage.write_bytes(place, storage.read_bytes(place).replace(b'"renewed": 0', b'"renewed": 1'))

    pause_by(renew_elsewhere, monkeypatch)
    with pytest.raises(ClaimError, match="of elsewhere, since 20"):
        claims.take(place)


@pytest.mark.usefixtures("quick")
def test_a_claim_given_up_while_another_waits_is_free(place, monkeypatch):
    claimed_by(place, replace(Owner.this(), host="elsewhere"))
    pause_by(lambda _: storage.delete_file(place), monkeypatch)
    claims.take(place)
    claims.confirm(place)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"host": 1'])
def test_a_claim_that_was_cut_short_is_waited_out(place, text):
    storage.write_bytes(place, text.encode())
    claims.take(place)
    claims.confirm(place)


@pytest.mark.usefixtures("quick")
def test_a_claim_is_renewed_while_it_is_held(place):
    claims.take(place)
    before, deadline = storage.read_text(place), time.monotonic() + 20
    while storage.read_text(place) == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    claims.release(place)
    assert not storage.exists(place)


def test_an_owner_that_slept_too_long_is_told_so(place):
    claims.take(place)
    claimed_by(place, replace(Owner.this(), host="elsewhere"))
    with pytest.raises(ClaimError, match="lost to another process.*nothing is published by this one"):
        claims.confirm(place)
    claims.release(place)
    assert storage.exists(place), "the other's claim stays"


def test_the_same_process_may_start_over(place):
    claims.take(place)
    claims.take(place)
    claims.confirm(place)


def test_the_slower_of_two_that_find_nothing_is_told(place, monkeypatch):
    read = storage.read_version

    def then_another_is_faster(url):
        found = read(url)
        claimed_by(place, replace(Owner.this(), host="elsewhere"))
        return found

    monkeypatch.setattr(storage, "read_version", then_another_is_faster)
    with pytest.raises(ClaimError, match="another process took it this very moment"):
        claims.take(place)


def test_what_a_dead_process_left_is_cleared_away(place):
    end(holder(place))
    assert storage.exists(place)
    claims.release(place)
    assert not storage.exists(place)
