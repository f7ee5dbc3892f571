"""The page: its tables, sentences and drawings say what the rows say, and what is missing."""

import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from jobs.arena import advice, claims, ledger, page, plan, plots, tables
from jobs.arena.plan import AUTO, Plan
from tests.jobs.arena import results
from training.trainer import TRAINERS

ASKED = Plan(trainers=("gradient_boosting",))
LOGS = tuple(claims.BARS)


@pytest.fixture(autouse=True)
def _auto_is_a_method(monkeypatch):
    monkeypatch.setitem(TRAINERS, AUTO, "training.baselines:GradientBoosting")
    monkeypatch.setattr(plan, "is_baseline", lambda name: "boosting" in name or "regression" in name)
    monkeypatch.setattr(Plan, "method", lambda self, trainer: "00000000")


def typed(*parts):
    return pd.concat([ledger.typed(part) for part in parts], ignore_index=True)


def test_all_of_it_is_written_and_drawn(tmp_path):
    rows = typed(
        results.rows(skill=results.SKILL | {AUTO: 0.36}),
        results.rows(
            data=[f"adbench_{number}" for number in range(12)], kind="table", skill=results.SKILL | {AUTO: 0.3}
        ),
        results.rows(data=("nafld_death3y",), skill={"mlp": 0.1}, outcome="failed"),
        results.rows(data=("nafld_death3y",), skill={"aae": 0.1}, outcome="left out", budgets=("200",)),
    )
    place = page.write(str(tmp_path / "page"), tmp_path / "fits", rows, ASKED)
    text = (tmp_path / "page" / "arena.md").read_text()
    assert place.endswith("arena.md")
    assert "| `gradient_boosting` (baseline) |" in text
    assert "- Labels 20: beyond noise, than the best baseline better on " in text
    assert "`mlp`: 10 fits failed (ValueError: it did not work): nafld_death3y (10)." in text
    assert "nafld_death3y, labels 200: left out" in text
    drawings = sorted((tmp_path / "page").glob("*.svg"))
    assert {path.name for path in drawings} >= {
        "arena_event_logs_all_ranks.svg",
        "arena_event_logs_differences.svg",
        "arena_adbench_20_ranks.svg",
    }
    for path in drawings:
        ElementTree.parse(path)
        assert f"({path.name})" in text
    assert len(pd.read_parquet(tmp_path / "fits" / "results.parquet")) == len(rows)


def test_what_is_not_measured_has_no_place_in_the_drawing():
    rows = typed(
        results.rows(skill=results.SKILL | {AUTO: 0.36}),
        results.rows(data=("nafld_death3y",), skill=results.SKILL),
        results.rows(data=("bpic12_fraudcheck",), skill={AUTO: 0.36}, outcome="left out"),
    )
    drawn = plots.differences(rows[rows["main"]], ["all", "20"]).decode()
    for name in results.LOGS:
        assert f">{name}<" in drawn
    assert "nafld_death3y" not in drawn
    assert "bpic12_fraudcheck" not in drawn
    apart = rows["main"] & ((rows["trainer"] != AUTO) | (rows["data"] == "bpic12_fraudcheck"))
    assert plots.differences(rows[apart], ["all", "20"]) is None


def test_a_small_probability_is_not_said_to_be_none():
    names = [f"t{number:02d}" for number in range(14)]
    found = tables.summary(typed(results.rows(data=names, kind="table", skill=results.SKILL | {AUTO: 0.6})))
    assert "< 0.001" in found
    assert "0.000" not in found


def test_the_same_rows_give_the_same_bytes_and_are_found_again(tmp_path):
    rows = typed(results.rows())
    texts = []
    for found in (rows, rows[rows["data"] == "oulad_distinction"]):
        page.write(str(tmp_path / "page"), tmp_path / "fits", found, ASKED)
        texts.append({path.name: path.read_bytes() for path in sorted((tmp_path / "page").iterdir())})
    assert texts[0] == texts[1]


