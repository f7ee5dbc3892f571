"""What a submitter ships to a cluster: the zip of the code and a packed environment, each of which leaves marks."""

import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

from tests.jobs.conftest import ROOT

# Left by every process that imports the zip's copy and not the checkout's.
MARK = "\nimport os, pathlib\npathlib.Path({folder!r}, str(os.getpid())).touch()\n"
MARKED = "feature_extraction/schema.py"


def zipped(target, marks):
    """Zip the four packages as `make zip` does, with a mark in one of them."""
    with zipfile.ZipFile(target, "w") as archive:
        for stage in ("feature_extraction", "training", "inference", "jobs"):
            for path in sorted((ROOT / stage).rglob("*")):
                name = path.relative_to(ROOT).as_posix()
                if path.is_file() and "__pycache__" not in path.parts:
                    mark = MARK.format(folder=str(marks)) if name == MARKED else ""
                    archive.writestr(name, path.read_text() + mark)
    return target


def packed_environment(target, marks):
    """Pack what venv-pack packs: an interpreter and its configuration; the packages stay where they are."""
    build = target.with_suffix(".build")
    packages = build / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    (build / "bin").mkdir()
    interpreter = Path(sys.executable).resolve()
    (build / "bin/python").symlink_to(interpreter)
    (build / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
    mark = f"import os, pathlib; pathlib.Path({str(marks)!r}, str(os.getpid())).touch()"
    (packages / "real.pth").write_text(f"{sysconfig.get_path('purelib')}\n{mark}\n")
    with tarfile.open(target, "w:gz") as archive:
        for path in sorted(build.iterdir()):
            archive.add(path, path.name)
    return target
