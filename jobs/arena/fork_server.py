"""Forks a process for each fit from one that has loaded what all methods load.

Loading pandas and scikit-learn takes longer than some methods take to learn, and a data set has more than a hundred
fits. A forked process has them from its first moment, shares with other fits nothing that either changes, and ends as
any other process does.

`python -m jobs.arena.fork_server` reads orders, a line each: a `Request` as JSON and where its process writes what it
says, as a JSON list of two paths. For each it writes two lines: the process's id when it is there, its exit status
when it is gone. The server, and a fit that runs, end when whoever started the server is gone, which closes its standard
input. It starts no thread, for those are not forked with it.
"""

import gc
import json
import os
import sys
import threading
from importlib import import_module
from pathlib import Path

from jobs.arena import fit

PRELOADED = ("pandas", "scipy.stats", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection")
STDIN, STDOUT, STDERR = range(3)


def main() -> None:
    """Serve orders until there are no more; in a process that it forked, run that order's fit and return."""
    for name in PRELOADED:
        import_module(name)
    gc.collect()
    gc.freeze()  # so that no collection in a fork writes to, and so copies, what it shares with the server
    while line := sys.stdin.readline():
        request, log = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(request, log)
            return
        _own_group(pid)
        _say(pid)
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _own_group(pid: int) -> None:
    """Make a process the first of a group, which can be ended with all that it starts.

    Server and fork both do so, for either may be first; what comes second, or too late, changes nothing.
    """
    try:
        os.setpgid(pid, pid)
    except (PermissionError, ProcessLookupError):  # it has ended already
        return


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _run(request: str, log: str) -> None:
    _own_group(os.getpid())
    place = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (STDOUT, STDERR):
        os.dup2(place, stream)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    fit.serve(Path(request))


def _end_with_the_server() -> None:
    while os.read(STDIN, 1):  # nothing is written there while a fit runs
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
