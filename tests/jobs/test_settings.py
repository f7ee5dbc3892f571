"""The run file: where it is read from, what it refuses, and that its help is whole."""

import re
from pathlib import Path

import pytest

from feature_extraction import storage
from jobs.settings import RunSettings, SettingsError, field_names, load
from tests.jobs import small_log

ROOT = Path(__file__).resolve().parents[2]
# Plans of a measurement, which tests/jobs/test_kddcup99.py reads, a platform file, which test_render.py reads, and a
# graph, which test_imsic_graph.py reads.
OTHER_FILES = ("kddcup99_", "platform.", "imsic_graph.")
RUN_FILES = sorted(
    path
    for stage in ("feature_extraction", "jobs", "docker")
    for path in (ROOT / stage).rglob("*.toml")
    if not path.name.startswith(OTHER_FILES)
)


@pytest.fixture
def run_file(tmp_path):
    return str(small_log.write(tmp_path))


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.name)
def test_every_shipped_run_file_is_valid(path):
    assert load(["--config", str(path)]).run_id


def test_there_are_shipped_run_files():
    assert RUN_FILES


def test_overrides_go_over_the_file(run_file):
    settings = load(["--config", run_file, "--train.scarcegan.leeway=0.2", "--score.alerts", "7"])
    assert settings.train.scarcegan.leeway == 0.2
    assert settings.score.alerts == 7
    assert settings.train.scarcegan.steps == 150


def test_a_single_metric_can_be_overridden(run_file):
    metric = load(["--config", run_file, "--events.metrics.amount.minimum", "3"]).events.metrics["amount"]
    assert (metric.minimum, metric.column) == (3.0, "amount")


def test_the_environment_changes_nothing(run_file, monkeypatch):
    monkeypatch.setenv("SCORE", '{"alerts": 3}')
    monkeypatch.setenv("TRAIN", '{"trainer": "logistic_regression"}')
    assert load(["--config", run_file]).score.alerts == 10


def test_settings_are_frozen(run_file):
    settings = load(["--config", run_file])
    with pytest.raises(ValueError, match="frozen"):
        settings.score.alerts = 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[trian]\n", "unknown key 'trian'; did you mean 'train'?"),
        ("[features]\nmin_step = 30\n", "unknown key 'features.min_step'; did you mean 'features.min_steps'?"),
        ("[events.metrics.x]\ncolunm = 'a'\n", "did you mean 'events.metrics.x.column'?"),
        ("[train.scarcegan]\nleewey = 0.1\n", "did you mean 'train.scarcegan.leeway'?"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_the_nearest(tmp_path, line, says):
    path = tmp_path / "run.toml"
    text = "[events]\nurl='e'\n[events.metrics.a]\ncolumn='a'\n[window]\nstart=2024-01-01\nend=2024-02-01\n"
    path.write_text(text + line)
    with pytest.raises(SettingsError, match=re.escape(says)):
        load(["--config", str(path)])


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--train.trianer", "did you mean 'train.trainer'?"),
        ("--scor.alerts", "did you mean 'score.alerts'?"),
        ("--events.metrics.amount.minimun", "did you mean 'events.metrics.amount.minimum'?"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest(run_file, flag, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        load(["--config", run_file, flag, "1"])


def test_everything_that_is_wrong_is_said_at_once(run_file):
    with pytest.raises(SettingsError) as caught:
        load(["--config", run_file, "--score.alerts", "0", "--train.scarcegan.leeway", "3", "--window.step_days", "x"])
    assert str(caught.value).count(run_file) == 3


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["--window.end", "2023-01-01"], "is not after window.start"),
        (["--window.step_days", "3.7"], "not a whole number of steps"),
        (["--window.start", "2024-01-01T00:00:00+02:00"], "without an offset"),
        (["--labels.rare", ""], "without labels.rare"),
        (["--events.metrics.visits.aggregate", "max"], "needs a column"),
        (["--output.run", "../x"], "output.run"),
        (["--features.growth", "logistic", "--features.cap", '{"amount": 90}'], "no number for the metric 'visits'"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(run_file, overrides, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        load(["--config", run_file, *overrides])


def test_no_run_file_is_said_plainly():
    with pytest.raises(SettingsError, match="give --config FILE"):
        load([])


def test_broken_toml_names_the_file_and_line(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[events\n")
    with pytest.raises(SettingsError, match=r"run\.toml: not readable as TOML.*line 1"):
        load(["--config", str(path)])


def test_help_lists_every_field_with_its_description(capsys):
    with pytest.raises(SystemExit) as caught:
        load(["--help"])
    assert caught.value.code == 0
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    leaves = [name for name in field_names() if not any(other.startswith(f"{name}.") for other in field_names())]
    for name in leaves:
        assert (name.rsplit(".", 1)[1] if "*" in name else f"--{name}") in text
    for description in descriptions(RunSettings):
        assert re.sub(r"\s+", " ", description) in text


def descriptions(model):
    for field in model.model_fields.values():
        kind = field.annotation
        assert field.description
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            yield from descriptions(kind)
        else:
            yield field.description


@pytest.mark.s3
def test_a_run_file_is_read_from_a_bucket(run_file, bucket):
    storage.write_bytes(storage.join(bucket, "run.toml"), Path(run_file).read_bytes())
    assert load(["--config", f"{bucket}/run.toml"]) == load(["--config", run_file])
