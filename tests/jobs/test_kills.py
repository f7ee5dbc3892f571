"""Each job killed with SIGKILL again and again, at random and as it publishes, and started again each time."""

import json
import random
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.jobs import sessions, small_log
from tests.jobs.conftest import ROOT, command
from training import artifact

pytestmark = [pytest.mark.spark, pytest.mark.slow]
CHEAP = ("--train.trainer", "logistic_regression", "--train.compare", "[]", "--score.stories", "1")
# What each job makes, the pointer moved last of all first, and what lies there before it starts.
STAGES = {
    "extract_features": ("quarantine", "features"),
    "train": ("models/logistic_regression",),
    "score": ("scores",),
    "explain": ("reports",),
}
# Kills when something has just appeared in the stage's folder: the last steps of publishing take too little time to be
# met by chance. The other kills are spread over the whole job.
APPEARS = ("run=small", "run=small/*", "run=small/*.json", "run=small/.run.json.*", "run=small/run.json", ".latest.*")
DONE, NOTHING_TO_DO = 0, 3
TRIES = 3  # for each moment, of which the first may find nothing to do, and the second end too soon
CLOCK = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
# What two runs may differ in: what was measured of them, the run before, and digests: of files that are compared
# themselves, and of settings that name the output's place.
VARYING = ("seconds", "before", "files", "digest", "fingerprint")


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: its folder and run file, and how long each of its jobs took, in seconds."""

    root: Path
    run_file: Path
    seconds: dict


@dataclass(frozen=True)
class Ended:
    """What came of one attempt: when it was to be killed, and its exit status, None where it was killed."""

    moment: float | str
    status: int | None


def start(job, run_file, root, log):
    with log.open("ab") as stream:
        return sessions.start(
            [*command(job, run_file, *CHEAP), "--output.root", str(root)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_file, seconds = small_log.write(folder), {}
    for job in STAGES:
        started = time.monotonic()
        process = start(job, run_file, folder / "out", folder / "log")
        assert process.wait() == DONE, (folder / "log").read_text()
        seconds[job] = time.monotonic() - started
    return Reference(folder / "out", run_file, seconds)


def before(job, reference, root):
    """Lay out what the job finds: what the stages before it made, and an earlier run of its own stages."""
    shutil.rmtree(root, ignore_errors=True)
    for other, stages in STAGES.items():
        if other == job:
            break
        for stage in stages:
            shutil.copytree(reference.root / stage, root / stage)
    for stage in STAGES[job]:
        shutil.copytree(reference.root / stage / "run=small", root / stage / "run=earlier")
        facts = json.loads((root / stage / "run=earlier/run.json").read_text())
        (root / stage / "run=earlier/run.json").write_text(json.dumps(facts | {"run": "earlier"}))
        (root / stage / "latest.json").write_text(json.dumps({"run": "earlier"}))


def contents(folder, roots):
    """Return what a run's folder holds, by file: rows of tables, values of JSON, what a model says, or bytes."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith((".", "_"))]
    tables = [pd.read_parquet(path) for path in paths if path.suffix == ".parquet" and path.name.startswith("part-")]
    rows = pd.concat(tables).astype(str).sort_values(list(tables[0].columns)).to_csv(index=False) if tables else ""
    # skops names what it packs by where it lay in memory.
    others = [path for path in paths if not path.name.startswith("part-") and path.suffix != ".skops"]
    found = {"rows": rows} | {path.name: plain(path, roots) for path in others}
    return found | ({"scores": model_scores(folder)} if "manifest.json" in found else {})


def plain(path, roots):
    """Return a file's content without its place, the time of day, and what was measured of the run itself."""
    if path.suffix not in (".json", ".html"):
        return path.read_bytes()
    text = CLOCK.sub("", path.read_text()).replace('"run": "earlier"', '"run": "small"')
    for root in roots:
        text = text.replace(str(root), "")
    return without_varying(json.loads(text)) if path.suffix == ".json" else text