def test_new_rows_replace_old_ones_but_wishes_do_not(tmp_path):
    old = typed(results.rows(skill={"mlp": 0.2}))
    page.write(str(tmp_path), tmp_path / "fits", old, ASKED)
    wishes = old.assign(outcome="not run", average_precision=float("nan"))
    better = old[old["seed"] == 0].assign(average_precision=0.9)
    found = ledger.merged(str(tmp_path), typed(wishes[wishes["seed"] > 0], better))
    assert (found[found["seed"] == 0]["average_precision"] == 0.9).all()
    assert (found["outcome"] == "done").all()
    assert len(found) == len(old)


def test_a_twin_of_another_program_is_refused(tmp_path):
    (tmp_path / "arena.csv").write_text("data,score\nx,1\n")
    with pytest.raises(ValueError, match="other columns than this program writes"):
        ledger.merged(str(tmp_path), typed(results.rows()))


def test_old_code_is_told(tmp_path):
    rows = typed(results.rows(skill={"mlp": 0.2}, method="11111111"))
    page.write(str(tmp_path), tmp_path / "fits", rows, ASKED)
    assert f"{len(rows)} figures were measured with other settings" in (tmp_path / "arena.md").read_text()


def test_claims_stand_on_pages_of_the_logs_that_they_are_about(tmp_path):
    for data, stated in ((LOGS[:1], True), (("a stranger's",), False)):
        folder = tmp_path / data[0].replace(" ", "_")
        page.write(str(folder), tmp_path / "fits", typed(results.rows(data=data, skill={"mlp": 0.2})), ASKED)
        assert ("## What was asked" in (folder / "arena.md").read_text()) == stated


@pytest.mark.parametrize(
    ("skill", "logs", "verdict"),
    [(0.9, LOGS, "**holds**"), (0.1, LOGS, "**is missed**"), (0.9, LOGS[:3], "**not decided yet**")],
)
def test_the_claim_on_all_labels_is_decided_by_the_figures(skill, logs, verdict):
    said = claims.all_labels(typed(results.rows(data=logs, skill=results.SKILL | {AUTO: skill}))).split("\n")
    assert verdict in said[0]
    beaten = sum(skill + 0.1 * place > claims.BARS[log] for place, log in enumerate(logs))
    assert f"its mean is above on {beaten} of {len(logs)} measured ones" in said[0]
    better = len(logs) if skill > 0.3 else 0
    assert f"is better on {better} of {len(logs)} measured ones" in said[1]
    assert f"worse beyond noise on {'none' if better else ', '.join(logs)}." in said[1]


def test_a_log_below_its_published_bar_within_noise_is_not_a_miss():
    rows = results.rows(data=LOGS[:1], skill={AUTO: claims.BARS[LOGS[0]] - 0.05}, spread=0.05)
    assert "above on 0 of 1 measured ones, worse beyond noise on none" in claims.all_labels(typed(rows))


@pytest.mark.parametrize(("skill", "verdict"), [(0.30 * 1.5, "**holds**"), (0.30, "**is missed**")])
def test_the_claim_on_few_labels_is_decided_by_the_figures(skill, verdict):
    rows = results.rows(data=LOGS, skill=results.SKILL | {AUTO: skill}, budgets=("20", "50"), seeds=2)
    assert claims.few_labels(typed(rows)).count(verdict) == 2


def test_what_is_not_measured_is_said_to_be_so():
    rows = typed(results.rows(skill={"mlp": 0.2}))
    assert "**not measured**" in claims.few_labels(rows)
    assert "measured on " + ", ".join(LOGS) in claims.all_labels(rows)
    assert tables.differences(rows) == "`auto` is not measured yet."
    assert advice.section(rows.assign(outcome="failed")) == advice.NOTHING


def test_the_time_of_a_column_is_the_sum_of_its_processes():
    rows = typed(results.rows(data=LOGS[:1], skill={"mlp": 0.2}, seeds=6)).assign(process_seconds=120.0)
    said = claims.column_time(rows)  # 5 fits of 2 minutes at each budget, for two processors
    assert said.endswith(f"| {LOGS[0]} | 5.0 (1) | 5.0 (1) | 10.0 |")
    assert claims.column_time(rows[rows["seed"] < 2]) == said  # seeds that are missing take as long as the others
    assert "**not measured**" in claims.column_time(rows.assign(process_seconds=0.0))


