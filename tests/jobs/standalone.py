"""A standalone Spark cluster of pip's pyspark on loopback: a master and workers, each a process of its own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

from tests.conftest import SHORT_LIVED
from tests.jobs import sessions

HOME = Path(pyspark.__file__).parent
MASTER_SAYS = re.compile(r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
WORKER_SAYS = re.compile(r"Successfully registered with master")
SECONDS = 180
NOWHERE = "/dev/null/home"  # not to be made by anyone, root among them
KERNELS = str(Path(tempfile.gettempdir(), "scarce-tests-kernels"))


@dataclass(frozen=True)
class Cluster:
    """The master's URL, the folder with a working directory a worker, and the processes to be ended with it."""

    url: str
    work: Path
    submitted: list

    def executors(self):
        """Process ids of the executors that run now, as Spark starts them: below one of the workers' folders."""
        return [pid for pid, command in commands() if "CoarseGrainedExecutorBackend" in command and self.url_of(pid)]

    def url_of(self, pid):
        try:
            return str(self.work) in os.readlink(f"/proc/{pid}/cwd")
        except OSError:  # it ended meanwhile
            return False


def commands():
    """Yield (pid, command line) of every process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


def environment(**more):
    """What a submitting shell has: nothing of this checkout, Spark's home, loopback alone, and no home directory.

    Containers of YARN have none that can be written to, nor have those of Spark's images; kernels then are compiled
    for each application anew, unless there is a place for them.
    """
    plain = {name: os.environ[name] for name in ("PATH", "LANG", "JAVA_HOME") if name in os.environ}
    own = {
        "HOME": NOWHERE,
        "NUMBA_CACHE_DIR": KERNELS,
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
    }
    own |= {"SPARK_SUBMIT_OPTS": SHORT_LIVED, "SPARK_DAEMON_JAVA_OPTS": SHORT_LIVED}
    return plain | own | {"PYSPARK_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"} | more


@contextmanager
def started(folder, workers=2):
    """Give a `Cluster` with workers of one core each, and end all of it afterwards."""
    work = folder / "work"
    work.mkdir()
    processes = []
    try:
        daemon = "org.apache.spark.deploy.master.Master"
        master, log = _start(folder, "master", daemon, "--port", "0")
        processes.append(master)
        url = _wait_for(MASTER_SAYS, log, master)[1]
        places = []
        for number in range(workers):
            daemon = "org.apache.spark.deploy.worker.Worker"
            size = ("--cores", "1", "--memory", "2g", "--work-dir", work / str(number))
            worker, log = _start(folder, f"worker{number}", daemon, *size, url)
            processes.append(worker)
            places.append((log, worker))
        for log, worker in places:
            _wait_for(WORKER_SAYS, log, worker)
        yield Cluster(url, work, processes)
    finally:
        for process in reversed(processes):
            sessions.kill(process)


def _start(folder, name, daemon, *arguments):
    log = folder / f"{name}.log"
    with log.open("wb") as stream:
        process = sessions.start(
            [HOME / "bin/spark-class", daemon, "--host", "127.0.0.1", "--webui-port", "0", *arguments],
            cwd=folder,
            env=environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    return process, log


def _wait_for(pattern, log, process):
    for _ in range(SECONDS * 10):
        found = pattern.search(log.read_text())
        if found:
            return found
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.1)
    raise AssertionError(f"{log}: {pattern.pattern} never came\n{log.read_text()[-3000:]}")
