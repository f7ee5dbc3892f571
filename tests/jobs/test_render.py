"""Job files for the platforms: the examples in docker/ are what the command makes, and what decides what they say."""

import json
import re
import shlex
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
import yaml

from jobs.render import __main__ as command
from jobs.render.platform_file import PlatformSettings
from jobs.settings import SettingsError, field_names, load
from tests.jobs.rendering import DOCKER, PLATFORM, RUN_FILE, platform_with, rendered, without

RENDERED = ("kubernetes", "emr", "airflow")


def test_the_examples_are_what_the_command_makes():
    made = rendered()
    kept = {path.relative_to(DOCKER).as_posix(): path for folder in RENDERED for path in (DOCKER / folder).rglob("*.*")}
    assert sorted(kept) == sorted(made), "python -m jobs.render with --output docker makes them again"
    for name, path in kept.items():
        assert path.read_text() == made[name], name


def test_the_command_writes_files_and_says_which(tmp_path, caplog):
    caplog.set_level("INFO", "jobs.render")
    command.main(["--config", str(RUN_FILE), "--platform", str(PLATFORM), "--target", "emr", "--output", str(tmp_path)])
    assert (tmp_path / "emr/steps.json").read_text() == (DOCKER / "emr/steps.json").read_text()
    assert str(tmp_path / "emr/steps.json") in caplog.text


def training(made):
    return yaml.safe_load(made["kubernetes/train.yaml"])["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("overrides", "image", "gpus"),
    [
        ([], "keras", 1),
        (["--train.trainer", "qast"], "torch", 1),
        (["--train.trainer", "logistic_regression"], "keras", None),
        (["--train.trainer", "logistic_regression", "--train.compare", '["qast"]'], "torch", 1),
        (["--train.trainer", "auto"], "keras", None),
        (["--train.trainer", "auto", "--train.auto.few_label_members", '["qast"]'], "torch", 1),
    ],
)
def test_the_training_image_is_that_of_the_trainers_framework(overrides, image, gpus):
    found = training(rendered(*overrides, target="kubernetes"))
    assert found["image"] == f"registry.example.com/scarce/{image}:0.1.0"
    assert found["resources"]["limits"].get("nvidia.com/gpu") == gpus
    assert found["args"] == ["jobs.train", "--config", "s3://example-bucket/scarce/run.toml", *overrides]


