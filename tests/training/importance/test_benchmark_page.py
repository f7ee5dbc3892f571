"""The page of the benchmark's results, from made-up rows."""

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.importance_results import page, unlabeled
from tests.benchmarks.importance_results.tables import Table


def rows():
    given = [("repaired", 0, 0.95), ("repaired", 1, 0.93), ("k-means", 0, 0.94), ("k-means", 1, 0.94)]
    figures = [
        {"section": "pseudo_labels", "data": "biopsy", "method": method, "seed": seed, "f1": f1, "nmi": f1 - 0.2}
        for method, seed, f1 in given
    ]
    losses = [
        {"section": "losses", "data": "biopsy", "method": method, "seed": seed, "nmi": nmi}
        for method, seed, nmi in [("information", 0, 0.8), ("information", 1, 0.5), ("conditional", 0, 0.01)]
    ]
    return pd.DataFrame(figures + losses)


def test_bars_means_and_paired_differences(tmp_path):
    page.write(tmp_path / "importance.md", rows())
    text = (tmp_path / "importance.md").read_text()
    assert "Biopsy, F1 of `repaired`, at least 0.93: 0.940: **holds**." in text
    assert "under information, at least 0.8: 0.500: **is missed by 0.300**." in text
    assert "5 % malignant, F1 of `repaired`, at least 0.7: **not measured**." in text
    assert "| biopsy | repaired | 2 | 0.740 ± 0.014 | 0.940 ± 0.014 |" in text
    assert "| biopsy | repaired less k-means | +0.000 ± 0.014, better in 1 of 2 |" in text
    assert "## Three classes" not in text


def test_the_last_line_has_null_for_what_is_missing():
    figures = page.figures(rows())
    assert figures["repaired_f1"] == pytest.approx(0.94)
    assert figures["conditional_share"] == 1
    assert figures["blobs_f1"] is None


def test_clusters_are_matched_with_classes():
    truth = np.array([0, 0, 0, 1, 1, 2])
    assert unlabeled.matched_f1(truth, np.array([2, 2, 2, 0, 0, 1])) == 1
    assert unlabeled.matched_f1(truth, np.array([2, 2, 0, 0, 0, 1])) == pytest.approx((0.8 + 0.8 + 1) / 3)


def test_k_means_scores_by_distance():
    inputs = np.array([[0.0], [0.2], [0.1], [1.0], [0.9]], np.float32)
    table = Table(inputs, np.array([False, False, False, True, True]))
    assert unlabeled.k_means(table, inputs, np.array([0, 0, 0, 1, 1]))["average_precision"] == 1
    assert unlabeled.k_means(table, inputs, np.array([1, 1, 1, 0, 0]))["f1"] == 1
