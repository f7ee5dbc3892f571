"""Runs started, written, killed, finished, pointed at and repeated in any order: readers only ever see whole ones."""

import json
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from feature_extraction import publishing, storage
from feature_extraction.publishing import PublishError, Run, latest

IDS = ("monday", "tuesday", "2024-03-01")
FINGERPRINTS = ("settings a", "settings b")
PARTS = 3
STAGE = "features"


class Killed(BaseException):
    """The job's process is gone."""


class Publishing(RuleBasedStateMachine):
    """Jobs of one stage on a disk, and what their readers may see.

    Attributes:
        whole: content of each finished run.
        pointed: the run that readers follow; None before the first one.
        job: the run being written, what it writes and how many parts are there; None between jobs.
    """

    def __init__(self):
        super().__init__()
        self.root = tempfile.mkdtemp(prefix="publishing-")
        self.whole: dict[str, tuple[str, int]] = {}
        self.pointed: str | None = None
        self.job: tuple[str, str, int, int] | None = None
        self.writes = 0

    def teardown(self):
        shutil.rmtree(self.root)

    def run(self, name):
        return Run(self.root, STAGE, name)

    @initialize()
    def nothing_is_published(self):
        with pytest.raises(PublishError, match="no features published"):
            latest(self.root, STAGE)

    @precondition(lambda self: self.job is None)
    @rule(name=st.sampled_from(IDS), fingerprint=st.sampled_from(FINGERPRINTS))
    def start(self, name, fingerprint):
        run = self.run(name)
        if name not in self.whole:
            assert not run.is_done(fingerprint)
            run.start()
            assert not storage.exists(run.url) or not storage.list_files(run.url)
            self.writes += 1
            self.job = (name, fingerprint, self.writes, 0)
        elif self.whole[name][0] == fingerprint:
            assert run.is_done(fingerprint)  # nothing is done again
        else:
            with pytest.raises(PublishError, match=r"give another --output\.run"):
                run.is_done(fingerprint)

    @precondition(lambda self: self.job is not None and self.job[3] < PARTS)
    @rule()
    def write(self):
        name, fingerprint, content, parts = self.job
        place = storage.join(self.run(name).url, f"part-{parts}.json")
        storage.write_bytes(place, json.dumps([content, parts]).encode())
        self.job = (name, fingerprint, content, parts + 1)

    @precondition(lambda self: self.job is not None)
    @rule(litter=st.booleans())
    def die(self, litter):
        if litter:  # half a write
            folder = Path(self.run(self.job[0]).url)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".part-9.json.123").write_bytes(b"[1")
            (folder / "part-9.json").write_bytes(b"[1, 9]")
        self.job = None

    @precondition(lambda self: self.job is not None and self.job[3] == PARTS)
    @rule(dies_before=st.sampled_from([None, "run.json", "latest.json"]))
    def finish(self, dies_before):
        name, fingerprint, content, _ = self.job
        replaced = storage.os.replace

        def replace(source, target):
            if dies_before and Path(target).name == dies_before:
                raise Killed
            replaced(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage.os, "replace", replace)
            try:
                self.run(name).finish(fingerprint, {"content": content})
                self.pointed = name
            except Killed:
                pass
        if dies_before != "run.json":
            self.whole[name] = (fingerprint, content)
        self.job = None

    @precondition(lambda self: self.whole)
    @rule(data=st.data(), dies=st.booleans())
    def point(self, data, dies):
        name = data.draw(st.sampled_from(sorted(self.whole)))
        assert self.run(name).is_done(self.whole[name][0])
        if dies:  # half a pointer, under the name that it has until it is whole
            Path(self.root, STAGE, f".latest.json.{name}").write_bytes(b'{"run')
            return
        self.run(name).point()
        self.pointed = name

    @invariant()
    def readers_see_a_whole_run(self):
        if self.pointed is None:
            with pytest.raises(PublishError):
                latest(self.root, STAGE)
            return
        found = latest(self.root, STAGE)
        assert found.id == self.pointed
        fingerprint, content = self.whole[found.id]
        manifest = found.manifest()
        assert (manifest["run"], manifest["fingerprint"], manifest["content"]) == (found.id, fingerprint, content)
        names = [f"part-{number}.json" for number in range(PARTS)]
        files = {file.url.rsplit("/", 1)[1]: file.url for file in storage.list_files(found.url)}
        assert sorted(files) == sorted([*names, publishing.MANIFEST])
        assert [json.loads(storage.read_text(files[name])) for name in names] == [[content, n] for n in range(PARTS)]

    @invariant()
    def every_finished_run_stays_as_it_was(self):
        for name in IDS:
            manifest = self.run(name).manifest()
            assert (manifest and (manifest["fingerprint"], manifest["content"])) == self.whole.get(name)


TestPublishing = Publishing.TestCase
TestPublishing.settings = settings(
    derandomize=True, deadline=None, print_blob=True, database=None, max_examples=25, stateful_step_count=40
)
