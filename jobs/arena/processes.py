"""Starts fits in processes of their own and ends them at their limits.

Takes a `Request` and `Limits`; gives an `Answer`. Processes are forked by servers (`jobs.arena.fork_server`), one for
each fit that runs at a time. The memory that a process holds is read where the kernel tells it under /proc, and so is
the work it has done; elsewhere a fit is limited by the clock alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from select import select
from typing import IO

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


Run = Callable[[Request, threading.Event], Answer]


@contextmanager
def forked(limits: Limits) -> Iterator[Run]:
    """Give what runs a fit to its end, or to a limit, which is then its outcome; it may be called by several threads.

    It raises `Stopped` where its event is set meanwhile. Servers are started when they are first needed and end with
    the context.
    """
    idle: SimpleQueue[_Server] = SimpleQueue()

    def run(request: Request, stop: threading.Event) -> Answer:
        try:
            server = idle.get_nowait()
        except Empty:
            server = _Server(limits)
        try:
            return server.run(request, stop)
        finally:
            if server.is_there:
                idle.put(server)
            else:
                server.end()

    try:
        yield run
    finally:
        while not idle.empty():
            idle.get().end()


class _Server:
    """A process that forks fits, one after another."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobs.arena.fork_server"],
            env=_environment(limits.threads),
            stdin=subprocess.PIPE,  # left open: server and fit end when it is closed, however this process ends
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )

    @property
    def is_there(self) -> bool:
        return self._process.poll() is None

    def run(self, request: Request, stop: threading.Event) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            order, log = Path(folder, "request.json"), Path(folder, "log")
            order.write_text(json.dumps(asdict(request)))
            said = self._ordered(order, log, stop)
            return said if isinstance(said, Answer) else _answer(request, said, log)

    def _ordered(self, order: Path, log: Path, stop: threading.Event) -> Answer | int:
        """Return the exit status of an order's process, or what is to be said of one that was ended at a limit."""
        with suppress(BrokenPipeError):  # the server is gone, and so says nothing
            _pipe(self._process.stdin).write(f"{json.dumps([str(order), str(log)])}\n".encode())
        pid = self._said()
        if pid is None:
            return self._process.wait()
        ended: Answer | int | None = None
        try:
            ended = self._watched(pid, stop)
        finally:
            if not isinstance(ended, int):
                self._kill(pid)
        return ended

    def _watched(self, pid: int, stop: threading.Event) -> Answer | int:
        """Wait for a process to end or to reach a limit."""
        started, most, limits = time.monotonic(), 0.0, self._limits
        while not self._has_said(POLL_SECONDS):
            held, worked = _taken(pid)
            most = round(max(most, held), 1)
            if held > limits.memory_mb:
                return Answer(OVER_MEMORY, f"it held {held:,.0f} MiB", peak_mb=most, limit=limits.memory_mb)
            passed = time.monotonic() - started
            if worked > limits.seconds or passed > limits.seconds * PATIENCE:
                said = f"it worked for {worked:,.0f} s within {passed:,.0f} s"
                return Answer(OVER_TIME, said, peak_mb=most, limit=limits.seconds)
            if stop.is_set():
                raise Stopped
        status = self._said()
        return self._process.wait() if status is None else status

    def _has_said(self, seconds: float) -> bool:
        return bool(select([_pipe(self._process.stdout)], [], [], seconds)[0])

    def _said(self) -> int | None:
        """Return the server's next number; None where it is gone."""
        line = _pipe(self._process.stdout).readline()
        return int(line) if line else None

    def _kill(self, pid: int) -> None:
        """End a process and all that it started; the server says when it is gone."""
        with suppress(ProcessLookupError):  # it has ended by itself just now
            os.killpg(pid, signal.SIGKILL)
        self._said()

    def end(self) -> None:
        """End the server, and the fit that it left where it is gone already."""
        for pipe in (self._process.stdin, self._process.stdout):
            _pipe(pipe).close()
        self._process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("a server that was started without pipes cannot be spoken to")
    return pipe


def _environment(threads: int) -> dict[str, str]:
    code = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return {**QUIET, **os.environ, **dict.fromkeys(THREADS, str(threads)), **code}


def _taken(pid: int) -> tuple[float, float]:
    """Return the memory that a process holds, in MiB, and the processors' seconds that it has taken."""
    try:
        status, numbers = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has just ended, or there is no /proc
        return 0.0, 0.0
    held = next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)
    user, system = numbers.rpartition(")")[2].split()[11:13]
    return held, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _answer(request: Request, status: int, log: Path) -> Answer:
    """Return what a process that ended by itself left, or how it crashed."""
    place = Path(request.answer)
    if status == 0 and place.exists():
        found = Answer(**json.loads(place.read_text()))
        if found.outcome != DONE or Path(request.scores).exists():
            return found
    said = log.read_text(errors="replace") if log.exists() else ""
    last = " / ".join(said.strip().splitlines()[-LINES_OF_A_CRASH:])
    killed = " (killed, most likely for want of memory)" if status == -signal.SIGKILL else ""
    return Answer(FAILED, f"the process ended with {status}{killed}: {last or 'it said nothing'}")
