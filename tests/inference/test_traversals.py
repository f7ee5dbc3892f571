"""Which edges of a graph hold, what each code changes, and the page that shows both."""

import base64
import io
import json
import re
import tomllib

import numpy as np
import pytest
from matplotlib import image

from inference import traversal_page, traversals
from inference.edges import judged
from tests.inference import traversal_examples
from tests.inference.report_page import Page
from training.torch.imsic import graph_file
from training.torch.imsic.graph import Factor, Graph

HOSTILE = "<script>alert(1)</script>"


def verdicts(graph, correlations):
    return [[(edge.kind, edge.holds) for edge in row] for row in judged(graph, np.array(correlations, float))]


def test_edges_are_judged_by_the_thresholds_of_the_method():
    named = [Factor(name=name) for name in "abc"]
    graph = Graph(factors=(*named, Factor(name="d", parents=("b", "c", "d"))))
    found = judged(graph, graph.effects)
    assert all(edge.holds for row in found for edge in row)
    alone, shared, forbidden = found[0][0], found[3][1], found[3][0]
    assert (alone.kind, alone.least, alone.most) == ("alone", 0.95, 1)
    assert (shared.kind, round(shared.least, 3), round(shared.most, 3)) == ("shared", 0.45, 0.70)
    assert (forbidden.kind, forbidden.least, forbidden.most) == ("forbidden", -0.1, 0.1)


@pytest.mark.parametrize(
    ("place", "value", "holds"),
    [
        *(((0, 0), 0.96, True), ((0, 0), 0.94, False), ((0, 0), -0.99, False)),
        *(((0, 1), 0.09, True), ((0, 1), -0.11, False), ((0, 1), 0.11, False)),
    ],
)
def test_a_correlation_out_of_bounds_fails_its_edge_alone(place, value, holds):
    graph = Graph(factors=(Factor(name="a"), Factor(name="b")))
    correlations = graph.effects
    correlations[place] = value
    failed = [(edge.factor, edge.code) for row in judged(graph, correlations) for edge in row if not edge.holds]
    assert failed == ([] if holds else [("ab"[place[0]], "ab"[place[1]])])


def test_a_negative_weight_asks_for_a_negative_correlation_and_what_is_free_for_none():
    turned = Factor(name="b", parents=("a", "b"), weights={"a": -1}, forbidden=())
    graph = Graph(factors=(Factor(name="a", forbidden=()), turned))
    assert verdicts(graph, [[1, 0.9], [-0.7, 0.7]]) == [[("alone", True), ("free", True)], [("shared", True)] * 2]
    assert verdicts(graph, [[1, 0.9], [0.7, 0.7]])[1][0] == ("shared", False)


def test_correlations_of_another_graph_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) correlations were found, the graph has 1"):
        judged(Graph(factors=(Factor(name="a"),)), np.zeros((2, 3)))


def test_moves_are_those_of_the_codes_own_columns():
    found = traversals.examine(traversal_examples.model(), "models/imsic/run=1", label="fading")
    visits, _, size = found.factors
    assert visits.metrics[0].metric == "baskets"
    assert visits.own_share == pytest.approx(1)
    assert [one.metric for one in size.metrics][2:] in (["baskets", "discount_share"], ["discount_share", "baskets"])
    moved = visits.metrics[0].most[0]
    assert moved.high - moved.low == pytest.approx(2, abs=1e-5)
    assert 1.5 < moved.spreads < 2  # two of the noise's own deviations, less what the code adds to them
    assert (found.rows, found.failed, len(found.asked)) == (400, [], 9)


def test_missing_cells_do_not_count():
    graph, names = Graph(factors=(Factor(name="a"),)), ("m__x", "m__y")
    rows = np.array([[[1, np.nan], [3, np.nan]], [[4, np.nan], [np.nan, np.nan]]], np.float32)
    (found,) = traversals.moves(graph, [rows], names, {})
    by_name = {one.feature: (one.low, one.high) for one in found.metrics[0].most}
    assert by_name == {"m__x": (2, 4), "m__y": (None, None)}
    assert found.own_share is None