def test_the_time_of_a_column_is_told_of_the_budgets_that_were_measured():
    rows = typed(results.rows(data=LOGS[:2], skill={"mlp": 0.2}, seeds=5)).assign(process_seconds=120.0)
    rows = rows[(rows["data"] == LOGS[0]) | (rows["budget"] == "20")]
    assert claims.column_time(rows).endswith(f"| {LOGS[1]} | – | 5.0 (1) | 5.0 |")


def test_the_advice_tells_what_a_method_costs_at_each_budget_and_ranks_no_method_alone():
    rows = typed(results.rows(data=LOGS, skill={"scarcegan": 0.4, "mlp": 0.3}))
    rows = rows.assign(cpu_seconds=rows["budget"].map({"all": 600.0, "20": 6.0}))
    said = advice.section(rows)
    assert "takes 600.0 s" in said.split("20 rare labels")[0]
    assert "takes 6.0 s" in said.split("20 rare labels")[1]
    alone = advice.section(rows[(rows["budget"] == "20") | (rows["trainer"] == "mlp")])
    assert "All labels: only `mlp` is measured on each of 8" in alone


def test_the_advice_names_the_best_the_cheaper_and_what_is_not_worth_it():
    rows = typed(results.rows(data=LOGS, skill={"scarcegan": 0.40, "gradient_boosting": 0.395, "mlp": 0.1}, seeds=5))
    costs = rows["trainer"].map({"scarcegan": 60.0, "gradient_boosting": 2.0, "mlp": 30.0})
    said = advice.section(rows.assign(cpu_seconds=costs))
    assert "All labels: `scarcegan` ranks best" in said
    assert said.count("and takes 60.0 s of a processor (median)") == 2
    assert "`gradient_boosting` is so on" in said
    assert "`mlp` (-" in said
    assert "30 times" not in said
    assert "15 times the processor's time" in said
    assert "adds beyond noise on " + ", ".join(sorted(LOGS)) in said


def test_the_advice_on_tables_stands_apart_from_that_on_logs():
    logs = results.rows(skill={"scarcegan": 0.4, "mlp": 0.3})
    others = results.rows(data=("adbench_a", "own"), skill={"scarcegan": 0.3, "mlp": 0.4}, kind="table")
    said = advice.section(typed(pd.concat([logs, others], ignore_index=True)))
    first, second = said.split("### And on 2 tables without a history?")
    assert first.count("`scarcegan` ranks best (mean rank 1.0 of 2 over 3)") == 2
    assert second.count("`mlp` ranks best (mean rank 1.0 of 2 over 2)") == 2
    assert "### When is it not worth it?" in second
    alone = advice.section(typed(others))
    assert alone.startswith("Of 2 tables, at")
    assert "And on" not in alone


def test_few_data_sets_side_by_side_many_in_summary():
    few = tables.precision(typed(results.rows())[lambda rows: rows["main"] & (rows["budget"] == "all")])
    assert few.split("\n")[0] == "| method | backblaze_next20d | cdnow_whale250 | oulad_distinction |"
    assert few.split("\n")[2].count("**") == 6
    many = typed(results.rows(data=[f"t{number:02d}" for number in range(12)], kind="table", budgets=("all",)))
    assert "mean rank" in tables.precision(many).split("\n")[0]


def test_features_are_compared_at_budgets_where_more_than_one_set_was_measured(tmp_path):
    rows = typed(results.rows())
    page.write(str(tmp_path), tmp_path / "fits", rows[rows["main"] | (rows["budget"] == "20")], ASKED)
    _, part = (tmp_path / "arena.md").read_text().split("## What the features add")
    said, _ = part.split("## Time and memory")
    assert "### 20 rare labels" in said
    assert "### All labels" not in said
