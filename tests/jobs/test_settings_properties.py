"""The run file under drawn keys, values and texts: what is written is what is read, or a `SettingsError` says why."""

import json
import tempfile
import tomllib
from datetime import date
from pathlib import Path

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from feature_extraction.storage import StorageError
from jobs.settings import RunSettings, SettingsError, field_names, load

derandomized = settings(
    derandomize=True,
    deadline=None,
    print_blob=True,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
LEAST = {
    "events.url": "events",
    "events.metrics.amount.column": "amount",
    "window.start": "2024-01-01",
    "window.end": "2024-03-01",
}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
counts = st.integers(1, 10**6)
shares = st.floats(0, 0.99)
VALUES = {
    "events.url": texts,
    "events.format": st.sampled_from(["parquet", "csv", "json"]),
    "events.entity": texts,
    "events.time_zone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]),
    "events.where": texts,
    "events.key": st.lists(texts, max_size=3),
    "events.max_refused": shares,
    "events.metrics.amount.column": texts.filter(bool),
    "events.metrics.amount.minimum": st.floats(allow_nan=False, allow_infinity=False),
    "events.metrics.amount.where": texts,
    "events.metrics.amount.aggregate": st.sampled_from(["sum", "mean", "last", "nunique"]),
    "window.end": st.dates(date(2024, 2, 1), date(2050, 1, 1)).map(str),
    "labels.rare": texts,
    "labels.holdout_share": shares,
    "labels.seed": st.integers(-(2**62), 2**62),
    "features.min_steps": st.integers(14, 10**6),
    "features.interval_width": st.floats(0.01, 0.99),
    "train.trainer": st.sampled_from(["scarcegan", "mlp", "qast", "gradient_boosting"]),
    "train.compare": st.lists(st.sampled_from(["mlp", "aae", "logistic_regression"]), max_size=2, unique=True),
    "train.scarcegan.leeway": shares,
    "train.logistic_regression.C": st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=3),
    "score.alerts": counts,
    "output.root": texts,
    "output.run": st.text("abcXYZ019._-", max_size=9),
}
given_keys = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), max_size=8)
drawn_values = given_keys.flatmap(lambda keys: st.fixed_dictionaries({key: VALUES[key] for key in keys}))


def as_toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(content, *overrides):
    """Load a run file of dotted keys, or of this text or these bytes."""
    if isinstance(content, dict):
        lines = [f"{'.'.join(map(as_toml, key.split('.')))} = {as_toml(value)}" for key, value in content.items()]
        content = "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run.toml")
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(["--config", str(place), *overrides])


def at(tree, key):
    for part in key.split("."):
        tree = tree[part]
    return tree


@derandomized
@given(drawn_values)
def test_what_is_written_is_read_and_written_again(values):
    found = read(LEAST | values)
    dumped = found.model_dump(mode="json", exclude_none=True)
    for key, value in values.items():
        expected = f"{value}T00:00:00" if key == "window.end" else value
        assert at(dumped, key) == expected, key
    again = read({name: value for name, value in dumped.items()})
    assert again == found
    assert again.run_id == found.run_id


def as_argument(value):
    return value if isinstance(value, str) else json.dumps(value)


@derandomized
@given(st.sampled_from(sorted(set(VALUES) - {"events.key"})).flatmap(lambda key: st.tuples(st.just(key), VALUES[key])))
@example(("labels.rare", "None"))
@example(("labels.rare", "null"))
@example(("labels.rare", "-1"))
@example(("labels.rare", "[x"))
@example(("labels.rare", '{"a": 1}'))
@example(("events.where", "a = 'b' and c >= 3"))
@example(("output.root", "--score.alerts"))
def test_an_override_is_the_same_key_in_the_file(pair):
    key, value = pair
    assert read(LEAST, f"--{key}={as_argument(value)}") == read(LEAST | {key: value})


def known_keys():
    return [name.replace("*", "amount") for name in field_names()]