def test_pictures_stand_in_a_grid_by_place_and_value():
    model = traversal_examples.of_images()
    found = traversals.examine(model, "m", label="fading", rows=2)
    pixels = image.imread(io.BytesIO(found.factors[0].picture), format="png")
    assert pixels.shape[:2] == (2 * 28 + 2, 5 * 28 + 4 * 2)
    drawn = model.traverse("fading", "height", values=traversals.VALUES, rows=2, seed=0).features / 255
    np.testing.assert_allclose(pixels[30:, 30:58, 0], drawn[1, 1].reshape(28, 28), atol=0.01)
    assert found.factors[0].metrics == []


def test_colored_pictures_keep_their_colors():
    rows = np.zeros((2, 1, 3 * 4), np.float32)
    rows[1, 0, 4:8] = 10
    (found,) = traversals.moves(Graph(factors=(Factor(name="a"),)), [rows], [], {"image": (3, 2, 2), "brightest": 10})
    pixels = image.imread(io.BytesIO(found.picture), format="png")
    assert pixels[0, 0, :3].tolist() == [0, 0, 0]
    assert pixels[0, -1, :3].tolist() == [0, 1, 0]


def page_of(model, label="fading"):
    found = traversals.examine(model, "out/models/imsic/run=1", label=label)
    return traversal_page.render(found, "out/traversals/imsic/run=1/graph.toml")


def test_the_page_says_which_edges_fail_and_what_was_asked():
    text = page_of(traversal_examples.of_images())
    page = Page(text)
    assert "2 of the 16 edges that the graph asks for do not hold: height in height, light in height." in page.text
    assert (page.text.count("PASS"), page.text.count("FAIL")) == (14, 2)
    assert "0.61 FAIL at least 0.95" in page.text
    assert "−0.34 FAIL at most ±0.1" in page.text
    assert "0.577 × code length + 0.577 × code light + 0.577 × code style" in page.text
    assert text.count("data:image/png;base64,") == 4
    assert base64.b64decode(text.split("base64,")[1].split('"')[0]).startswith(b"\x89PNG")


def test_the_page_of_a_table_names_the_features_that_move():
    page = Page(page_of(traversal_examples.model()))
    assert "All 9 edges that the graph asks for hold." in page.text
    assert re.search("Read from spend, units. (100|>99.9)% of all that moves is there.", page.text)
    assert "0.707 × code visits + 0.707 × code basket size" in page.text
    assert traversal_examples.GRAPH.digest() in page.text
    assert page.headings[:3] == [1, 2, 2]
    assert page.unlabeled_pictures == 0


def test_the_page_loads_nothing_and_runs_nothing():
    text = page_of(traversal_examples.of_images())
    page = Page(text)
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    assert "script" not in page.tags
    assert "script-src 'none'" in text
    assert text == page_of(traversal_examples.of_images())


def test_names_are_escaped():
    graph = Graph(factors=(Factor(name=HOSTILE), Factor(name="{{ 7 * 7 }}")))
    text = page_of(traversal_examples.model(graph=graph))
    assert HOSTILE not in text
    assert "{{ 7 * 7 }}" in text


def test_the_graph_on_the_page_reads_back(tmp_path):
    graph = Graph(
        factors=(
            Factor(name='a "b" \u00e9\n', columns=("m",), range=(-0.5, 1)),
            Factor(name="c", parents=("c",), extracted=('a "b" \u00e9\n',), weights={"c": -2}, forbidden=()),
        )
    )
    path = tmp_path / "graph.toml"
    path.write_text(graph_file.text(graph), encoding="utf-8")
    assert graph_file.read(str(path)) == graph
    assert tomllib.loads(graph_file.text(graph))["factors"][1]["forbidden"] == []


def test_verdicts_for_programs():
    said = json.loads(traversals.examine(traversal_examples.of_images(), "m", label="fading").to_json())
    assert (said["holds"], len(said["edges"])) == (False, 16)
    assert [edge["correlation"] for edge in said["edges"] if not edge["holds"]] == [0.61, -0.34]
