"""Processes in sessions of their own, so that all that a job started can be killed with it."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path


def start(command, **options):
    """Start a command as the leader of a new session."""
    return subprocess.Popen(command, start_new_session=True, **options)


def kill(process):
    """Kill a session without warning: its leader's process group, and what left the group, as Python's workers do."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    while found := members(process.pid):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.poll()  # buries the leader, whose number would be found again
    process.wait()


def members(session):
    """Process ids of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(its_session) == session and state not in "ZX":
            found.append(int(path.parent.name))
    return found
