"""One local Spark for the tests here, shared with whoever runs one already, a small table with its models, Chromium."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.spark import session
from tests.inference import small_table
from tests.inference.chromium import FLAGS, SCREENSHOTS
from training.baselines import GradientBoosting, LogisticRegression


@pytest.fixture(scope="session")
def local_spark():
    """The process has one Spark at most; one that others started is theirs to stop."""
    found = SparkSession.getActiveSession()
    if found is not None:
        yield found
        return
    with session("tests") as started:
        yield started


@pytest.fixture
def spark(local_spark):
    settings = {"spark.sql.shuffle.partitions": "4", "spark.sql.session.timeZone": "UTC"}
    for key, value in settings.items():
        local_spark.conf.set(key, value)
    yield local_spark
    local_spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")


@pytest.fixture(scope="session")
def example():
    return small_table.example()


@pytest.fixture(scope="session")
def features_url(example, tmp_path_factory):
    return example.write(tmp_path_factory.mktemp("features") / "run=small")


@pytest.fixture(scope="session")
def network(example, tmp_path_factory):
    return saved(small_table.network(example), tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def logistic(example, tmp_path_factory):
    return saved(LogisticRegression().fit(example.reader()), tmp_path_factory.mktemp("logistic"))


@pytest.fixture(scope="session")
def boosted(example, tmp_path_factory):
    return saved(GradientBoosting(trees=10).fit(example.reader()), tmp_path_factory.mktemp("boosted"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS


def saved(model, folder):
    """Save a model and return its URL."""
    model.save(str(folder))
    return str(folder)
