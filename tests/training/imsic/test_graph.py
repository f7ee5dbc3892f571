"""The graph that a person writes: its weights, what it refuses by which line, and the graph of those without one."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from feature_extraction.schema import SchemaMismatch
from training.torch.imsic.graph import Factor, Graph, default
from training.torch.imsic.graph_file import GivenGraph, GraphError, read

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "jobs/configs/imsic_graph.toml"
DEMO = ("spend__last", "baskets__last", "units__last", "discount_share__last", "products__last")


def graph(*factors: dict) -> Graph:
    return Graph(factors=tuple(Factor(**factor) for factor in factors))


def entangled() -> Graph:
    """The graph of the method's checks: three factors of their own, and one that depends on the last three codes."""
    names = [{"name": name} for name in "abc"]
    return graph(*names, {"name": "d", "parents": ("b", "c", "d")})


def refused(tmp_path, text: str) -> str:
    path = tmp_path / "graph.toml"
    path.write_text(text)
    with pytest.raises(GraphError) as caught:
        read(str(path))
    return str(caught.value).replace(str(path), "graph.toml")


def test_weights_of_equal_parents_have_norm_one():
    third = 3**-0.5
    expected = np.diag([1.0, 1, 1, third])
    expected[3, 1:3] = third
    np.testing.assert_allclose(entangled().weights(), expected)
    np.testing.assert_allclose(entangled().effects, expected)
    assert not entangled().extracted_weights().any()


def test_relative_weights_and_signs():
    found = graph({"name": "a"}, {"name": "b", "parents": ("a", "b"), "weights": {"a": -3, "b": 4}})
    np.testing.assert_allclose(found.weights(), [[1, 0], [-0.6, 0.8]])


def test_targets_that_depend_on_extracted_factors_have_a_codes_variance():
    """As in the paper's figure: factor d is extracted from b and c, and from its own code."""
    found = graph(*({"name": name} for name in "abc"), {"name": "d", "extracted": ("b", "c"), "weights": {"b": 2}})
    np.testing.assert_allclose(np.linalg.norm(found.effects, axis=1), 1)
    np.testing.assert_allclose(found.extracted_weights()[3], [0, 2 / 6**0.5, 1 / 6**0.5, 0])
    np.testing.assert_allclose(found.weights() + found.extracted_weights() @ found.effects, found.effects)
    codes = np.random.default_rng(0).uniform(-1, 1, (20_000, 4))
    assert np.var(codes @ found.effects[3]) == pytest.approx(1 / 3, rel=0.02)


def test_a_chain_of_extracted_factors_is_weighed_in_its_own_order():
    found = graph({"name": "c", "extracted": ("b",)}, {"name": "b", "extracted": ("a",)}, {"name": "a"})
    assert found.order == (2, 1, 0)
    np.testing.assert_allclose(found.effects[0], np.array([2**0.5, 1, 1]) / 2)


def test_forbidden_is_what_a_factor_does_not_depend_on_unless_it_is_said():
    assert entangled().forbidden().astype(int).tolist() == [[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 0, 0, 0]]
    through = graph({"name": "a"}, {"name": "b"}, {"name": "c", "extracted": ("b",)})
    assert through.forbidden()[2].tolist() == [True, False, False]
    said = graph({"name": "a", "forbidden": ("c",)}, {"name": "b", "forbidden": ()}, {"name": "c"})
    assert said.forbidden().astype(int).tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0]]


def test_columns_are_metrics_or_features():
    found = graph({"name": "a", "columns": ("m", "n__y")}, {"name": "b"})
    names = ("m__x", "m__y", "n__x", "n__y")
    assert found.columns(names).astype(int).tolist() == [[1, 1, 0, 1], [1, 1, 1, 1]]
    with pytest.raises(SchemaMismatch, match="no metric or feature 'n__y'; did you mean 'n__x'"):
        found.columns(names[:3])


def test_ranges_of_sampling():
    assert graph({"name": "a", "range": (-0.5, 0.25)}, {"name": "b"}).ranges().tolist() == [[-0.5, 0.25], [-1, 1]]