def model_scores(folder):
    """Return what a model says of some rows."""
    model = artifact.load(str(folder))
    rows = np.random.default_rng(0).normal(size=(50, len(model.schema.names))).astype(np.float32)
    return model.predict(rows).tobytes()


def without_varying(value):
    if isinstance(value, dict):
        return {key: without_varying(item) for key, item in value.items() if key not in VARYING}
    return [without_varying(item) for item in value] if isinstance(value, list) else value


def check_readers(job, reference, root, runs):
    """Assert that what readers follow is one of `runs`, whole and the same as that of the undisturbed run."""
    for stage in STAGES[job]:
        followed = json.loads((root / stage / "latest.json").read_text())["run"]
        assert followed in runs
        found = contents(root / stage / f"run={followed}", (root, reference.root))
        expected = contents(reference.root / stage / "run=small", (root, reference.root))
        different = [name for name in sorted(found | expected) if found.get(name) != expected.get(name)]
        assert not different, f"{stage} of {followed}: {different}"


def wait(process, moment, folder):
    """Wait for a moment: seconds since the start, or that something appears in the folder; or for the job's end."""
    if isinstance(moment, float):
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            return
    else:
        while process.poll() is None and not any(folder.glob(moment)):
            time.sleep(0.0005)


def moments(job, kills):
    """Return when to kill, in random order: a third aimed, and one in each equal part of the job's duration, as shares.

    A busy machine may take several times as long as the next time, so what a job is known to take is seen as it goes.
    """
    draw = random.Random(job)
    aimed = draw.sample(APPEARS, min(kills // 3, len(APPEARS)))
    parts = kills - len(aimed)
    found = [*((part + draw.random()) / parts for part in range(parts)), *aimed]
    draw.shuffle(found)
    return found


def kill_again_and_again(job, reference, kills, folder):
    """Start the job, kill it, and start it again, until all moments are used; return what came of each attempt.

    An attempt that ends before it is killed must be whole; another one begins, with the same moment in mind.
    """
    root, log, attempts = folder / "out", folder / "log", []
    before(job, reference, root)
    seconds = reference.seconds[job]
    for moment in moments(job, kills):
        for _ in range(TRIES):
            started = time.monotonic()
            process = start(job, reference.run_file, root, log)
            wait(process, moment * seconds if isinstance(moment, float) else moment, root / STAGES[job][-1])
            status, took = process.poll(), time.monotonic() - started
            sessions.kill(process)
            attempts.append(Ended(moment, status))
            assert status in (None, DONE, NOTHING_TO_DO), log.read_text()
            check_readers(job, reference, root, ("earlier", "small"))
            if status is None:
                break
            check_readers(job, reference, root, ("small",))
            before(job, reference, root)
            seconds = min(seconds, took) if status == DONE else seconds
    status = start(job, reference.run_file, root, log).wait()
    attempts.append(Ended("never", status))
    assert status in (DONE, NOTHING_TO_DO), log.read_text()
    check_readers(job, reference, root, ("small",))
    return attempts


@pytest.fixture(scope="module")
def kills(pytestconfig):
    return pytestconfig.getoption("kills")


@pytest.fixture(scope="module")
def killed(reference, kills, tmp_path_factory):
    """What came of the attempts of each job; two jobs at a time, as each of them waits a lot."""
    folders = {job: tmp_path_factory.mktemp(job) for job in STAGES}
    with ThreadPoolExecutor(2) as pool:
        found = {job: pool.submit(kill_again_and_again, job, reference, kills, folders[job]) for job in STAGES}
        yield found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("job", STAGES)
def test_killed_again_and_again_it_ends_as_if_it_never_was(killed, kills, job):
    attempts = killed[job].result()
    assert len({attempt.moment for attempt in attempts}) == kills + 1
    assert sum(attempt.status is None for attempt in attempts) > kills // 2, attempts