def distance(one, other):
    """Return how many letters must be put in, taken out or replaced."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


@st.composite
def misspelled(draw):
    """Draw a known key and the same with one letter wrong, next to which no other key is as near."""
    key = draw(st.sampled_from([key for key in known_keys() if len(key.split(".")[-1]) > 3]))
    parent, _, name = key.rpartition(".")
    place, letter = draw(st.integers(0, len(name) - 1)), draw(st.sampled_from("abcdefgz_"))
    wrong = draw(st.sampled_from([name[:place] + name[place + 1 :], name[:place] + letter + name[place:]]))
    siblings = [other for other in known_keys() if other.rpartition(".")[0] == parent and other != key]
    assume(wrong != name and all(distance(wrong, other.split(".")[-1]) > 3 for other in siblings))
    return key, f"{parent}.{wrong}".lstrip(".")


@derandomized
@given(misspelled(), st.booleans())
def test_an_unknown_key_anywhere_is_refused_with_the_nearest(keys, on_the_command_line):
    key, wrong = keys
    assume(key.split(".")[:2] != ["events", "metrics"] or len(key.split(".")) == 4)
    said = refusal(LEAST, f"--{wrong}=1") if on_the_command_line else refusal(LEAST | {wrong: 1})
    assert f"unknown key '{wrong}'; did you mean '{key}'?" in said


def refusal(content, *overrides):
    try:
        read(content, *overrides)
    except SettingsError as error:
        return str(error)
    raise AssertionError("it was taken as it stands")


odd = st.one_of(
    st.sampled_from(
        [True, -1, 10**30, 1.5, float("1e300"), "", "x", "None", "today", [], [1], ["a"], {}, {"a": 1}, [[]], "\n"]
    ),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)


@settings(derandomized, max_examples=120)
@given(st.sampled_from(known_keys()), odd)
@example("window.step_days", 1e-12)
@example("window.step_days", 1e300)
@example("window.days", 1e300)
@example("window.end", "9999-12-31T23:59:59.999999")
@example("window.start", "0001-01-01")
@example("events.time_zone", "../../etc/passwd")
@example("events.metrics", {"amount": {"column": "a" * 99, "aggregate": "sum"}})
def test_a_value_of_any_kind_is_taken_or_refused(key, value):
    rest = {other: here for other, here in LEAST.items() if not f"{other}.".startswith(f"{key}.")}
    if any(f"{key}.".startswith(f"{other}.") and key != other for other in rest):
        return
    try:
        found = read(rest | {key: value})
    except SettingsError:
        return
    assert isinstance(found, RunSettings)
    assert RunSettings.model_validate(found.model_dump()) == found


pieces = st.sampled_from(
    [*"[]{}=.'\"#\n,:-+_ 1aeZ", "events", "[[", "]]", "window", "inf", "nan", "2024-01-01", '"""', "\\u"]
)
HEAD = "events.url = 'e'\nevents.metrics.a.column = 'a'\nwindow.start = 2024-01-01\nwindow.end = 2024-02-01\n"


@derandomized
@given(st.one_of(st.binary(max_size=80), st.lists(pieces, max_size=30).map("".join), texts))
@example(b"a = '\xff'")
@example(b"\xef\xbb\xbf[events]")
@example("a = " + "[" * 100_000)
@example("a = " + "9" * 10_000)
@example("a" + ".a" * 500 + " = 1")
@example("'' = 1")
@example("events = 1\nwindow = 2")
@example("window = []\nevents = ''")
def test_a_file_of_any_text_is_read_or_refused(content):
    whole = HEAD.encode() + (content if isinstance(content, bytes) else content.encode())
    for text in (whole, content):
        try:
            read(text)
        except SettingsError:
            continue


arguments = st.one_of(
    st.sampled_from([f"--{key}" for key in known_keys()]),
    st.sampled_from([f"--{key}=" for key in known_keys()]),
    st.sampled_from(
        ["--", "-", "-x", "--=", "=", "{", "[1", "3", "--events.metrics=3", "--score={", "--events..x", "--a b"]
    ),
    texts.filter(lambda text: text not in ("-h", "--help") and not text.startswith("--config")),
)


@settings(derandomized, max_examples=120)
@given(st.lists(arguments, min_size=1, max_size=3))
@example(["--events.key", "[1"])
@example(["--events.metrics", "3"])
@example(["--score", "{"])
@example(["x"])
@example(["--score.alerts"])
@example(["--config", "/no/such/file"])
@example(["--config", "ftp://a/b"])
def test_arguments_of_any_kind_are_read_or_refused(tokens):
    try:
        read(HEAD, *tokens)
    except (SettingsError, StorageError):
        return


def test_the_files_drawn_are_toml():
    odd_texts = {"b": ["\x7f", "ü", "\n", "\\", '"']}
    assert tomllib.loads(f"a = {as_toml(odd_texts)}") == {"a": odd_texts}