def test_the_digest_is_of_all_that_is_said_and_nothing_else():
    assert entangled().digest() == Graph(**entangled().model_dump(mode="json")).digest()
    assert len({graph({"name": "a"}).digest(), graph({"name": "b"}).digest(), entangled().digest()}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[factors]]\nname = "a"\n\nparents = ["b"]\n[[factors]]\nname = "b"', "line 4: .*own code; add 'a'"),
        ('[[factors]]\nname = "a"\n[[factors]]\nname = "a"', "line 4: two factors are named 'a'"),
        ('[[factors]]\nname = "ab"\nparents = ["ab", "bc"]\n[[factors]]\nname = "bcd"', "line 3: .*'bc'; did you mean"),
        ('[[factors]]\nname = "a"\nextracted = ["a"]', "line 3: .*from itself, a cycle"),
        (
            '[[factors]]\nname="a"\nextracted=["b"]\n[[factors]]\nname="b"\nextracted=["a"]',
            "line 3: 'a', 'b' are extracted from each other in a cycle",
        ),
        (
            '[[factors]]\nname = "a"\nforbidden = ["b"]\nparents = ["a", "b"]\n[[factors]]\nname = "b"',
            "line 3: 'b' is both a parent of 'a' and forbidden",
        ),
        (
            '[[factors]]\nname = "a"\nextracted = ["b"]\nforbidden = ["b"]\n[[factors]]\nname = "b"',
            "line 4: 'b' is both",
        ),
        (
            '[[factors]]\nname="a"\nextracted=["b"]\nforbidden=["c"]\n[[factors]]\nname="b"\nparents=["b","c"]\n'
            '[[factors]]\nname="c"',
            r"line 4: 'c' is forbidden in 'a', but shows in it through \['b'\]",
        ),
        ('[[factors]]\nname = "a"\nweights = { b = 1 }', "line 3: 'b' has a weight, but the parents"),
        ('[[factors]]\nname = "a"\nweights = { a = 0 }', "line 3: .*weight 0 is none"),
        (
            '[[factors]]\nname="a"\nextracted=["b"]\nweights={a=-1}\n[[factors]]\nname="b"\nparents=["b","a"]\n'
            "weights={b=1e-9}",
            "line 4: the weights of 'a' cancel its own code",
        ),
        ('[[factors]]\nname = "a"\nrange = [0.5, 0.5]', "line 3: the range of 'a'"),
        ('[[factors]]\nname = "a"\nrange = [-1, 3]', "line 3: range.1: .*less than or equal to 1; found 3"),
        ('[[factors]]\nname = "a"\ncolums = ["x"]', "line 3: unknown key 'colums'; did you mean 'columns'"),
        ('mu = 0.3\n[[factors]]\nname = "a"', "line 1: unknown key 'mu'"),
        ('[[factors]]\nparents = ["a"]', "line 1: name is needed"),
        ("", "line 1: factors is needed and not given; write one"),
        ("\n".join(f'[[factors]]\nname = "f{number}"' for number in range(9)), "line 1: .*at most 8 items"),
        ("[[factors]", "not readable as TOML: .*line 1"),
    ],
)
def test_a_file_that_is_no_graph_is_refused_by_line(tmp_path, text, said):
    assert re.search("graph.toml: " + said, refused(tmp_path, text))


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    message = refused(tmp_path, '[[factors]]\nname = "a"\nparents = ["b"]\n[[factors]]\nname = "b"\nrange = [1, 0]')
    assert [line.split(": ")[1] for line in message.splitlines()] == ["line 3", "line 6"]


def test_the_example_fits_the_demo():
    found = read(str(EXAMPLE))
    assert found.columns(DEMO).sum(axis=1).tolist() == [1, 1, 3]
    assert found.forbidden().any()


def test_settings_keep_the_graph_itself(tmp_path):
    """So that a run whose file was edited is another run, and a worker elsewhere needs no file."""

    class Own(BaseModel):
        graph: GivenGraph = None

    assert Own().graph is Own(graph="").graph is None
    kept = Own(graph=str(EXAMPLE))
    assert kept.graph == read(str(EXAMPLE))
    assert Own(**kept.model_dump(mode="json")) == kept
    (tmp_path / "bad.toml").write_text("[[factors]]")
    with pytest.raises(ValidationError, match="line 1: name is needed"):
        Own(graph=str(tmp_path / "bad.toml"))


def test_without_a_graph_each_metric_is_a_factor():
    found = default(DEMO)
    assert found.names == ("spend", "baskets", "units", "discount_share", "products")
    assert (found.columns(DEMO) == np.eye(5, dtype=bool)).all()
    np.testing.assert_array_equal(found.weights(), np.eye(5))


def test_many_metrics_share_eight_factors():
    names = [f"m{number}__{part}" for number in range(19) for part in "xy"]
    found = default(names)
    assert len(found.factors) == 8
    assert found.names[0] == "m0 to m2"
    assert (found.columns(names).sum(axis=0) == 1).all()


def test_columns_without_metrics_are_read_by_four_factors():
    names = [f"pixel{number}" for number in range(784)]
    assert default(names).columns(names).shape == (4, 784)
    assert default(names).columns(names).all()


def test_reading_a_graph_loads_no_framework():
    code = "import sys, training.torch.imsic.graph_file; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "pyspark", "tensorflow"} & set(loaded.stdout.split())
