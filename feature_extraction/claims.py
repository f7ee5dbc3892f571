"""Who is making a run: a small shared file that one process alone can hold, renewed for as long as it works.

A process that finds a claim tells a dead owner from a living one. Of its own machine it knows at once: the process is
there or it is not. Of any other it waits for a renewal: none within `SILENCE_SECONDS`, by its own clock, and the owner
counts as dead. An owner that slept for so long finds its claim lost, and publishes nothing.
"""

import atexit
import json
import logging
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from feature_extraction import storage
from feature_extraction.storage import StorageError, Versioned

logger = logging.getLogger(__name__)
RENEWAL_SECONDS, SILENCE_SECONDS, LOOK_SECONDS = 15.0, 90.0, 5.0
DEAD_STATES = ("Z", "X")


class ClaimError(ValueError):
    """Another process makes this run."""


@dataclass(frozen=True)
class Owner:
    """A process, told from any other one that ever has its number.

    Attributes:
        host: name of the machine or container.
        space: boot of the machine and namespace of process numbers; empty where the system tells neither.
        pid: its number there.
        started: when it started, in the system's ticks since the boot.
        since: when it took the claim (UTC).
    """

    host: str
    space: str
    pid: int
    started: str
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"), compare=False)

    @classmethod
    def this(cls) -> "Owner":
        """Return this process."""
        return cls(socket.gethostname(), _space(), os.getpid(), _started(os.getpid()) or "")

    def is_here(self) -> bool:
        """Whether it runs, or ran, where this process can look for it."""
        return bool(self.space) and (self.host, self.space) == (socket.gethostname(), _space())

    def is_alive(self) -> bool:
        """Whether it still runs; to be asked of one that is here."""
        return _started(self.pid) == self.started


def _space() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process of this machine started, None if there is none or it only waits to be buried."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in DEAD_STATES else rest[18]


class Claim:
    """A claim that this process holds; a thread renews it."""

    def __init__(self, url: str, owner: Owner) -> None:
        self.url, self.owner, self._token, self._count = url, owner, uuid.uuid4().hex, 0
        self._version: str | None = None
        self._lock, self._stopped = Lock(), Event()
        self._thread = Thread(target=self._renew_until_stopped, name=f"claim {url}", daemon=True)

    def take(self, before: str | None) -> bool:
        """Write the claim in place of the version `before`; return whether no other process was faster."""
        self._version = storage.swap_text(self.url, self._text(), before)
        if self._version is not None:
            self._thread.start()
        return self._version is not None

    def renew(self) -> bool:
        """Show that the owner is alive; return whether the claim is still its own."""
        with self._lock:
            if self._version is None:
                return False
            self._count += 1
            self._version = storage.swap_text(self.url, self._text(), self._version) or self._after_a_lost_answer()
            return self._version is not None

    def release(self) -> None:
        """Give the claim up."""
        self._stopped.set()
        with self._lock:
            if self._version is not None:
                storage.remove_version(self.url, self._version)
            self._version = None

    def _after_a_lost_answer(self) -> str | None:
        """Renew a claim that is not as it was thought to be: a write that seemed to fail may have been carried out."""
        seen = storage.read_version(self.url)
        ours = seen is not None and self._token in seen.text
        return storage.swap_text(self.url, self._text(), seen.version) if seen and ours else None

    def _text(self) -> str:
        return json.dumps(asdict(self.owner) | {"token": self._token, "renewed": self._count})

    def _renew_until_stopped(self) -> None:
        while not self._stopped.wait(RENEWAL_SECONDS):
            try:
                if not self.renew():
                    return
            except StorageError as error:
                logger.warning("the claim could not be renewed, and will be tried again: %s", error)


_held: dict[str, Claim] = {}
os.register_at_fork(after_in_child=_held.clear)  # a child has neither its parent's number nor its threads


def take(url: str) -> None:
    """Make the claim at `url` this process's own; it may be so already.

    Raises:
        ClaimError: another process holds it and is alive.
    """
    if url in _held and _held[url].renew():
        return
    claim, seen = Claim(url, Owner.this()), storage.read_version(url)
    if seen is not None and _owner(seen.text) != claim.owner and _is_alive(seen.text) is not False:
        seen = _watch(url, seen)
    if not claim.take(seen and seen.version):
        raise ClaimError(
            f"{url}: another process took it this very moment; let it finish, or give another --output.run"
        )
    if seen is not None:
        logger.info("%s: its owner is gone; taken over", url)
    _held[url] = claim


def confirm(url: str) -> None:
    """Raise `ClaimError` if this process held the claim at `url` and lost it."""
    if url in _held and not _held[url].renew():
        _held.pop(url)
        raise ClaimError(
            f"{url}: lost to another process, because this one gave no sign of life for {SILENCE_SECONDS:.0f} s; "
            "nothing is published by this one"
        )


def release(url: str) -> None:
    """Give up the claim at `url`, or clear away what a dead process of this machine left of one."""
    if url in _held:
        _held.pop(url).release()
        return
    seen = storage.read_version(url)
    if seen is not None and _is_alive(seen.text) is False:
        storage.remove_version(url, seen.version)


def _is_alive(text: str) -> bool | None:
    """Whether the owner of a claim lives; None where that cannot be known from here."""
    owner = _owner(text)
    return owner.is_alive() if owner and owner.is_here() else None


def _owner(text: str) -> Owner | None:
    try:
        fields: dict[str, Any] = json.loads(text)
        return Owner(*(fields[name] for name in Owner.__dataclass_fields__))
    except (ValueError, KeyError, TypeError):
        return None


def _watch(url: str, seen: Versioned) -> Versioned | None:
    """Wait until a claim is given up (None) or its owner counts as dead; one that lives raises `ClaimError`."""
    owner = _owner(seen.text)
    whose = f"process {owner.pid} of {owner.host}, since {owner.since}" if owner else "an unknown process"
    refused = ClaimError(f"{url}: this run is being made by {whose}; let it finish, or give another --output.run")
    if _is_alive(seen.text):
        raise refused
    logger.info("%s: claimed by %s; waiting up to %.0f s for a sign of its life", url, whose, SILENCE_SECONDS)
    deadline = time.monotonic() + SILENCE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        found = storage.read_version(url)
        if found is None:
            return None
        if found != seen:
            raise refused
    return seen


@atexit.register
def _release_all() -> None:
    """Leave nothing to wait for behind a job that ended in an error."""
    for url in list(_held):
        try:
            release(url)
        except StorageError as error:
            logger.warning("the claim stays behind: %s", error)
