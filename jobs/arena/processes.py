"""Starts a fit in a process of its own and ends it at its limits.

Takes a `Request` and `Limits`; gives an `Answer`. The memory that a process holds is read where the kernel tells it
under /proc, and so is the work it has done; elsewhere a fit is limited by the clock alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.arena.fit import DONE, FAILED, Answer, Request
from jobs.console import QUIET

OVER_TIME, OVER_MEMORY = "over time", "over memory"
POLL_SECONDS = 0.1
PATIENCE = 10
LINES_OF_A_CRASH = 3
# Every library that would take all cores of the machine, and so make one fit's time depend on its neighbors.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class Limits:
    """What one fit may take.

    Attributes:
        seconds: that the processors may work for it, the start of the process and the scoring among them. By the
            clock it may take `PATIENCE` times as long, for a busy machine is no fault of the method's.
        memory_mb: that the process holds at any time, in MiB.
        threads: of each library.
    """

    seconds: float = 1_800
    memory_mb: float = 8_192
    threads: int = 1


class Stopped(RuntimeError):
    """The whole run is being ended, and this fit with it."""


def run(request: Request, limits: Limits, stop: threading.Event) -> Answer:
    """Run a fit to its end, or to a limit, which is then its outcome.

    Raises:
        Stopped: `stop` was set meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder:
        order, said = Path(folder, "request.json"), Path(folder, "log")
        order.write_text(json.dumps(asdict(request)))
        with said.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "jobs.arena.fit", str(order)],
                env=_environment(limits.threads),
                stdin=subprocess.PIPE,  # left open: the child ends when it is closed, however this process ends
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ended = _watched(child, limits, stop)
        return ended or _answer(request, child.returncode, said.read_text(errors="replace"))


def _environment(threads: int) -> dict[str, str]:
    code = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return {**QUIET, **os.environ, **dict.fromkeys(THREADS, str(threads)), **code}


def _watched(child: subprocess.Popen[bytes], limits: Limits, stop: threading.Event) -> Answer | None:
    """Wait for a process; return what is to be said of one that was ended at a limit."""
    started, most = time.monotonic(), 0.0
    try:
        while True:
            try:
                child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                held, worked = _taken(child.pid)
                most = round(max(most, held), 1)
                if held > limits.memory_mb:
                    return Answer(OVER_MEMORY, f"it held {held:,.0f} MiB", peak_mb=most, limit=limits.memory_mb)
                passed = time.monotonic() - started
                if worked > limits.seconds or passed > limits.seconds * PATIENCE:
                    said = f"it worked for {worked:,.0f} s within {passed:,.0f} s"
                    return Answer(OVER_TIME, said, peak_mb=most, limit=limits.seconds)
                if stop.is_set():
                    raise Stopped from None
            else:
                return None
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _taken(pid: int) -> tuple[float, float]:
    """Return the memory that a process holds, in MiB, and the processors' seconds that it has taken."""
    try:
        status, numbers = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has just ended, or there is no /proc
        return 0.0, 0.0
    held = next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
    user, system = numbers.rpartition(")")[2].split()[11:13]
    return held, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _answer(request: Request, status: int, said: str) -> Answer:
    """Return what a process that ended by itself left, or how it crashed."""
    place = Path(request.answer)
    if status == 0 and place.exists():
        found = Answer(**json.loads(place.read_text()))
        if found.outcome != DONE or Path(request.scores).exists():
            return found
    last = " / ".join(said.strip().splitlines()[-LINES_OF_A_CRASH:])
    killed = " (killed, most likely for want of memory)" if status == -signal.SIGKILL else ""
    return Answer(FAILED, f"the process ended with {status}{killed}: {last or 'it said nothing'}")
