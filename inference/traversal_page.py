"""The page on which a person accepts a generator's graph or edits it: one self-contained HTML file without scripts.

Takes `Traversals`; gives HTML text.
"""

import base64

from inference.edges import Edge
from inference.report import environment
from inference.report_numbers import number, shorten
from inference.traversals import VALUES, FactorMoves, Traversals
from training.torch.imsic import graph_file

MOST_METRICS = 8  # of a factor that are shown


def render(found: Traversals, graph_url: str) -> str:
    """Return the page as HTML text.

    Args:
        found: what the codes do.
        graph_url: where the graph lies as a file to edit.
    """
    text = (
        environment()
        .get_template("traversals.html.j2")
        .render(
            found=found, graph_url=graph_url, values=VALUES, graph_text=graph_file.text(found.graph),
            most_metrics=MOST_METRICS, headline=_headline(found), asked=_asked, picture=_picture, depends=_depends,
        )
    )  # fmt: skip
    return text.encode("utf-8", "replace").decode()


def _headline(found: Traversals) -> str:
    asked, failed = len(found.asked), found.failed
    if not failed:
        return f"All {asked} edges that the graph asks for hold. Look whether each code is what its name says."
    named = ", ".join(f"{shorten(edge.code)} in {shorten(edge.factor)}" for edge in failed[:4])
    more = f" and {len(failed) - 4} more" if len(failed) > 4 else ""
    some = f"{len(failed)} of the {asked} edges that the graph asks for"
    return f"{some} {'do' if len(failed) > 1 else 'does'} not hold: {named}{more}."


def _asked(edge: Edge) -> str:
    """Say what is asked of an edge's correlation."""
    if edge.kind == "free":
        return "not asked"
    if edge.kind == "forbidden":
        return f"at most ±{number(edge.most)}"
    if edge.kind == "alone":
        return f"at least {number(edge.least)}" if edge.least > 0 else f"at most {number(edge.most)}"
    return f"{number(round(edge.least, 2))} to {number(round(edge.most, 2))}"


def _depends(moves: FactorMoves, found: Traversals) -> str:
    """Say what a factor depends on, by the weights that the graph gives."""
    place = found.graph.names.index(moves.factor.name)
    codes, extracted = found.graph.weights()[place], found.graph.extracted_weights()[place]
    parts = [
        f"{number(round(float(weight), 3))} × {kind} {shorten(name)}"
        for kind, weights in (("code", codes), ("factor", extracted))
        for name, weight in zip(found.graph.names, weights, strict=True)
        if weight
    ]
    return " + ".join(parts)


def _picture(moves: FactorMoves) -> str:
    return "data:image/png;base64," + base64.b64encode(moves.picture).decode()