@pytest.mark.parametrize(("cores", "threads"), [("4", "4"), ("2500m", "3"), ("100m", "1")])
def test_training_takes_as_many_threads_as_cores_were_asked_for(tmp_path, cores, threads):
    platform = platform_with(tmp_path, {'cpu = "4"': f'cpu = "{cores}"'})
    found = training(rendered(target="kubernetes", platform=platform))
    variables = {one["name"]: one["value"] for one in found["env"]}
    assert found["resources"]["requests"]["cpu"] == cores
    assert [variables[name] for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")] == [threads, threads]


def test_overrides_go_to_every_job():
    made = rendered("--score.alerts", "50")
    assert [name for name, text in made.items() if "--score.alerts" not in text and not name.endswith(".py")] == []


def test_every_job_can_read_its_arguments():
    made = rendered("--score.alerts", "50")
    applications = [
        yaml.safe_load(text)["spec"] for name, text in made.items() if name.startswith("kubernetes/kubeflow")
    ]
    given = [spec.get("template", spec)["arguments"] for spec in applications]
    for name, text in made.items():
        if name.startswith("emr/serverless"):
            given.append(json.loads(text)["jobDriver"]["sparkSubmit"]["entryPointArguments"])
    assert len(given) == 8
    for config, _, *rest in given:
        assert config == "--config"
        assert load(["--config", str(RUN_FILE), *rest]).score.alerts == 50


def test_a_scheduled_window_ends_on_the_day_of_the_run():
    spec = yaml.safe_load(rendered(target="kubernetes")["kubernetes/kubeflow/scheduled.yaml"])["spec"]["template"]
    days = {datetime.now(ZoneInfo("Asia/Tokyo")).date()}
    window = load(["--config", str(RUN_FILE), *spec["arguments"][2:], "--events.time_zone", "Asia/Tokyo"]).window
    days |= {datetime.now(ZoneInfo("Asia/Tokyo")).date()}
    assert window.end in {datetime.combine(day, time.min) for day in days}
    assert (window.end - window.start).days == 180


def test_an_own_server_is_known_to_spark_and_to_training(tmp_path):
    change = {
        'region = "eu-central-1"': 'endpoint = "http://minio:9000"',
        'namespace = "scarce"': 'credentials_secret = "keys"',
    }
    made = rendered(target="kubernetes", platform=platform_with(tmp_path, change))
    score = yaml.safe_load(made["kubernetes/kubeflow/score.yaml"])["spec"]
    assert score["sparkConf"]["spark.hadoop.fs.s3a.endpoint"] == "http://minio:9000"
    assert score["sparkConf"]["spark.kubernetes.driverEnv.AWS_ENDPOINT_URL"] == "http://minio:9000"
    assert {"name": "AWS_ENDPOINT_URL", "value": "http://minio:9000"} in training(made)["env"]
    for container in (score["driver"], score["executor"], training(made)):
        assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_the_platforms_own_spark_settings_go_over_ours(tmp_path):
    change = {"[schedule]": '[spark.conf]\n"spark.hadoop.fs.s3a.connection.maximum" = "7"\n[schedule]'}
    made = rendered(platform=platform_with(tmp_path, change))
    for operator in ("kubeflow", "apache"):
        conf = yaml.safe_load(made[f"kubernetes/{operator}/extract.yaml"])["spec"]["sparkConf"]
        assert conf["spark.hadoop.fs.s3a.connection.maximum"] == "7"


def test_what_yaml_might_read_otherwise_stays_text():
    conf = yaml.safe_load(rendered(target="kubernetes")["kubernetes/kubeflow/extract.yaml"])["spec"]["sparkConf"]
    assert all(isinstance(value, str) for value in conf.values())


def test_an_argument_with_spaces_and_quotes_reaches_emr_whole():
    where = "dt >= '2026-01-01' and kind = \"x\""
    steps = json.loads(rendered("--events.where", where, target="emr")["emr/steps.json"])["Steps"]
    for step in steps[1:]:
        words = shlex.split(step["HadoopJarStep"]["Args"][2])
        assert words[words.index("--events.where") + 1] == where


def test_all_is_what_the_platform_file_has_sections_for(tmp_path):
    only_emr = platform_with(tmp_path, without("kubernetes", "images", "airflow"))
    assert {name.split("/")[0] for name in rendered(platform=only_emr)} == {"emr"}
    no_schedule = platform_with(tmp_path, without("schedule", "airflow", "emr"))
    assert "kubernetes/kubeflow/scheduled.yaml" not in rendered(platform=no_schedule)


@pytest.mark.parametrize(
    ("change", "target", "says"),
    [
        (
            {"max_executors": "max_executers"},
            "all",
            "unknown key 'spark.max_executers'; did you mean 'spark.max_executors'?",
        ),
        ({"cluster_id": "cluster"}, "all", "unknown key 'emr.cluster'; did you mean 'emr.cluster_id'?"),
        ({'memory_overhead = "4g"': 'memory_overhead = "4 GB"'}, "all", "spark.memory_overhead"),
        ({"spark:0.1.0": "spark"}, "all", "images.spark"),
        ({"s3://example-bucket/scarce/run.toml": "run.toml"}, "all", "run_file"),
        ({'cluster_id = "j-2AXXXXXXGAPLF"': ""}, "emr", "no emr.cluster_id"),
        (without("emr"), "emr-eks", "no [emr]"),
        (without("images"), "kubernetes", "no [images]"),
        (without("kubernetes"), "kubernetes-apache", "no [kubernetes]"),
        (without("schedule"), "airflow", "no [schedule]"),
        (without("kubernetes", "emr"), "airflow", "neither [kubernetes] nor emr.serverless_application"),
        (without("kubernetes", "emr", "airflow"), "all", "no section for any target"),
    ],
)
def test_a_platform_file_that_does_not_do_is_refused(tmp_path, change, target, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        rendered(target=target, platform=platform_with(tmp_path, change))


@pytest.mark.parametrize(
    ("overrides", "target", "says"),
    [
        (["--output.root", "out"], "emr", "output.root = 'out': a local path"),
        (["--train.compare", '["qast"]'], "kubernetes", "Keras (scarcegan) and of PyTorch (qast)"),
        (["--train.workers", "spark"], "kubernetes", "train.workers = 'spark'"),
        (["--scor.alerts", "5"], "emr", "did you mean 'score.alerts'?"),
    ],
)
def test_a_run_that_cannot_go_there_is_refused(overrides, target, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        rendered(*overrides, target=target)


@pytest.mark.parametrize("target", ["kubernetes", "airflow"])
def test_a_window_that_stands_still_is_not_scheduled(tmp_path, target):
    fixed = tmp_path / "run.toml"
    fixed.write_text(re.sub(r"(?m)^days = .*$", "start = 2026-05-01", RUN_FILE.read_text()))
    with pytest.raises(SettingsError, match=re.escape("give window.days")):
        rendered(target=target, run_file=fixed)
    assert rendered(target="emr", run_file=fixed)


def test_every_field_of_the_platform_file_is_described():
    assert {"kubernetes.namespace", "emr.code", "airflow.dag_id"} <= set(field_names(PlatformSettings))
    assert all(described(PlatformSettings))


def described(model):
    for field in model.model_fields.values():
        yield bool(field.description)
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if hasattr(kind, "model_fields"):
                yield from described(kind)
