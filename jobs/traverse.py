"""What a generator's codes do, as a page on which a person accepts the graph or edits it.

    python -m jobs.traverse --config run.toml
    python -m jobs.traverse --config run.toml --trainer imsic --label fraud --seed 7

The model is the trainer's published one. Writes `<root>/traversals/<trainer>/run=<model>-<digits>/` with
`traversals.html`, `graph.toml`, which is what to edit, and `edges.json`, the verdicts for programs. To accept the graph
or a changed copy of it, name the file as `train.imsic.graph` and train again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from inference import traversal_page, traversals
from inference.traversals import HasCodes
from jobs import console, own_options
from jobs.settings import RunSettings
from training import artifact as artifacts
from training.torch.imsic import graph_file

JOB = "jobs.traverse"
PAGE, GRAPH, EDGES = "traversals.html", "graph.toml", "edges.json"

logger = logging.getLogger(JOB)


class TraversalError(ValueError):
    """The codes that are asked for cannot be looked at."""


@dataclass(frozen=True)
class Look:
    """What is to be looked at.

    Attributes:
        trainer: the generator's name.
        label: name of the class whose rows are made; the rare one if empty.
        rows: rows that each value of a code is given to; 0: 400 of a table, 8 pictures.
        seed: one seed gives the same page, byte for byte.
        out: root under which it is published; that of the run file if empty.
    """

    trainer: str = "imsic"
    label: str = ""
    rows: int = 0
    seed: int = 0
    out: str = ""


def run(settings: RunSettings, look: Look) -> Run:
    """Make and publish the page, unless that is done already; return where it is.

    Raises:
        PublishError: no model of that trainer is published.
        TraversalError: the trainer has no codes, or there is no such class.
    """
    for name in ("rows", "seed"):
        if getattr(look, name) < 0:
            raise TraversalError(f"--{name} is {getattr(look, name)}, expected at least 0")
    model = publishing.latest(settings.output.root, f"models/{look.trainer}")
    artifact = artifacts.load(model.url)
    if not isinstance(artifact, HasCodes):
        raise TraversalError(f"trainer {look.trainer!r} has no codes to look at; name one that has by --trainer: imsic")
    label = look.label or artifact.schema.rare
    if label not in artifact.schema.classes:
        known = list(artifact.schema.classes)
        raise TraversalError(f"--label is {label!r}, the model was trained on the classes {known}; name one")
    wanted = {"label": label, "rows": look.rows, "seed": look.seed}
    source = publishing.fingerprint(wanted, model.url, (model.manifest() or {}).get("fingerprint"))
    made = Run(look.out or settings.output.root, f"traversals/{look.trainer}", f"{model.id}-{source[:8]}")
    if made.is_done(source):
        logger.info("traverse: %s is finished, of this model; nothing to do", made.url)
        made.point_again()
        return made
    facts = _write(artifact, model.url, label, look, made.start())
    made.finish(source, wanted | facts | {"model": model.url})
    return made


def _write(artifact: HasCodes, model_url: str, label: str, look: Look, folder: str) -> dict[str, object]:
    """Write the files and return what the run's manifest says of them."""
    found = traversals.examine(artifact, model_url, label=label, rows=look.rows, seed=look.seed)
    graph_url = storage.join(folder, GRAPH)
    storage.write_bytes(graph_url, graph_file.text(found.graph).encode())
    storage.write_bytes(storage.join(folder, EDGES), found.to_json().encode())
    storage.write_bytes(storage.join(folder, PAGE), traversal_page.render(found, graph_url).encode())
    asked, failed = len(found.asked), len(found.failed)
    logger.info("traverse: %d of %d edges hold; read %s", asked - failed, asked, storage.join(folder, PAGE))
    return {"graph": found.graph.digest(), "edges": asked, "edges_that_fail": failed}


def read_command(arguments: Sequence[str] | None = None) -> tuple[RunSettings, Look]:
    """Read this job's own options; what is left names the run file and its overrides."""
    helps = {
        "trainer": "the generator; imsic by default",
        "label": "the class whose rows are made; by default the rare one",
        "rows": "rows for each value; by default 400 of a table, 8 pictures",
        "seed": "one seed gives the same page, byte for byte",
        "out": "root of what is written; by default the run file's output.root",
    }
    description = "Show what the codes of the generator published last do, for a person to accept its graph."
    return own_options.read(Look, helps, arguments, job=JOB, description=description)


def _run_command() -> None:
    run(*read_command())


if __name__ == "__main__":
    console.main(_run_command)
