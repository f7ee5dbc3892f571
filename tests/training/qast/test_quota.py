"""Quotas of small classes, against the published tables' own, and the split by which those tables were halved."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.torch.qast.quota import class_quota, half_split, minority_by_rule, quota
from training.torch.qast.settings import QASTSettings

TABLES = Path(__file__).resolve().parents[4] / "shared/data/tabular/qast"
ALL_BUT_FIRST = tuple(range(1, 10))
# Name: the classes that the authors declared small, and the quota that follows.
PUBLISHED: dict[str, tuple[tuple[int, ...], int]] = {
    "abalone": ((0, 1, 13, 14, 15, 16, 17, 18, 19), 153),
    "balance": ((1,), 144),
    "car": ((2, 3), 398),
    "clave": ((0,), 1522),
    "contraceptive": ((2,), 284),
    "dermatology": ((0, 2, 3, 4, 5), 56),
    "ecoli": ((1, 2, 3, 4), 71),
    "flare": ((4, 5), 119),
    "glass": ((0, 3, 4, 5), 36),
    "yeast": ((4, 5, 6, 7, 8), 156),
    "mfcc": ((3,), 813),
    "new-thyroid": ((0, 2), 75),
    "nursery": ((1,), 2091),
    "pageblocks": ((0, 2, 3), 246),
    "satimage": ((2, 4, 5), 722),
    "shuttle": ((0, 2), 853),
    "thyroid": ((1, 2), 333),
    "winequality-red": ((0, 1, 5), 220),
    "winequality-white": ((0, 1, 5), 769),
    "log2": ((3,), 12622),
    "CWRU_Bearing_Dataset_1_10": (ALL_BUT_FIRST, 115),
    "CWRU_Bearing_Dataset_1_2": (ALL_BUT_FIRST, 115),
    "CWRU_Bearing_Dataset_1_20": (ALL_BUT_FIRST, 115),
    "CWRU_Bearing_Dataset_1_5": (ALL_BUT_FIRST, 115),
    "Gearbox_Fault_Diagnosis_1_10": ((1,), 2500),
    "Gearbox_Fault_Diagnosis_1_2": ((1,), 2500),
    "Gearbox_Fault_Diagnosis_1_20": ((1,), 2500),
    "Gearbox_Fault_Diagnosis_1_5": ((1,), 2500),
    "CM1": ((1,), 142),
    "JM1": ((1,), 3054),
    "KC1": ((1,), 434),
    "KC3": ((1,), 79),
    "MC1": ((1,), 958),
    "MC2": ((1,), 40),
    "MW1": ((1,), 112),
    "PC1": ((1,), 312),
    "PC2": ((1,), 353),
    "PC3": ((1,), 461),
    "PC4": ((1,), 547),
    "PC5": ((1,), 618),
}


def halves(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    if not TABLES.exists():
        pytest.skip(f"{TABLES} is absent")
    table = pd.read_parquet(TABLES / f"{name}.parquet")
    return table[table["split"] == "train"], table[table["split"] == "test"]


def original_order(training: np.ndarray, test: np.ndarray, classes: tuple[int, ...] = ()) -> np.ndarray | None:
    """Find an order of all labels whose halves are these, each half in its own order, or None.

    Of a class's rows, in order, the rule says which are in the training half, given the classes that appear before
    it. So the halves are merged as far as that allows; then the class of either head may be the next to appear.
    """
    counts = np.bincount(np.concatenate([training, test]))
    known = np.repeat(classes, [counts[code] for code in classes]).astype(np.int64)
    learned = np.zeros(len(known), bool)
    if classes:
        learned[half_split(known)[0]] = True
    turns = {code: learned[known == code].tolist() for code in classes}
    merged, at, sides = [], [0, 0], (test, training)
    while True:
        heads = [int(side[place]) if place < len(side) else -1 for side, place in zip(sides, at, strict=True)]
        open_sides = [side for side in (1, 0) if turns.get(heads[side]) and turns[heads[side]][0] == side]
        if not open_sides:
            break
        side = min(open_sides, key=lambda side: classes.index(heads[side]))
        merged.append(heads[side])
        turns[merged[-1]].pop(0)
        at[side] += 1
    if tuple(dict.fromkeys(merged)) != classes:
        return None
    if len(merged) == len(training) + len(test):
        return np.array(merged)
    for code in {heads[1]: None, heads[0]: None}:
        if code >= 0 and code not in classes:
            found = original_order(training, test, (*classes, code))
            if found is not None:
                return found
    return None


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_quotas_are_reproduced(name):
    minority, expected = PUBLISHED[name]
    assert quota(np.bincount(halves(name)[0]["label"]), minority) == expected


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_halves_are_reproduced_row_for_row(name):
    training, test = (half["label"].to_numpy() for half in halves(name))
    labels = original_order(training, test)
    assert labels is not None
    first, second = half_split(labels)
    np.testing.assert_array_equal(labels[first], training)
    np.testing.assert_array_equal(labels[second], test)


@pytest.mark.shared
def test_an_order_is_not_found_for_halves_of_another_split():
    training, test = (half["label"].to_numpy() for half in halves("yeast"))
    assert original_order(training[::-1], test) is None


def test_halves_are_disjoint_stratified_and_repeatable():
    labels = np.repeat([0, 1, 2], [51, 20, 2])
    first, second = half_split(labels)
    assert sorted([*first, *second]) == list(range(73))
    np.testing.assert_array_equal(np.bincount(labels[first]), [25, 10, 1])
    np.testing.assert_array_equal(half_split(labels)[0], first)


@pytest.mark.parametrize(
    ("counts", "minority", "expected"), [([100, 40, 5], (2,), 70), ([100, 20, 5], (2,), 60), ([9, 0, 3], (2,), 9)]
)
def test_quota_is_the_middle_of_the_large_classes_or_three_times_the_least(counts, minority, expected):
    assert quota(counts, minority) == expected


def test_no_large_class_is_refused():
    with pytest.raises(ValueError, match="leave at least one out"):
        quota([3, 4], (0, 1))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([100, 4], (1,)), ([4, 100], (0,)), ([7, 7], ()), ([232, 214, 122, 81, 26, 22, 0, 15, 10], (4, 5, 7, 8))],
)
def test_small_classes_are_those_below_the_quota_of_all(counts, expected):
    assert minority_by_rule(counts) == expected


def test_no_rows_at_all_are_refused():
    with pytest.raises(ValueError, match="none to learn from"):
        minority_by_rule([0, 0])


def test_settings_name_classes_and_quota():
    names = ("a", "b", "c")
    assert class_quota([100, 40, 5], classes=names, settings=QASTSettings()) == ((2,), 70, {2: 65})
    named = QASTSettings(minority=("b", "c"))
    assert class_quota([100, 40, 5], classes=names, settings=named) == ((1, 2), 100, {1: 60, 2: 95})
    fixed = QASTSettings(quota=50)
    assert class_quota([100, 40, 5], classes=names, settings=fixed) == ((1, 2), 50, {1: 10, 2: 45})
    over = QASTSettings(quota=10, minority=("b",))
    assert class_quota([100, 40, 5], classes=names, settings=over).needed == {1: 0}


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match=r"\['d'\].*\['a', 'b'\]"):
        class_quota([3, 4], classes=("a", "b"), settings=QASTSettings(minority=("d",)))
