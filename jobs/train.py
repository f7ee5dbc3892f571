"""The feature table to artifacts: the run's trainer and those it is compared with, each with one seed or several.

    python -m jobs.train --config run.toml --train.trainer scarcegan
    python -m jobs.train --config run.toml --train.seeds '[0, 1, 2]' --workers spark

Each method with each seed is a candidate. Of a method's candidates the one that ranks its held-out rows best is
published, or with `train.ensemble` the mean of all. A candidate that is finished is not trained again, and one that
was lost goes on from its last checkpoint.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from feature_extraction import publishing, storage
from feature_extraction.publishing import Run
from jobs import candidates, console, models
from jobs.candidates import Candidate, CandidatesFailed, Outcome
from jobs.settings import RunSettings
from jobs.train_settings import DATA_PARALLEL
from training.artifact import load_files, save_files
from training.ensemble_artifact import EnsembleArtifact

logger = logging.getLogger("jobs.train")
Plan = Mapping[str, Sequence[Candidate]]


def run(settings: RunSettings, features: Run | None = None) -> bool:
    """Train and publish every method of the run on `features`, or on the table published last.

    Returns whether there was anything to do.

    Raises:
        CandidatesFailed: a method could not be trained; the others are published all the same.
    """
    table = features or publishing.own_or_latest(settings.output.root, "features", settings.run_id)
    names = dict.fromkeys([settings.train.trainer, *settings.train.compare])
    plan: Plan = {
        name: candidates.of_method(settings, name, table) for name in names if not _is_done(settings, name, table)
    }
    for name in plan:
        models.own(settings, name).start()  # before hours of work: another process may be at it
    failures = []
    for outcomes in _trained(settings, plan):
        try:
            _publish(settings, table, outcomes)
        except CandidatesFailed as failure:
            failures.append(str(failure))
    if failures:
        raise CandidatesFailed("; ".join(failures))
    return bool(plan)


def _fingerprint(settings: RunSettings, name: str, table: Run) -> str:
    own = getattr(settings.train, name).model_dump(mode="json")
    choice = (settings.train.seeds, settings.train.ensemble)
    return publishing.fingerprint(name, own, choice, table.id, (table.manifest() or {}).get("fingerprint"))


def _is_done(settings: RunSettings, name: str, table: Run) -> bool:
    model = models.own(settings, name)
    if not model.is_done(_fingerprint(settings, name, table)):
        return models.reusable(settings, name) is not None
    logger.info("train: %s is finished, with these settings and features; nothing to do", model.url)
    model.point_again()
    return True


def _trained(settings: RunSettings, plan: Plan) -> Iterator[list[Outcome]]:
    """Give the outcomes of one method after the other; its finished candidates are not trained again."""
    found = {c.folder: outcome for group in plan.values() for c in group if (outcome := candidates.finished(c))}
    todo = {name: [c for c in group if c.folder not in found] for name, group in plan.items()}
    if settings.train.workers == "spark":
        found |= _on_spark(settings, todo)
        todo = {}
    reader = cache(candidates.reader_of)
    for name, group in plan.items():
        fresh = todo.get(name, [])
        found |= {c.folder: candidates.train_or_say_why(c, reader(c.table), alone=len(group) == 1) for c in fresh}
        yield [found[c.folder] for c in group]


def _on_spark(settings: RunSettings, todo: Plan) -> dict[str, Outcome]:
    """Return the outcomes of candidates trained as Spark tasks, by folder: each one task, or several that share it."""
    from jobs import data_parallel, fan_out  # here alone: an image that trains without Spark has none

    shared = DATA_PARALLEL if settings.train.processes > 1 else frozenset()
    alone = [c for name, group in todo.items() for c in group if name not in shared]
    together = [c for name, group in todo.items() for c in group if name in shared]
    found = fan_out.train(alone, settings.train) if alone else {}
    return found | (data_parallel.train(together, settings.train) if together else {})


def _publish(settings: RunSettings, table: Run, outcomes: Sequence[Outcome]) -> None:
    """Publish the best of one method's candidates, or the mean of all that could be trained."""
    name, good = outcomes[0].trainer, [outcome for outcome in outcomes if not outcome.error]
    if not good:
        raise CandidatesFailed(f"{name} could not be trained: " + "; ".join(_said(outcome) for outcome in outcomes))
    for outcome in outcomes:
        if outcome.error:
            logger.warning("train: %s goes on without the candidate with %s", name, _said(outcome))
    facts: dict[str, Any] = {"features": table.id, "candidates": [outcome.facts() for outcome in outcomes]}
    model = models.own(settings, name)
    if settings.train.ensemble:
        EnsembleArtifact.of([outcome.artifact for outcome in good]).save(model.url)
        facts["published"] = {"ensemble": [outcome.seed for outcome in good]}
    else:
        chosen = candidates.best(good)
        save_files(model.url, *load_files(chosen.artifact))
        facts["published"] = {"seed": chosen.seed}
    model.finish(_fingerprint(settings, name, table), facts | models.facts(settings, name))
    storage.delete_folder(candidates.work_folder(settings, name))
    logger.info("train: %s saved in %s", name, model.url)


def _said(outcome: Outcome) -> str:
    return f"seed {outcome.seed}: {outcome.error}"


if __name__ == "__main__":
    console.run_job(run, "jobs.train")
